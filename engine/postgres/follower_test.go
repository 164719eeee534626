//go:build faults

package postgres_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// follower does what a hub does: it takes what is delivered, follows the chain of
// offsets, and reads what is missing.
type follower struct {
	*node
	topic engine.Topic
	wake  chan struct{}

	in      sync.Mutex // guards what follows
	came    []engine.Event
	recheck bool

	at    engine.Position // of the goroutine that follows, as what follows
	texts []string
	lost  int // how often something was
}

func follow(tb testing.TB, n *node, topic engine.Topic) *follower {
	tb.Helper()
	f := &follower{node: n, topic: topic, wake: make(chan struct{}, 1)}
	n.mu.Lock()
	n.deliver = f
	n.mu.Unlock()
	n.subscribe(topic)
	f.at = n.position(topic)
	return f
}

func (f *follower) ring() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *follower) Deliver(_ string, events []engine.Event) {
	f.in.Lock()
	defer f.in.Unlock()
	f.came = append(f.came, events...)
	f.ring()
}

func (f *follower) Resumed(...string) {
	f.in.Lock()
	defer f.in.Unlock()
	f.recheck = true
	f.ring()
}

// run follows until stop is closed, and then to the end.
func (f *follower) run(stop <-chan struct{}) {
	for {
		select {
		case <-f.wake:
		case <-stop:
			f.heal()
			return
		}
		f.in.Lock()
		came, recheck := f.came, f.recheck
		f.came, f.recheck = nil, false
		f.in.Unlock()
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

func (f *follower) heal() {
	for more := true; more; {
		page := f.read(f.topic, f.at)
		if page.Lost {
			f.lost++
		}
		f.texts = append(f.texts, texts(page.Events)...)
		more = page.More
		f.at = page.At
		if more {
			f.at = page.Events[len(page.Events)-1].At
		}
	}
}

// publisher publishes numbered events, each until it is kept.
type publisher struct {
	*node
	topic  engine.Topic
	name   string
	texts  []string
	failed int           // publications, before they succeeded
	most   time.Duration // that one has taken
}

func (p *publisher) run(stop <-chan struct{}) {
	const pace = 2 * time.Millisecond
	turn := time.NewTicker(pace)
	defer turn.Stop()
	for {
		select {
		case <-stop:
			return
		case <-turn.C:
		}
		text := fmt.Sprint(p.name, " ", len(p.texts))
		ev := engine.Event{ID: rand.Text(), Data: []byte(text)}
		for done := false; !done; {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			begun := time.Now()
			err := p.Publish(ctx, p.topic, ev)
			p.most = max(p.most, time.Since(begun))
			cancel()
			if done = err == nil; !done {
				p.failed++
				select {
				case <-stop:
					return
				case <-turn.C:
				}
			}
		}
		p.texts = append(p.texts, text)
	}
}
