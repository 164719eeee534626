package postgres

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// ErrFull is the error of Publish when 64 MiB of publications wait for the
// server already. The event is not published.
var ErrFull = errors.New("too many publications wait")

const (
	pendingMost = 64 << 20 // bytes of publications that wait, of all topics
	pendingCost = 512      // what one costs there besides its bytes
	batchMost   = 256      // publications that are sent as one
	batchBytes  = 1 << 20
)

// publication is an event on its way to the server.
type publication struct {
	topic engine.Topic
	id    []byte // digest; nil if it has none
	mark  int64  // tells it from others with the same id
	key   []byte
	body  []byte
	gone  atomic.Bool // nobody waits for it
	done  chan error  // takes one

	// Set before done has nil.
	known bool            // its id is that of another publication
	at    engine.Position // zero for a Volatile topic
	time  time.Time
}

func (p *publication) cost() int64 { return int64(pendingCost + len(p.body) + len(p.key)) }

// line has the publications to one topic that wait. One transaction at a time
// has some of them, so that they keep their order.
type line struct {
	name    string
	waiting []*publication
	busy    bool // stands in a crew's list, or is being sent
	held    bool // somebody else has the topic at present
}

// crew sends the lines of one kind, by so many goroutines at most.
type crew struct {
	most   int
	active int
	ready  []*line
}

// pending is what waits to be published.
type pending struct {
	mu     sync.Mutex
	bytes  int64            // guarded by mu, as what follows
	number int              // of publications that wait or are being sent
	lines  map[string]*line // by topic
	empty  chan struct{}    // closed when number is 0; nil if nobody waits for that

	kept     crew // of topics with positions, many in one transaction
	volatile crew // of Volatile topics
	held     crew // of topics that somebody else has: each alone, waiting for it
}

func (q *pending) init(conns int) {
	q.lines = make(map[string]*line)
	q.kept.most = 2 // while one commits the other runs
	q.volatile.most = 1
	q.held.most = max(1, conns/2-1)
}

// crewOf returns who sends a line, which is not empty. The caller holds mu.
func (q *pending) crewOf(l *line) *crew {
	switch {
	case l.waiting[0].topic.Class == engine.Volatile:
		return &q.volatile
	case l.held:
		return &q.held
	default:
		return &q.kept
	}
}

// enqueue puts a publication on its way.
func (e *Engine) enqueue(p *publication) error {
	q := &e.pending
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes+p.cost() > pendingMost {
		return ErrFull
	}
	l := q.lines[p.topic.Name]
	if l == nil {
		l = &line{name: p.topic.Name}
		q.lines[l.name] = l
	}
	l.waiting = append(l.waiting, p)
	q.bytes += p.cost()
	q.number++
	e.ready(l)
	return nil
}

// ready puts a line into the list of its crew, and sees to it that somebody works
// at that. The caller holds pending.mu.
func (e *Engine) ready(l *line) {
	if l.busy || len(l.waiting) == 0 {
		return
	}
	c := e.pending.crewOf(l)
	if c.active < c.most {
		if !e.spawn(func() { e.work(c) }) {
			return // the engine is closed: nobody waits
		}
		c.active++
	}
	l.busy = true
	c.ready = append(c.ready, l)
}

// work sends what a crew has to send.
func (e *Engine) work(c *crew) {
	for {
		cargo := e.take(c)
		if len(cargo) == 0 {
			return
		}
		switch c {
		case &e.pending.volatile:
			e.sendVolatile(cargo)
		case &e.pending.held:
			e.sendKept(cargo, heldTime)
		default:
			e.sendKept(cargo, 0)
		}
		e.finish(cargo)
	}
}

// load is what is sent of one line.
type load struct {
	line  *line
	topic engine.Topic // that of all
	of    []*publication
	again bool // it was not sent, and is to be
	held  bool // because somebody else has the topic
}

// take returns what is sent next, and nothing if there is nothing: the caller is
// not of the crew any more then.
func (e *Engine) take(c *crew) (cargo []*load) {
	q := &e.pending
	q.mu.Lock()
	defer q.mu.Unlock()
	number, bytes := 0, int64(0)
	for len(c.ready) > 0 && number < batchMost && bytes < batchBytes && (c != &q.held || len(cargo) == 0) {
		l := c.ready[0]
		c.ready[0] = nil
		c.ready = c.ready[1:]
		ld := &load{line: l}
		for len(l.waiting) > 0 && number < batchMost && bytes < batchBytes {
			p := l.waiting[0]
			gone := p.gone.Load()
			if !gone && (len(ld.of) == 0 && q.crewOf(l) != c || len(ld.of) > 0 && p.topic != ld.topic) {
				break // the same topic, of which something else is said
			}
			l.waiting[0] = nil
			l.waiting = l.waiting[1:]
			if gone {
				q.left(p)
				continue
			}
			number++
			bytes += p.cost()
			ld.topic = p.topic
			ld.of = append(ld.of, p)
		}
		if len(ld.of) == 0 {
			l.busy = false
			e.settle(l)
			continue
		}
		cargo = append(cargo, ld)
	}
	if len(cargo) == 0 {
		c.active--
	}
	return cargo
}

// left notes that a publication does not wait any more. The caller holds mu.
func (q *pending) left(p *publication) {
	q.bytes -= p.cost()
	if q.number--; q.number == 0 && q.empty != nil {
		close(q.empty)
		q.empty = nil
	}
}

// finish puts back what was not sent, and lets what waits behind go on.
func (e *Engine) finish(cargo []*load) {
	q := &e.pending
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, ld := range cargo {
		l := ld.line
		if ld.again {
			l.waiting = append(ld.of, l.waiting...)
		} else {
			for _, p := range ld.of {
				q.left(p)
			}
		}
		l.busy, l.held = false, ld.held
		e.settle(l)
	}
}

// settle lets a line go on, or drops it. The caller holds pending.mu.
func (e *Engine) settle(l *line) {
	if len(l.waiting) > 0 {
		e.ready(l)
	} else if !l.busy {
		delete(e.pending.lines, l.name)
	}
}

// drain waits until nothing waits to be sent.
func (q *pending) drain(ctx context.Context) error {
	q.mu.Lock()
	if q.number == 0 {
		q.mu.Unlock()
		return nil
	}
	empty := make(chan struct{})
	q.empty = empty
	q.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
