package ws

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/kanava-go/kanava"
)

func TestMessages(t *testing.T) {
	big := strings.Repeat("x", 64<<10)
	tests := []struct {
		proves string
		send   [][]byte // each is one write
		want   []string
	}{
		{"a text message", [][]byte{message("hi")}, []string{"hi"}},
		{"a binary message", [][]byte{masked(true, ws.OpBinary, "\xff\x00")}, []string{"bin:\xff\x00"}},
		{"an empty message", [][]byte{message("")}, []string{""}},
		{"many messages in one segment", [][]byte{bytes.Repeat(message("m"), 5)}, []string{"m", "m", "m", "m", "m"}},
		{"the largest message, in many segments", split(message(big), 1000), []string{big}},
		{"one byte at a time", split(message("häß"), 1), []string{"häß"}},
		{"fragments of one byte with pongs between", [][]byte{
			masked(false, ws.OpText, "a"), masked(true, ws.OpPong, "x"), masked(false, ws.OpContinuation, "b"),
			masked(true, ws.OpPong, ""), masked(true, ws.OpContinuation, "c"),
		}, []string{"abc"}},
		{"the end of one and the begin of the next in one segment", [][]byte{
			message("one")[:4], append(message("one")[4:], message("two")[:3]...), message("two")[3:],
		}, []string{"one", "two"}},
	}
	for _, tt := range tests {
		t.Run(tt.proves, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, c := connect(t, Options{})
				for _, b := range tt.send {
					c.write(b)
				}
				synctest.Wait()
				wantMessages(t, l, tt.want...)
				c.nc.Close()
				wantEnd(t, l, kanava.Closing{Code: 1006})
			})
		})
	}
}

func split(b []byte, size int) (parts [][]byte) {
	for len(b) > size {
		parts = append(parts, b[:size])
		b = b[size:]
	}
	return append(parts, b)
}

// What the client sends behind its handshake is read like all that follows.
func TestPipelined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLink(Options{})
		l.peer.Wake() // while it is being opened: what is waiting then is written
		l.out = []kanava.Frame{textFrame("welcome")}
		server, nc := net.Pipe()
		early := append(message("one"), message("two")[:3]...)
		l.peer.begin(server, l, early)
		c := newClient(t, nc)
		c.want(ws.OpText, "welcome")
		c.write(message("two")[3:])
		synctest.Wait()
		wantMessages(t, l, "one", "two")
		c.nc.Close()
		wantEnd(t, l, kanava.Closing{Code: 1006})
	})
}

func TestFaults(t *testing.T) {
	unmasked := ws.MustCompileFrame(ws.NewTextFrame([]byte("x")))
	rsv := message("x")
	rsv[0] |= 0x40
	tests := []struct {
		proves string
		send   []byte
		code   kanava.CloseCode
	}{
		{"unmasked frame", unmasked, 1002},
		{"reserved bit", rsv, 1002},
		{"reserved opcode", masked(true, 5, "x"), 1002},
		{"fragmented control frame", masked(false, ws.OpPing, "x"), 1002},
		{"control frame of 126 bytes", masked(true, ws.OpPing, strings.Repeat("x", 126)), 1002},
		{"continuation first", masked(true, ws.OpContinuation, "x"), 1002},
		{"a message inside of another", append(masked(false, ws.OpText, "a"), message("b")...), 1002},
		{"bad close code", closeFrame(1005, ""), 1002},
		{"close body of one byte", masked(true, ws.OpClose, "x"), 1002},
		{"64 KiB + 1", masked(true, ws.OpText, strings.Repeat("x", 64<<10+1))[:14], 1009},
		{"invalid UTF-8", message("a\xffb"), 1007},
		{"close reason that is not UTF-8", closeFrame(1000, "\xff"), 1007},
	}
	for _, tt := range tests {
		t.Run(tt.proves, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, c := connect(t, Options{})
				go c.nc.Write(append(message("before"), tt.send...)) // the server need not read all of it
				reason := c.wantClose(tt.code)
				if reason == "" {
					t.Error("the close frame says no reason")
				}
				start := time.Now()
				c.write(message("after"))
				c.wantEOF()
				if d := time.Since(start); d != closeTime {
					t.Errorf("cut after %v, want %v", d, closeTime)
				}
				wantEnd(t, l, kanava.Closing{Code: tt.code, Reason: reason})
				wantMessages(t, l, "before")
			})
		})
	}
}

// A client that is in the midst of sending too much still learns why it is
// cut off: the socket is not reset under the close frame.
func TestFaultWhileSending(t *testing.T) {
	l, c := connectTCP(t, Options{})
	sent := make(chan error)
	go func() {
		huge := masked(true, ws.OpBinary, strings.Repeat("x", 2<<20))
		_, err := c.nc.Write(huge)
		sent <- err
	}()
	reason := c.wantClose(1009)
	c.wantEOF()
	if err := <-sent; err != nil {
		t.Errorf("sending: %v", err)
	}
	c.nc.Close()
	wantEnd(t, l, kanava.Closing{Code: 1009, Reason: reason})
}

// What a client sends that was refused is not read for ever.
func TestExcess(t *testing.T) {
	l, c := connectTCP(t, Options{})
	c.write(ws.MustCompileFrame(ws.NewTextFrame([]byte("x"))))
	junk := make([]byte, 64<<10)
	for i := 0; ; i++ {
		if _, err := c.nc.Write(junk); err != nil {
			break
		}
		if i > 10*maxExcess/len(junk) {
			t.Fatal("the server reads on and on")
		}
	}
	if got := <-l.ended; got.Code != 1002 {
		t.Errorf("the link is told %v", got)
	}
}

func TestClientCloses(t *testing.T) {
	tests := []struct {
		proves string
		send   []byte
		answer string // body
		end    kanava.Closing
	}{
		{"code and reason", closeFrame(1000, "bye"), "\x03\xe8", kanava.Closing{Code: 1000, Reason: "bye"}},
		{"a code of the application", closeFrame(4123, ""), "\x10\x1b", kanava.Closing{Code: 4123}},
		{"no code", masked(true, ws.OpClose, ""), "", kanava.Closing{Code: 1005}},
	}
	for _, tt := range tests {
		t.Run(tt.proves, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				l, c := connect(t, Options{})
				c.write(message("last"), tt.send, message("ignored"))
				c.want(ws.OpClose, tt.answer)
				c.wantEOF()
				wantEnd(t, l, tt.end)
				wantMessages(t, l, "last")
				if d := time.Since(start); d != 0 {
					t.Errorf("took %v", d)
				}
			})
		})
	}
}

func TestServerCloses(t *testing.T) {
	tests := []struct {
		proves string
		client func(c *client) // after the server's close frame
		takes  time.Duration
	}{
		{"the client answers", func(c *client) { c.write(closeFrame(4300, "")) }, 0},
		{"the client answers with another code", func(c *client) { c.write(closeFrame(1000, "")) }, 0},
		{"the client sends messages before it answers", func(c *client) {
			c.write(message("late"), message("later"), masked(true, ws.OpPing, "x"), closeFrame(4300, ""))
		}, 0},
		{"the client just hangs up", func(c *client) { c.nc.Close() }, 0},
		{"the client does not answer", func(c *client) {}, closeTime},
		{"the client sends something wrong", func(c *client) { c.write([]byte("\xff\xff")) }, closeTime},
	}
	for _, tt := range tests {
		t.Run(tt.proves, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, c := connect(t, Options{})
				l.send(textFrame("last"))
				c.want(ws.OpText, "last")
				l.close(kanava.CloseDraining)
				if reason := c.wantClose(4503); reason != "draining" {
					t.Errorf("reason %q", reason)
				}
				start := time.Now()
				tt.client(c)
				wantEnd(t, l, closing(kanava.CloseDraining))
				wantMessages(t, l)
				if d := time.Since(start); d != tt.takes {
					t.Errorf("took %v, want %v", d, tt.takes)
				}
			})
		})
	}
}

func TestLost(t *testing.T) {
	t.Run("half a frame, then the end", func(t *testing.T) {
		l, c := connectTCP(t, Options{})
		c.write(message("hello")[:7])
		c.nc.Close()
		wantEnd(t, l, kanava.Closing{Code: 1006})
	})
	t.Run("reset", func(t *testing.T) {
		l, c := connectTCP(t, Options{})
		_ = c.nc.(*net.TCPConn).SetLinger(0)
		c.nc.Close()
		wantEnd(t, l, kanava.Closing{Code: 1006})
	})
	t.Run("reset while the server writes", func(t *testing.T) {
		l, c := connectTCP(t, Options{})
		for range 200 {
			l.send(kanava.Frame{Data: make([]byte, 64<<10), Binary: true})
		}
		c.read()
		_ = c.nc.(*net.TCPConn).SetLinger(0)
		c.nc.Close()
		wantEnd(t, l, kanava.Closing{Code: 1006})
	})
}

// A client that leaves while nobody reads is found by the pings.
func TestFullAndGone(t *testing.T) {
	for name, leave := range map[string]func(*client){
		"reset":  func(c *client) { _ = c.nc.(*net.TCPConn).SetLinger(0) },
		"closed": func(*client) {},
	} {
		t.Run(name, func(t *testing.T) {
			l, c := connectTCP(t, Options{Ping: 10 * time.Millisecond})
			l.setFull(true)
			c.write(message("one"))
			c.want(ws.OpPing, "")
			leave(c)
			c.nc.Close()
			wantEnd(t, l, kanava.Closing{Code: 1006})
		})
	}
}

// A full link is not given anything; the client's bytes wait in the socket, and
// its silence does not count.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := connect(t, Options{})
		l.setFull(true)
		c.write(message("one"), message("two"), message("three")[:3])
		synctest.Wait()
		wantMessages(t, l, "one")

		for range 100 { // it is pinged, as a write finds who is gone, but need not answer
			c.want(ws.OpPing, "")
		}
		l.send(textFrame("still here"))
		c.want(ws.OpText, "still here")

		l.setFull(false)
		synctest.Wait()
		wantMessages(t, l, "one", "two")
		c.write(message("three")[3:])
		synctest.Wait()
		wantMessages(t, l, "one", "two", "three")

		time.Sleep(24 * time.Second) // the silence counts from now on
		synctest.Wait()
		go func() { time.Sleep(2 * time.Second); c.nc.Close() }()
		c.want(ws.OpPing, "")
		wantEnd(t, l, kanava.Closing{Code: 1006})
	})
}

// Room that comes at once is not missed, whenever the Wake arrives, and the
// bytes stay in order whoever reads on.
func TestFullRace(t *testing.T) { onWires(t, testFullRace) }

func testFullRace(t *testing.T, l *fakeLink) {
	const n = 3000
	padding := strings.Repeat(".", 200)
	count := 0
	done := make(chan struct{})
	l.receive = func(data []byte, _ bool) bool {
		if want := fmt.Sprint(count) + padding; string(data) != want {
			t.Errorf("message %d is %q", count, data)
		}
		if count++; count == n {
			close(done)
			return true
		}
		l.mu.Lock()
		l.full = true
		l.mu.Unlock()
		for range count % 3 {
			go l.setFull(false)
		}
		l.setFull(false)
		return false
	}
	_, c := connectSocket(t, l)
	var out []byte
	for i := range n {
		out = append(out, message(fmt.Sprint(i)+padding)...)
	}
	go c.write(out)
	<-done
	c.nc.Close()
	wantEnd(t, l, kanava.Closing{Code: 1006})
}

// A reader that parks, and finds room, may have been overtaken by another that
// read on and parked as well.
func TestFullOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := connect(t, Options{})
		l.setFull(true) // says Receive
		overtaken := make(chan struct{})
		calls := 0 // one after the other
		l.isFull = func() bool {
			switch calls++; calls {
			case 1: // the first reader has parked
				l.peer.Wake()
				<-overtaken
			case 3: // the second reader has parked
				close(overtaken)
				return true
			}
			return false
		}
		c.write(message("one"), message("two"), message("three"), message("four"))
		synctest.Wait()
		wantMessages(t, l, "one", "two", "three", "four")
		c.nc.Close()
		wantEnd(t, l, kanava.Closing{Code: 1006})
	})
}

// A connection that is closed while its link is full still reads the answer.
func TestCloseWhileFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, c := connect(t, Options{})
		l.setFull(true)
		c.write(message("one"))
		synctest.Wait()
		start := time.Now()
		l.close(4300)
		c.wantClose(4300)
		c.write(message("dropped"), closeFrame(4300, ""))
		wantEnd(t, l, closing(4300))
		wantMessages(t, l, "one")
		if d := time.Since(start); d != 0 {
			t.Errorf("took %v", d)
		}
	})
}

// A client that reads too slowly would hardly answer: it is not waited for.
func TestServerClosesSlowConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		l, c := connect(t, Options{})
		l.close(kanava.CloseSlowConsumer)
		c.wantClose(4409)
		c.wantEOF()
		wantEnd(t, l, closing(kanava.CloseSlowConsumer))
		at(t, start, 0)
	})
}

// Nothing of one client delays another, whatever it does.
func TestOthersAreNotDelayed(t *testing.T) {
	stuck, _ := connectTCP(t, Options{WriteStall: 100 * time.Millisecond})
	fine, c := connectTCP(t, Options{})
	data := bytes.Repeat([]byte("x"), 64<<10)
	for range 500 {
		stuck.send(kanava.Frame{Data: data})
	}
	for i := range 100 {
		text := fmt.Sprint(i)
		fine.send(textFrame(text))
		c.want(ws.OpText, text)
	}
	wantEnd(t, stuck, closing(kanava.CloseSlowConsumer))
	c.nc.Close()
	wantEnd(t, fine, kanava.Closing{Code: 1006})
}
