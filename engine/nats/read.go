package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/kanava-go/kanava/engine"
)

const pageBytes = 1 << 20

// errBehind is what ends reading from a copy that others have overtaken.
var errBehind = errors.New("the server's copy of the stream is behind")

// Read implements [engine.Broker].
func (e *Engine) Read(ctx context.Context, t engine.Topic, since engine.Position, limit int) (engine.Page, error) {
	page, err := e.read(ctx, t, since, limit)
	if err != nil {
		return engine.Page{}, fmt.Errorf("nats: read: %w", err)
	}
	return page, nil
}

func (e *Engine) read(ctx context.Context, t engine.Topic, since engine.Position, limit int) (engine.Page, error) {
	at, err := e.Positions(ctx, []engine.Topic{t})
	if err != nil {
		return engine.Page{}, err
	}
	r := &reading{e: e, s: e.stream(retentionOf(t)), topic: t, since: since, limit: limit}
	r.page.At = at[0]
	switch t.Class {
	case engine.Volatile:
		return engine.Page{}, nil
	case engine.Ordered:
		r.page.Lost = since != r.page.At
		return r.page, nil
	}
	var backoff backoff
	for {
		page, err := r.run(ctx)
		if errors.Is(err, errBehind) && backoff < mostTries {
			if err := e.pause(ctx, &backoff); err != nil {
				return engine.Page{}, err
			}
			if at, err = e.Positions(ctx, []engine.Topic{t}); err != nil {
				return engine.Page{}, err
			}
			r.page.At = at[0]
			continue
		}
		if errors.Is(err, errBehind) { // it is not behind: what was delivered is not kept any more
			page.Lost = page.Lost || since != engine.Position{}
			err = nil
		}
		return page, err
	}
}

// mostTries is how often a page is read again that ends too early.
const mostTries = 4

// reading makes a page.
type reading struct {
	e     *Engine
	s     *stream
	topic engine.Topic
	since engine.Position
	limit int
	page  engine.Page // with At

	now   time.Time // the servers'
	bytes int
}

func (r *reading) run(ctx context.Context) (engine.Page, error) {
	var err error
	r.page, r.bytes = engine.Page{At: r.page.At}, 0
	if r.now, err = r.e.now(ctx, r.s); err != nil {
		return engine.Page{}, err
	}
	known := r.since.Epoch == r.page.At.Epoch
	fresh := r.since == engine.Position{}
	from := r.since.Offset
	r.page.Lost = !known && !fresh
	if known && from > r.page.At.Offset && r.topic.Class == engine.Recoverable {
		known, r.page.Lost = false, true // nothing has that offset yet
	}
	if !known {
		from = 0
	}
	if from >= r.page.At.Offset {
		return r.page, nil
	}
	if r.topic.Class == engine.Latest {
		err = r.latest(ctx, from)
	} else {
		err = r.recoverable(ctx, from, fresh)
	}
	return r.page, err
}

// recoverable reads events after from. The stream keeps one more than is to be
// kept, which tells of what offset its successor is, and some that have ended.
func (r *reading) recoverable(ctx context.Context, from uint64, fresh bool) error {
	subject := r.e.names.kept(r.s.retention, r.topic.Name)
	prev, next, begun := from, max(from, 1), false
	for {
		found, err := r.get(ctx, get{NextFor: subject, Seq: next})
		if err != nil {
			return err
		}
		for n, m := range found.messages {
			seq := sequence(m)
			next = seq + 1
			if seq <= from {
				begun = true
				continue
			}
			full := !begun && found.left(n) > uint64(r.topic.Size)
			if !begun && from > 0 { // from has gone by its age, and others may have that followed it
				r.page.Lost, prev = true, 0
			}
			begun = true
			ev, err := r.decode(m)
			if err != nil {
				return err
			}
			if full || !r.now.Before(ev.Time.Add(r.topic.TTL)) { // not kept any more
				r.page.Lost = r.page.Lost || !fresh
				prev = seq
				continue
			}
			ev.Prev, prev = prev, seq
			if !r.add(ev) {
				return nil
			}
		}
		if done, err := r.ends(found, next); done {
			return err
		}
	}
}

// latest reads the newest events of keys, as far as they came after from.
func (r *reading) latest(ctx context.Context, from uint64) error {
	subject := r.e.names.kept(r.s.retention, r.topic.Name) + ".*"
	next := from + 1
	for {
		found, err := r.get(ctx, get{NextFor: subject, Seq: next})
		if err != nil {
			return err
		}
		for _, m := range found.messages {
			next = sequence(m) + 1
			ev, err := r.decode(m)
			if err != nil {
				return err
			}
			ev.Key, _ = untoken(lastToken(first(m.Header, natsgo.JSSubject)))
			if r.now.Before(ev.Time.Add(latestTime)) && !r.add(ev) {
				return nil
			}
		}
		if done, err := r.ends(found, next); done {
			return err
		}
	}
}

func (r *reading) get(ctx context.Context, g get) (got, error) {
	g.Batch, g.MaxBytes = min(r.limit, 1<<16)+2, pageBytes // with the one that is since, and one that tells of More
	found, err := r.e.get(ctx, r.s, g)
	if err == nil && epochIn(found.stream) != r.page.At.Epoch {
		return got{}, errBehind
	}
	return found, err
}

// left returns how many messages there are from the n-th on.
func (g got) left(n int) uint64 { return uint64(len(g.messages)-n) + g.pending }

func (r *reading) decode(m *natsgo.Msg) (ev engine.Event, err error) {
	ev.Data = m.Data
	if !decodeHeader(m.Header, &ev) || !decodeStored(m.Header, first(m.Header, natsgo.JSStream), &ev) {
		err = errors.New("a message in the stream is not of ours")
	}
	return ev, err
}

// add adds an event to the page, if it has room.
func (r *reading) add(ev engine.Event) bool {
	r.bytes += len(ev.Data) + len(ev.Key) + len(ev.Except) + 64
	if len(r.page.Events) >= r.limit || r.bytes > pageBytes && len(r.page.Events) > 0 {
		r.page.More = true
		return false
	}
	r.page.Events = append(r.page.Events, ev)
	r.page.At.Offset = max(r.page.At.Offset, ev.At.Offset)
	return true
}

// ends tells whether the page is complete after what was found: next is where
// the next question begins.
func (r *reading) ends(found got, next uint64) (bool, error) {
	switch {
	case found.pending > 0 && len(r.page.Events) > 0:
		r.page.More = true
		return true, nil
	case found.pending > 0:
		return false, nil
	case next <= r.page.At.Offset && r.topic.Class == engine.Recoverable:
		return true, errBehind
	}
	return true, nil
}
