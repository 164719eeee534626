package memory

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// This file has the faults that a test injects.

// ErrCut is in the errors of methods while the link is cut.
var ErrCut = errors.New("the link is cut")

// ErrInjected is in the errors that [Engine.Fail] and [Engine.FailAfter] ask for.
var ErrInjected = errors.New("failed as asked for")

// link is how an engine is linked to its backend.
type link uint8

const (
	whole   link = iota
	cut          // methods fail
	hanging      // methods wait
)

// topicFault is what becomes of the next events of a topic.
type topicFault struct {
	lose  int
	twice int
	held  bool
}

// take returns how often the next event is delivered.
func (f *topicFault) take() int {
	switch {
	case f.lose > 0:
		f.lose--
		return 0
	case f.twice > 0:
		f.twice--
		return 2
	}
	return 1
}

// callFault is how many calls of a method fail, those that were done after all
// behind the others.
type callFault struct{ before, after int }

// verbs are the methods that can fail, as errors name them.
var verbs = map[string]string{
	"Publish": "publish", "Subscribe": "subscribe", "Positions": "positions", "Read": "read", "Probe": "probe",
	"Renew": "renew", "Owners": "owners", "Put": "put", "Entries": "entries", "Keep": "keep", "Forget": "forget",
}

// fail runs f, unless the method is to fail.
func (e *Engine) fail(method string, f func() error) error {
	c := e.fails[method]
	switch {
	case c == nil:
		return f()
	case c.before > 0:
		c.before--
		return ErrInjected
	case c.after > 0:
		c.after--
		return errors.Join(ErrInjected, f())
	}
	return f()
}

// Cut cuts the link: methods fail at once with [ErrCut], and what is published
// meanwhile does not arrive. Unsubscribe and Close work as ever.
func (e *Engine) Cut() { e.setLink(cut) }

// Hang is a link on which nothing moves any more: methods wait until their
// context ends, or until Heal. What is published meanwhile does not arrive.
func (e *Engine) Hang() { e.setLink(hanging) }

// Heal undoes Cut and Hang; the hub is told by Resumed.
func (e *Engine) Heal() { e.setLink(whole) }

func (e *Engine) setLink(l link) {
	e.b.mu.Lock()
	defer e.b.mu.Unlock()
	if e.link == l {
		return
	}
	if e.link == hanging {
		close(e.linked)
	}
	e.link = l
	switch l {
	case whole:
		e.resume()
		return
	case hanging:
		e.linked = make(chan struct{})
	}
	for _, s := range e.subs {
		e.drop(s)
	}
}

// resume has Resumed called for all topics.
func (e *Engine) resume() {
	if e.handler != nil {
		e.resumed = true
		e.run()
	}
}

// Deafen is a connection that has fallen silent: no events arrive, Probe waits
// until its context ends, and all else works.
func (e *Engine) Deafen() {
	e.b.mu.Lock()
	defer e.b.mu.Unlock()
	e.deaf = true
}

// Undeafen undoes Deafen; the hub is told by Resumed, as if the connection had
// been made anew.
func (e *Engine) Undeafen() {
	e.b.mu.Lock()
	defer e.b.mu.Unlock()
	if e.deaf {
		e.deaf = false
		e.resume()
	}
}

// Lose lets the next n events of a topic not arrive at this engine. Nobody is
// told.
func (e *Engine) Lose(topic string, n int) {
	e.onTopic(topic, func(f *topicFault) { f.lose += n })
}

// Duplicate lets the next n events of a topic arrive twice at this engine.
func (e *Engine) Duplicate(topic string, n int) {
	e.onTopic(topic, func(f *topicFault) { f.twice += n })
}

// Hold keeps the events of a topic that come for this engine until Release.
func (e *Engine) Hold(topic string) {
	e.onTopic(topic, func(f *topicFault) { f.held = true })
}

// Release delivers what Hold has kept, and ends it.
func (e *Engine) Release(topic string) {
	e.onTopic(topic, func(f *topicFault) { f.held = false })
}

func (e *Engine) onTopic(topic string, change func(*topicFault)) {
	e.b.mu.Lock()
	defer e.b.mu.Unlock()
	f := e.faults[topic]
	if f == nil {
		f = &topicFault{}
		e.faults[topic] = f
	}
	change(f)
	s := e.subs[topic]
	if s == nil {
		return
	}
	if f.held && s.ready {
		s.ready = false
		e.ready = slices.DeleteFunc(e.ready, func(x *subscription) bool { return x == s })
	}
	e.offer(s)
}

func (e *Engine) held(topic string) bool {
	f := e.faults[topic]
	return f != nil && f.held
}

// Delay lets events arrive at this engine d after they are published; 0 ends it
// for those that follow.
func (e *Engine) Delay(d time.Duration) {
	e.b.mu.Lock()
	defer e.b.mu.Unlock()
	e.delay = d
}

// Fail lets the next n calls of a method fail with [ErrInjected], without
// having done anything. It panics if no method of that name can fail.
func (e *Engine) Fail(method string, n int) {
	e.onMethod(method, func(f *callFault) { f.before += n })
}

// FailAfter lets the next n calls of a method fail with [ErrInjected] though
// they have been done, as where the answer of a server is lost.
func (e *Engine) FailAfter(method string, n int) {
	e.onMethod(method, func(f *callFault) { f.after += n })
}

func (e *Engine) onMethod(method string, change func(*callFault)) {
	if verbs[method] == "" {
		panic(fmt.Sprintf("memory: no method %q that can fail", method))
	}
	e.b.mu.Lock()
	defer e.b.mu.Unlock()
	f := e.fails[method]
	if f == nil {
		f = &callFault{}
		e.fails[method] = f
	}
	change(f)
}
