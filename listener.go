package kanava

import (
	"context"
	"crypto/rand"
	"runtime/debug"
	"sync"
	"time"

	"github.com/kanava-go/kanava/internal/form"
)

// Listener is a subscriber that is not a channel: code of the program's own.
// Where the events of one topic are all there is to hear, [Topic.Listen] is
// easier.
type Listener struct {
	hub    *EventHub
	handle func(ctx context.Context, ev Event)
	life   lazyContext
	done   chan struct{}
	in     inbox
	since  *Position // where the one topic of Topic.Listen begins; nil for where it stands

	running bool          // guarded by in.mu: a goroutine works the inbox off
	news    chan struct{} // of Topic.Listen, which has no such goroutine: holds one while something waits

	// subMu is taken before the hub's locks.
	subMu sync.Mutex
	subs  map[hubTopic]*subscription // guarded by subMu; nil once ended
}

const listenerQueue = 1 << 20

// Listen makes a listener, which is then subscribed to topics. handle gets one
// event at a time, in order, on a goroutine that exists only while events
// wait; its context ends with the listener. The newest events that a Latest
// topic keeps come first.
//
// Up to 1 MiB of events wait for a slow handle. Then the class of a topic
// decides: the oldest of a Volatile topic are dropped, of a Latest one only the
// newest of each key comes, what comes on a Recoverable one is read from its
// history later. Where that does not reach back far enough, or the topic is
// Ordered, the listener ends with CodeResourceExhausted. With an engine, which
// can lose events, it ends with a [*LostError] where they cannot be had any more.
func (h *EventHub) Listen(handle func(ctx context.Context, ev Event)) *Listener {
	mustFunc(handle == nil, "Listen", callerPlace(0))
	l := h.newListener()
	l.handle = handle
	l.in.ready = func() {
		if !l.running {
			l.running = true
			go l.work()
		}
	}
	l.begin()
	return l
}

func (h *EventHub) newListener() *Listener {
	id := rand.Text()
	return &Listener{hub: h, in: inbox{id: id, limit: listenerQueue}, done: make(chan struct{}), subs: make(map[hubTopic]*subscription)}
}

// begin makes the listener known.
func (l *Listener) begin() {
	l.hub.sinks.Store(l.in.id, l)
	if l.hub.closed.isSet() {
		l.end(ErrClosed)
	}
}

// ID returns the id to subscribe with, or to keep out with [Except].
func (l *Listener) ID() string { return l.in.id }

// Close ends the listener and its subscriptions; events that wait are
// dropped. It does not wait for a running handle. Closing twice is not an
// error.
func (l *Listener) Close() { l.end(ErrClosed) }

// Done returns a channel that is closed when the listener has ended.
func (l *Listener) Done() <-chan struct{} { return l.done }

// Err returns nil while the listener lives, and why it ended after that:
// [ErrClosed], an *Error with CodeResourceExhausted, or a [*LostError].
func (l *Listener) Err() error { return l.in.ended() }

func (l *Listener) sink() sink             { return l }
func (l *Listener) isNamed(id string) bool { return l.in.id == id }

func (l *Listener) end(err error) {
	if !l.in.end(err) {
		return
	}
	l.subMu.Lock()
	subs := l.subs
	l.subs = nil
	l.subMu.Unlock()
	l.life.cancel(context.Canceled)
	close(l.done)
	l.hub.sinks.Delete(l.in.id)
	for _, s := range subs {
		s.drop(true)
	}
}

func (l *Listener) subscribe(ctx context.Context, at hubTopic, f *family, _ string, add func(*subscription)) error {
	sub := &subscription{hubTopic: at, to: l, family: f}
	release, err := at.hub.prepare(ctx, sub, form.Position{})
	if err != nil {
		return err
	}
	defer release()
	l.subMu.Lock()
	defer l.subMu.Unlock()
	if l.subs == nil {
		return ErrClosed
	}
	if l.subs[at] == nil {
		l.subs[at] = sub
		add(sub)
	}
	return nil
}

func (l *Listener) unsubscribe(_ context.Context, at hubTopic) error {
	l.subMu.Lock()
	sub := l.subs[at]
	delete(l.subs, at)
	l.subMu.Unlock()
	if sub != nil {
		sub.drop(true)
		l.in.forget(sub)
	}
	return nil
}

// subscribed implements sink: what is there already is read like what a slow
// listener has missed.
func (l *Listener) subscribed(sub *subscription, at form.Position) {
	l.in.mu.Lock()
	defer l.in.mu.Unlock()
	switch {
	case l.in.err != nil || sub.class == volatile:
	case l.since != nil && *l.since == (Position{}):
		l.in.fallBehind(sub, sub.state.log.begin(time.Now()))
	case l.since != nil:
		l.in.fallBehind(sub, form.Position(*l.since))
	case sub.class == latest:
		l.in.fallBehind(sub, form.Position{Epoch: at.Epoch})
	}
}

func (l *Listener) pass(*event, *subscription) {}

// moved implements sink: it is told in its turn.
func (l *Listener) moved(sub *subscription, from form.Position) { l.in.moved(sub, from) }

func (l *Listener) deliver(ev *event, sub *subscription) {
	if !l.in.deliver(ev, sub) {
		go l.end(errSlowListener) // the hub's locks are held: the end comes from elsewhere
	}
}

var errSlowListener = Errorf(CodeResourceExhausted, "the listener is slower than its events")

// work hands out what waits; it ends when nothing does.
func (l *Listener) work() {
	for {
		it := l.in.next()
		switch {
		case it == nil:
			if l.rest() {
				return
			}
		case it.lost != nil && it.sub.state.follow != nil:
			l.end(it.lost)
		case it.lost != nil:
			l.end(errSlowListener)
		case it.ev.binary:
			l.call(Event{Topic: it.ev.topic, Binary: it.ev.data})
		default:
			l.call(Event{Topic: it.ev.topic, Data: it.ev.data})
		}
	}
}

// rest ends the work, unless something has come since.
func (l *Listener) rest() bool {
	l.in.mu.Lock()
	defer l.in.mu.Unlock()
	l.running = l.in.queue.len() > 0 || len(l.in.behind) > 0
	return !l.running
}

// call runs handle; a panic there is logged and costs this event only.
func (l *Listener) call(e Event) {
	defer func() {
		if p := recover(); p != nil {
			l.hub.opts.Logger.Error("listener panicked", "topic", e.Topic, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	l.handle(&l.life, e)
}
