package dynamodb

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// ErrFull is the error of Publish when 64 MiB of publications wait for DynamoDB
// already. The event is not published.
var ErrFull = errors.New("too many publications wait")

const (
	pendingMost = 64 << 20 // bytes of publications that wait, of all topics
	pendingCost = 512      // what one costs there besides its bytes
	batchBytes  = 3000     // of a batch, so that a head is read as one unit of 4 KB
	batchMost   = 64       // events of a batch
	commitTime  = 9 * time.Second
	lanesMost   = 1024 // topics whose heads are remembered
	keyMost     = 256

	conflictTime = 4 * time.Millisecond // who publishes too late waits as long at most
)

// publication is an event on its way.
type publication struct {
	topic engine.Topic
	entry entry
	event engine.Event // with data that nobody changes
	cost  int64
	gone  atomic.Bool // nobody waits for it
	done  chan result // takes one

	// Of one with an ID.
	known bool           // it has been registered
	epoch string         // that of clear
	clear uint64         // no event with this ID is among those up to here
	twins []*publication // with the same ID, which are not published if this one is
}

// result is what has become of a publication.
type result struct {
	at        located
	epoch     string
	published bool
	err       error
}

// lanes are topics that are published to from here. What waits for one topic goes out
// in batches, one after another.
type lanes struct {
	mu    sync.Mutex       // guards what follows
	by    map[string]*lane // by topic
	bytes int64            // of publications that wait
}

type lane struct {
	waiting []*publication
	running bool  // a goroutine sends what waits, until nothing does
	head    *head // as it was last seen; nil if that is not known
}

// Publish implements [engine.Broker].
func (e *Engine) Publish(ctx context.Context, t engine.Topic, ev engine.Event) error {
	_, _, err := e.PublishStamped(ctx, t, ev)
	return err
}

// PublishStamped implements [engine.Stamper].
func (e *Engine) PublishStamped(ctx context.Context, t engine.Topic, ev engine.Event) (engine.Event, bool, error) {
	var res result
	err := e.call(ctx, "publish", func(ctx context.Context) (err error) {
		res, err = e.publish(ctx, t, &ev)
		return err
	})
	if err != nil {
		return engine.Event{}, false, err
	}
	if res.published && t.Class != engine.Volatile {
		ev.At = engine.Position{Epoch: res.epoch, Offset: res.at.offset}
		ev.Prev, ev.Time = res.at.offset-1, time.UnixMilli(res.at.ms)
	}
	return ev, res.published, nil
}

func (e *Engine) publish(ctx context.Context, t engine.Topic, ev *engine.Event) (result, error) {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return result{}, engine.ErrClosed
	}
	e.publishing.Add(1)
	e.mu.Unlock()
	defer e.publishing.Done()
	p, err := newPublication(t, ev)
	if err != nil {
		return result{}, err
	}
	if !e.lanes.reserve(p.cost) {
		return result{}, ErrFull
	}
	if len(p.entry.data)+len(p.entry.except) > inlineMost {
		if err := e.table.putBody(ctx, &p.entry, keptFor(p.topic)); err != nil {
			e.lanes.reserve(-p.cost)
			return result{}, err
		}
	}
	e.enqueue(p)
	select {
	case res := <-p.done:
		return res, res.err
	case <-ctx.Done():
		p.gone.Store(true)
		return result{}, ctx.Err()
	}
}

// newPublication prepares an event. Nothing of it is the caller's.
func newPublication(t engine.Topic, ev *engine.Event) (*publication, error) {
	if err := checkNames(t.Name); err != nil {
		return nil, fmt.Errorf("the topic: %w", err)
	}
	if len(ev.Key) > keyMost || len(ev.Data)+len(ev.Except) > bodyMost-16 {
		return nil, fmt.Errorf("a key has 256 bytes, and an event %d MiB at most", bodyMost>>20)
	}
	t.TTL = bounded(t.TTL).Truncate(time.Millisecond)
	if t.Class != engine.Recoverable {
		t.Size, t.TTL = 0, 0
	}
	p := &publication{topic: t, done: make(chan result, 1), event: *ev}
	p.event.Data = bytes.Clone(ev.Data)
	p.entry = entry{key: ev.Key, except: ev.Except, binary: ev.Binary, data: p.event.Data}
	if ev.ID != "" && t.Class != engine.Volatile {
		p.entry.id = string(digest(ev.ID)[:idLen])
	}
	p.cost = int64(pendingCost + len(ev.Data) + len(ev.Except) + len(ev.Key) + len(t.Name))
	return p, nil
}

// keptFor is how long a topic keeps its events at the most.
func keptFor(t engine.Topic) time.Duration {
	if t.Class == engine.Latest {
		return latestTime
	}
	return max(t.TTL, logTime)
}

// reserve takes room for what waits, or gives some back.
func (l *lanes) reserve(cost int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if cost > 0 && l.bytes+cost > pendingMost {
		return false
	}
	l.bytes += cost
	return true
}

// enqueue puts a publication on its way, which gives its room back then.
func (e *Engine) enqueue(p *publication) {
	l := &e.lanes
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.by[p.topic.Name]
	if ln == nil {
		l.forget()
		ln = &lane{}
		l.by[p.topic.Name] = ln
	}
	ln.waiting = append(ln.waiting, p)
	if !ln.running {
		ln.running = true
		e.running.Go(func() { e.send(p.topic.Name, ln) }) // a call of publish is running
	}
}

// forget makes room for a lane; l.mu is held.
func (l *lanes) forget() {
	if len(l.by) < lanesMost {
		return
	}
	for name, ln := range l.by {
		if !ln.running {
			delete(l.by, name)
			return
		}
	}
}

// take returns what is sent next: what has come first, with others that are kept in
// the same way, as far as they fit into a head.
func (l *lanes) take(ln *lane) (batch []*publication) {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := 0
	for len(ln.waiting) > 0 && len(batch) < batchMost {
		p := ln.waiting[0]
		if p.gone.Load() {
			l.bytes -= p.cost
			ln.waiting = ln.waiting[1:]
			continue
		}
		size += p.entry.length()
		if len(batch) > 0 && (size > batchBytes || p.topic != batch[0].topic) {
			break
		}
		l.bytes -= p.cost
		batch = append(batch, p)
		ln.waiting = ln.waiting[1:]
	}
	if len(batch) == 0 {
		ln.waiting, ln.running = nil, false
	}
	return batch
}

// send sends what waits in a lane.
func (e *Engine) send(topic string, ln *lane) {
	for {
		batch := e.lanes.take(ln)
		if len(batch) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(e.life, commitTime)
		err := e.commit(ctx, ln, topic, batch)
		cancel()
		if err != nil {
			ln.head = nil
			for _, p := range batch {
				p.tell(result{err: err})
			}
		}
	}
}

// tell says what has become of a publication. Who has been told is not told again.
func (p *publication) tell(res result) {
	for _, q := range p.twins {
		q.tell(result{err: res.err})
	}
	select {
	case p.done <- res:
	default:
	}
}

// commit publishes a batch, and tells all who wait for it. They are not told an
// error that it returns.
func (e *Engine) commit(ctx context.Context, ln *lane, topic string, batch []*publication) (err error) {
	h := ln.head
	for attempt := 0; ; attempt++ {
		if h == nil {
			if h, err = e.table.head(ctx, topic); err != nil {
				return err
			}
		}
		if h != nil && h.wrong != nil {
			return h.wrong
		}
		batch, err = e.unknown(ctx, topic, h, batch)
		if err != nil || len(batch) == 0 {
			return err
		}
		if err := e.table.copyOut(ctx, topic, h); err != nil {
			return err
		}
		next := e.next(h, batch)
		done, now, err := e.table.advance(ctx, topic, h, next)
		if err != nil {
			return err
		}
		if done {
			ln.head = now
			e.published(topic, next, batch)
			e.trim(ctx, batch[0].topic, next, time.Now())
			return nil
		}
		h = now
		if attempt > 0 { // others publish to it all the time
			if err := pause(ctx, rand.N(conflictTime)); err != nil { //nolint:gosec // spreads attempts
				return err
			}
		}
	}
}

// next returns the head after a batch.
func (e *Engine) next(h *head, of []*publication) *head {
	if h == nil {
		h = e.table.newHead()
	}
	token := make([]byte, tokenLen)
	crand.Read(token) // does not fail
	next := &head{
		epoch: h.epoch, last: h.last + uint64(len(of)),
		batch: batch{class: of[0].topic.Class, keeps: of[0].topic.TTL, token: string(token)},
	}
	now := time.Now().UnixMilli()
	for _, p := range of {
		p.entry.ms = now
		next.batch.events = append(next.batch.events, p.entry)
	}
	return next
}

// published hands the events of a batch to the hub of this node, if nothing before
// them is missing, and tells who has published them.
func (e *Engine) published(topic string, h *head, of []*publication) {
	e.deliverOwn(topic, h, of)
	for i, p := range of {
		p.tell(result{at: located{h.batch.events[i], h.before() + uint64(i) + 1}, epoch: h.epoch, published: true})
	}
}

// trimTime is how long a topic has to keep events for those beyond its size to be
// removed: others end soon, and DynamoDB takes no money for what ends.
const trimTime = 24 * time.Hour

// trim removes events that a topic has too many, now and then. What it does not come to
// it does the next time.
func (e *Engine) trim(ctx context.Context, t engine.Topic, h *head, now time.Time) {
	const each = 64
	size := uint64(max(t.Size, 1))
	if h.batch.keeps <= trimTime || h.last/each == h.before()/each || h.last <= size+each {
		return
	}
	var keys []item
	old := now.Add(-logTime)
	for b, err := range e.table.log(ctx, t.Name, h.epoch, 0, 2*each) {
		if err != nil || b.last > h.last-size || b.latest().After(old) || len(keys) >= 2*each {
			break
		}
		keys = append(keys, logKey(t.Name, h.epoch, b.last))
		for _, n := range b.events {
			for c := range (n.size + chunkBytes - 1) / chunkBytes {
				keys = append(keys, chunkKey(n.body, c))
			}
		}
	}
	if err := e.table.removeAll(ctx, keys); err != nil && e.life.Err() == nil {
		e.logger.Warn("dynamodb: old events stay", "topic", t.Name, "error", err)
	}
}
