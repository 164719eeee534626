package client_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/client"
	"github.com/kanava-go/kanava/transport/ws"
)

var wholeCrowd = flag.Bool("crowd", false, "1,000 subscribers and 100 publishers in place of a tenth of each")

// mark is an event of the crowd: who published it, and as which of its own.
type mark struct {
	By int `json:"by"`
	N  int `json:"n"`
}

// ledger is what was published on a topic, in the order of a listener in the
// server's process.
type ledger struct {
	mu  sync.Mutex
	all map[mark]int // the offset of each
	bad string
}

func (l *ledger) note(m mark) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, twice := l.all[m]; twice || m.N > 0 && l.all[mark{m.By, m.N - 1}] == 0 {
		l.bad = fmt.Sprintf("%v is out of order", m)
	}
	l.all[m] = len(l.all) + 1
}

func (l *ledger) count() (n int, bad string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.all), l.bad
}

// follower is one subscriber's view of one topic: what it was told, in order.
type follower struct {
	mu        sync.Mutex
	told      []any // mark or client.Lost
	got, lost int
}

func (f *follower) tell(what any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, what)
	if l, ok := what.(client.Lost); ok {
		f.lost += int(l.To.Offset - l.From.Offset)
	} else {
		f.got++
	}
}

func (f *follower) count() (got, lost int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.got, f.lost
}

// judge returns what is wrong with what was told: everything up to an offset
// was delivered or declared lost, and then the next.
func (f *follower) judge(l *ledger) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	at := 0
	for _, what := range f.told {
		switch x := what.(type) {
		case client.Lost:
			if int(x.From.Offset) != at || x.To.Offset <= x.From.Offset || x.To.Epoch != x.From.Epoch {
				return fmt.Sprintf("lost from %v to %v after %d", x.From, x.To, at)
			}
			at = int(x.To.Offset)
		case mark:
			if offset := l.all[x]; offset != at+1 {
				return fmt.Sprintf("event %d after %d", offset, at)
			}
			at++
		}
	}
	if at != len(l.all) {
		return fmt.Sprintf("%d of %d", at, len(l.all))
	}
	return ""
}

// subscriber is a client whose connection is cut at any time.
type subscriber struct {
	conn   *client.Conn
	topics map[string]*follower
	net    atomic.Pointer[net.Conn]
}

func (s *subscriber) cut() {
	if c := s.net.Load(); c != nil {
		_ = (*c).Close() // it may be closed
	}
}

// With many subscribers and publishers, while connections are lost at random,
// no event is lost, doubled or out of order unless that is declared: and of a
// topic that keeps everything none is lost at all.
func TestDeliveryD5_Crowd(t *testing.T) {
	subscribers, publishers, each, cuts := 100, 10, 20, 150
	if *wholeCrowd {
		subscribers, publishers, each, cuts = 1000, 100, 5, 2000
	}
	const whole, short = "whole", "short"
	hub := kanava.NewEventHub(kanava.HubOptions{})
	defer hub.Close()
	topics := map[string]*kanava.Topic[mark]{
		whole: kanava.NewTopic[mark](hub, whole, kanava.Recoverable(1_000_000, time.Hour)),
		short: kanava.NewTopic[mark](hub, short, kanava.Recoverable(10, time.Hour)),
	}
	srv := kanava.NewServer(kanava.Options[kanava.None]{EventHub: hub, Logger: slog.New(slog.DiscardHandler)})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "crowd", Route: "/crowd", Public: true,
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *kanava.Channel[kanava.None, kanava.None]) (kanava.None, error) {
			for _, topic := range topics {
				if err := topic.Subscribe(ctx, ch, "x"); err != nil {
					return kanava.None{}, err
				}
			}
			return kanava.None{}, nil
		}),
	})
	hs := httptest.NewServer(ws.Handler(srv, ws.Options{}))
	defer hs.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()

	ledgers := map[string]*ledger{}
	for name, topic := range topics {
		l := &ledger{all: map[mark]int{}}
		ledgers[name] = l
		listener := hub.Listen(func(_ context.Context, ev kanava.Event) {
			var m mark
			if _, err := fmt.Sscanf(string(ev.Data), `{"by":%d,"n":%d}`, &m.By, &m.N); err != nil {
				panic(err)
			}
			l.note(m)
		})
		if err := topic.Subscribe(ctx, listener, "x"); err != nil {
			t.Fatal(err)
		}
	}
	crowd := make([]*subscriber, subscribers)
	for i := range crowd {
		crowd[i] = newSubscriber(t, hs.URL, whole, short)
	}
	for _, s := range crowd {
		if _, err := client.Opened[*kanava.None](ctx, s.conn); err != nil {
			t.Fatal(err)
		}
	}

	var group sync.WaitGroup
	for by := range publishers {
		group.Go(func() {
			for n := range each {
				for name, topic := range topics {
					if err := topic.Publish(ctx, "x", mark{by, n}); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
				pause(ctx, 200*time.Millisecond)
			}
		})
	}
	group.Go(func() {
		for range cuts {
			crowd[rand.IntN(len(crowd))].cut()
			pause(ctx, 3*time.Millisecond)
		}
	})
	group.Wait()
	want := publishers * each
	for name, l := range ledgers {
		n, bad := l.count()
		for ; n < want && ctx.Err() == nil; n, bad = l.count() {
			pause(ctx, 10*time.Millisecond)
		}
		if bad != "" {
			t.Errorf("%s: %s", name, bad)
		}
	}
	got, lost := map[string]int{}, map[string]int{}
	for i, s := range crowd {
		for name, f := range s.topics {
			n, gone := f.count()
			for ; n+gone < want && ctx.Err() == nil; n, gone = f.count() {
				pause(ctx, 10*time.Millisecond)
			}
			if bad := f.judge(ledgers[name]); n+gone != want || bad != "" {
				t.Errorf("subscriber %d, %s: %d delivered, %d lost, of %d: %s", i, name, n, gone, want, bad)
			}
			got[name] += n
			lost[name] += gone
		}
	}
	if n := lost[whole]; n > 0 {
		t.Errorf("%d events are lost of a topic that keeps all", n)
	}
	t.Logf("%d subscribers, %d publishers, %d lost connections; delivered %v, declared lost %v", subscribers, publishers, cuts, got, lost)
	for _, s := range crowd {
		go s.conn.Close()
	}
	for _, s := range crowd {
		wait(t, s.conn.Done())
	}
	if err := srv.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func newSubscriber(t *testing.T, url string, topics ...string) *subscriber {
	t.Helper()
	s := &subscriber{topics: map[string]*follower{}}
	dialer := &net.Dialer{}
	conn, err := client.Connect(client.Spec{Path: "/crowd"}, url, nil, client.Options[*client.Conn]{
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err == nil {
				s.net.Store(&c)
			}
			return c, err
		}}},
		Setup: func(c *client.Conn) {
			for _, name := range topics {
				f := &follower{}
				s.topics[name] = f
				client.OnTopic(c, name, "x", func(m mark, _ client.Topic) { f.tell(m) })
			}
			c.OnLost(func(l client.Lost) { s.topics[strings.TrimSuffix(l.Topic, ":x")].tell(l) })
		},
	}, func(c *client.Conn) *client.Conn { return c })
	if err != nil {
		t.Fatal(err)
	}
	s.conn = conn
	return s
}

// pause makes a load take its time: it waits for at most d.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(rand.N(d) + 1):
	}
}
