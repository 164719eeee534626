package autobahn_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	gobwas "github.com/gobwas/ws"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/wsframe"
)

// ourClient is a client made of what package wsframe has for clients: its
// parser, and its frames. What is here in between is only the socket.
type ourClient struct {
	nc     net.Conn
	parser wsframe.Parser
	rest   []byte // read, and not parsed
	got    []came // messages
	pongs  []came
	end    ended
}

// dial connects to autobahn's server with a case.
func dial(t *testing.T, port int, c foreignCase, o gobwas.Dialer) (*ourClient, gobwas.Handshake) {
	t.Helper()
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	query := url.Values{"case": {base64.URLEncoding.EncodeToString(data)}}
	nc, early, hs, err := o.Dial(ctx, fmt.Sprintf("ws://127.0.0.1:%d/?%s", port, query.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	ours := &ourClient{nc: nc, parser: wsframe.NewParser(wsframe.Client, limit)}
	if early != nil { // frames that came with the response
		ours.rest = make([]byte, early.Buffered())
		if _, err := io.ReadFull(early, ours.rest); err != nil {
			t.Fatal(err)
		}
	}
	return ours, hs
}

func (c *ourClient) send(op gobwas.OpCode, data []byte) error {
	var mask [4]byte
	if _, err := rand.Read(mask[:]); err != nil {
		return err
	}
	_, err := c.nc.Write(wsframe.AppendClient(nil, op, mask, data))
	return err
}

func (c *ourClient) close(code int, reason string) error {
	return c.send(gobwas.OpClose, wsframe.AppendCloseBody(nil, gobwas.StatusCode(code), reason))
}

// read reads until n messages have come, or the connection has ended. Pings and
// a close frame are answered, and what breaks a rule closes the connection.
func (c *ourClient) read(n int) error {
	buf := make([]byte, 4<<10)
	for len(c.got) < n && c.end.code == 0 {
		if len(c.rest) == 0 {
			size, err := c.nc.Read(buf)
			if errors.Is(err, io.EOF) {
				c.end = ended{code: 1006}
				return nil
			} else if err != nil {
				return err
			}
			c.rest = buf[:size]
		}
		m, rest, err := c.parser.Next(c.rest)
		c.rest = rest
		var fault *wsframe.Error
		switch {
		case errors.As(err, &fault):
			c.end = ended{code: kanava.CloseCode(fault.Code), reason: fault.Text}
			return errors.Join(c.close(int(fault.Code), fault.Text), c.drain())
		case err != nil:
			return err
		}
		switch m.Op {
		case gobwas.OpText:
			c.got = append(c.got, text(string(m.Data)))
		case gobwas.OpBinary:
			c.got = append(c.got, binary(string(m.Data)))
		case gobwas.OpPong:
			c.pongs = append(c.pongs, pong(string(m.Data)))
		case gobwas.OpPing:
			err = c.send(gobwas.OpPong, m.Data)
		case gobwas.OpClose:
			code, reason := wsframe.ParseClose(m.Data)
			c.end = ended{kanava.CloseCode(code), reason}
			err = errors.Join(c.close(int(code), ""), c.drain())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// leave closes the connection, and demands the server's answer.
func (c *ourClient) leave(code int, reason string) error {
	if err := c.close(code, reason); err != nil {
		return err
	}
	n := len(c.got)
	if err := c.read(n + 1); err != nil {
		return err
	}
	if int(c.end.code) != code || len(c.got) > n {
		return fmt.Errorf("closed with %d, the answer is %d %q, after %v", code, c.end.code, c.end.reason, c.got[n:])
	}
	return nil
}

// drain demands the end of the connection: the server's part, after both close
// frames (RFC 6455 section 7.1.1).
func (c *ourClient) drain() error {
	_, err := io.Copy(io.Discard, c.nc)
	if errors.Is(err, syscall.ECONNRESET) { // the server ended it before it had read all that we sent
		err = nil
	}
	return err
}

func (c *ourClient) wantGot(t *testing.T, want ...came) {
	t.Helper()
	wantCame(t, "our client", c.got, want...)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestForeignServer(t *testing.T) {
	server, first := startPeer(t, "server")
	var listening struct{ Port int }
	if err := json.Unmarshal(first, &listening); err != nil {
		t.Fatalf("%q: %v", first, err)
	}
	connect := func(t *testing.T, c foreignCase) *ourClient {
		t.Helper()
		ours, _ := dial(t, listening.Port, c, gobwas.Dialer{})
		return ours
	}

	t.Run("what we send comes back", func(t *testing.T) {
		for _, size := range sizes {
			for _, fragment := range []int{0, 1000} {
				for _, kind := range []string{"text", "binary"} {
					t.Run(fmt.Sprintf("5.2 %s of %d bytes in fragments of %d", kind, size, fragment), func(t *testing.T) {
						data, op := strings.Repeat("*", size), gobwas.OpText
						if kind == "binary" {
							op = gobwas.OpBinary
						}
						c := connect(t, foreignCase{Echo: true, Fragment: fragment})
						check(t, c.send(op, []byte(data)))
						check(t, c.read(1))
						c.wantGot(t, came{kind, []byte(data)})
						check(t, c.leave(1000, "done"))
						r := server.report(t)
						r.wantGot(t, came{kind, []byte(data)})
						r.wantClosed(t, 1000, "done")
					})
				}
			}
		}
		t.Run("5.5.2 pings come back as pongs", func(t *testing.T) {
			c := connect(t, foreignCase{Echo: true})
			body := strings.Repeat("p", 125)
			check(t, c.send(gobwas.OpPing, []byte(body)))
			check(t, c.send(gobwas.OpPing, nil))
			check(t, c.send(gobwas.OpPong, []byte("unasked")))
			check(t, c.send(gobwas.OpText, []byte("1")))
			check(t, c.read(1))
			wantCame(t, "our client", c.pongs, pong(body), pong(""))
			check(t, c.leave(1000, ""))
			r := server.report(t)
			r.wantGot(t, came{"ping", []byte(body)}, came{"ping", nil}, pong("unasked"), text("1"))
			r.wantClosed(t, 1000, "")
		})
	})

	t.Run("messages", func(t *testing.T) {
		for _, tt := range patterns() {
			t.Run(tt.name, func(t *testing.T) {
				c := connect(t, foreignCase{Steps: tt.steps})
				check(t, c.read(1))
				want := text(tt.data)
				if tt.binary {
					want = binary(tt.data)
				}
				c.wantGot(t, want)
				check(t, c.leave(1000, ""))
				r := server.report(t)
				r.wantGot(t, pongs(tt.pongs)...)
				r.wantClosed(t, 1000, "")
			})
		}
	})

	t.Run("broken rules", func(t *testing.T) {
		for _, tt := range brokenCases(false) {
			t.Run(tt.name, func(t *testing.T) {
				c := connect(t, foreignCase{Steps: tt.steps})
				check(t, c.read(100))
				if int(c.end.code) != tt.code || c.end.reason == "" {
					t.Errorf("we found %d %q, want %d", c.end.code, c.end.reason, tt.code)
				}
				r := server.report(t)
				r.wantClosed(t, tt.code, c.end.reason)
			})
		}
	})

	t.Run("closing", func(t *testing.T) {
		for _, code := range closeCodes {
			for _, reason := range []string{"", "päätös", strings.Repeat("r", 123)} {
				t.Run(fmt.Sprintf("7.1.5 the server's code %d, reason of %d bytes", code, len(reason)), func(t *testing.T) {
					c := connect(t, foreignCase{Steps: []step{frame(opText, "1"), frame(opClose, closeBody(code)+reason), frame(opText, "2")}})
					check(t, c.read(100))
					c.wantGot(t, text("1"))
					if c.end != (ended{kanava.CloseCode(code), reason}) {
						t.Errorf("we saw %+v", c.end)
					}
					r := server.report(t)
					r.wantFaultless(t)
					if r.Code != code {
						t.Errorf("autobahn saw the close code %d", r.Code)
					}
				})
				t.Run(fmt.Sprintf("7.1.5 our code %d, reason of %d bytes", code, len(reason)), func(t *testing.T) {
					c := connect(t, foreignCase{})
					check(t, c.leave(code, reason))
					if c.end.reason != reason { // autobahn sends it back
						t.Errorf("the answer has the reason %q", c.end.reason)
					}
					server.report(t).wantClosed(t, code, reason)
				})
			}
		}
		t.Run("7.1.7 the server cuts off", func(t *testing.T) {
			c := connect(t, foreignCase{Steps: []step{frame(opText, "1"), {Do: "drop"}}})
			check(t, c.read(100))
			c.wantGot(t, text("1"))
			if c.end.code != 1006 {
				t.Errorf("we saw %+v, want 1006", c.end)
			}
			server.report(t).wantFaultless(t)
		})
	})

	t.Run("handshake", func(t *testing.T) {
		for _, tt := range []struct{ name, takes, protocol string }{
			{"4.2.2 no subprotocol", "", ""},
			{"4.2.2 the first subprotocol", "kanava.v1", "kanava.v1"},
			{"4.2.2 the second subprotocol", "kanava.plain", "kanava.plain"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				c, hs := dial(t, listening.Port, foreignCase{Protocol: tt.takes}, gobwas.Dialer{
					Protocols: []string{"kanava.v1", "kanava.plain"},
					Header:    gobwas.HandshakeHeaderHTTP(http.Header{"Origin": {"http://app.example"}}),
				})
				if hs.Protocol != tt.protocol {
					t.Errorf("the server took %q, want %q", hs.Protocol, tt.protocol)
				}
				check(t, c.leave(1000, ""))
				if r := server.report(t); r.Protocol != tt.protocol {
					t.Errorf("autobahn took %q, want %q", r.Protocol, tt.protocol)
				}
			})
		}
	})
}
