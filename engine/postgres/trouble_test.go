package postgres_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/postgres"
)

// TestTooMuchWaits is that publications that wait are bounded, that one beyond the
// bound fails at once, and that there is room again afterwards.
func TestTooMuchWaits(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	network := newProxy(t, s.addr)
	n := join(t, postgres.Options{URL: urlAt(network.addr())})
	top := topic(engine.Recoverable)
	n.publish(top, "1")
	network.set(func() { network.hole = true })
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	const all = 100 // MiB
	full, late := 0, 0
	var mu sync.Mutex
	var publishing sync.WaitGroup
	for range all {
		publishing.Go(func() {
			begun := time.Now()
			err := n.Publish(ctx, top, engine.Event{Data: make([]byte, 1<<20)})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, postgres.ErrFull):
				if full++; time.Since(begun) > 2*time.Second {
					t.Errorf("ErrFull came after %v", time.Since(begun))
				}
			case errors.Is(err, context.DeadlineExceeded):
				late++
			default:
				t.Errorf("Publish without an answer: %v", err)
			}
		})
	}
	publishing.Wait()
	if full < all-64 || late < 60 {
		t.Errorf("%d publications did not fit, %d waited", full, late)
	}
	network.heal()
	n.insist(top, "2")
	for i := range 10 {
		n.publish(top, strconv.Itoa(i))
	}
}

// TestServerThatTakesNoWrites is that publishers hear of a server that has become
// read-only in time, and that all goes on when it, or another, takes writes again.
func TestServerThatTakesNoWrites(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	n := join(t, postgres.Options{URL: s.url()})
	top := topic(engine.Recoverable)
	n.subscribe(top)
	n.publish(top, "1")
	set := func(value string) {
		s.do("ALTER SYSTEM SET default_transaction_read_only = " + value)
		s.do("SELECT pg_reload_conf()")
		s.eventually("setting", func() bool { return s.do("SHOW default_transaction_read_only") == value })
	}
	set("on")
	short, cancel := shortly(t)
	defer cancel()
	if err := n.Publish(short, top, engine.Event{Data: []byte("not to come")}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Publish to a server that takes no writes: %v", err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- n.Publish(within(t), top, engine.Event{Data: []byte("2")}) }()
	set("off")
	if err := <-waiting; err != nil {
		t.Errorf("Publish when the server takes writes again: %v", err)
	}
	n.next(top, 2)
	if got := n.come(top); len(got) != 2 || got[1] != "2" {
		t.Errorf("%q came", got)
	}
}
