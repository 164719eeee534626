package ws

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/kanava-go/kanava"
)

// This file has what every kind of wire does, over real sockets: what holds for
// the virtual time of a pipe, in other tests, holds here as well.

func onWires(t *testing.T, test func(t *testing.T, l *fakeLink)) {
	t.Helper()
	for name, set := range wires {
		t.Run(name, func(t *testing.T) {
			l := newLink(Options{})
			set(l)
			test(t, l)
		})
	}
}

func TestSocketHeartbeat(t *testing.T) {
	onWires(t, func(t *testing.T, l *fakeLink) {
		l.peer.h.o.Ping, l.peer.h.o.PongWait = 100*time.Millisecond, 200*time.Millisecond
		begun := time.Now()
		_, c := connectSocket(t, l)
		c.want(ws.OpPing, "")
		c.write(masked(true, ws.OpPong, ""))
		c.want(ws.OpPing, "")
		c.wantClose(4408) // this one is not answered
		c.wantEOF()
		wantEnd(t, l, closing(kanava.CloseTimeout))
		if d := time.Since(begun); d < 400*time.Millisecond {
			t.Errorf("given up after %v", d)
		}
	})
}

// What the client has sent behind its handshake, and what was to be written
// before that was over, are not lost.
func TestSocketPipelined(t *testing.T) {
	onWires(t, func(t *testing.T, l *fakeLink) {
		l.peer.Wake()
		l.out = []kanava.Frame{textFrame("welcome")}
		got := make(chan string, 10)
		l.receive = func(data []byte, _ bool) bool { got <- string(data); return true }
		server, nc := tcpPair(t)
		c := newClient(t, nc)
		c.write(message("three")) // has come before the loop looks
		l.peer.begin(server, l, append(message("one"), message("two")...))
		c.want(ws.OpText, "welcome")
		for _, want := range []string{"one", "two", "three"} {
			if s := <-got; s != want {
				t.Errorf("received %q, want %q", s, want)
			}
		}
		c.nc.Close()
		wantEnd(t, l, kanava.Closing{Code: 1006})
	})
}

// A client that goes on reading after it has not for a while gets all of what
// was sent, in order, and what came meanwhile.
func TestSocketThatWasFull(t *testing.T) {
	onWires(t, func(t *testing.T, l *fakeLink) {
		_, c := connectSocket(t, l)
		const n = 300
		for i := range n {
			size := 100
			if i%10 == 0 {
				size = 100 << 10
			}
			l.send(textFrame(fmt.Sprint(i, strings.Repeat("x", size))))
		}
		pong := false // it goes out before frames that wait
		for next := 0; next <= n || !pong; {
			f := c.read()
			if f.Header.OpCode == ws.OpPong {
				pong = true
				continue
			}
			if got, _, _ := strings.Cut(string(f.Payload), "x"); got != fmt.Sprint(next) {
				t.Fatalf("frame %d begins with %.20q", next, f.Payload)
			}
			if next++; next == n/2 {
				c.write(masked(true, ws.OpPing, "still here"))
				l.send(textFrame(fmt.Sprint(n)))
			}
		}
		l.close(1000)
		c.wantClose(1000)
		c.write(closeFrame(1000, ""))
		wantEnd(t, l, closing(1000))
	})
}

func TestSocketFaults(t *testing.T) {
	onWires(t, func(t *testing.T, l *fakeLink) {
		_, c := connectSocket(t, l)
		c.write(append(message("before"), ws.MustCompileFrame(ws.NewTextFrame([]byte("x")))...))
		c.wantClose(1002)
		c.wantEOF() // of our side: the client has its own
		c.write(bytes.Repeat([]byte("x"), 1000))
		c.nc.Close()
		if end := <-l.ended; end.Code != 1002 {
			t.Errorf("ended with %v", end)
		}
		wantMessages(t, l, "before")
	})
}

func TestSocketFull(t *testing.T) {
	onWires(t, func(t *testing.T, l *fakeLink) {
		got := make(chan string, 10)
		l.receive = func(data []byte, _ bool) bool {
			l.mu.Lock()
			l.full = true
			l.mu.Unlock()
			got <- string(data)
			return false
		}
		_, c := connectSocket(t, l)
		c.write(message("one"), message("two"))
		if s := <-got; s != "one" {
			t.Errorf("received %q", s)
		}
		c.write(message("last"))
		l.close(4300) // and it is closed all the same
		c.wantClose(4300)
		if len(got) > 0 {
			t.Errorf("%q was received while the link was full", <-got)
		}
		c.write(closeFrame(4300, ""))
		wantEnd(t, l, closing(4300))
	})
}

// One function that blocks for ever, in the middle of what its connection
// wants, delays none of a thousand others, and a client that leaves ends it.
func TestABlockingFunctionDelaysNobody(t *testing.T) {
	const others = 1000
	entered, left := make(chan struct{}), make(chan struct{})
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	type nobody = kanava.Channel[kanava.None, kanava.None]
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "echo", Route: "/echo", Public: true,
		OnMessage: kanava.Func(func(_ context.Context, _ *nobody, in string) (string, error) { return in, nil }),
		Messages: kanava.By("action", kanava.OnDo("block", func(ctx context.Context, _ *nobody, _ kanava.None) error {
			close(entered)
			<-ctx.Done()
			close(left)
			return ctx.Err()
		}, kanava.Timeout(time.Hour))),
	})
	web := httptest.NewServer(Handler(srv, Options{}))
	defer web.Close()
	defer func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	clients := make([]*client, others)
	for i := range clients {
		clients[i] = dialEcho(t, web)
	}
	stuck := dialEcho(t, web)
	stuck.write(message(`"before"`), message(`{"action":"block"}`), message(`"behind"`))
	stuck.want(ws.OpText, `"before"`)
	<-entered
	for round := range 3 {
		text := fmt.Sprintf(`"round %d"`, round)
		for _, c := range clients {
			c.write(message(text))
		}
		for _, c := range clients {
			c.want(ws.OpText, text)
		}
		stuck.write(masked(true, ws.OpPing, "ping")) // its own socket is served as well
		stuck.want(ws.OpPong, "ping")
	}
	stuck.nc.Close()
	<-left
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() { c.nc.Close() })
	}
	wg.Wait()
}

func dialEcho(t *testing.T, web *httptest.Server) *client {
	t.Helper()
	nc, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, nc)
	c.write([]byte(request("GET", "/echo HTTP/1.1")))
	var head []byte
	for b := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, b...) {
		if _, err := nc.Read(b); err != nil {
			t.Fatalf("%v after %q", err, head)
		}
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		t.Fatalf("answered %q", head)
	}
	return c
}

// What a client has sent at once does not reach the link before Start has
// returned: the core would not know what to do with a hello.
func TestSocketStartsBeforeItReads(t *testing.T) {
	onWires(t, func(t *testing.T, l *fakeLink) {
		got := make(chan string, 1)
		l.receive = func(data []byte, _ bool) bool { got <- string(data); return true }
		l.start = func() {
			l.peer.Wake() // whoever looks for something to read finds it
			select {
			case s := <-got:
				t.Errorf("received %q before Start has returned", s)
				got <- s
			case <-time.After(20 * time.Millisecond):
			}
		}
		server, nc := tcpPair(t)
		c := newClient(t, nc)
		c.write(message("early"))
		l.peer.begin(server, l, nil)
		if s := <-got; s != "early" {
			t.Errorf("received %q", s)
		}
		c.nc.Close()
		wantEnd(t, l, kanava.Closing{Code: 1006})
	})
}
