package ws

import (
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/kanava-go/kanava"
)

// at checks the virtual time.
func at(t *testing.T, start time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(start); got != want {
		t.Errorf("at %v, want %v", got, want)
	}
}

func TestSilentClient(t *testing.T) {
	tests := []struct {
		proves string
		first  []byte
	}{
		{"silence", nil},
		{"half a frame and silence", message("hello")[:7]},
		{"half a header and silence", message("hello")[:1]},
		{"a message and silence", message("hello")},
	}
	for _, tt := range tests {
		t.Run(tt.proves, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				l, c := connect(t, Options{})
				if tt.first != nil {
					c.write(tt.first)
				}
				c.want(ws.OpPing, "")
				at(t, start, 25*time.Second)
				c.wantClose(4408)
				c.wantEOF()
				wantEnd(t, l, closing(kanava.CloseTimeout))
				at(t, start, 35*time.Second)
			})
		})
	}
}

// A client that is gone without a word reads nothing either: the close frame
// stays unwritten, and the connection ends all the same.
func TestHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := connect(t, Options{})
		start := time.Now()
		wantEnd(t, l, closing(kanava.CloseTimeout))
		at(t, start, 35*time.Second+closeTime)
	})
}

// Any byte is a sign of life, and a client that talks is not pinged.
func TestSignsOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		l, c := connect(t, Options{})
		slow := message("hello")
		for _, b := range slow {
			time.Sleep(20 * time.Second)
			c.write([]byte{b})
		}
		spoken := time.Duration(len(slow)) * 20 * time.Second
		synctest.Wait()
		wantMessages(t, l, "hello")
		for i := range 3 { // each answer allows another silence
			c.want(ws.OpPing, "")
			at(t, start, spoken+time.Duration(i+1)*25*time.Second+time.Duration(i)*9*time.Second)
			time.Sleep(9 * time.Second)
			c.write(masked(true, ws.OpPong, ""))
		}
		c.nc.Close()
		wantEnd(t, l, kanava.Closing{Code: 1006})
	})
}

// A client that cannot see pings is sent messages in their place, also when it
// talks and is told nothing: it would take that for a dead connection.
func TestSignsOfLifeAreMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(Options{})
		l.alive = []byte("{}")
		server, nc := net.Pipe()
		l.peer.begin(server, l, nil)
		c := newClient(t, nc)
		start := time.Now()
		go func() {
			for range 12 {
				time.Sleep(10 * time.Second)
				c.write(message("x"))
			}
		}()
		for i := range 5 {
			c.want(ws.OpText, "{}")
			at(t, start, time.Duration(i+1)*25*time.Second)
		}
		c.wantClose(4408) // after 25 s of silence
		at(t, start, 145*time.Second)
		c.wantEOF()
		wantEnd(t, l, closing(kanava.CloseTimeout))
	})
}

// With a PongWait above Ping, each silence has a ping of its own.
func TestLongPongWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		l, c := connect(t, Options{Ping: time.Second, PongWait: 10 * time.Second})
		c.want(ws.OpPing, "")
		at(t, start, time.Second)
		time.Sleep(500 * time.Millisecond)
		c.write(masked(true, ws.OpPong, ""))
		c.want(ws.OpPing, "")
		if d := time.Since(start); d < 2500*time.Millisecond || d > 3500*time.Millisecond {
			t.Errorf("second ping at %v", d)
		}
		pinged := time.Now()
		c.wantClose(4408)
		at(t, pinged, 10*time.Second)
		wantEnd(t, l, closing(kanava.CloseTimeout))
	})
}

func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := connect(t, Options{})
		c.write(masked(true, ws.OpPing, "hello"))
		c.want(ws.OpPong, "hello")
		c.write(masked(true, ws.OpPing, ""))
		c.want(ws.OpPong, "")

		// Between the fragments of a message.
		c.write(masked(false, ws.OpText, "a"), masked(true, ws.OpPing, "x"), masked(true, ws.OpContinuation, "b"))
		c.want(ws.OpPong, "x")
		synctest.Wait()
		wantMessages(t, l, "ab")
		c.nc.Close()
		wantEnd(t, l, kanava.Closing{Code: 1006})
	})
}

// Of a flood of pings, only the last is answered: nothing queues up.
func TestPingFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := connect(t, Options{})
		c.write(masked(true, ws.OpPing, "first"))
		synctest.Wait() // its pong is being written all the time
		for i := range 1000 {
			c.write(masked(true, ws.OpPing, fmt.Sprint(i)))
		}
		synctest.Wait()
		c.want(ws.OpPong, "first")
		c.want(ws.OpPong, "999")
		l.send(textFrame("next"))
		c.want(ws.OpText, "next")
		c.nc.Close()
		wantEnd(t, l, kanava.Closing{Code: 1006})
	})
}
