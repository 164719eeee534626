package nats_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/nats"
)

// node is an engine and what it has told its hub.
type node struct {
	*nats.Engine
	tb testing.TB

	mu      sync.Mutex // guards what follows
	changed *sync.Cond
	events  map[string][]engine.Event
	resumed int
	deliver engine.Handler // in place of events, if it is set
}

func (n *node) Deliver(topic string, events []engine.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.deliver != nil {
		n.deliver.Deliver(topic, events)
		return
	}
	n.events[topic] = append(n.events[topic], events...)
	n.changed.Broadcast()
}

func (n *node) Resumed(...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.resumed++
	n.changed.Broadcast()
}

// wait waits until is returns true, which it is asked after each event.
func (n *node) wait(what string, is func() bool) {
	n.tb.Helper()
	late := time.AfterFunc(60*time.Second, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.tb = nil
		n.changed.Broadcast()
	})
	defer late.Stop()
	n.mu.Lock()
	defer n.mu.Unlock()
	for tb := n.tb; !is(); n.changed.Wait() {
		if n.tb == nil {
			n.tb = tb
			tb.Fatalf("waited in vain for %s", what)
		}
	}
}

// got returns the data of the events of a topic when there are n of them.
func (n *node) got(t engine.Topic, count int) []engine.Event {
	n.tb.Helper()
	var events []engine.Event
	n.wait(fmt.Sprintf("%d events of %s", count, t.Name), func() bool {
		events = slices.Clone(n.events[t.Name])
		return len(events) >= count
	})
	return events
}

// start starts an engine.
func start(tb testing.TB, e *nats.Engine, err error) *node {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	n := &node{Engine: e, tb: tb, events: make(map[string][]engine.Event)}
	n.changed = sync.NewCond(&n.mu)
	e.Start(n)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			tb.Error(err)
		}
	})
	return n
}

// connect starts an engine on a server.
func connect(tb testing.TB, url string, change ...func(*nats.Options)) *node {
	tb.Helper()
	o := nats.Options{URLs: []string{url}, Logger: logger(tb)}
	for _, c := range change {
		c(&o)
	}
	return connectWith(tb, o)
}

func connectWith(tb testing.TB, o nats.Options) *node {
	tb.Helper()
	e, err := nats.New(o)
	return start(tb, e, err)
}

// logger writes into the test's output.
func logger(tb testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(tb.Output(), nil))
}

func (n *node) publish(t engine.Topic, data string) {
	n.tb.Helper()
	ev := engine.Event{ID: rand.Text(), Data: []byte(data)}
	n.do("publish", func(ctx context.Context) error { return n.Publish(ctx, t, ev) })
}

func (n *node) subscribe(t engine.Topic) {
	n.tb.Helper()
	n.do("subscribe", func(ctx context.Context) error { return n.Subscribe(ctx, t) })
}

func (n *node) position(t engine.Topic) (at engine.Position) {
	n.tb.Helper()
	n.do("position", func(ctx context.Context) error {
		all, err := n.Positions(ctx, []engine.Topic{t})
		if err == nil {
			at = all[0]
		}
		return err
	})
	return at
}

func (n *node) read(t engine.Topic, since engine.Position) (page engine.Page) {
	n.tb.Helper()
	n.do("read", func(ctx context.Context) (err error) {
		page, err = n.Read(ctx, t, since, 10_000)
		return err
	})
	return page
}

// do calls f as often as it fails, as a program would that insists.
func (n *node) do(what string, f func(context.Context) error) {
	n.tb.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		ctx, cancel := context.WithTimeout(n.tb.Context(), 10*time.Second)
		err := f(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			n.tb.Fatalf("%s: %v", what, err)
		}
		n.tb.Logf("%s, again: %v", what, err)
	}
}

func topicOf(class engine.Class) engine.Topic {
	t := engine.Topic{Name: class.String() + ":" + rand.Text(), Class: class}
	if class == engine.Recoverable {
		t.Size, t.TTL = 100, time.Hour
	}
	return t
}

func texts(events []engine.Event) []string {
	all := make([]string, len(events))
	for i, ev := range events {
		all[i] = string(ev.Data)
	}
	return all
}
