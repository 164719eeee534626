// Package follow has both ends of a topic, for tests in which servers and networks
// fail: publishers that say one thing after the other, each until it is kept, and
// a follower that does what a hub does.
package follow

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// patience is how long an engine may fail to do what it is asked again and again.
const patience = 60 * time.Second

// Follower takes what is delivered of a topic, follows the chain of offsets, and
// reads what is missing.
type Follower struct {
	tb     testing.TB
	broker engine.Broker
	topic  engine.Topic
	wake   chan struct{}

	mu      sync.Mutex // guards what follows
	came    []engine.Event
	recheck bool

	at    engine.Position // of the goroutine that follows, as what follows
	texts []string
	lost  int // how often something was
}

// Begin starts the engine and subscribes to the topic.
func Begin(tb testing.TB, e engine.Engine, topic engine.Topic) *Follower {
	tb.Helper()
	f := &Follower{tb: tb, broker: e, topic: topic, wake: make(chan struct{}, 1)}
	e.Start(f)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			tb.Error(err)
		}
	})
	f.insist("subscribe", func(ctx context.Context) error { return e.Subscribe(ctx, topic) })
	f.insist("position", func(ctx context.Context) error {
		at, err := e.Positions(ctx, []engine.Topic{topic})
		if err == nil {
			f.at = at[0]
		}
		return err
	})
	return f
}

// insist does something again as long as it fails, as a hub does.
func (f *Follower) insist(what string, do func(context.Context) error) {
	f.tb.Helper()
	late := time.Now().Add(patience)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := do(ctx)
		cancel()
		switch {
		case err == nil:
			return
		case time.Now().After(late):
			f.tb.Errorf("%s fails for %v: %v", what, patience, err)
			return
		}
		f.tb.Logf("%s, again: %v", what, err)
	}
}

// Deliver is for the engine.
func (f *Follower) Deliver(_ string, events []engine.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.came = append(f.came, events...)
	f.ring()
}

// Resumed is for the engine.
func (f *Follower) Resumed(...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recheck = true
	f.ring()
}

func (f *Follower) ring() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Run follows until stop is closed, and then to the end.
func (f *Follower) Run(stop <-chan struct{}) {
	for {
		select {
		case <-f.wake:
		case <-stop:
			f.heal()
			return
		}
		f.mu.Lock()
		came, recheck := f.came, f.recheck
		f.came, f.recheck = nil, false
		f.mu.Unlock()
		for _, ev := range came {
			switch {
			case ev.At.Epoch == f.at.Epoch && ev.At.Offset <= f.at.Offset: // twice
			case ev.At.Epoch == f.at.Epoch && ev.Prev <= f.at.Offset:
				f.texts = append(f.texts, string(ev.Data))
				f.at = ev.At
			default:
				f.heal()
			}
		}
		if recheck {
			f.heal()
		}
	}
}

// heal reads what is missing.
func (f *Follower) heal() {
	for more := true; more; {
		var page engine.Page
		f.insist("read", func(ctx context.Context) (err error) {
			page, err = f.broker.Read(ctx, f.topic, f.at, 1000)
			return err
		})
		if page.Lost {
			f.lost++
		}
		for _, ev := range page.Events {
			f.texts = append(f.texts, string(ev.Data))
		}
		more = page.More
		f.at = page.At
		if more {
			f.at = page.Events[len(page.Events)-1].At
		}
	}
}
