package kanava

import (
	"fmt"
	"reflect"
	"runtime/debug"
	"sync"

	"github.com/kanava-go/kanava/internal/typemodel"
)

// View makes subscribers see events of a topic as their session wants it: by
// says which view a session has, its role say, or the zero session where nobody
// has signed in, and f what an event is in that view. Where ok is false those who
// have that view do not get the event. It is so for live events, for those that
// are recovered, and for what a [Latest] topic keeps, under the session that the
// connection has when they are sent. Listeners and Topic.History see the
// original.
//
// f runs once for each view of an event, however many have it, and so should have
// few values V; by runs for each subscriber. Both run apart from the publisher. A
// panic in one of them is logged, and keeps the event from who has that view. T
// is the type of the topic's events: f returns another one, it does not change
// what e points to. NewTopic panics if the types do not match, and Wire if the
// channel has other sessions.
func View[Session, T any, V comparable](by func(Session) V, f func(e T, view V) (out T, ok bool)) TopicOption {
	where := callerPlace(0)
	mustFunc(by == nil, "View", where)
	mustFunc(f == nil, "View", where)
	return func(t *family) {
		if t.view != nil {
			panic(fmt.Sprintf("kanava: topic %q at %s: View stands twice", t.name, t.where))
		}
		t.takeSession("View", reflect.TypeFor[Session]())
		t.view = &view[Session, T, V]{by: by, f: f}
	}
}

// takeSession notes the session that an option is for.
func (f *family) takeSession(option string, session reflect.Type) {
	if f.session != nil && f.session != session {
		panic(fmt.Sprintf("kanava: topic %q at %s: %s is for the session %s, another option for %s", f.name, f.where, option, session, f.session))
	}
	f.session = session
}

// encode sets the payload of an event that was published without its type; f may
// be nil.
func (f *family) encode(ev *event, payload any) error {
	if f == nil || f.view == nil {
		return ev.encode(payload, nil)
	}
	return f.view.encode(ev, payload)
}

// viewer is a View with its types erased.
type viewer interface {
	// bind is called once, by NewTopic.
	bind(m making, h *EventHub, event reflect.Type, model *typemodel.Model)
	// of returns the view that a session has, nil if that cannot be said.
	of(session any) any
	// see returns the event in the view of a session, nil if it is not seen.
	see(ev *event, session any) *event
	// seeAs is see for a view that of has returned.
	seeAs(ev *event, v any) *event
	// encode is that of an event that has to be of the topic's type.
	encode(ev *event, payload any) error
	// cache returns what an event keeps of its views.
	cache() any
}

type view[Session, T any, V comparable] struct {
	by    func(Session) V
	f     func(T, V) (T, bool)
	hub   *EventHub
	model *typemodel.Model // of T
}

// viewsMost bounds what is kept of one event: further views are made for each
// who has them.
const viewsMost = 64

// views are those of one event.
type views[V comparable] struct {
	mu   sync.Mutex
	made map[V]*viewOnce // guarded by mu
}

type viewOnce struct {
	once sync.Once
	seen *event // set in once
}

func (w *view[Session, T, V]) bind(m making, h *EventHub, event reflect.Type, model *typemodel.Model) {
	if want := reflect.TypeFor[T](); want != event {
		m.wrong("its View is for events of type %s, not %s", want, event)
	}
	w.hub, w.model = h, model
}

func (w *view[Session, T, V]) cache() any { return new(views[V]) }

func (w *view[Session, T, V]) encode(ev *event, payload any) error {
	if _, ok := payload.(T); !ok && payload != nil {
		return fmt.Errorf("kanava: View of topic %q takes a %s, but the event is a %T", ev.topic, reflect.TypeFor[T](), payload)
	}
	return ev.encode(payload, w.model)
}

func (w *view[Session, T, V]) of(session any) (v any) {
	defer w.caught("", func() { v = nil })
	if x, ok := w.choose("", session); ok && reflect.ValueOf(&x).Elem().Comparable() {
		v = x
	}
	return v
}

func (w *view[Session, T, V]) choose(topic string, session any) (v V, ok bool) {
	s, ok := session.(Session)
	if !ok && session != nil {
		w.hub.opts.Logger.Error("View is for another session", "topic", topic, "is for", reflect.TypeFor[Session](), "session", reflect.TypeOf(session))
		return v, false
	}
	return w.by(s), true
}

func (w *view[Session, T, V]) see(ev *event, session any) (seen *event) {
	defer w.caught(ev.topic, func() { seen = nil })
	v, ok := w.choose(ev.topic, session)
	if !ok {
		return nil
	}
	made, _ := ev.views.(*views[V])
	x := made.get(v)
	if x == nil {
		return w.show(ev, v)
	}
	x.once.Do(func() { x.seen = w.show(ev, v) })
	return x.seen
}

// get returns the place of a view, nil if there are too many, or none are kept.
func (c *views[V]) get(v V) *viewOnce {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.made[v]
	if x == nil && len(c.made) < viewsMost {
		if c.made == nil {
			c.made = make(map[V]*viewOnce)
		}
		x = new(viewOnce)
		c.made[v] = x
	}
	return x
}

func (w *view[Session, T, V]) seeAs(ev *event, v any) *event { return w.show(ev, v.(V)) }

// show makes the view of an event.
func (w *view[Session, T, V]) show(ev *event, v V) (seen *event) {
	defer w.caught(ev.topic, func() { seen = nil })
	payload := ev.payload()
	e, _ := payload.(T)
	out, ok := w.f(e, v)
	if !ok {
		return nil
	}
	if sameValue(payload, out) {
		return ev
	}
	own := &event{topic: ev.topic, key: ev.key, at: ev.at, prev: ev.prev}
	err := own.encode(out, w.model)
	if err == nil && own.size() > w.hub.opts.Event {
		err = Errorf(CodeTooLarge, "a view of the event has %d bytes; the limit is %d", own.size(), w.hub.opts.Event)
	}
	if err != nil {
		w.hub.opts.Logger.Error("View failed", "topic", ev.topic, "error", err)
		return nil
	}
	return own
}

func (w *view[Session, T, V]) caught(topic string, undo func()) {
	if p := recover(); p != nil {
		undo()
		w.hub.opts.Logger.Error("View panicked", "topic", topic, "panic", p, "stack", string(debug.Stack()))
	}
}

// see returns the event as the client is to see it: in its view, and with what
// outgoing middleware makes of that. It is false if it is not to see it.
func (c *conn) see(ev *event) (_ *event, ok bool) {
	if ev.view != nil {
		if ev = ev.view.see(ev, c.sessionValue()); ev == nil {
			return nil, false
		}
	}
	if c.def.send == nil {
		return ev, true
	}
	return c.filter(ev)
}

func (c *conn) sessionValue() any {
	if s := c.liveSession(); s != nil {
		return s.value
	}
	return nil
}

// viewerOf returns the View of a topic's events.
func viewerOf(events []*event) viewer {
	for _, ev := range events {
		if ev.view != nil {
			return ev.view
		}
	}
	return nil
}
