package memory

import (
	"sync"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// Backend is the ground that several engines share, as a server is that of
// engines of other kinds. Its methods may be called at any time by anybody.
type Backend struct {
	mu      sync.Mutex           // guards all of the backend and of its engines
	topics  map[string]*topicLog // by name
	reg     registry
	engines map[*Engine]struct{} // those that are started and not closed
	sweeper *time.Timer          // nil while nothing will end, or nobody is there
}

// New returns a backend on which nothing is kept.
func New() *Backend {
	return &Backend{topics: make(map[string]*topicLog), reg: newRegistry(), engines: make(map[*Engine]struct{})}
}

// Engine returns another engine on the backend.
func (b *Backend) Engine() *Engine {
	return &Engine{
		b:      b,
		subs:   make(map[string]*subscription),
		faults: make(map[string]*topicFault),
		fails:  make(map[string]*callFault),
		linked: closedChan(),
		done:   make(chan struct{}),
	}
}

// Wipe forgets all that is kept, positions and leases too: topics begin another
// epoch. Nobody is told; a server that has restarted without its data is an
// [Engine.Cut] of all engines, a Wipe, and an [Engine.Heal] of all.
func (b *Backend) Wipe() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.topics)
	b.reg = newRegistry()
}

// topic returns the log of a topic, which begins with it. b.mu is held.
func (b *Backend) topic(name string, now time.Time) *topicLog {
	l := b.topics[name]
	if l != nil && l.over(now) {
		l = nil
	}
	if l == nil {
		l = newTopicLog()
		b.topics[name] = l
		b.sweepLater()
	}
	l.touch(now)
	return l
}

// publish keeps an event and hands it to those who are subscribed, unless its ID
// is known. It sets what the engine sets. b.mu is held.
func (b *Backend) publish(t engine.Topic, ev *engine.Event) (published bool) {
	if t.Class != engine.Volatile {
		now := time.Now()
		l := b.topic(t.Name, now)
		if l.seen(ev.ID, now) {
			return false
		}
		l.append(t, ev, now)
	}
	for e := range b.engines {
		if s := e.subs[t.Name]; s != nil {
			e.push(s, *ev)
		}
	}
	return true
}

// sweepTime is how often what has ended is let go of. Nobody sees it before.
const sweepTime = time.Minute

// sweepLater lets the sweeper come. b.mu is held.
func (b *Backend) sweepLater() {
	if b.sweeper == nil && len(b.engines) > 0 {
		b.sweeper = time.AfterFunc(sweepTime, b.sweep)
	}
}

// sweep lets go of what has ended, and comes again while something is left.
func (b *Backend) sweep() {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for name, l := range b.topics {
		l.expire(now)
		if l.over(now) {
			delete(b.topics, name)
		}
	}
	b.reg.expire(now)
	b.sweeper = nil
	if len(b.topics) > 0 || !b.reg.empty() {
		b.sweepLater()
	}
}

// leave takes an engine out. b.mu is held.
func (b *Backend) leave(e *Engine) {
	delete(b.engines, e)
	if len(b.engines) == 0 && b.sweeper != nil {
		b.sweeper.Stop()
		b.sweeper = nil
	}
}

func closedChan() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
