package autobahn_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/ws"
)

type line = kanava.Channel[kanava.None, kanava.None]

// ourServer sends messages back, and tells how connections end.
type ourServer struct {
	url string
	end chan ended
}

type ended struct {
	code   kanava.CloseCode
	reason string
}

func startServer(t *testing.T, o ws.Options) *ourServer {
	t.Helper()
	s := &ourServer{end: make(chan ended, 1)}
	srv := kanava.NewServer(kanava.Options[kanava.None]{Limits: kanava.Limits{Message: limit}})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "echo", Route: "/echo", Public: true,
		OnMessage: kanava.Func(func(_ context.Context, _ *line, in jsontext.Value) (jsontext.Value, error) { return in, nil }),
		OnBinary:  kanava.BinaryFunc(func(_ context.Context, _ *line, in []byte) ([]byte, error) { return in, nil }),
		Messages: kanava.By("action",
			kanava.OnDo("quit", func(ctx context.Context, ch *line, _ kanava.None) error { return ch.Close(ctx, 4123, "as you wish") }),
		),
		OnDisconnect: kanava.DisconnectFunc(func(_ context.Context, ch *line) error {
			code, reason := ch.Closed()
			s.end <- ended{code, reason}
			return nil
		}),
	})
	web := httptest.NewServer(ws.Handler(srv, o))
	s.url = "ws" + strings.TrimPrefix(web.URL, "http") + "/echo"
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		web.Close()
	})
	return s
}

// wantEnd waits for OnDisconnect, and demands how it saw the end.
func (s *ourServer) wantEnd(t *testing.T, code int, reason string) {
	t.Helper()
	select {
	case e := <-s.end:
		if int(e.code) != code || !strings.HasPrefix(e.reason, reason) {
			t.Errorf("OnDisconnect saw %d %q, want %d %q", e.code, e.reason, code, reason)
		}
	case <-time.After(patience):
		t.Fatal("OnDisconnect does not run")
	}
}

// connect has autobahn's client hold one conversation.
func (p *peer) connect(t *testing.T, c foreignCase) report {
	t.Helper()
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.in.Write(append(data, '\n')); err != nil {
		t.Fatal(err)
	}
	return p.report(t)
}

// wantClosed demands the end that RFC 6455 wants: close frames both ways, the
// server's with this code, and no fault of ours.
func (r report) wantClosed(t *testing.T, code int, reason string) {
	t.Helper()
	r.wantFaultless(t)
	if !r.Opened || !r.Clean || r.Code != code || !strings.HasPrefix(r.Reason, reason) {
		t.Errorf("autobahn saw opened %v, clean %v, close code %d %q, %s%s, want %d %q", r.Opened, r.Clean, r.Code, r.Reason, r.Refused, r.Unclean, code, reason)
	}
}

func TestForeignClient(t *testing.T) {
	server := startServer(t, ws.Options{})
	client, _ := startPeer(t, "client")

	t.Run("messages", func(t *testing.T) {
		for _, tt := range patterns() {
			t.Run(tt.name, func(t *testing.T) {
				want := pongs(tt.pongs)
				if tt.binary {
					want = append(want, binary(tt.data))
				} else {
					want = append(want, text(tt.data))
				}
				r := client.connect(t, foreignCase{URL: server.url, Steps: append(tt.steps, after(len(want), closing(1000, "done")))})
				r.wantGot(t, want...)
				r.wantClosed(t, 1000, "")
				server.wantEnd(t, 1000, "done")
			})
		}
	})

	t.Run("broken rules", func(t *testing.T) {
		for _, tt := range brokenCases(true) {
			t.Run(tt.name, func(t *testing.T) {
				r := client.connect(t, foreignCase{URL: server.url, Steps: tt.steps})
				name := kanava.CloseCode(tt.code).String() + ": "
				r.wantClosed(t, tt.code, name)
				server.wantEnd(t, tt.code, name)
			})
		}
	})

	t.Run("closing", func(t *testing.T) {
		for _, code := range closeCodes {
			for _, reason := range []string{"", "päätös", strings.Repeat("r", 123)} {
				t.Run(fmt.Sprintf("7.1.5 the client's code %d comes back, reason of %d bytes", code, len(reason)), func(t *testing.T) {
					r := client.connect(t, foreignCase{URL: server.url, Steps: []step{frame(opClose, closeBody(code)+reason)}})
					r.wantClosed(t, code, "")
					server.wantEnd(t, code, reason)
				})
			}
		}
		for _, tt := range []struct {
			name   string
			steps  []step
			got    []came
			code   int // in the server's close frame
			clean  bool
			seen   int // by OnDisconnect
			reason string
		}{
			{"7.1.5 no code comes back as none", []step{frame(opClose, "")}, nil, 0, true, 1005, ""},
			{"5.5.1 what follows the close frame is ignored", []step{frame(opClose, closeBody(1000)), frame(opText, "1"), frame(3, "")}, nil, 1000, true, 1000, ""},
			{"5.5.1 a close frame between fragments", []step{more(opText, `"`), frame(opClose, closeBody(4001))}, nil, 4001, true, 4001, ""},
			{
				"7.1.2 the server begins",
				[]step{frame(opText, "1"), after(1, frame(opText, `{"action":"quit"}`))},
				[]came{text("1"), text(`{"action":"quit"}`)},
				4123, true, 4123, "as you wish",
			},
			{"7.1.7 the client is cut off", []step{frame(opText, "1"), after(1, step{Do: "cut"})}, []came{text("1")}, 0, false, 1006, ""},
			{"7.1.7 the client is cut off within a frame", []step{raw("\x82\xfe\x10"), frame(opPing, ""), {Do: "cut"}}, nil, 0, false, 1006, ""},
		} {
			t.Run(tt.name, func(t *testing.T) {
				r := client.connect(t, foreignCase{URL: server.url, Steps: tt.steps})
				r.wantFaultless(t)
				r.wantGot(t, tt.got...)
				if !r.Opened || r.Clean != tt.clean || r.Code != tt.code {
					t.Errorf("autobahn saw opened %v, clean %v, close code %d %q, %s", r.Opened, r.Clean, r.Code, r.Reason, r.Unclean)
				}
				server.wantEnd(t, tt.seen, tt.reason)
			})
		}
	})

	t.Run("handshake", func(t *testing.T) {
		host := strings.TrimSuffix(strings.TrimPrefix(server.url, "ws://"), "/echo")
		for _, tt := range []struct {
			name     string
			c        foreignCase
			protocol string
			refused  string // in autobahn's words; "" for a connection
		}{
			{"4.2.2 as it comes", foreignCase{}, "", ""},
			{"4.2.2 with a query that nobody reads", foreignCase{URL: server.url + "?a=b"}, "", ""},
			{"4.1 header fields that nobody reads", foreignCase{Headers: map[string]string{"Cookie": "a=b", "X-Long": strings.Repeat("x", 4000)}}, "", ""},
			{"4.2.2 no subprotocol is made up", foreignCase{Protocols: []string{"chat", "superchat"}}, "", ""},
			{"4.2.2 the plain form", foreignCase{Protocols: []string{"kanava.plain"}}, "kanava.plain", ""},
			{"4.2.2 the plain form among others", foreignCase{Protocols: []string{"kanava.plain", "chat"}}, "kanava.plain", ""},
			{"4.2.2 a credential is not sent back", foreignCase{Protocols: []string{"kanava.plain", "kanava.bearer.c2VjcmV0"}}, "kanava.plain", ""},
			{"10.2 the own origin", foreignCase{Origin: "http://" + host}, "", ""},
			{"10.2 a foreign origin", foreignCase{Origin: "http://evil.example"}, "", "403"},
			{"10.2 the own host with another port", foreignCase{Origin: "http://127.0.0.1:1"}, "", "403"},
			{"4.2.2 no such channel", foreignCase{URL: strings.Replace(server.url, "/echo", "/other", 1)}, "", "404"},
			{"4.4 a draft's version", foreignCase{Version: 10}, "", "426"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				if tt.c.URL == "" {
					tt.c.URL = server.url
				}
				tt.c.Steps = []step{message("1", false, 0), after(1, closing(1000, ""))}
				r := client.connect(t, tt.c)
				if tt.refused != "" {
					if r.Opened || !strings.Contains(r.Refused, tt.refused) {
						t.Errorf("opened %v, refused %q, want %q", r.Opened, r.Refused, tt.refused)
					}
					return
				}
				r.wantGot(t, text("1"))
				r.wantClosed(t, 1000, "")
				server.wantEnd(t, 1000, "")
				if r.Protocol != tt.protocol {
					t.Errorf("the subprotocol is %q, want %q", r.Protocol, tt.protocol)
				}
			})
		}
	})
}

func pongs(bodies []string) (out []came) {
	for _, body := range bodies {
		out = append(out, pong(body))
	}
	return out
}
