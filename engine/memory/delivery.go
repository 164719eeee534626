package memory

import (
	"slices"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// This file hands events to the hub of an engine, on one goroutine that runs
// while something waits. The backend's mu guards all of it.

// subscription is a topic that the hub of an engine is subscribed to.
type subscription struct {
	topic   string
	waiting []delivery
	bytes   int  // what waiting costs
	missed  bool // Resumed is to be called for it
	ready   bool // it is in the engine's list
}

// delivery is an event on its way.
type delivery struct {
	engine.Event

	due time.Time // not before
}

const (
	waitBytes = 64 << 20 // what may wait for an engine
	waitCost  = 256      // what an event costs there besides its bytes
)

func (d *delivery) cost() int { return waitCost + len(d.Data) + len(d.Key) + len(d.Except) }

// push puts an event on its way to the engine's hub, unless a fault takes it.
func (e *Engine) push(s *subscription, ev engine.Event) {
	if e.link != whole || e.deaf {
		return
	}
	times := 1
	if f := e.faults[s.topic]; f != nil {
		times = f.take()
	}
	d := delivery{Event: ev}
	if e.delay > 0 {
		d.due = time.Now().Add(e.delay)
	}
	for range times {
		if e.bytes+d.cost() > waitBytes {
			e.drop(s)
			s.missed = true
			break
		}
		s.waiting = append(s.waiting, d)
		s.bytes += d.cost()
		e.bytes += d.cost()
	}
	e.offer(s)
}

// offer lets the deliverer come for what waits of a topic.
func (e *Engine) offer(s *subscription) {
	if s.ready || e.held(s.topic) || len(s.waiting) == 0 && !s.missed {
		return
	}
	s.ready = true
	e.ready = append(e.ready, s)
	e.run()
}

// drop forgets what waits of a topic.
func (e *Engine) drop(s *subscription) {
	e.bytes -= s.bytes
	s.waiting, s.bytes, s.missed = nil, 0, false
}

// run starts the deliverer if there is none. It ends when nothing waits any
// more, or with Close.
func (e *Engine) run() {
	if e.running == nil && !e.closed {
		e.running = make(chan struct{})
		go e.deliver()
	}
}

func (e *Engine) deliver() {
	e.b.mu.Lock()
	defer e.b.mu.Unlock()
	for e.deliverNext() {
	}
	close(e.running)
	e.running = nil
}

// deliverNext does one thing of what waits. It is false if there is none.
func (e *Engine) deliverNext() bool {
	if e.closed {
		return false
	}
	if e.resumed {
		e.resumed = false
		e.outside(func() { e.handler.Resumed() })
		return true
	}
	if len(e.ready) == 0 {
		probes := e.probes
		e.probes = nil
		for _, back := range probes {
			close(back)
		}
		return len(probes) > 0
	}
	s := e.ready[0]
	if wait := s.wait(); wait > 0 {
		e.outside(func() { e.await(wait) })
		return true
	}
	e.ready[0] = nil
	e.ready = e.ready[1:]
	s.ready = false
	events, missed := e.take(s)
	e.outside(func() {
		for i := range events {
			events[i] = own(events[i])
		}
		if len(events) > 0 {
			e.handler.Deliver(s.topic, events)
		}
		if missed {
			e.handler.Resumed(s.topic)
		}
	})
	return true
}

// wait returns how long the first event that waits is not due yet.
func (s *subscription) wait() time.Duration {
	if len(s.waiting) == 0 || s.waiting[0].due.IsZero() {
		return 0
	}
	return time.Until(s.waiting[0].due)
}

// take takes the events of a topic that are due, and whether Resumed is to be
// called for it.
func (e *Engine) take(s *subscription) (events []engine.Event, missed bool) {
	missed, s.missed = s.missed, false
	now, n := time.Now(), 0
	for ; n < len(s.waiting) && !s.waiting[n].due.After(now); n++ {
		d := &s.waiting[n]
		s.bytes -= d.cost()
		e.bytes -= d.cost()
		events = append(events, d.Event)
	}
	if n == len(s.waiting) {
		s.waiting = nil
	} else {
		s.waiting = slices.Delete(s.waiting, 0, n)
		e.offer(s)
	}
	return events, missed
}

// outside runs f without the lock.
func (e *Engine) outside(f func()) {
	e.b.mu.Unlock()
	defer e.b.mu.Lock()
	f()
}

// await waits, but not longer than until Close.
func (e *Engine) await(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-e.done:
	}
}
