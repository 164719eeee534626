package dynamodb

import (
	"context"
	"sync"
	"time"

	"github.com/kanava-go/kanava/engine"
)

const (
	pollTime  = 5 * time.Second // a look takes no longer
	idleTimes = 8               // how many times Poll a look is apart from the next one at most
	pageMost  = 256             // events that are delivered at once
)

// pollAll looks for events until ctx ends.
func (e *Engine) pollAll(ctx context.Context) {
	for {
		due, wait := e.follows.due(time.Now(), e.poll)
		if len(due) > 0 {
			e.look(ctx, due)
			continue
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-e.follows.kicked:
		case <-ctx.Done():
			t.Stop()
			return
		}
		t.Stop()
	}
}

// due returns the followers that are due, and how long to wait where there are none.
func (f *follows) due(now time.Time, poll time.Duration) (due []*follow, wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	wait = time.Minute
	for _, fo := range f.by {
		switch {
		case fo.idle == 0: // has not entered
		case fo.due.After(now):
			wait = min(wait, fo.due.Sub(now))
		default:
			fo.idle = min(2*fo.idle, idleTimes*poll)
			fo.due = now.Add(fo.idle)
			due = append(due, fo)
		}
	}
	return due, wait
}

// look looks for events of topics, and delivers them.
func (e *Engine) look(ctx context.Context, due []*follow) {
	var all sync.WaitGroup
	places := make(chan struct{}, parallel)
	for len(due) > 0 {
		batch := due[:min(len(due), batchKeys)]
		due = due[len(batch):]
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(ctx, pollTime)
			defer cancel()
			if err := e.lookAt(ctx, batch); err != nil {
				e.noted(err)
				return
			}
			e.back()
		})
	}
	all.Wait()
}

// lookAt reads where topics stand, as it was a moment ago, which costs half as much as
// to read it as it is. A failure is not hidden by another attempt: the hub is to know.
func (e *Engine) lookAt(ctx context.Context, batch []*follow) error {
	heads := make(map[string]*head, len(batch))
	err := e.eager.getBatch(ctx, keysOf(batch), false, func(it item) error {
		if h := e.table.headOf(it); h != nil {
			heads[string(bytesIn(it, partition)[len(kindTopic):])] = h
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, f := range batch {
		h := heads[f.topic]
		if h == nil {
			continue
		}
		news, failed := e.follow(ctx, f, h)
		if failed != nil {
			err = failed // and others are looked at
			continue
		}
		if news {
			e.follows.mu.Lock()
			f.idle = e.poll
			if next := time.Now().Add(f.idle); next.Before(f.due) { // it may be due already
				f.due = next
			}
			e.follows.mu.Unlock()
		}
	}
	return err
}

// follow delivers the events up to a head. It is false if the hub has had them.
func (e *Engine) follow(ctx context.Context, f *follow, h *head) (news bool, err error) {
	at := e.stands(f)
	if h.epoch != at.Epoch { // or what was read is older than what was delivered
		if h, err = e.eager.head(ctx, f.topic); err != nil || h == nil {
			return false, err
		}
		at = e.stands(f)
	}
	since := uint64(0)
	if h.epoch == at.Epoch {
		since = at.Offset
	}
	switch {
	case h.wrong != nil:
		return false, h.wrong
	case h.last == 0:
		e.stand(f, h.position()) // where nothing has come nothing says so
		return false, nil
	case h.last <= since:
		return false, nil
	}
	p := passage{e: e, f: f, epoch: h.epoch, want: since + 1}
	if since < h.before() {
		for b, err := range e.eager.log(ctx, f.topic, h.epoch, since, 0) {
			if err != nil {
				return false, err
			}
			if b.last > h.before() {
				break
			}
			if err := p.add(ctx, b.after(since, b.last)); err != nil {
				return false, err
			}
		}
	}
	if err := p.add(ctx, h.entries(since)); err != nil {
		return false, err
	}
	return true, p.flush(ctx)
}

func (e *Engine) stands(f *follow) engine.Position {
	stripe := e.follows.stripe(f.topic)
	stripe.Lock()
	defer stripe.Unlock()
	return f.at
}

// stand notes that a topic has begun another epoch, in which there is no event yet. The
// hub is told that the former one has ended, if there was one.
func (e *Engine) stand(f *follow, at engine.Position) {
	stripe := e.follows.stripe(f.topic)
	stripe.Lock()
	former := f.at.Epoch
	f.turn(at)
	stripe.Unlock()
	if former != "" && former != at.Epoch {
		e.missed(f)
	}
}

// missed tells the hub that it may have missed something of a topic.
func (e *Engine) missed(f *follow) {
	if !f.gone.Load() && e.life.Err() == nil {
		e.handler.Resumed(f.topic)
	}
}

// passage is events on their way from the table to the hub.
type passage struct {
	e     *Engine
	f     *follow
	epoch string
	want  uint64 // the next offset
	ready []located
	bytes int
}

func (p *passage) add(ctx context.Context, entries []located) error {
	for _, n := range entries {
		p.ready = append(p.ready, n)
		if p.bytes += n.weight(); p.bytes >= pageBytes || len(p.ready) >= pageMost {
			if err := p.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush delivers what there is. Where something is missing before it, which the log
// has no more, the hub is told.
func (p *passage) flush(ctx context.Context) error {
	ready, err := p.e.eager.readBodies(ctx, p.ready)
	if err != nil {
		return err
	}
	missed := false
	events := make([]engine.Event, 0, len(ready))
	for _, n := range ready {
		missed = missed || n.offset != p.want
		p.want = n.offset + 1
		events = append(events, n.event(p.epoch, n.offset))
	}
	p.ready, p.bytes = p.ready[:0], 0
	if missed {
		p.e.missed(p.f)
	}
	p.e.deliver(p.f, events)
	return nil
}
