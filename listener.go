package kanava

import (
	"context"
	"crypto/rand"
	"runtime/debug"
	"sync"

	"github.com/kanava-go/kanava/internal/form"
)

// Listener is a subscriber that is not a channel: code of the program's own.
type Listener struct {
	hub    *EventHub
	id     string
	handle func(ctx context.Context, ev Event)
	life   lazyContext
	done   chan struct{}

	// subMu is taken before the hub's locks, mu after them.
	subMu sync.Mutex
	subs  map[hubTopic]*subscription // guarded by subMu; nil once ended

	mu      sync.Mutex
	queue   []*event // guarded by mu
	bytes   int      // guarded by mu: of queue
	running bool     // guarded by mu: a goroutine works the queue off
	err     error    // guarded by mu: why it ended
}

// Listen makes a listener, which is then subscribed to topics. handle gets one
// event at a time, in order, on a goroutine that exists only while events
// wait; its context ends with the listener. Up to 1 MiB of events wait for a
// slow handle; then the listener ends with CodeResourceExhausted.
func (h *EventHub) Listen(handle func(ctx context.Context, ev Event)) *Listener {
	mustFunc(handle == nil, "Listen", callerPlace(0))
	l := &Listener{hub: h, id: rand.Text(), handle: handle, done: make(chan struct{}), subs: make(map[hubTopic]*subscription)}
	h.sinks.Store(l.id, l)
	if h.closed.isSet() {
		l.end(ErrClosed)
	}
	return l
}

// ID returns the id to subscribe with, or to keep out with [Except].
func (l *Listener) ID() string { return l.id }

// Close ends the listener and its subscriptions; events that wait are
// dropped. It does not wait for a running handle. Closing twice is not an
// error.
func (l *Listener) Close() { l.end(ErrClosed) }

// Done returns a channel that is closed when the listener has ended.
func (l *Listener) Done() <-chan struct{} { return l.done }

// Err returns nil while the listener lives, and why it ended after that:
// [ErrClosed], or an *Error with CodeResourceExhausted.
func (l *Listener) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *Listener) sink() sink     { return l }
func (l *Listener) sinkID() string { return l.id }

func (l *Listener) end(err error) {
	l.mu.Lock()
	if l.err != nil {
		l.mu.Unlock()
		return
	}
	l.err = err
	l.queue, l.bytes = nil, 0
	l.mu.Unlock()
	l.subMu.Lock()
	subs := l.subs
	l.subs = nil
	l.subMu.Unlock()
	l.life.cancel(context.Canceled)
	close(l.done)
	l.hub.sinks.Delete(l.id)
	for _, s := range subs {
		s.drop(true)
	}
}

func (l *Listener) subscribe(_ context.Context, at hubTopic, f *family, _ string, add func(*subscription)) error {
	l.subMu.Lock()
	defer l.subMu.Unlock()
	if l.subs == nil {
		return ErrClosed
	}
	if l.subs[at] == nil {
		sub := &subscription{hubTopic: at, to: l, family: f}
		l.subs[at] = sub
		add(sub)
	}
	return nil
}

func (l *Listener) unsubscribe(at hubTopic) {
	l.subMu.Lock()
	sub := l.subs[at]
	delete(l.subs, at)
	l.subMu.Unlock()
	if sub != nil {
		sub.drop(true)
	}
}

func (l *Listener) subscribed(*subscription, form.Position) {}
func (l *Listener) pass(*event, *subscription)              {}

const listenerQueue = 1 << 20

func (l *Listener) deliver(ev *event, _ *subscription) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	if len(l.queue) > 0 && l.bytes+itemCost+ev.size() > listenerQueue {
		// The hub's locks are held: the end comes from elsewhere.
		go l.end(Errorf(CodeResourceExhausted, "the listener is slower than its events"))
		return
	}
	l.queue = append(l.queue, ev)
	l.bytes += itemCost + ev.size()
	if !l.running {
		l.running = true
		go l.work()
	}
}

// work hands out the queue; it ends when the queue is empty.
func (l *Listener) work() {
	for {
		l.mu.Lock()
		if len(l.queue) == 0 {
			l.running, l.queue = false, nil
			l.mu.Unlock()
			return
		}
		ev := l.queue[0]
		l.queue[0] = nil
		l.queue = l.queue[1:]
		l.bytes -= itemCost + ev.size()
		l.mu.Unlock()
		e := Event{Topic: ev.topic}
		if ev.binary {
			e.Binary = ev.data
		} else {
			e.Data = ev.data
		}
		l.call(e)
	}
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
