package postgres_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/postgres"
)

// node is an engine and what it has told its hub.
type node struct {
	*postgres.Engine

	tb      testing.TB
	mu      sync.Mutex // guards what follows
	changed *sync.Cond
	events  map[string][]engine.Event
	resumed map[string]int

	hold    chan struct{}  // guarded by mu; Deliver waits until it is closed, if it is set
	holding bool           // guarded by mu; Deliver waits
	deliver engine.Handler // guarded by mu; gets all in the place of what is above
}

// join starts an engine that ends with the test.
func join(tb testing.TB, opts postgres.Options) *node {
	tb.Helper()
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	e, err := postgres.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	return run(tb, e)
}

// run starts an engine, which ends with the test.
func run(tb testing.TB, e *postgres.Engine) *node {
	n := &node{Engine: e, tb: tb, events: make(map[string][]engine.Event), resumed: make(map[string]int)}
	n.changed = sync.NewCond(&n.mu)
	e.Start(n)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		e.Close(ctx)
	})
	return n
}

func (n *node) Deliver(topic string, events []engine.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if hold := n.hold; hold != nil {
		n.holding = true
		n.changed.Broadcast()
		n.mu.Unlock()
		<-hold
		n.mu.Lock()
		n.holding = false
	}
	if n.deliver != nil {
		n.deliver.Deliver(topic, events)
		return
	}
	n.events[topic] = append(n.events[topic], events...)
	n.changed.Broadcast()
}

func (n *node) Resumed(topics ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.deliver != nil {
		n.deliver.Resumed(topics...)
	}
	for _, t := range topics {
		n.resumed[t]++
	}
	n.changed.Broadcast()
}

// until waits until is returns true: it is asked after all that happens.
func (n *node) until(what string, is func() bool) {
	n.tb.Helper()
	over := false
	late := time.AfterFunc(60*time.Second, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		over = true
		n.changed.Broadcast()
	})
	defer late.Stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	for !is() {
		if over {
			n.tb.Fatalf("not within 60 s: %s", what)
		}
		n.changed.Wait()
	}
}

// next waits for n events of a topic, and returns all that have come.
func (n *node) next(t engine.Topic, count int) []engine.Event {
	n.tb.Helper()
	var events []engine.Event
	n.until("events of "+t.Name, func() bool {
		events = n.events[t.Name]
		return len(events) >= count
	})
	return events
}

func within(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	tb.Cleanup(cancel)
	return ctx
}

func (n *node) subscribe(topics ...engine.Topic) {
	n.tb.Helper()
	for _, t := range topics {
		if err := n.Subscribe(within(n.tb), t); err != nil {
			n.tb.Fatal(err)
		}
	}
}

func (n *node) publish(t engine.Topic, texts ...string) {
	n.tb.Helper()
	for _, text := range texts {
		if err := n.Publish(within(n.tb), t, engine.Event{Data: []byte(text)}); err != nil {
			n.tb.Fatal(err)
		}
	}
}

// insist publishes an event with an ID: it is published again where it meets a
// connection that has ended.
func (n *node) insist(t engine.Topic, text string) {
	n.tb.Helper()
	if err := n.Publish(within(n.tb), t, engine.Event{ID: rand.Text(), Data: []byte(text)}); err != nil {
		n.tb.Fatal(err)
	}
}

func (n *node) position(t engine.Topic) engine.Position {
	n.tb.Helper()
	at, err := n.Positions(within(n.tb), []engine.Topic{t})
	if err != nil {
		n.tb.Fatal(err)
	}
	return at[0]
}

func (n *node) read(t engine.Topic, since engine.Position) engine.Page {
	n.tb.Helper()
	page, err := n.Read(within(n.tb), t, since, 1000)
	if err != nil {
		n.tb.Fatal(err)
	}
	return page
}

// topic returns a topic nobody has used.
func topic(class engine.Class) engine.Topic {
	t := engine.Topic{Name: "test:" + rand.Text(), Class: class}
	if class == engine.Recoverable {
		t.Size, t.TTL = 1000, time.Hour
	}
	return t
}

func texts(events []engine.Event) (texts []string) {
	for _, ev := range events {
		texts = append(texts, string(ev.Data))
	}
	return texts
}

// shortly is a context that ends before anything that has to be waited for.
func shortly(tb testing.TB) (context.Context, context.CancelFunc) {
	tb.Helper()
	return context.WithTimeout(context.Background(), 2*time.Second)
}
