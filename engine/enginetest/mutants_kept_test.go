package enginetest

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// Mutants that keep wrongly.
var keepingMutants = []mutant{
	{name: "an event is handed out before it is kept", found: []string{"what is published can be read at once", "an event that was delivered can be read", modelName}, bend: func(_ *world, b *bent) {
		b.onPage(func(_ engine.Topic, _ engine.Position, p *engine.Page) {
			if n := len(p.Events); n > 0 && !p.More {
				p.At.Offset = p.Events[n-1].At.Offset - 1
				p.Events = p.Events[:n-1]
			}
		})
	}},
	{name: "positions are those of a replica that lags", found: []string{"an event that was delivered can be read", "D1 events of topics with a position follow it", "D2 positions of a thousand", modelName}, bend: func(_ *world, b *bent) {
		b.positions = func(ctx context.Context, topics []engine.Topic) ([]engine.Position, error) {
			at, err := b.Engine.Positions(ctx, topics)
			for i := range at {
				at[i].Offset = max(at[i].Offset, 1) - 1
			}
			return at, err
		}
	}},
	{name: "positions come in another order", found: []string{"D2 positions of a thousand", modelName}, bend: func(_ *world, b *bent) {
		b.positions = func(ctx context.Context, topics []engine.Topic) ([]engine.Position, error) {
			at, err := b.Engine.Positions(ctx, topics)
			slices.SortStableFunc(at, func(x, y engine.Position) int { return cmp.Compare(x.Epoch, y.Epoch) })
			return at, err
		}
	}},
	{name: "a topic gets its epoch with the first event", found: []string{"D2 a topic nobody has published to", modelName}, bend: func(w *world, b *bent) {
		b.positions = func(ctx context.Context, topics []engine.Topic) ([]engine.Position, error) {
			at, err := b.Engine.Positions(ctx, topics)
			for i := range at {
				if at[i].Offset == 0 {
					at[i].Epoch = "new"
				}
			}
			return at, err
		}
	}},
	{name: "the first event begins another epoch", found: []string{"D2 a topic nobody has published to"}, bend: func(w *world, b *bent) {
		b.publish = func(ctx context.Context, t engine.Topic, ev engine.Event) error {
			if w.first(t.Name) {
				w.ground.Wipe()
			}
			return b.Engine.Publish(ctx, t, ev)
		}
	}},
	{name: "all events are kept", found: []string{"keeps its last events, and not all", "D2 D4 Read says what is lost"}, bend: func(_ *world, b *bent) {
		b.onTopic(func(t *engine.Topic) { t.Size *= 1000 })
	}},
	{name: "too few events are kept", found: []string{"keeps its last events, and not all", modelName}, bend: func(_ *world, b *bent) {
		b.onTopic(func(t *engine.Topic) { t.Size = max(t.Size-1, 0) })
	}},
	{name: "events do not end", found: []string{"events of a Recoverable topic end"}, bend: func(_ *world, b *bent) {
		b.onTopic(func(t *engine.Topic) { t.TTL = time.Hour })
	}},
	{name: "events end early", found: []string{"events of a Recoverable topic end"}, bend: func(_ *world, b *bent) {
		b.onTopic(func(t *engine.Topic) { t.TTL /= 2 })
	}},
	{name: "the position ends with the events", found: []string{"events of a Recoverable topic end"}, bend: func(w *world, b *bent) {
		b.publish = func(ctx context.Context, t engine.Topic, ev engine.Event) error {
			if t.TTL < time.Minute {
				time.AfterFunc(t.TTL-time.Millisecond, w.ground.Wipe)
			}
			return b.Engine.Publish(ctx, t, ev)
		}
	}},
	{name: "Latest keeps 1,000 keys", found: []string{"keeps 1,024 keys"}, bend: func(_ *world, b *bent) {
		b.publish = func(ctx context.Context, t engine.Topic, ev engine.Event) error {
			if len(ev.Key) > 6 {
				ev.Key = ev.Key[:6]
			}
			return b.Engine.Publish(ctx, t, ev)
		}
	}},
	{name: "Latest keeps the oldest of a key", found: []string{"keeps the newest event of each key", "keeps 1,024 keys", modelName}, bend: func(w *world, b *bent) {
		b.publish = func(ctx context.Context, t engine.Topic, ev engine.Event) error {
			if t.Class == engine.Latest && !w.first(t.Name+"\x00"+ev.Key) {
				t.Class = engine.Ordered
			}
			return b.Engine.Publish(ctx, t, ev)
		}
	}},
	{name: "Latest is read in the order of keys", found: []string{"keeps the newest event of each key", modelName}, bend: func(_ *world, b *bent) {
		b.onPage(func(t engine.Topic, _ engine.Position, p *engine.Page) {
			if t.Class == engine.Latest {
				slices.SortFunc(p.Events, func(x, y engine.Event) int { return cmp.Compare(x.Key, y.Key) })
			}
		})
	}},
	{name: "an Ordered topic says nothing of what is lost", found: []string{"keeps its position only", "D2 a topic nobody has published to", modelName}, bend: func(_ *world, b *bent) {
		b.onPage(func(t engine.Topic, _ engine.Position, p *engine.Page) { p.Lost = p.Lost && t.Class != engine.Ordered })
	}},
	{name: "ids are ignored", found: []string{"D1 an id is published once", "by several nodes at once", modelName}, bend: func(_ *world, b *bent) {
		b.publish = func(ctx context.Context, t engine.Topic, ev engine.Event) error {
			ev.ID = ""
			return b.Engine.Publish(ctx, t, ev)
		}
	}},
	{name: "each node has ids of its own", found: []string{"D1 an id is published once", "by several nodes at once", modelName}, bend: func(_ *world, b *bent) {
		mine := rand.Text()
		b.publish = func(ctx context.Context, t engine.Topic, ev engine.Event) error {
			if ev.ID != "" {
				ev.ID += mine
			}
			return b.Engine.Publish(ctx, t, ev)
		}
	}},
	{name: "ids are those of all topics", found: []string{"D1 an id is published once", modelName}, bend: func(w *world, b *bent) {
		b.publish = func(ctx context.Context, t engine.Topic, ev engine.Event) error {
			if ev.ID != "" && !w.first(ev.ID) {
				return nil
			}
			return b.Engine.Publish(ctx, t, ev)
		}
	}},
	{name: "an id that is known is an error", found: []string{"D1 an id is published once", "by several nodes at once", modelName}, bend: func(w *world, b *bent) {
		b.publish = func(ctx context.Context, t engine.Topic, ev engine.Event) error {
			if ev.ID != "" && !w.first(t.Name+ev.ID) {
				return context.Canceled
			}
			return b.Engine.Publish(ctx, t, ev)
		}
	}},
}

// onTopic changes what is to be kept of topics that are published to.
func (b *bent) onTopic(change func(t *engine.Topic)) {
	b.publish = func(ctx context.Context, t engine.Topic, ev engine.Event) error {
		change(&t)
		return b.Engine.Publish(ctx, t, ev)
	}
}

// Mutants that read wrongly.
var readMutants = []mutant{
	{name: "there is never more", found: []string{"D4 pages join", "D4 a page has about a megabyte", modelName}, bend: func(_ *world, b *bent) {
		b.onPage(func(_ engine.Topic, _ engine.Position, p *engine.Page) { p.More = false })
	}},
	{name: "one event more than the limit", found: []string{"D4 pages join", modelName}, bend: func(_ *world, b *bent) {
		b.read = func(ctx context.Context, t engine.Topic, since engine.Position, limit int) (engine.Page, error) {
			return b.Engine.Read(ctx, t, since, limit+1)
		}
	}},
	{name: "since is read again", found: []string{"D4 pages join", modelName}, bend: func(_ *world, b *bent) {
		b.read = func(ctx context.Context, t engine.Topic, since engine.Position, limit int) (engine.Page, error) {
			if t.Class == engine.Recoverable && since.Offset > 0 {
				since.Offset--
			}
			return b.Engine.Read(ctx, t, since, limit)
		}
	}},
	{name: "a page has no bound", found: []string{"D4 a page has about a megabyte"}, bend: func(_ *world, b *bent) {
		b.read = func(ctx context.Context, t engine.Topic, since engine.Position, limit int) (p engine.Page, err error) {
			for {
				next, err := b.Engine.Read(ctx, t, since, limit-len(p.Events))
				if err != nil {
					return p, err
				}
				next.Events = append(p.Events, next.Events...)
				next.Lost = next.Lost || p.Lost
				p = next
				if !p.More || len(p.Events) == limit {
					return p, nil
				}
				since = p.Events[len(p.Events)-1].At
			}
		}
	}},
	{name: "a large event is left out", found: []string{"D4 a page has about a megabyte"}, bend: func(_ *world, b *bent) {
		b.onPage(func(_ engine.Topic, _ engine.Position, p *engine.Page) {
			p.Events = slices.DeleteFunc(p.Events, func(ev engine.Event) bool { return len(ev.Data) > 1<<19 })
		})
	}},
	{name: "nothing is ever lost", found: []string{"D2 D4 Read says what is lost", "events of a Recoverable topic end", "without the data", "that forgets", modelName}, bend: func(_ *world, b *bent) {
		b.onPage(func(t engine.Topic, _ engine.Position, p *engine.Page) { p.Lost = false })
	}},
	{name: "what is lost is lost from the beginning", found: []string{"D2 D4 Read says what is lost", modelName}, bend: func(_ *world, b *bent) {
		b.onPage(func(_ engine.Topic, since engine.Position, p *engine.Page) { p.Lost = p.Lost || since.Epoch == "" })
	}},
	{name: "epochs are not compared", found: []string{"D2 D4 Read says what is lost", "keeps the newest event of each key", "without the data"}, bend: func(_ *world, b *bent) {
		b.read = func(ctx context.Context, t engine.Topic, since engine.Position, limit int) (engine.Page, error) {
			at, err := b.Engine.Positions(ctx, []engine.Topic{t})
			if err != nil {
				return engine.Page{}, err
			}
			if (since != engine.Position{}) {
				since.Epoch = at[0].Epoch
			}
			return b.Engine.Read(ctx, t, since, limit)
		}
	}},
	{name: "nothing is lost after the last event", found: []string{"D2 D4 Read says what is lost"}, bend: func(_ *world, b *bent) {
		b.onPage(func(t engine.Topic, since engine.Position, p *engine.Page) {
			if t.Class == engine.Recoverable && since.Epoch == p.At.Epoch && since.Offset > p.At.Offset {
				p.Lost, p.Events, p.More = false, nil, false
			}
		})
	}},
	{name: "where something is lost nothing is read", found: []string{"D2 D4 Read says what is lost", modelName}, bend: func(_ *world, b *bent) {
		b.onPage(func(_ engine.Topic, _ engine.Position, p *engine.Page) {
			if p.Lost {
				p.Events, p.More = nil, false
			}
		})
	}},
	{name: "what is read names another as the event before it", found: []string{"what is published can be read", "D4 pages join", "D9 events arrive", modelName}, bend: func(_ *world, b *bent) {
		b.onPage(func(_ engine.Topic, _ engine.Position, p *engine.Page) {
			for i := range p.Events {
				p.Events[i].Prev = p.Events[i].At.Offset
			}
		})
	}},
}
