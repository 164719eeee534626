package enginetest

import (
	"bytes"
	"context"
	"iter"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// published changes what is published.
func published(change func(ev *engine.Event)) func(*world, *bent) {
	return func(_ *world, b *bent) {
		b.publish = func(ctx context.Context, t engine.Topic, ev engine.Event) error {
			change(&ev)
			return b.Engine.Publish(ctx, t, ev)
		}
	}
}

const payloads9 = "D9 events arrive as they were published"

// Mutants that change what they carry.
var payloadMutants = []mutant{
	{name: "Except is lost", found: []string{payloads9}, bend: published(func(ev *engine.Event) { ev.Except = "" })},
	{name: "Except is a line", found: []string{payloads9}, bend: published(func(ev *engine.Event) { ev.Except, _, _ = strings.Cut(ev.Except, "\r\n") })},
	{name: "Binary is lost", found: []string{payloads9}, bend: published(func(ev *engine.Event) { ev.Binary = false })},
	{name: "the key is lost", found: []string{payloads9, "keeps the newest event of each key", "keys of a Latest topic are any bytes"}, bend: published(func(ev *engine.Event) { ev.Key = "" })},
	{name: "large data is cut off", found: []string{payloads9}, bend: published(func(ev *engine.Event) { ev.Data = ev.Data[:min(len(ev.Data), 1<<20-1)] })},
	{name: "data is text", found: []string{payloads9}, bend: published(func(ev *engine.Event) { ev.Data = bytes.ToValidUTF8(ev.Data, []byte("?")) })},
	{name: "data is trimmed", found: []string{payloads9}, bend: published(func(ev *engine.Event) { ev.Data = bytes.TrimSpace(ev.Data) })},
	{name: "an event without data is not published", found: []string{payloads9}, bend: func(_ *world, b *bent) {
		b.publish = func(ctx context.Context, t engine.Topic, ev engine.Event) error {
			if len(ev.Data) == 0 {
				return nil
			}
			return b.Engine.Publish(ctx, t, ev)
		}
	}},
	{name: "what is delivered and what is read have other times", found: []string{payloads9}, bend: func(_ *world, b *bent) {
		b.onPage(func(_ engine.Topic, _ engine.Position, p *engine.Page) {
			for i := range p.Events {
				p.Events[i].Time = p.Events[i].Time.Add(time.Second)
			}
		})
	}},
	{name: "Publish changes its data", found: []string{"an event and its data belong to the hub"}, bend: func(_ *world, b *bent) {
		b.publish = func(ctx context.Context, t engine.Topic, ev engine.Event) error {
			defer scribble(ev.Data)
			return b.Engine.Publish(ctx, t, ev)
		}
	}},
	{name: "Publish keeps its data", found: []string{"an event and its data belong to the hub"}, bend: func(_ *world, b *bent) {
		b.publish = func(_ context.Context, t engine.Topic, ev engine.Event) error {
			time.AfterFunc(time.Millisecond, func() {
				synctest.Wait() // the race detector is not to find it first
				_ = b.Engine.Publish(context.Background(), t, ev)
			})
			return nil
		}
	}},
	{name: "nodes share the data of an event", found: []string{"an event and its data belong to the hub", "D1 all nodes see one order"}, bend: func(w *world, b *bent) {
		share := once(w, "share", make(map[string][]byte))
		b.deliver = func(topic string, events []engine.Event) {
			w.mu.Lock() // for the race detector: they do not come at once
			defer w.mu.Unlock()
			for i := range events {
				of := topic + string(events[i].Data)
				if share[of] == nil {
					share[of] = events[i].Data
				}
				events[i].Data = share[of]
			}
			b.handler.Deliver(topic, events)
		}
	}},
	{name: "data is read into one buffer", found: []string{"D1 all nodes see one order"}, bend: func(_ *world, b *bent) {
		buffer := make([]byte, 1<<10)
		b.onEvent(func(_ string, ev *engine.Event) {
			n := copy(buffer, ev.Data)
			ev.Data = buffer[:n]
		})
	}},
	{name: "pages share their data", found: []string{"an event and its data belong to the hub"}, bend: func(w *world, b *bent) {
		share := once(w, "share", &sync.Map{})
		b.onPage(func(_ engine.Topic, _ engine.Position, p *engine.Page) {
			for i := range p.Events {
				data, _ := share.LoadOrStore(p.Events[i].At, p.Events[i].Data)
				p.Events[i].Data = data.([]byte)
			}
		})
	}},
}

// renamed maps names of topics carelessly.
func renamed(careless func(name string) string) func(*world, *bent) {
	return func(_ *world, b *bent) {
		var mu sync.Mutex
		last := make(map[string]string) // name that is mapped to each
		mapped := func(t engine.Topic) engine.Topic {
			t.Name = careless(t.Name)
			return t
		}
		b.publish = func(ctx context.Context, t engine.Topic, ev engine.Event) error {
			return b.Engine.Publish(ctx, mapped(t), ev)
		}
		b.subscribe = func(ctx context.Context, t engine.Topic) error {
			mu.Lock()
			last[careless(t.Name)] = t.Name
			mu.Unlock()
			return b.Engine.Subscribe(ctx, mapped(t))
		}
		b.deliver = func(topic string, events []engine.Event) {
			mu.Lock()
			name := last[topic]
			mu.Unlock()
			b.handler.Deliver(name, events)
		}
		b.read = func(ctx context.Context, t engine.Topic, since engine.Position, limit int) (engine.Page, error) {
			return b.Engine.Read(ctx, mapped(t), since, limit)
		}
		b.positions = func(ctx context.Context, topics []engine.Topic) ([]engine.Position, error) {
			var all []engine.Topic
			for _, t := range topics {
				all = append(all, mapped(t))
			}
			return b.Engine.Positions(ctx, all)
		}
	}
}

const (
	topicNames    = "names of topics are any bytes"
	keyNames      = "keys of a Latest topic are any bytes"
	registryNames = "names of the registry are any bytes"
)

// careless are mappings that do not tell all names apart.
var careless = map[string]func(string) string{
	"dots are underscores":            func(s string) string { return strings.ReplaceAll(s, ".", "_") },
	"spaces are underscores":          func(s string) string { return strings.ReplaceAll(s, " ", "_") },
	"stars are escaped, and % is not": func(s string) string { return strings.ReplaceAll(s, " ", "%20") },
	"colons are dots":                 func(s string) string { return strings.ReplaceAll(s, ":", ".") },
	"case is lost":                    strings.ToLower,
	"names are trimmed":               strings.TrimSpace,
	"names end with a zero byte": func(s string) string {
		before, after, found := strings.Cut(s, "\x00")
		if found && len(after) > 1 {
			return before + after[len(after)-1:]
		}
		return s
	},
	"names are text":               func(s string) string { return strings.ToValidUTF8(s, "\ufffd") },
	"control characters are gone":  func(s string) string { return strings.ReplaceAll(s, "\r", "") },
	"names have 500 bytes at most": func(s string) string { return s[:min(len(s), 500)] },
}

var nameMutants = func() (all []mutant) {
	for name, f := range careless {
		all = append(all, mutant{name: "in topics " + name, found: []string{topicNames}, bend: renamed(f)})
		key := func(ev *engine.Event) { ev.Key = f(ev.Key) }
		if !strings.Contains(name, "500") && name != "names end with a zero byte" {
			all = append(all, mutant{name: "in keys " + name, found: []string{keyNames}, bend: published(key)})
		}
		all = append(all, mutant{name: "in the registry " + name, found: []string{registryNames}, bend: func(_ *world, b *bent) { b.renameRegistry(f) }})
	}
	return all
}()

// renameRegistry maps the names of groups, members and keys carelessly.
func (b *bent) renameRegistry(f func(string) string) {
	b.put = func(ctx context.Context, e engine.Entry) error {
		e.Group, e.Member = f(e.Group), f(e.Member)
		return b.Engine.Put(ctx, e)
	}
	b.entries = func(ctx context.Context, group string) iter.Seq2[engine.Entry, error] {
		return func(yield func(engine.Entry, error) bool) {
			for e, err := range b.Engine.Entries(ctx, f(group)) {
				e.Group = group
				if !yield(e, err) {
					return
				}
			}
		}
	}
	b.keep = func(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, error) {
		return b.Engine.Keep(ctx, f(key), value, ttl)
	}
	b.forget = func(ctx context.Context, key string) error { return b.Engine.Forget(ctx, f(key)) }
}
