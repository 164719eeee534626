package webpubsub_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"github.com/kanava-go/kanava/internal/peertest/webpubsub/standin"
	"github.com/kanava-go/kanava/transport/webpubsub"
)

// echo lets everybody in, into the group "all", and answers what is said.
func echo(_ context.Context, ev *webpubsub.Event) (*webpubsub.Response, error) {
	if ev.Type == webpubsub.Connect {
		return &webpubsub.Response{Accept: webpubsub.Accept{Groups: []string{"all"}}}, nil
	}
	return &webpubsub.Response{Message: ev.Message}, nil
}

func (a *azure) handle(f webpubsub.HandleFunc) {
	a.t.Helper()
	a.SetUpstream(serve(a.t, webpubsub.EventHandler(f, webpubsub.EventOptions{
		Hub: "chat", Hosts: []string{a.host}, AccessKeys: keys[:], Logger: slog.New(slog.DiscardHandler),
	})))
}

// 50 clients at once, who all talk while all are told something: each gets its own
// answers in order, and all that is for the group, and nothing twice.
func TestNothingIsLost(t *testing.T) {
	const clients, said, told = 50, 20, 20
	a := newAzure(t)
	a.handle(echo)
	sockets := make([]*socket, clients)
	for i := range sockets {
		sockets[i] = mustDial(t, a.address(webpubsub.Access{UserID: fmt.Sprint(i)}, ""))
	}
	var all sync.WaitGroup
	c := a.client()
	for n := range told {
		all.Go(func() {
			msg := webpubsub.Message{Type: webpubsub.Text, Data: fmt.Appendf(nil, "group %d", n)}
			if err := c.SendToGroup(t.Context(), "all", msg); err != nil {
				t.Error(err)
			}
		})
	}
	for i, s := range sockets {
		all.Go(func() {
			for n := range said {
				s.send(websocket.MessageText, fmt.Sprintf("own %d of %d", n, i))
			}
		})
		all.Go(func() {
			own, group := 0, map[string]bool{}
			for range said + told {
				got := s.next()
				switch {
				case got == fmt.Sprintf("text own %d of %d", own, i):
					own++
				case strings.HasPrefix(got, "text group ") && !group[got]:
					group[got] = true
				default:
					t.Errorf("client %d got %q after %d of its own", i, got, own)
					return
				}
			}
			if own != said || len(group) != told {
				t.Errorf("client %d got %d of its own and %d of the group's", i, own, len(group))
			}
		})
	}
	all.Wait()
	if n := a.Connections(); n != clients {
		t.Errorf("%d of %d connections are open", n, clients)
	}
}

// SendToConnections reaches each, also those the service is too busy for at first.
func TestSendToConnections(t *testing.T) {
	var calls atomic.Int32
	a := newAzure(t, func(o *standin.Options) {
		o.Fault = func(*http.Request) (int, string) {
			if calls.Add(1)%5 == 1 {
				return http.StatusTooManyRequests, ""
			}
			return 0, ""
		}
	})
	a.handle(echo)
	const clients = 50
	sockets := make([]*socket, clients)
	for i := range sockets {
		sockets[i] = mustDial(t, a.address(webpubsub.Access{}, ""))
	}
	ids := func(yield func(string) bool) {
		for i := range clients {
			if !yield(a.id(fmt.Sprintf("c%d", i+1))) {
				return
			}
		}
	}
	c := a.client(func(o *webpubsub.ClientOptions) { o.Parallel = 8 })
	if failed := c.SendToConnections(t.Context(), ids, webpubsub.Message{Type: webpubsub.Text, Data: []byte("hello")}); failed != nil {
		t.Errorf("failed: %v", failed)
	}
	for i, s := range sockets {
		if got := s.next(); got != "text hello" {
			t.Errorf("client %d got %q", i, got)
		}
	}
	if n := calls.Load(); n <= clients {
		t.Errorf("%d calls: none was made again", n)
	}
}

// An event that failed comes again with the same id, as Microsoft's emulator has
// it, and the client sees one answer. That the service itself does so is not shown.
func TestEventsComeAgain(t *testing.T) {
	a := newAzure(t)
	var tries atomic.Int32
	ids := make(chan string, 10)
	a.handle(func(ctx context.Context, ev *webpubsub.Event) (*webpubsub.Response, error) {
		if ev.Type == webpubsub.User {
			ids <- ev.ID
			if tries.Add(1) < 3 {
				return nil, errors.New("not yet")
			}
		}
		return echo(ctx, ev)
	})
	s := mustDial(t, a.address(webpubsub.Access{}, ""))
	s.send(websocket.MessageText, "one")
	if got := s.next(); got != "text one" {
		t.Errorf("got %q", got)
	}
	s.send(websocket.MessageText, "two")
	if got := s.next(); got != "text two" {
		t.Errorf("got %q", got)
	}
	first := <-ids
	if second, third, other := <-ids, <-ids, <-ids; second != first || third != first || other == first {
		t.Errorf("ids %q, %q, %q of one event, %q of the next", first, second, third, other)
	}
}

// The largest message goes both ways; one more byte in is the service's to refuse.
func TestLargestMessage(t *testing.T) {
	a := newAzure(t)
	a.handle(echo)
	s := mustDial(t, a.address(webpubsub.Access{}, ""))
	big := bytes.Repeat([]byte("x"), webpubsub.MaxMessage)
	s.send(websocket.MessageText, string(big))
	if got := s.next(); got != "text "+string(big) {
		t.Errorf("got %d bytes", len(got))
	}
	if err := a.client().SendToAll(t.Context(), webpubsub.Message{Type: webpubsub.Binary, Data: big}); err != nil {
		t.Error(err)
	}
	if got := s.next(); got != "binary "+string(big) {
		t.Errorf("got %d bytes", len(got))
	}
	s.send(websocket.MessageText, string(make([]byte, 1<<20+1)))
	if got := s.next(); got != "end 1009" {
		t.Errorf("got %q", got)
	}
}

// A service that the handler does not know cannot open connections with it, nor one
// that signs with another key.
func TestWrongService(t *testing.T) {
	a := newAzure(t)
	for name, o := range map[string]webpubsub.EventOptions{
		"another host": {Hub: "chat", Hosts: []string{"other.webpubsub.azure.com"}, AccessKeys: keys[:]},
		"another key":  {Hub: "chat", Hosts: []string{a.host}, AccessKeys: []string{"another key"}},
		"another hub":  {Hub: "other", Hosts: []string{a.host}, AccessKeys: keys[:]},
	} {
		a.SetUpstream(serve(t, webpubsub.EventHandler(func(context.Context, *webpubsub.Event) (*webpubsub.Response, error) {
			t.Errorf("%s: an event was handled", name)
			return nil, nil
		}, o)))
		want := map[string]int{"another host": 500, "another key": 401, "another hub": 404}[name]
		if _, status := dial(t, a.address(webpubsub.Access{}, "")); status != want {
			t.Errorf("%s: refused with %d, not %d", name, status, want)
		}
	}
}
