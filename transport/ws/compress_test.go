package ws

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/gobwas/ws"

	"github.com/kanava-go/kanava"
)

const (
	offer  = "Sec-WebSocket-Extensions"
	agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
)

func TestCompressHandshake(t *testing.T) {
	tests := []struct {
		proves string
		o      Options
		offer  string
		answer string
	}{
		{"off by default", Options{}, "permessage-deflate", ""},
		{"what is off is not looked at", Options{}, "permessage-deflate;;", ""},
		{"not without an offer", Options{Compress: true}, "", ""},
		{"as offered", Options{Compress: true}, "permessage-deflate; client_max_window_bits", agreed},
		{"as offered, with a window", Options{Compress: true}, "permessage-deflate; server_max_window_bits=9", agreed + "; server_max_window_bits=9"},
		{"a bad offer", Options{Compress: true}, "permessage-deflate; server_max_window_bits=99", ""},
	}
	for _, tt := range tests {
		t.Run(tt.proves, func(t *testing.T) {
			res, c := shake(t, Handler(newEcho(t), tt.o), request(offer, tt.offer))
			if got := res.Header.Get(offer); res.StatusCode != http.StatusSwitchingProtocols || got != tt.answer {
				t.Errorf("%s, %q; want %q", res.Status, got, tt.answer)
			}
			c.inflates = tt.answer != ""
			big := fmt.Sprintf(`{"text":"%0500d"}`, 1)
			c.write(message(big))
			c.want(ws.OpText, big)
			if c.packed > 0 {
				t.Error("a message of less than 512 bytes is compressed")
			}
			big = fmt.Sprintf(`{"text":"%0501d"}`, 1)
			c.write(message(big))
			c.want(ws.OpText, big)
			if want := tt.answer != ""; (c.packed == 1) != want {
				t.Errorf("%d messages of 512 bytes came compressed", c.packed)
			}
			c.nc.Close()
		})
	}
	t.Run("malformed", func(t *testing.T) {
		res, _ := shake(t, Handler(newEcho(t), Options{Compress: true}), request(offer, "permessage-deflate;;"))
		wantError(t, res, http.StatusBadRequest, kanava.CodeInvalidArgument, "Sec-WebSocket-Extensions")
	})
}

func TestWrongCompressOptions(t *testing.T) {
	for _, o := range []Options{{CompressMin: -1}, {CompressLevel: -1}, {CompressLevel: 10}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v is accepted", o)
				}
			}()
			Handler(newEcho(t), o)
		}()
	}
}

// compressing returns a connection that is not begun, for which compression
// was agreed on.
func compressing(o Options, largest int) *fakeLink {
	o.Compress = true
	l := newLink(o)
	l.peer.packed = int32(min(largest, math.MaxInt32))
	return l
}

// connectCompressing begins a connection over a pipe.
func connectCompressing(t *testing.T, o Options, largest int) (*fakeLink, *client) {
	t.Helper()
	l := compressing(o, largest)
	server, nc := net.Pipe()
	l.peer.begin(server, l, nil)
	c := newClient(t, nc)
	c.inflates = true
	return l, c
}

// noise returns n characters that hardly compress.
func noise(n int) string {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return base64.StdEncoding.EncodeToString(b)[:n]
}

// Messages are compressed that are large enough, not larger than the client's
// window, and get smaller.
func TestWhatIsCompressed(t *testing.T) {
	random := make([]byte, 2000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	tests := []struct {
		proves  string
		o       Options
		largest int
		data    string
		want    bool
	}{
		{"the default from 512 bytes", Options{}, math.MaxInt, strings.Repeat("x", 512), true},
		{"below it not", Options{}, math.MaxInt, strings.Repeat("x", 511), false},
		{"another threshold", Options{CompressMin: 100}, math.MaxInt, strings.Repeat("x", 100), true},
		{"below it not either", Options{CompressMin: 100}, math.MaxInt, strings.Repeat("x", 99), false},
		{"as large as the window", Options{}, 1024, strings.Repeat("x", 1024), true},
		{"larger than the window", Options{}, 1024, strings.Repeat("x", 1025), false},
		{"another level", Options{CompressLevel: 9}, math.MaxInt, strings.Repeat("x", 1024), true},
		{"large, and large when compressed", Options{}, math.MaxInt, noise(200_000) + strings.Repeat("x", 5000), true},
		{"not smaller", Options{}, math.MaxInt, string(random), false},
	}
	for _, tt := range tests {
		for name, shared := range map[string]*kanava.Shared{"": nil, ", shared": {}} {
			t.Run(tt.proves+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l, c := connectCompressing(t, tt.o, tt.largest)
					for range 2 {
						l.send(kanava.Frame{Data: []byte(tt.data), Binary: true, Shared: shared})
						c.want(ws.OpBinary, tt.data)
					}
					if c.packed != 0 != tt.want {
						t.Errorf("%d of 2 messages came compressed", c.packed)
					}
					c.nc.Close()
					wantEnd(t, l, kanava.Closing{Code: 1006})
				})
			})
		}
	}
}

// Payloads of all sizes arrive in order over each kind of socket, and those
// that are shared are not changed.
func TestCompressedPayloads(t *testing.T) {
	for name, pair := range map[string]func(testing.TB) (server, client net.Conn){"tcp": tcpPair, "tls": tlsPair} {
		t.Run(name, func(t *testing.T) {
			server, nc := pair(t)
			l := compressing(Options{}, math.MaxInt)
			var contents []string
			for i, n := range []int{0, 1, 511, 512, 513, 3, 16 << 10, 64 << 10, 300 << 10, 2, 65536} {
				contents = append(contents, strings.Repeat(fmt.Sprint(i), n)+noise(n))
			}
			for i, s := range contents {
				f := textFrame(s)
				if i%2 == 0 {
					f.Shared = new(kanava.Shared)
				}
				l.out = append(l.out, f)
			}
			frames := append([]kanava.Frame(nil), l.out...)
			l.peer.Wake()
			l.peer.begin(server, l, nil)
			c := newClient(t, nc)
			c.inflates = true
			for i, s := range contents {
				c.want(ws.OpText, s)
				if string(frames[i].Data) != s {
					t.Errorf("payload %d was changed", i)
				}
			}
			c.nc.Close()
			wantEnd(t, l, kanava.Closing{Code: 1006})
		})
	}
}

// What gathers while a write is under way goes out in one, also compressed.
func TestCoalescingCompressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := compressing(Options{}, math.MaxInt)
		server, nc := net.Pipe()
		counting := &countingConn{Conn: server}
		l.peer.begin(counting, l, nil)
		c := newClient(t, nc)
		c.inflates = true
		l.send(textFrame("first"))
		synctest.Wait() // its write waits for the client
		text := func(i int) string { return fmt.Sprint(i) + strings.Repeat("x", 600) }
		for i := range 50 {
			l.send(textFrame(text(i)))
		}
		c.want(ws.OpText, "first")
		for i := range 50 {
			c.want(ws.OpText, text(i))
		}
		synctest.Wait()
		if counting.writes != 2 || c.packed != 50 {
			t.Errorf("%d writes, want 2; %d compressed, want 50", counting.writes, c.packed)
		}
		c.nc.Close()
		wantEnd(t, l, kanava.Closing{Code: 1006})
	})
}

func TestReceivesCompressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := connectCompressing(t, Options{}, math.MaxInt)
		big := strings.Repeat("x", 64<<10)
		c.write(packed("hello"), message("plain"), packed(big), packed(""))
		synctest.Wait()
		wantMessages(t, l, "hello", "plain", big, "")
		go c.nc.Write(packed(big + "x"))
		reason := c.wantClose(kanava.CloseTooBig)
		c.nc.Close()
		wantEnd(t, l, kanava.Closing{Code: kanava.CloseTooBig, Reason: reason})
	})
}

// A message that stands for more than the limit is stopped there, whatever
// the client sends next.
func TestManyBombs(t *testing.T) {
	bomb := packed(strings.Repeat("\x00", 4<<20))
	for range 20 {
		l := compressing(Options{}, math.MaxInt)
		server, nc := tcpPair(t)
		l.peer.begin(server, l, nil)
		c := newClient(t, nc)
		go c.nc.Write(append(bytes.Clone(bomb), bomb...))
		reason := c.wantClose(kanava.CloseTooBig)
		c.wantEOF()
		c.nc.Close()
		wantEnd(t, l, kanava.Closing{Code: kanava.CloseTooBig, Reason: reason})
	}
}

// An event is compressed once for a hundred subscribers, and a reply for each.
func TestEventIsCompressedOnce(t *testing.T) {
	const subscribers = 100
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	type channel = kanava.Channel[kanava.None, kanava.None]
	hub := srv.EventHub()
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "news", Route: "/echo", Public: true,
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *channel) (string, error) {
			return "welcome", hub.Subscribe(ctx, "news", ch.ID())
		}),
	})
	h := Handler(srv, Options{Compress: true}).(*handler)
	var count atomic.Int64
	deflate := h.deflate
	h.deflate = func(dst, src []byte) ([]byte, bool) {
		count.Add(1)
		return deflate(dst, src)
	}
	var clients []*client
	for i := range subscribers {
		extensions := []string{"permessage-deflate", "permessage-deflate; server_max_window_bits=14"}[i%2]
		_, c := shake(t, h, request("GET", "/echo HTTP/1.1", offer, extensions))
		c.inflates = true
		c.want(ws.OpText, `"welcome"`)
		clients = append(clients, c)
	}
	const events = 5
	text := strings.Repeat("news ", 1000)
	for i := range events {
		var err error
		if i%2 == 0 {
			err = hub.Publish(t.Context(), "news", text)
		} else {
			err = hub.Publish(t.Context(), "news", []byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var reading sync.WaitGroup
	for _, c := range clients {
		reading.Go(func() {
			for i := range events {
				if i%2 == 0 {
					c.want(ws.OpText, `{"topic":"news","data":"`+text+`"}`)
				} else {
					c.want(ws.OpBinary, text)
				}
			}
			if c.packed != events {
				t.Errorf("%d of %d events came compressed", c.packed, events)
			}
		})
	}
	reading.Wait()
	if n := count.Load(); n != events {
		t.Errorf("%d events were compressed %d times for %d subscribers", events, n, subscribers)
	}
	for _, c := range clients {
		c.nc.Close()
	}
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// BenchmarkEchoJSON is an echo of JSON, which compresses as that of an
// application does.
func BenchmarkEchoJSON(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for text.Len() < 64<<10 {
		fmt.Fprintf(&text, `{"id":%d,"user":"u%06x","at":17%011d,"text":"hello"},`, r.IntN(1e5), r.IntN(1<<24), r.Int64N(1e11))
	}
	for _, size := range []int{1 << 10, 16 << 10} {
		payload := text.String()[:size]
		b.Run(fmt.Sprint(size, "/plain"), func(b *testing.B) {
			benchmarkEcho(b, newLink(Options{}), message(payload), size)
		})
		for _, level := range []int{0, 1, 6} {
			b.Run(fmt.Sprint(size, "/level", level), func(b *testing.B) {
				benchmarkEcho(b, compressing(Options{CompressLevel: level}, math.MaxInt), packed(payload), size)
			})
		}
	}
}
