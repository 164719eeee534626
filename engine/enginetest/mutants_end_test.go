package enginetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// Mutants that end wrongly.
var endMutants = []mutant{
	{name: "Close does nothing", found: []string{"after Close methods return ErrClosed"}, bend: func(_ *world, b *bent) {
		calls := 0
		b.end = func(ctx context.Context) error {
			if calls++; calls == 1 {
				return nil
			}
			return b.Engine.Close(ctx)
		}
	}},
	{name: "the error after Close is another one", found: []string{"after Close methods return ErrClosed", "methods that run while the engine is closed"}, bend: func(_ *world, b *bent) {
		b.probe = func(ctx context.Context) error {
			if err := b.Engine.Probe(ctx); err != nil {
				return errors.New(err.Error())
			}
			return nil
		}
	}},
	{name: "events are delivered after Close", found: []string{"after Close methods return ErrClosed"}, bend: func(_ *world, b *bent) {
		var topic atomic.Pointer[string]
		b.deliver = func(t string, events []engine.Event) {
			topic.Store(&t)
			b.handler.Deliver(t, events)
		}
		b.end = func(ctx context.Context) error {
			defer time.AfterFunc(time.Nanosecond, func() {
				if t := topic.Load(); t != nil {
					b.handler.Deliver(*t, []engine.Event{event("late")})
				}
			})
			return b.Engine.Close(ctx)
		}
	}},
	{name: "Close leaves a goroutine", found: []string{"after Close methods return ErrClosed"}, bend: func(_ *world, b *bent) {
		b.end = func(ctx context.Context) error {
			go time.Sleep(time.Minute)
			return b.Engine.Close(ctx)
		}
	}},
	{name: "Close does not send what was published", found: []string{"Close waits until what was published is sent"}, bend: func(_ *world, b *bent) {
		var mu sync.Mutex
		gone := false
		b.publish = func(_ context.Context, t engine.Topic, ev engine.Event) error {
			time.AfterFunc(time.Millisecond, func() {
				mu.Lock()
				defer mu.Unlock()
				if !gone {
					_ = b.Engine.Publish(context.Background(), t, ev)
				}
			})
			return nil
		}
		b.end = func(ctx context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			gone = true
			return b.Engine.Close(ctx)
		}
	}},
	{name: "who leaves takes the subscriptions of all", found: []string{"one node leaves and the others go on"}, bend: func(w *world, b *bent) {
		var mu sync.Mutex
		var topics []engine.Topic
		b.subscribe = func(ctx context.Context, t engine.Topic) error {
			mu.Lock()
			defer mu.Unlock()
			topics = append(topics, t)
			return b.Engine.Subscribe(ctx, t)
		}
		b.end = func(ctx context.Context) error {
			for _, other := range w.all {
				for _, t := range topics {
					other.Engine.Unsubscribe(t)
				}
			}
			return b.Engine.Close(ctx)
		}
	}},
	{name: "a method fails after others were broken off", found: []string{"methods return when their context ends"}, bend: func(_ *world, b *bent) {
		broken := false
		b.read = func(ctx context.Context, t engine.Topic, since engine.Position, limit int) (engine.Page, error) {
			if ctx.Err() != nil {
				broken = true
			}
			if broken {
				return engine.Page{}, errors.New("broken")
			}
			return b.Engine.Read(ctx, t, since, limit)
		}
	}},
	{name: "Publish does not look at its context", hang: true, found: []string{"methods return while the link is cut"}, bend: func(_ *world, b *bent) {
		b.publish = func(_ context.Context, t engine.Topic, ev engine.Event) error {
			return b.Engine.Publish(context.Background(), t, ev)
		}
	}},
	{name: "Entries do not look at their context", hang: true, found: []string{"methods return while the link is cut"}, bend: func(_ *world, b *bent) {
		b.owners = func(context.Context) ([]string, error) { return b.Engine.Owners(context.Background()) }
	}},
	{name: "Renew waits long for a context that has ended", found: []string{"methods return when their context ends"}, bend: func(_ *world, b *bent) {
		b.renew = func(ctx context.Context, owner string, ttl time.Duration) (bool, error) {
			if ctx.Err() != nil {
				time.Sleep(time.Minute)
			}
			return b.Engine.Renew(ctx, owner, ttl)
		}
	}},
}

// Mutants that take faults wrongly.
var faultMutants = []mutant{
	{name: "nobody is told that the link was lost", found: []string{"D4 a link that was lost comes back", "D1 D2 a restart with the data", modelName}, bend: func(_ *world, b *bent) {
		b.resumed = func(...string) {}
	}},
	{name: "subscriptions end with the link", found: []string{"D4 a link that was lost comes back", "D4 a link that is lost again", "D1 D2 a restart with the data", "D3 topics that are left while the link is cut", modelName}, bend: func(_ *world, b *bent) {
		var mu sync.Mutex
		var topics []engine.Topic
		b.subscribe = func(ctx context.Context, t engine.Topic) error {
			mu.Lock()
			defer mu.Unlock()
			topics = append(topics, t)
			return b.Engine.Subscribe(ctx, t)
		}
		b.resumed = func(all ...string) {
			mu.Lock()
			defer mu.Unlock()
			for _, t := range topics {
				b.Engine.Unsubscribe(t)
			}
			topics = nil
			b.handler.Resumed(all...)
		}
	}},
	{name: "Resumed comes before the subscriptions stand", found: []string{modelName}, bend: func(_ *world, b *bent) {
		var mu sync.Mutex
		here := make(map[string]engine.Topic)
		b.subscribe = func(ctx context.Context, t engine.Topic) error {
			mu.Lock()
			defer mu.Unlock()
			here[t.Name] = t
			return b.Engine.Subscribe(ctx, t)
		}
		b.unsubscribe = func(t engine.Topic) {
			mu.Lock()
			defer mu.Unlock()
			delete(here, t.Name)
			b.Engine.Unsubscribe(t)
		}
		b.resumed = func(all ...string) {
			mu.Lock()
			defer mu.Unlock()
			for _, t := range here {
				b.Engine.Unsubscribe(t)
			}
			b.handler.Resumed(all...)
			time.AfterFunc(50*time.Millisecond, func() {
				mu.Lock()
				defer mu.Unlock()
				for _, t := range here {
					_ = b.Engine.Subscribe(context.Background(), t)
				}
			})
		}
	}},
	{name: "topics that were left come back with the link", found: []string{"D3 topics that are left while the link is cut"}, bend: func(_ *world, b *bent) {
		var mu sync.Mutex
		var topics []engine.Topic
		b.subscribe = func(ctx context.Context, t engine.Topic) error {
			mu.Lock()
			defer mu.Unlock()
			topics = append(topics, t)
			return b.Engine.Subscribe(ctx, t)
		}
		b.resumed = func(all ...string) {
			mu.Lock()
			defer mu.Unlock()
			for _, t := range topics {
				_ = b.Engine.Subscribe(context.Background(), t)
			}
			b.handler.Resumed(all...)
		}
	}},
	{name: "Probe does not look at the link", found: []string{"methods return while the link is cut"}, bend: func(_ *world, b *bent) {
		b.probe = func(context.Context) error { return nil }
	}},
	{name: "Publish is done later while the link is cut", found: []string{"methods return while the link is cut"}, bend: func(_ *world, b *bent) {
		b.publish = func(ctx context.Context, t engine.Topic, ev engine.Event) error {
			_ = b.Engine.Publish(ctx, t, ev)
			return nil
		}
	}},
	{name: "an engine cannot be closed without its link", hang: true, found: []string{"an engine whose link is cut can be closed"}, bend: func(_ *world, b *bent) {
		b.end = func(ctx context.Context) error {
			if _, err := b.Engine.Owners(ctx); err != nil {
				time.Sleep(time.Minute)
			}
			return b.Engine.Close(ctx)
		}
	}},
	{name: "what is missed is skipped in the chain", found: []string{"D4 a link that is lost again"}, bend: func(_ *world, b *bent) {
		last := make(map[string]uint64)
		b.onEvent(func(topic string, ev *engine.Event) {
			if ev.At.Epoch != "" {
				ev.Prev, last[topic] = last[topic], ev.At.Offset
			}
		})
	}},
	{name: "the epoch stays when the ground forgets", found: []string{"D2 a restart without the data", "D2 a ground that forgets"}, bend: func(_ *world, b *bent) {
		b.onEpoch(func(string) string { return "same" })
	}},
	{name: "there are two epochs, in turn", found: []string{"D2 a restart without the data", "D2 a ground that forgets"}, bend: func(w *world, b *bent) {
		w.alternate(b)
	}},
	{name: "an event is lost in a restart", found: []string{"D1 D2 a restart with the data"}, bend: func(_ *world, b *bent) {
		var lose atomic.Bool
		b.resumed = func(topics ...string) {
			lose.Store(true)
			b.handler.Resumed(topics...)
		}
		b.publish = func(ctx context.Context, t engine.Topic, ev engine.Event) error {
			if t.Class == engine.Recoverable && lose.CompareAndSwap(true, false) {
				return nil
			}
			return b.Engine.Publish(ctx, t, ev)
		}
	}},
	{name: "an event is published again in a restart", found: []string{"D1 D2 a restart with the data"}, bend: func(_ *world, b *bent) {
		var twice atomic.Bool
		b.resumed = func(topics ...string) {
			twice.Store(true)
			b.handler.Resumed(topics...)
		}
		b.publish = func(ctx context.Context, t engine.Topic, ev engine.Event) error {
			if t.Class == engine.Recoverable && twice.CompareAndSwap(true, false) {
				again := ev
				again.ID = ""
				_ = b.Engine.Publish(ctx, t, again)
			}
			return b.Engine.Publish(ctx, t, ev)
		}
	}},
	{name: "the lease of a node without a link is kept", found: []string{"D12 the lease of a node whose link is cut lapses"}, bend: func(_ *world, b *bent) {
		b.renew = func(ctx context.Context, owner string, _ time.Duration) (bool, error) {
			return b.Engine.Renew(ctx, owner, longTime)
		}
	}},
	{name: "a subscription is lost among many", found: []string{"D3 what is published after Subscribe", "many topics"}, bend: func(_ *world, b *bent) {
		var count atomic.Int64
		b.subscribe = func(ctx context.Context, t engine.Topic) error {
			// Every seventh: the suite looks at every 25th topic, and the workers may well
			// subscribe in an order in which the two never meet if this were 25 too.
			if n := count.Add(1); n%7 == 1 && n > 1 {
				return nil
			}
			return b.Engine.Subscribe(ctx, t)
		}
	}},
}

// alternate has the epochs of a topic alternate between two.
func (w *world) alternate(b *bent) {
	names := once(w, "names", make(map[string]string))
	b.onEpoch(func(e string) string {
		w.mu.Lock()
		defer w.mu.Unlock()
		if names[e] == "" {
			names[e] = []string{"one", "two"}[len(names)/6%2]
		}
		return names[e]
	})
}
