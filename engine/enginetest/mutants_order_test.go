package enginetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// Mutants that deliver wrongly.
var orderMutants = []mutant{
	{name: "every second event overtakes the one before", found: []string{"D1 all nodes see one order", "Volatile events of one publisher"}, bend: func(_ *world, b *bent) {
		held := make(map[string][]engine.Event)
		b.deliver = func(topic string, events []engine.Event) {
			for _, ev := range events {
				if held[topic] = append(held[topic], ev); len(held[topic]) == 2 {
					slices.Reverse(held[topic])
					b.handler.Deliver(topic, held[topic])
					delete(held, topic)
				}
			}
		}
	}},
	{name: "an event comes twice", found: []string{"D1 all nodes see one order", "Volatile events of one publisher"}, bend: func(_ *world, b *bent) {
		b.deliver = func(topic string, events []engine.Event) {
			again := slices.Clone(events[len(events)-1:])
			again[0].Data = slices.Clone(again[0].Data)
			b.handler.Deliver(topic, append(events, again...))
		}
	}},
	{name: "an event is published twice", found: []string{"D1 all nodes see one order", "Volatile events of one publisher", modelName}, bend: func(_ *world, b *bent) {
		b.publish = func(ctx context.Context, t engine.Topic, ev engine.Event) error {
			return errors.Join(b.Engine.Publish(ctx, t, ev), b.Engine.Publish(ctx, t, ev))
		}
	}},
	{name: "an event in twenty does not come", found: []string{"D1 all nodes see one order", "Volatile events of one publisher", "topics that are published to at once", modelName}, bend: func(w *world, b *bent) {
		count := once(w, "count", new(atomic.Int64))
		b.deliver = func(topic string, events []engine.Event) {
			events = slices.DeleteFunc(events, func(engine.Event) bool { return count.Add(1)%20 == 0 })
			if len(events) > 0 {
				b.handler.Deliver(topic, events)
			}
		}
	}},
	{name: "events of other topics come too", found: []string{"topics that are published to at once"}, bend: func(_ *world, b *bent) {
		first := make(map[string]string) // topic of a class
		b.deliver = func(topic string, events []engine.Event) {
			class := topic[:len("suite:re")]
			if first[class] == "" {
				first[class] = topic
			}
			b.handler.Deliver(first[class], events)
		}
	}},
	{name: "each node has an order of its own", found: []string{"D1 all nodes see one order"}, bend: func(w *world, b *bent) {
		next := uint64(len(w.all))
		b.deliver = func(topic string, events []engine.Event) {
			for i := range events {
				next++
				events[i].Prev, events[i].At.Offset = next-1, next
			}
			b.handler.Deliver(topic, events)
		}
	}},
	{name: "calls of Deliver overlap", found: []string{"D1 all nodes see one order"}, bend: func(_ *world, b *bent) {
		b.deliver = func(topic string, events []engine.Event) {
			var both sync.WaitGroup
			for _, part := range [][]engine.Event{events[:len(events)/2], events[len(events)/2:]} {
				if len(part) > 0 {
					both.Go(func() { b.handler.Deliver(topic, part) })
				}
			}
			both.Wait()
		}
	}},
	{name: "no event names the one before it", found: []string{"one order of many publishers to an Ordered", "one order of many publishers to a Recoverable"}, bend: func(_ *world, b *bent) {
		b.onEvent(func(_ string, ev *engine.Event) { ev.Prev = 0 })
	}},
	{name: "Volatile events have positions", found: []string{"Volatile events of one publisher"}, bend: func(_ *world, b *bent) {
		b.onEvent(func(_ string, ev *engine.Event) {
			if ev.At.Epoch == "" {
				ev.At = engine.Position{Epoch: "e", Offset: 1}
			}
		})
	}},
	{name: "the epoch has a hyphen", found: []string{"D1 all nodes see one order", "D2 a topic nobody has published to"}, bend: func(_ *world, b *bent) { b.onEpoch(func(e string) string { return e[:8] + "-" }) }},
	{name: "the epoch is long", found: []string{"D1 all nodes see one order", "D2 a topic nobody has published to"}, bend: func(_ *world, b *bent) { b.onEpoch(func(e string) string { return e + "x" }) }},
	{name: "the epoch is empty", found: []string{"D2 a topic nobody has published to"}, bend: func(_ *world, b *bent) { b.onEpoch(func(string) string { return "" }) }},
	{name: "each node has an epoch of its own", found: []string{"D2 a topic nobody has published to", modelName}, bend: func(w *world, b *bent) {
		mine := fmt.Sprint(len(w.all))
		b.onEpoch(func(e string) string { return e[:8] + mine })
	}},
	{name: "offsets are too large for a client", found: []string{"D1 all nodes see one order"}, bend: func(_ *world, b *bent) {
		b.onEvent(func(_ string, ev *engine.Event) { ev.At.Offset |= 1 << 60 })
	}},
	{name: "events have no time", found: []string{"D1 all nodes see one order"}, bend: func(_ *world, b *bent) {
		b.onEvent(func(_ string, ev *engine.Event) { ev.Time = time.Time{} })
	}},
	{name: "Subscribe returns before it is done", found: []string{"D3 what is published after Subscribe"}, bend: func(_ *world, b *bent) {
		b.subscribe = func(_ context.Context, t engine.Topic) error {
			time.AfterFunc(10*time.Millisecond, func() { _ = b.Engine.Subscribe(context.Background(), t) })
			return nil
		}
	}},
	{name: "a topic cannot be subscribed to again", found: []string{"D3 a topic can be subscribed to again", "D3 subscriptions come and go", modelName}, bend: func(_ *world, b *bent) {
		var mu sync.Mutex
		left := make(map[string]bool)
		b.unsubscribe = func(t engine.Topic) {
			mu.Lock()
			defer mu.Unlock()
			left[t.Name] = true
			b.Engine.Unsubscribe(t)
		}
		b.subscribe = func(ctx context.Context, t engine.Topic) error {
			mu.Lock()
			defer mu.Unlock()
			if left[t.Name] {
				return nil
			}
			return b.Engine.Subscribe(ctx, t)
		}
	}},
	{name: "Unsubscribe does nothing", found: []string{"D3 after Unsubscribe nothing more", "many topics"}, bend: func(_ *world, b *bent) { b.unsubscribe = func(engine.Topic) {} }},
	{name: "Unsubscribe ends another subscription too", found: []string{"D3 after Unsubscribe nothing more"}, bend: func(_ *world, b *bent) {
		var last []engine.Topic
		b.subscribe = func(ctx context.Context, t engine.Topic) error {
			last = append(last, t)
			return b.Engine.Subscribe(ctx, t)
		}
		b.unsubscribe = func(t engine.Topic) {
			b.Engine.Unsubscribe(t)
			b.Engine.Unsubscribe(last[len(last)-1])
		}
	}},
	{name: "Unsubscribe of what is not subscribed to panics", found: []string{"D3 Unsubscribe of what is not subscribed to"}, bend: func(_ *world, b *bent) {
		here := make(map[string]bool)
		b.subscribe = func(ctx context.Context, t engine.Topic) error {
			here[t.Name] = true
			return b.Engine.Subscribe(ctx, t)
		}
		b.unsubscribe = func(t engine.Topic) {
			if !here[t.Name] {
				panic(broken("it is not subscribed to"))
			}
			delete(here, t.Name)
			b.Engine.Unsubscribe(t)
		}
	}},
	{name: "Probe never comes back", found: []string{"D4 Probe comes back"}, bend: func(_ *world, b *bent) {
		b.probe = func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
	}},
	{name: "a subscription has a goroutine", found: []string{"many topics"}, bend: func(_ *world, b *bent) {
		var mu sync.Mutex
		ends := make(map[string]chan struct{})
		b.subscribe = func(ctx context.Context, t engine.Topic) error {
			mu.Lock()
			defer mu.Unlock()
			end := make(chan struct{})
			ends[t.Name] = end
			go func() { <-end }()
			return b.Engine.Subscribe(ctx, t)
		}
		b.end = func(ctx context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			for _, end := range ends {
				close(end)
			}
			clear(ends)
			return b.Engine.Close(ctx)
		}
	}},
}

// onEvent changes each event that is delivered.
func (b *bent) onEvent(change func(topic string, ev *engine.Event)) {
	b.deliver = func(topic string, events []engine.Event) {
		for i := range events {
			change(topic, &events[i])
		}
		b.handler.Deliver(topic, events)
	}
}

// onPage changes each page that is read.
func (b *bent) onPage(change func(t engine.Topic, since engine.Position, p *engine.Page)) {
	b.read = func(ctx context.Context, t engine.Topic, since engine.Position, limit int) (engine.Page, error) {
		p, err := b.Engine.Read(ctx, t, since, limit)
		if err == nil {
			change(t, since, &p)
		}
		return p, err
	}
}

// onEpoch changes each epoch, wherever it stands.
func (b *bent) onEpoch(change func(epoch string) string) {
	b.onEvent(func(_ string, ev *engine.Event) {
		if ev.At.Epoch != "" {
			ev.At.Epoch = change(ev.At.Epoch)
		}
	})
	b.onPage(func(_ engine.Topic, _ engine.Position, p *engine.Page) {
		p.At.Epoch = change(p.At.Epoch)
		for i := range p.Events {
			p.Events[i].At.Epoch = change(p.Events[i].At.Epoch)
		}
	})
	b.positions = func(ctx context.Context, topics []engine.Topic) ([]engine.Position, error) {
		at, err := b.Engine.Positions(ctx, topics)
		for i := range at {
			if at[i].Epoch != "" {
				at[i].Epoch = change(at[i].Epoch)
			}
		}
		return at, err
	}
}
