package transporttest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

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
	eventually(t, "those who left are forgotten", func() bool { return srv.Conns().Count() == subscribers/2 })
	if err := srv.EventHub().Publish(t.Context(), "news", "last"); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < subscribers; i += 2 {
		peers[i].expect(`{"topic":"news","data":"last"}`) // and nothing before it
	}
}
