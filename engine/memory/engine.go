package memory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// Engine is the engine of one hub. It is an [engine.Engine] and an
// [engine.Stamper], and has faults for tests besides.
type Engine struct {
	b *Backend

	// The backend's mu guards what follows, done apart.
	handler engine.Handler // nil before Start
	subs    map[string]*subscription
	closed  bool
	done    chan struct{} // closed by Close

	// Delivery (delivery.go).
	ready   []*subscription // those that have something waiting and are not held
	bytes   int             // what waits, of all
	probes  []chan struct{} // closed where the deliverer passes
	resumed bool            // Resumed is to be called for all topics
	running chan struct{}   // closed when the deliverer ends; nil if there is none

	// Faults (faults.go).
	faults map[string]*topicFault
	fails  map[string]*callFault
	link   link
	linked chan struct{} // closed while the link is not hanging
	deaf   bool
	delay  time.Duration
}

var (
	_ engine.Engine  = (*Engine)(nil)
	_ engine.Stamper = (*Engine)(nil)
)

var errNotStarted = errors.New("not started")

// call runs f for a method, with the backend's mu held, once the engine's link
// is there.
func (e *Engine) call(ctx context.Context, method string, f func() error) error {
	for {
		e.b.mu.Lock()
		wait, err := e.enter(ctx)
		if err == nil && wait == nil {
			err = e.fail(method, f)
		}
		e.b.mu.Unlock()
		if err != nil {
			return fmt.Errorf("memory: %s: %w", verbs[method], err)
		}
		if wait == nil {
			return nil
		}
		select {
		case <-wait:
		case <-e.done:
		case <-ctx.Done():
		}
	}
}

// enter returns why a method cannot be done, or what it has to wait for.
func (e *Engine) enter(ctx context.Context) (wait <-chan struct{}, err error) {
	switch {
	case e.closed:
		return nil, engine.ErrClosed
	case e.handler == nil:
		return nil, errNotStarted
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case e.link == cut:
		return nil, ErrCut
	case e.link == hanging:
		return e.linked, nil
	}
	return nil, nil
}

// Start implements [engine.Broker].
func (e *Engine) Start(h engine.Handler) {
	e.b.mu.Lock()
	defer e.b.mu.Unlock()
	if e.closed || e.handler != nil {
		panic("memory: Start of an engine that has been started or closed")
	}
	e.handler = h
	e.b.engines[e] = struct{}{}
	e.b.sweepLater()
}

// Publish implements [engine.Broker].
func (e *Engine) Publish(ctx context.Context, t engine.Topic, ev engine.Event) error {
	_, _, err := e.PublishStamped(ctx, t, ev)
	return err
}

// PublishStamped implements [engine.Stamper].
func (e *Engine) PublishStamped(ctx context.Context, t engine.Topic, ev engine.Event) (stamped engine.Event, published bool, err error) {
	stamped, kept := ev, own(ev)
	err = e.call(ctx, "Publish", func() error {
		if published = e.b.publish(t, &kept); published {
			stamped.At, stamped.Prev, stamped.Time = kept.At, kept.Prev, kept.Time
		}
		return nil
	})
	return stamped, published && err == nil, err
}

// Subscribe implements [engine.Broker].
func (e *Engine) Subscribe(ctx context.Context, t engine.Topic) error {
	return e.call(ctx, "Subscribe", func() error {
		if e.subs[t.Name] == nil {
			e.subs[t.Name] = &subscription{topic: t.Name}
		}
		return nil
	})
}

// Unsubscribe implements [engine.Broker].
func (e *Engine) Unsubscribe(t engine.Topic) {
	e.b.mu.Lock()
	defer e.b.mu.Unlock()
	if s := e.subs[t.Name]; s != nil {
		delete(e.subs, t.Name)
		e.drop(s)
	}
}

// mostPositions is how many topics can be asked for at once.
const mostPositions = 1024

// Positions implements [engine.Broker].
func (e *Engine) Positions(ctx context.Context, topics []engine.Topic) (at []engine.Position, err error) {
	err = e.call(ctx, "Positions", func() error {
		if len(topics) > mostPositions {
			return fmt.Errorf("%d topics; it takes %d", len(topics), mostPositions)
		}
		now := time.Now()
		at = make([]engine.Position, len(topics))
		for i, t := range topics {
			if t.Class != engine.Volatile {
				at[i] = e.b.topic(t.Name, now).at
			}
		}
		return nil
	})
	return at, err
}

// Read implements [engine.Broker].
func (e *Engine) Read(ctx context.Context, t engine.Topic, since engine.Position, limit int) (p engine.Page, err error) {
	err = e.call(ctx, "Read", func() error {
		if t.Class != engine.Volatile {
			now := time.Now()
			p = e.b.topic(t.Name, now).read(t.Class, since, limit, now)
		}
		return nil
	})
	return p, err
}

// Probe implements [engine.Broker].
func (e *Engine) Probe(ctx context.Context) error {
	back := make(chan struct{})
	err := e.call(ctx, "Probe", func() error {
		if !e.deaf {
			e.probes = append(e.probes, back)
			e.run()
		}
		return nil
	})
	if err != nil {
		return err
	}
	select {
	case <-back:
		return nil
	case <-e.done:
		return fmt.Errorf("memory: probe: %w", engine.ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("memory: probe: %w", ctx.Err())
	}
}

// Close implements [engine.Broker]. What waits to be delivered to this engine
// is dropped.
func (e *Engine) Close(ctx context.Context) error {
	e.b.mu.Lock()
	running := e.running
	if !e.closed {
		e.closed = true
		close(e.done)
		e.b.leave(e)
		e.subs, e.ready, e.bytes = nil, nil, 0
	}
	e.b.mu.Unlock()
	if running == nil {
		return nil
	}
	select {
	case <-running:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("memory: close: an event is being delivered: %w", ctx.Err())
	}
}

// own returns an event that shares no memory with ev.
func own(ev engine.Event) engine.Event {
	ev.Data = bytes.Clone(ev.Data)
	return ev
}
