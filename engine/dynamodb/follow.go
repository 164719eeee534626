package dynamodb

import (
	"bytes"
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// follows are the topics that the hub is subscribed to.
type follows struct {
	mu sync.Mutex         // guards by, and when followers are due
	by map[string]*follow // by topic

	entering chan struct{} // has one if there are new followers
	kicked   chan struct{} // has one if a follower is due now

	seed    maphash.Seed
	stripes [64]sync.Mutex // calls of Deliver for one topic do not overlap: one of them is held
}

// follow is a topic that the hub is subscribed to.
type follow struct {
	topic string
	class engine.Class
	ready chan struct{} // closed when at is known
	gone  atomic.Bool

	// Guarded by the stripe of the topic.
	entered bool
	at      engine.Position // after what was delivered; zero while the topic has no head
	former  []string        // epochs before that of at

	// Guarded by follows.mu, once it has entered.
	due  time.Time
	idle time.Duration // how long it waits until the next look
}

func (f *follows) init() {
	f.by = make(map[string]*follow)
	f.entering, f.kicked = make(chan struct{}, 1), make(chan struct{}, 1)
	f.seed = maphash.MakeSeed()
}

func (f *follows) stripe(topic string) *sync.Mutex {
	return &f.stripes[maphash.String(f.seed, topic)%uint64(len(f.stripes))]
}

// wake puts one into a channel that has room for it.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Subscribe implements [engine.Broker].
func (e *Engine) Subscribe(ctx context.Context, t engine.Topic) error {
	return e.call(ctx, "subscribe", func(ctx context.Context) error {
		if err := checkNames(t.Name); err != nil {
			return err
		}
		e.follows.mu.Lock()
		f := e.follows.by[t.Name]
		if f == nil {
			f = &follow{topic: t.Name, class: t.Class, ready: make(chan struct{})}
			e.follows.by[t.Name] = f
		}
		e.follows.mu.Unlock()
		wake(e.follows.entering)
		select {
		case <-f.ready:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// Unsubscribe implements [engine.Broker].
func (e *Engine) Unsubscribe(t engine.Topic) {
	e.follows.mu.Lock()
	defer e.follows.mu.Unlock()
	if f := e.follows.by[t.Name]; f != nil {
		f.gone.Store(true)
		delete(e.follows.by, t.Name)
	}
}

// enterAll finds out where topics stand that are new, until ctx ends.
func (e *Engine) enterAll(ctx context.Context) {
	for attempt := 0; ; {
		select {
		case <-e.follows.entering:
		case <-ctx.Done():
			return
		}
		for {
			batch := e.follows.fresh()
			if len(batch) == 0 {
				break
			}
			if err := e.enter(ctx, batch); err == nil {
				attempt = 0
				continue
			}
			attempt++
			if pause(ctx, backOff(attempt)) != nil {
				return
			}
		}
	}
}

// fresh returns followers that have not entered.
func (f *follows) fresh() (batch []*follow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fo := range f.by {
		select {
		case <-fo.ready:
		default:
			if batch = append(batch, fo); len(batch) == batchKeys*parallel {
				return batch
			}
		}
	}
	return batch
}

func (e *Engine) enter(ctx context.Context, batch []*follow) error {
	ctx, cancel := context.WithTimeout(ctx, pollTime)
	defer cancel()
	heads, err := e.heads(ctx, keysOf(batch))
	if err != nil {
		e.noted(err)
		return err
	}
	for _, f := range batch {
		stripe := e.follows.stripe(f.topic)
		stripe.Lock()
		f.entered = true
		if h := heads[f.topic]; h != nil {
			f.at = h.position()
		}
		stripe.Unlock()
		e.follows.mu.Lock()
		f.idle = e.poll
		f.due = time.Now().Add(f.idle)
		close(f.ready)
		e.follows.mu.Unlock()
	}
	wake(e.follows.kicked) // to look at when they are due
	return nil
}

func keysOf(batch []*follow) []item {
	keys := make([]item, len(batch))
	for i, f := range batch {
		keys[i] = key(kindTopic+f.topic, alone)
	}
	return keys
}

// deliver hands events to the hub that follow what it has had, and are of the epoch
// that it is in or of a later one.
func (e *Engine) deliver(f *follow, events []engine.Event) {
	stripe := e.follows.stripe(f.topic)
	stripe.Lock()
	defer stripe.Unlock()
	e.hand(f, events)
}

// hand is deliver; the stripe of the topic is held.
func (e *Engine) hand(f *follow, events []engine.Event) {
	if len(events) == 0 || f.gone.Load() || e.life.Err() != nil {
		return
	}
	if !f.turn(engine.Position{Epoch: events[0].At.Epoch}) {
		return
	}
	for len(events) > 0 && events[0].At.Offset <= f.at.Offset {
		events = events[1:]
	}
	if len(events) == 0 {
		return
	}
	f.at = events[len(events)-1].At
	if f.class == engine.Volatile {
		for i := range events {
			events[i].At, events[i].Prev, events[i].Time = engine.Position{}, 0, time.Time{}
		}
	}
	e.handler.Deliver(f.topic, events)
}

// turn begins an epoch, unless it is the one that the topic is in. It is false for one
// before that. The stripe of the topic is held.
func (f *follow) turn(begin engine.Position) bool {
	switch {
	case begin.Epoch == f.at.Epoch:
	case slices.Contains(f.former, begin.Epoch):
		return false
	default:
		if f.at.Epoch != "" {
			f.former = append(f.former, f.at.Epoch)
		}
		f.at = begin
	}
	return true
}

// deliverOwn hands to the hub what was published here, if it has had all before it.
// Else it is looked for at once.
func (e *Engine) deliverOwn(topic string, h *head, of []*publication) {
	e.follows.mu.Lock()
	f := e.follows.by[topic]
	e.follows.mu.Unlock()
	if f == nil {
		return
	}
	stripe := e.follows.stripe(topic)
	stripe.Lock()
	defer stripe.Unlock()
	next := f.at.Epoch == h.epoch && f.at.Offset == h.before() || f.at.Epoch != h.epoch && h.before() == 0
	if !f.entered {
		return
	}
	if next {
		events := make([]engine.Event, len(of))
		for i, p := range of {
			n := h.batch.events[i]
			n.data, n.except = bytes.Clone(p.event.Data), p.event.Except
			events[i] = n.event(h.epoch, h.before()+uint64(i)+1)
		}
		e.hand(f, events)
	}
	e.follows.mu.Lock()
	defer e.follows.mu.Unlock()
	f.idle = e.poll
	if !next {
		f.due = time.Now()
		wake(e.follows.kicked)
	}
}
