package ws

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/kanava-go/kanava"
)

// countingConn counts the calls of Write.
type countingConn struct {
	net.Conn
	writes int
}

func (c *countingConn) Write(b []byte) (int, error) {
	c.writes++
	return c.Conn.Write(b)
}

// What gathers while a write is under way goes out in one.
func TestCoalescing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(Options{})
		server, nc := net.Pipe()
		counting := &countingConn{Conn: server}
		l.peer.begin(counting, l, nil)
		c := newClient(t, nc)
		l.send(textFrame("first"))
		synctest.Wait() // its write waits for the client
		for i := range 100 {
			l.send(textFrame(fmt.Sprint(i)))
		}
		c.want(ws.OpText, "first")
		for i := range 100 {
			c.want(ws.OpText, fmt.Sprint(i))
		}
		synctest.Wait()
		if counting.writes != 2 {
			t.Errorf("%d writes, want 2", counting.writes)
		}
		c.nc.Close()
		wantEnd(t, l, kanava.Closing{Code: 1006})
	})
}

// Payloads of all sizes arrive in order over each kind of socket, and those
// that are shared are not changed.
func TestPayloads(t *testing.T) {
	kinds := map[string]func(testing.TB) (server, client net.Conn){
		"pipe":       func(testing.TB) (net.Conn, net.Conn) { return net.Pipe() },
		"tcp":        tcpPair,
		"goroutines": tcpPair,
		"tls":        tlsPair,
	}
	for name, pair := range kinds {
		t.Run(name, func(t *testing.T) {
			server, nc := pair(t)
			l := newLink(Options{})
			l.peer.h.stream = name == "goroutines"
			var frames []kanava.Frame
			for i, n := range []int{0, 1, 125, 126, 511, 512, 513, 3, 16 << 10, 16<<10 + 1, 64 << 10, 300 << 10, 2, 65535, 65536} {
				frames = append(frames, kanava.Frame{Data: bytes.Repeat([]byte{byte('a' + i)}, n), Binary: i%2 == 1})
			}
			l.out = frames
			l.peer.Wake()
			l.peer.begin(server, l, nil)
			c := newClient(t, nc)
			for i, f := range frames {
				op := ws.OpText
				if f.Binary {
					op = ws.OpBinary
				}
				c.want(op, strings.Repeat(string(rune('a'+i)), len(f.Data)))
			}
			for i, f := range frames {
				if len(bytes.Trim(f.Data, string(rune('a'+i)))) > 0 {
					t.Errorf("payload %d was changed", i)
				}
			}
			l.close(1000)
			c.wantClose(1000)
			c.write(closeFrame(1000, ""))
			wantEnd(t, l, closing(1000))
		})
	}
}

func tlsPair(t testing.TB) (server, client net.Conn) {
	t.Helper()
	s, c := tcpPair(t)
	return tls.Server(s, &tls.Config{Certificates: []tls.Certificate{certificate()}}),
		tls.Client(c, &tls.Config{InsecureSkipVerify: true})
}

// certificate returns that of httptest.
var certificate = sync.OnceValue(func() tls.Certificate {
	srv := httptest.NewUnstartedServer(nil)
	srv.StartTLS()
	defer srv.Close()
	return srv.TLS.Certificates[0]
})

// A client that never reads is cut, and told nothing.
func TestNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		l, c := connect(t, Options{})
		l.send(textFrame("hello"))
		synctest.Wait()
		var alive sync.WaitGroup
		alive.Go(func() {
			for {
				time.Sleep(time.Second)
				if _, err := c.nc.Write(masked(true, ws.OpPong, "")); err != nil {
					return
				}
			}
		})
		defer alive.Wait()
		wantEnd(t, l, closing(kanava.CloseSlowConsumer))
		if d := time.Since(start); d < 30*time.Second || d > 32*time.Second {
			t.Errorf("after %v", d)
		}
	})
}

func TestNeverReadsSocket(t *testing.T) {
	for name, pair := range map[string]func(testing.TB) (server, client net.Conn){"tcp": tcpPair, "goroutines": tcpPair, "tls": tlsPair} {
		t.Run(name, func(t *testing.T) {
			server, nc := pair(t)
			l := newLink(Options{WriteStall: 50 * time.Millisecond})
			l.peer.h.stream = name == "goroutines"
			if c, ok := nc.(*tls.Conn); ok {
				go c.Handshake()
				if err := server.(*tls.Conn).Handshake(); err != nil {
					t.Fatal(err)
				}
			}
			l.peer.begin(server, l, nil)
			t.Cleanup(func() { nc.Close() })
			data := make([]byte, 64<<10)
			for range 500 {
				l.send(kanava.Frame{Data: data, Binary: true})
			}
			wantEnd(t, l, closing(kanava.CloseSlowConsumer))
		})
	}
}

// Who reads slowly is not cut by the transport; when the core gives up because
// of its queue, that does not wait for the client.
func TestReadsSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := connect(t, Options{Ping: time.Hour})
		l.send(textFrame(strings.Repeat("x", 1000)))
		var reading sync.WaitGroup
		reading.Go(func() {
			b := make([]byte, 1)
			for {
				time.Sleep(20 * time.Second)
				if _, err := c.nc.Read(b); err != nil {
					return
				}
			}
		})
		defer reading.Wait()
		time.Sleep(20 * time.Minute)
		select {
		case end := <-l.ended:
			t.Fatalf("cut: %v", end)
		default:
		}
		start := time.Now()
		l.close(kanava.CloseSlowConsumer)
		wantEnd(t, l, closing(kanava.CloseSlowConsumer))
		if d := time.Since(start); d > patience+closeTime {
			t.Errorf("closed after %v", d)
		}
	})
}

// The same over TLS, where a blocked write cannot be interrupted and resumed.
func TestCloseWhileBlockedTLS(t *testing.T) {
	cert := certificate()
	synctest.Test(t, func(t *testing.T) {
		raw, nc := net.Pipe()
		c := newClient(t, nc)
		l := newLink(Options{WriteStall: time.Hour, Ping: time.Hour})
		server := tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true})
		l.peer.begin(server, l, nil) // its reader does the handshake
		if err := tls.Client(nc, &tls.Config{InsecureSkipVerify: true}).Handshake(); err != nil {
			t.Fatal(err)
		}
		l.send(textFrame("hello"))
		synctest.Wait() // the client does not read it
		start := time.Now()
		l.close(kanava.CloseInternal)
		wantEnd(t, l, closing(kanava.CloseInternal))
		at(t, start, patience+closeTime)
		c.nc.Close()
	})
}

// The client's close is answered behind what is being written; a client that
// does not read on is cut.
func TestClientClosesAndDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := connect(t, Options{})
		l.send(textFrame("hello"))
		synctest.Wait()
		start := time.Now()
		c.write(closeFrame(1001, ""))
		wantEnd(t, l, kanava.Closing{Code: 1001})
		at(t, start, closeTime)
	})
}

// A connection that writes nothing has no writer.
func TestNoWriterWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := connect(t, Options{})
		l.send(textFrame("x"))
		c.want(ws.OpText, "x")
		synctest.Wait()
		if s := l.peer.writing.Load(); s != idle {
			t.Errorf("the writer is in state %d, want idle", s)
		}
		c.nc.Close()
		wantEnd(t, l, kanava.Closing{Code: 1006})
	})
}

func BenchmarkEcho(b *testing.B) {
	for _, size := range []int{64, 1024, 16 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			payload := strings.Repeat("x", size)
			benchmarkEcho(b, newLink(Options{}), message(payload), size)
		})
	}
}

// benchmarkEcho sends a message again and again, and reads what comes back,
// which is always the same.
func benchmarkEcho(b *testing.B, l *fakeLink, out []byte, size int) {
	server, nc := tcpPair(b)
	frame := make([]kanava.Frame, 1)
	l.receive = func(data []byte, _ bool) bool {
		if len(data) != size {
			b.Errorf("%d bytes arrived, want %d", len(data), size)
		}
		frame[0].Data = append(frame[0].Data[:0], data...)
		l.mu.Lock()
		l.out = frame
		l.rouse()
		l.mu.Unlock()
		return true
	}
	l.peer.begin(server, l, nil)
	if _, err := nc.Write(out); err != nil {
		b.Fatal(err)
	}
	h, err := ws.ReadHeader(nc)
	if err != nil {
		b.Fatal(err)
	}
	in := make([]byte, ws.HeaderSize(h)+int(h.Length))
	if _, err := io.ReadFull(nc, in[ws.HeaderSize(h):]); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := nc.Write(out); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(nc, in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(in)), "B/frame")
	nc.Close()
	<-l.ended
}

// Subscribers who get the same frames are sent the same bytes, whatever each of
// them is told besides.
func TestSameFramesForMany(t *testing.T) {
	onWires(t, func(t *testing.T, first *fakeLink) {
		shared := func(text string) kanava.Frame { return kanava.Frame{Data: []byte(text), Shared: &kanava.Shared{}} }
		events := []kanava.Frame{shared("one"), shared("two"), shared(strings.Repeat("large", 1000)), shared("three")}
		small := []kanava.Frame{events[0], events[1], events[3]}
		own := textFrame("own")
		batches := [][]kanava.Frame{
			small, small, events, small,
			{own},
			small, append(slices.Clone(small), own), small,
			append([]kanava.Frame{own}, small...),
			{events[0]},
			small[:2], small[1:], small, events, events,
		}
		const n = 5
		var links []*fakeLink
		var clients []*client
		for range n {
			l := newLink(Options{})
			l.peer.h.stream = first.peer.h.stream
			_, c := connectSocket(t, l)
			links, clients = append(links, l), append(clients, c)
		}
		for round := range 50 {
			for i := range links {
				frames := batches[(round+i*(round%3))%len(batches)]
				links[i].send(frames...)
				if round%7 == 0 {
					clients[i].write(masked(true, ws.OpPing, "p"))
				}
			}
			for i, c := range clients {
				pong := round%7 != 0
				frames := batches[(round+i*(round%3))%len(batches)]
				for len(frames) > 0 || !pong {
					f := c.read()
					switch {
					case f.Header.OpCode == ws.OpPong:
						pong = true
					case len(frames) == 0 || string(f.Payload) != string(frames[0].Data):
						t.Fatalf("round %d: client %d read %.20q", round, i, f.Payload)
					default:
						frames = frames[1:]
					}
				}
			}
		}
		for i, c := range clients {
			c.nc.Close()
			wantEnd(t, links[i], kanava.Closing{Code: 1006})
		}
	})
}
