package transporttest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
)

// testChurn publishes to a hundred subscribers, of which every second leaves
// at some time: each sees the events from the first on without a gap, and who
// stays sees all.
func testChurn(t *testing.T, tr Transport) {
	const (
		subscribers = 100
		events      = 400
	)
	srv, d := serveLab(t, tr, quiet(), kanava.Wiring[none, none]{
		OnConnect: kanava.ConnectFunc(func(_ context.Context, ch *lab) (string, error) { return ch.ID(), nil }),
	})
	rnd := rand.New(rand.NewPCG(1, 2))
	peers := make([]*peer, subscribers)
	stop := make([]int, subscribers) // how many events each wants
	for i := range peers {
		peers[i] = dial(t, d, "/lab")
		id := string(peers[i].next().Data)
		if err := srv.EventHub().Subscribe(t.Context(), "news", id[1:len(id)-1]); err != nil {
			t.Fatal(err)
		}
		stop[i] = events
		if i%2 == 0 {
			stop[i] = rnd.IntN(events)
		}
	}
	var group sync.WaitGroup
	failed := make(chan error, subscribers)
	for i, p := range peers {
		group.Go(func() {
			for n := range stop[i] {
				if err := p.tryExpect(fmt.Sprintf(`{"topic":"news","data":{"n":%d}}`, n)); err != nil {
					failed <- fmt.Errorf("subscriber %d, event %d: %w", i, n, err)
					break
				}
			}
			if stop[i] < events {
				p.Cut()
			}
		})
	}
	for n := range events {
		if err := srv.EventHub().Publish(t.Context(), "news", number{n}); err != nil {
			t.Fatal(err)
		}
	}
	group.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	if !tr.Stateless {
		eventually(t, "those who left are forgotten", func() bool { return srv.Conns().Count() == subscribers/2 })
	}
	if err := srv.EventHub().Publish(t.Context(), "news", "last"); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < subscribers; i += 2 {
		peers[i].expect(`{"topic":"news","data":"last"}`) // and nothing before it
	}
}

// testOneOrder publishes from several goroutines at once: all subscribers see
// the events in one order, whichever it is.
func testOneOrder(t *testing.T, tr Transport) {
	const (
		subscribers = 8
		publishers  = 4
		events      = 100 // of each publisher
	)
	srv, d := serveLab(t, tr, quiet(), kanava.Wiring[none, none]{
		OnConnect: kanava.ConnectFunc(func(_ context.Context, ch *lab) (string, error) { return ch.ID(), nil }),
	})
	peers := make([]*peer, subscribers)
	for i := range peers {
		peers[i] = dial(t, d, "/lab")
		id := string(peers[i].next().Data)
		if err := srv.EventHub().Subscribe(t.Context(), "news", id[1:len(id)-1]); err != nil {
			t.Fatal(err)
		}
	}
	var group sync.WaitGroup
	for p := range publishers {
		group.Go(func() {
			for n := range events {
				if err := srv.EventHub().Publish(t.Context(), "news", number{p*events + n}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var first []string
	for i, p := range peers {
		var seen []string
		for range publishers * events {
			seen = append(seen, string(p.next().Data))
		}
		if i == 0 {
			first = seen
			sorted := slices.Compact(slices.Sorted(slices.Values(seen)))
			if len(sorted) != len(seen) {
				t.Errorf("%d of %d events are different", len(sorted), len(seen))
			}
			continue
		}
		if !slices.Equal(seen, first) {
			t.Errorf("subscriber %d sees another order than the first", i)
		}
	}
	group.Wait()
}

// testStorm has clients come, call and leave in every way, while the server
// shuts down: each OnConnect has its OnDisconnect.
func testStorm(t *testing.T, tr Transport) {
	const clients = 60
	var connected, disconnected, running atomic.Int64
	srv, d := serveLab(t, tr, quiet(), kanava.Wiring[none, none]{
		OnConnect: kanava.ConnectFunc(func(context.Context, *lab) (string, error) {
			connected.Add(1)
			return "welcome", nil
		}),
		OnDisconnect: kanava.DisconnectFunc(func(_ context.Context, ch *lab) error {
			if code, _ := ch.Closed(); code == 0 || running.Load() < 0 {
				t.Error("OnDisconnect of a connection that is open")
			}
			disconnected.Add(1)
			return nil
		}),
		OnMessage: kanava.Func(func(ctx context.Context, _ *lab, in number) (number, error) {
			running.Add(1)
			defer running.Add(-1)
			if in.N%3 == 0 {
				<-ctx.Done()
			}
			return in, ctx.Err()
		}, kanava.Concurrent(), kanava.Timeout(50*time.Millisecond)),
	})
	var group sync.WaitGroup
	half := make(chan struct{})
	for i := range clients {
		group.Go(func() {
			if i == clients/2 {
				close(half)
			}
			p, err := dialRequest(t, d, Request{Path: "/lab"})
			if err != nil {
				return // refused, or the server has gone
			}
			for n := range i % 7 {
				if p.trySend(fmt.Sprintf(`{"n":%d}`, n)) != nil {
					return
				}
			}
			switch i % 4 {
			case 0:
				p.Cut()
			case 1:
				_ = p.Close(1000, "bye") // the server may have been first
			case 2:
				_, _ = p.tryNext()
				p.Cut()
			case 3: // waits for the close
				for f, err := p.tryNext(); err == nil && f.Kind != KindClosed; f, err = p.tryNext() {
				}
			}
		})
	}
	receive(t, "half of the clients have come", half)
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	group.Wait()
	if c, d := connected.Load(), disconnected.Load(); c != d || running.Load() != 0 || srv.Conns().Count() != 0 {
		t.Errorf("OnConnect ran %d times, OnDisconnect %d times; %d functions run on %d connections", c, d, running.Load(), srv.Conns().Count())
	}
}
