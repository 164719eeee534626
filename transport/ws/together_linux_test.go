//go:build !386

package ws

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/kanava-go/kanava"
)

// TestTogether: events go out by the loop for many connections at once. While
// connections come, are cut and leave, and their descriptors are used again, each
// gets its own events, in order.
func TestTogether(t *testing.T) {
	type opening struct {
		ID string `json:"id" query:"id"`
	}
	type event struct {
		Text string `json:"text"`
		N    int    `json:"n"`
	}
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	own := kanava.NewTopic[event](srv.EventHub(), "own")
	var live sync.Map // of ids
	srv.Wire(kanava.Wiring[opening, kanava.None]{
		Name: "own", Route: "/own", Public: true,
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *kanava.Channel[opening, kanava.None]) (kanava.None, error) {
			live.Store(ch.Opening().ID, true)
			return kanava.None{}, own.Subscribe(ctx, ch, ch.Opening().ID)
		}),
		OnDisconnect: kanava.DisconnectFunc(func(_ context.Context, ch *kanava.Channel[opening, kanava.None]) error {
			live.Delete(ch.Opening().ID)
			return nil
		}),
		Declares: []kanava.Declared{own},
	})
	addr := listen(t, NewServer(srv, Options{}))
	stop := make(chan struct{})
	var publisher sync.WaitGroup
	publisher.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			live.Range(func(id, _ any) bool {
				text := "<" + id.(string) + ">" + strings.Repeat("x", n%700)
				if err := own.Publish(t.Context(), id.(string), event{text, n}); err != nil {
					t.Error(err)
				}
				return true
			})
		}
	})
	var clients sync.WaitGroup
	for who := range 40 {
		clients.Go(func() {
			for round := range 25 {
				id := fmt.Sprint(who, "-", round)
				nc, early, _, err := ws.Dial(t.Context(), "ws://"+addr+"/own?id="+id)
				if err != nil {
					t.Error(err)
					return
				}
				if early != nil {
					ws.PutReader(early) // what it holds is lost, which is no fault here: events have numbers
				}
				_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
				last := -1
				for range rand.IntN(20) {
					if early != nil {
						break
					}
					data, err := wsutil.ReadServerText(nc)
					if closed := new(wsutil.ClosedError); errors.As(err, closed) && kanava.CloseCode(closed.Code) == kanava.CloseSlowConsumer {
						break // the publisher waits for nobody
					}
					if err != nil {
						t.Errorf("%s: %v", id, err)
						break
					}
					var n int
					at := strings.LastIndex(string(data), `"n":`)
					if _, err := fmt.Sscanf(string(data[max(at, 0):]), `"n":%d`, &n); err != nil || !strings.Contains(string(data), "<"+id+">") || n <= last {
						t.Errorf("%s got %s after %d", id, data, last)
						break
					}
					last = n
				}
				if rand.IntN(2) == 0 {
					_ = nc.(*net.TCPConn).SetLinger(0) // cut, with what it has not read
				}
				nc.Close()
			}
		})
	}
	clients.Wait()
	close(stop)
	publisher.Wait()
}

// TestCloseWhileLodged: while the loop has what is to be sent, the socket stays,
// so that its number cannot be another one's when that is sent.
func TestCloseWhileLodged(t *testing.T) {
	l, c := connectSocket(t, newLink(Options{}))
	w := looped{l.peer}
	w.io.Lock()
	w.flags.set(lodged)
	w.io.Unlock()
	w.end(kanava.Closing{Code: kanava.CloseAbnormal}, false)
	w.io.Lock()
	fd := w.fd
	w.io.Unlock()
	if fd < 0 {
		t.Error("the socket is closed before what it has to say is sent")
	}
	w.Sent([]byte("x"), 1, 0)
	w.io.Lock()
	fd = w.fd
	w.io.Unlock()
	if fd >= 0 {
		t.Error("the socket stays open")
	}
	c.wantEOF()
}

// TestSentInPart: what the socket has not taken of what was sent together goes
// out when there is room.
func TestSentInPart(t *testing.T) {
	l, c := connectSocket(t, newLink(Options{}))
	w := looped{l.peer}
	for !w.writing.CompareAndSwap(idle, running) { // the writer is the loop
		time.Sleep(time.Millisecond)
	}
	frame := ws.MustCompileFrame(ws.NewTextFrame([]byte("in two parts")))
	c.nc.SetDeadline(time.Now().Add(20 * time.Second))
	if _, errno := send(int(w.fd), net.Buffers{frame[:5]}); errno != 0 {
		t.Fatal(errno)
	}
	w.flags.set(lodged)
	w.Sent(frame, 5, 0)
	c.want(ws.OpText, "in two parts")
	l.send(textFrame("and on"))
	c.want(ws.OpText, "and on")
}
