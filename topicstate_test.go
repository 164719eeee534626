package kanava

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kanava-go/kanava/internal/form"
)

// witness is a subscriber that notes where its topics stand.
type witness struct {
	t    *rapid.T
	subs map[string]*subscription
	at   map[string]form.Position
}

func (w *witness) id() string { return "witness" }

func (w *witness) isNamed(id string) bool { return id == w.id() }

func (w *witness) subscribed(sub *subscription, at form.Position) {
	if was := w.at[sub.topic]; at.Epoch == was.Epoch && at.Offset < was.Offset {
		w.t.Fatalf("%s goes back from %v to %v", sub.topic, was, at)
	}
	w.at[sub.topic] = at
}

func (w *witness) deliver(ev *event, sub *subscription) {
	if was := w.at[sub.topic]; ev.at.Epoch != was.Epoch || ev.at.Offset != was.Offset+1 {
		w.t.Fatalf("%s goes from %v to %v", sub.topic, was, ev.at)
	}
	w.at[sub.topic] = ev.at
}

func (w *witness) pass(ev *event, sub *subscription) { w.deliver(ev, sub) }

func (w *witness) moved(sub *subscription, _ form.Position) { w.t.Fatalf("%s moved", sub.topic) }

func (w *witness) subscribe(_ context.Context, at hubTopic, _ *family, _ string, add func(*subscription)) error {
	if w.subs[at.topic] == nil {
		w.subs[at.topic] = &subscription{hubTopic: at, to: w}
		add(w.subs[at.topic])
	}
	return nil
}

func (w *witness) unsubscribe(_ context.Context, at hubTopic) error {
	if sub := w.subs[at.topic]; sub != nil {
		delete(w.subs, at.topic)
		sub.drop(true)
	}
	return nil
}

// Whenever topics are forgotten, a position of an epoch never comes twice for
// different events, and an epoch never comes back.
func TestD2_PositionsOfATopic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := NewEventHub(HubOptions{})
		defer h.Close()
		w := &witness{t, make(map[string]*subscription), make(map[string]form.Position)}
		h.sinks.Store(w.id(), w)
		type stand struct {
			form.Position
			known bool // the hub has to know it still
		}
		model := make(map[string]*stand)
		epochs := make(map[string]string) // whose they are
		topic := func(t *rapid.T) string { return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "topic") }
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"subscribe": func(t *rapid.T) {
				name := topic(t)
				again := w.subs[name] != nil
				must(h.Subscribe(context.Background(), name, w.id()))
				got, m := w.at[name], model[name]
				switch {
				case again:
				case m != nil && m.known:
					if got != m.Position {
						t.Fatalf("%s stands at %v, not %v", name, got, m.Position)
					}
				case epochs[got.Epoch] != "" || got.Offset != 0 || len(got.Epoch) > 16:
					t.Fatalf("%s begins at %v", name, got)
				default:
					epochs[got.Epoch] = name
					model[name] = &stand{got, true}
				}
			},
			"unsubscribe": func(t *rapid.T) { must(h.Unsubscribe(context.Background(), topic(t), w.id())) },
			"publish": func(t *rapid.T) {
				name := topic(t)
				must(h.Publish(context.Background(), name, 1))
				if m := model[name]; m != nil && m.known {
					m.Offset++
				}
			},
			"forget": func(*rapid.T) { // all that are idle
				for i := range h.shards {
					sh := &h.shards[i]
					sh.mu.Lock()
					for e := sh.idle.Front(); e != nil; e = e.Next() {
						ts := e.Value.(*topicState)
						ts.since = time.Now().Add(-2 * idleTime)
						model[ts.topic].known = false
					}
					if sh.idle.Len() > 0 {
						other := &topicState{topic: "other"}
						sh.topics["other"] = other
						h.rest(sh, other, time.Now())
						sh.idle.Remove(other.idle)
						delete(sh.topics, "other")
					}
					sh.mu.Unlock()
				}
			},
			"": func(t *rapid.T) {
				for name, sub := range w.subs {
					if got := w.at[name]; sub.ended.isSet() || got != model[name].Position {
						t.Fatalf("%s stands at %v, not %v", name, got, model[name].Position)
					}
				}
			},
		})
	})
}

// What is kept of topics without subscribers is bounded.
func TestD2_IdleTopicsAreBounded(t *testing.T) {
	h := NewEventHub(HubOptions{})
	defer h.Close()
	l := h.Listen(func(context.Context, Event) {})
	for i := range 3 * idleMost * len(h.shards) / 2 {
		name := string(rune('a'+i%26)) + time.Duration(i).String()
		if err := h.Subscribe(t.Context(), name, l.ID()); err != nil {
			t.Fatal(err)
		}
		if err := h.Unsubscribe(t.Context(), name, l.ID()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range h.shards {
		if sh := &h.shards[i]; len(sh.topics) != sh.idle.Len() || sh.idle.Len() > idleMost {
			t.Fatalf("shard %d keeps %d topics, %d of them idle", i, len(sh.topics), sh.idle.Len())
		}
	}
}
