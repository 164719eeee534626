package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/redis/rueidis"
)

// ErrFull is the error of Publish when 64 MiB of publications wait for the
// servers already. The event is not published.
var ErrFull = errors.New("too many publications wait")

const (
	pendingMost = 64 << 20 // bytes of publications that wait, of all topics
	pendingCost = 512      // what one costs there besides its bytes
	batchMost   = 128      // publications that are sent as one
	batchBytes  = 1 << 20
	ttlMost     = 10 * 365 * 24 * time.Hour // what is kept for longer is kept for ever
)

// publication is an event on its way to the server.
type publication struct {
	keys []string // the topic, what is kept of it, the id
	args []string // see publish.lua
	body string   // of a Volatile topic: all that is sent
	slot uint16
	size int64
	gone atomic.Bool // nobody waits for it
	done chan outcome
}

// outcome is what has become of a publication. There is one.
type outcome struct {
	head  string // of its message, if it has a position
	known bool   // its id is that of another publication
	err   error
}

// queue has the publications to some topics. A goroutine runs while it is not
// empty: what comes while one batch is on its way is the next one.
type queue struct {
	mu      sync.Mutex
	waiting []*publication
	idle    chan struct{} // closed when it is empty; nil while it is
}

// Publish implements [engine.Broker].
func (e *Engine) Publish(ctx context.Context, t engine.Topic, ev engine.Event) error {
	_, _, err := e.PublishStamped(ctx, t, ev)
	return err
}

// PublishStamped implements [engine.Stamper].
func (e *Engine) PublishStamped(ctx context.Context, t engine.Topic, ev engine.Event) (stamped engine.Event, published bool, err error) {
	published, err = e.publish(ctx, t, &ev)
	if err != nil {
		return ev, false, fmt.Errorf("redis: publish: %w", err)
	}
	return ev, published, nil
}

// publish publishes an event, and sets in it what the server has.
func (e *Engine) publish(ctx context.Context, t engine.Topic, ev *engine.Event) (published bool, err error) {
	if _, err := e.connected(ctx); err != nil {
		return false, err
	}
	twice := ev.ID != "" && t.Class != engine.Volatile
	name := rand.Text()[:8] // in all attempts
	for attempt := 0; ; attempt++ {
		p := e.publication(t, ev, name)
		if err := e.enqueue(p); err != nil {
			return false, err
		}
		var o outcome
		select {
		case o = <-p.done:
		case <-e.done:
			o.err = engine.ErrClosed
		case <-ctx.Done():
			p.gone.Store(true)
			o.err = e.because(ctx.Err())
		}
		if o.err == nil && len(o.head) >= headLen {
			stamp(ev, []byte(o.head))
		}
		if o.err == nil || ctx.Err() != nil || errors.Is(o.err, engine.ErrClosed) || !passes(o.err, twice) {
			return o.err == nil && !o.known, o.err
		}
		if !e.pause(ctx, attempt) {
			return false, e.failed(ctx, o.err)
		}
	}
}

// publication prepares an event. Nothing of it is the caller's. name tells it from
// others with the same ID.
func (e *Engine) publication(t engine.Topic, ev *engine.Event, name string) *publication {
	p := &publication{done: make(chan outcome, 1)}
	meta := e.opts.topicKey(t.Name)
	if e.cluster {
		p.slot = slotOf(meta)
	}
	body := make([]byte, 0, 1+1+4+len(ev.Key)+4+len(ev.Except)+len(ev.Data))
	p.keys = append(make([]string, 0, 4), meta)
	if t.Class == engine.Volatile {
		p.body = rueidis.BinaryString(appendBody(append(body, withoutPosition), ev))
	} else {
		p.keys = append(p.keys, keptKeys(meta, t.Class)...)
		if ev.ID != "" {
			p.keys = append(p.keys, idKey(meta, ev.ID))
		} else {
			name = ""
		}
		p.args = append(make([]string, 0, 5), classes[t.Class], name, rueidis.BinaryString(appendBody(body, ev)))
		switch t.Class {
		case engine.Latest:
			p.args = append(p.args, ev.Key, "")
		case engine.Recoverable:
			ttl := min(max(t.TTL, time.Millisecond), ttlMost)
			p.args = append(p.args, strconv.Itoa(max(t.Size, 1)), strconv.FormatInt(ttl.Milliseconds(), 10))
		default:
			p.args = append(p.args, "", "")
		}
	}
	p.size = int64(pendingCost + cap(body) + len(meta)*len(p.keys))
	return p
}

// classes are the names that scripts have for classes.
var classes = [...]string{engine.Latest: "l", engine.Ordered: "o", engine.Recoverable: "r"}

// enqueue puts a publication on its way.
func (e *Engine) enqueue(p *publication) error {
	if e.pending.Add(p.size) > pendingMost {
		e.pending.Add(-p.size)
		return ErrFull
	}
	q := e.queueOf(p)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.idle == nil {
		if !e.spawn(func() { e.send(q) }) {
			e.pending.Add(-p.size)
			return engine.ErrClosed
		}
		q.idle = make(chan struct{})
	}
	q.waiting = append(q.waiting, p)
	return nil
}

// queueOf returns the queue of a topic: always the same, so that publications
// to it keep their order.
func (e *Engine) queueOf(p *publication) *queue {
	if e.cluster {
		return &e.queues[int(p.slot)*len(e.queues)/slots] // servers have stretches of slots
	}
	sum := uint32(2166136261)
	for i := range len(p.keys[0]) {
		sum = (sum ^ uint32(p.keys[0][i])) * 16777619
	}
	return &e.queues[sum%uint32(len(e.queues))]
}

// take returns what is sent next, and nothing when the queue is empty.
func (q *queue) take() (batch []*publication) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var bytes int64
	n := 0
	for n < len(q.waiting) && n < batchMost && bytes < batchBytes {
		bytes += q.waiting[n].size
		n++
	}
	batch = q.waiting[:n:n]
	if q.waiting = q.waiting[n:]; n == 0 {
		close(q.idle)
		q.waiting, q.idle = nil, nil
	}
	return batch
}

// send sends what waits in a queue.
func (e *Engine) send(q *queue) {
	for {
		batch := q.take()
		if len(batch) == 0 {
			return
		}
		e.sendBatch(batch)
	}
}

// shipment is what goes to the server as one: publications of one slot in a
// run of the script, or one of a Volatile topic.
type shipment struct {
	run

	of []*publication
}

// sendBatch sends publications and tells those who wait for them.
func (e *Engine) sendBatch(batch []*publication) {
	var runs []shipment     // by slot, all in one unless there is a cluster
	var bare []*publication // to Volatile topics
	var bySlot map[uint16]int
	var sent int64
	for _, p := range batch {
		sent += p.size
		if p.gone.Load() {
			continue
		}
		if p.args == nil {
			bare = append(bare, p)
			continue
		}
		i := 0
		if e.cluster {
			if bySlot == nil {
				bySlot = make(map[uint16]int, len(batch))
			}
			var ok bool
			if i, ok = bySlot[p.slot]; !ok {
				i = len(runs)
				bySlot[p.slot] = i
			}
		}
		if i == len(runs) {
			runs = append(runs, shipment{run: e.topicRun()})
		}
		s := &runs[i]
		s.of = append(s.of, p)
		s.keys = append(s.keys, p.keys...)
		s.args = append(s.args, p.args...)
	}
	e.ship(runs, bare)
	e.pending.Add(-sent)
}

// ship sends shipments, and publications to Volatile topics, all at once.
func (e *Engine) ship(runs []shipment, bare []*publication) {
	commands := make(rueidis.Commands, 0, len(runs)+len(bare))
	for i := range runs {
		commands = append(commands, publishScript.command(e.client, runs[i].run))
	}
	for _, p := range bare {
		commands = append(commands, e.client.B().Spublish().Channel(p.keys[0]).Message(p.body).Build())
	}
	if len(commands) == 0 {
		return
	}
	results := e.client.DoMulti(context.Background(), commands...)
	var unknown []shipment
	for i := range runs {
		if noScript(results[i]) {
			unknown = append(unknown, runs[i])
		} else {
			runs[i].tell(results[i])
		}
	}
	for i, p := range bare {
		p.done <- outcome{err: results[len(runs)+i].Error()}
	}
	if len(unknown) == 0 {
		return
	}
	commands = commands[:0]
	for i := range unknown {
		commands = append(commands, publishScript.fullCommand(e.client, unknown[i].run))
	}
	for i, result := range e.client.DoMulti(context.Background(), commands...) {
		unknown[i].tell(result)
	}
}

// tell tells those who wait what has become of their publications.
func (s *shipment) tell(result rueidis.RedisResult) {
	each, err := result.ToArray()
	if err == nil && len(each) != len(s.of) {
		err = fmt.Errorf("%d answers for %d publications", len(each), len(s.of))
	}
	for i, p := range s.of {
		o := outcome{err: err}
		if err == nil {
			o = outcomeOf(each[i])
		}
		p.done <- o
	}
}

// outcomeOf reads what the script says of a publication.
func outcomeOf(m rueidis.RedisMessage) (o outcome) {
	switch {
	case m.IsInt64():
		o.known = true
	case m.IsArray():
		text, _ := m.AsStrSlice()
		o.err = serverError(strings.Join(text, " "))
	default:
		o.head, o.err = m.ToString()
	}
	return o
}

// drain waits until nothing waits to be sent.
func (e *Engine) drain(ctx context.Context) error {
	select {
	case <-e.ready:
	default:
		return nil
	}
	for i := range e.queues {
		q := &e.queues[i]
		q.mu.Lock()
		idle := q.idle
		q.mu.Unlock()
		if idle == nil {
			continue
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
