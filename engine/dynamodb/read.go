package dynamodb

import (
	"context"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// pageBytes is how many bytes of events Read returns, as a rule.
const pageBytes = 1 << 20

// Read implements [engine.Broker].
func (e *Engine) Read(ctx context.Context, t engine.Topic, since engine.Position, limit int) (page engine.Page, err error) {
	err = e.call(ctx, "read", func(ctx context.Context) (err error) {
		if err := checkNames(t.Name); err != nil {
			return err
		}
		page, err = e.read(ctx, t, since, max(limit, 0))
		return err
	})
	return page, err
}

func (e *Engine) read(ctx context.Context, t engine.Topic, since engine.Position, limit int) (engine.Page, error) {
	var h *head
	var events []located
	all := true // events go to where the topic stands
	var err error
	switch t.Class {
	case engine.Latest:
		h, events, err = e.readLatest(ctx, t)
	case engine.Recoverable:
		h, events, all, err = e.readRecoverable(ctx, t, since, limit)
	default:
		h, err = e.headOf(ctx, t)
	}
	if err != nil {
		return engine.Page{}, err
	}
	fresh, other := since == engine.Position{}, since.Epoch != h.epoch
	page := engine.Page{At: h.position(), Lost: other && !fresh}
	switch t.Class {
	case engine.Latest:
		for !other && len(events) > 0 && events[0].offset <= since.Offset {
			events = events[1:]
		}
	case engine.Recoverable:
		events, page.Lost = whole(events, all, h, since)
	default:
		page.Lost = since != page.At
	}
	kept := len(events)
	events = firstPage(events, limit)
	page.More = len(events) > 0 && (len(events) < kept || !all)
	if events, err = e.table.readBodies(ctx, events); err != nil {
		return engine.Page{}, err
	}
	for _, n := range events {
		page.Events = append(page.Events, n.event(h.epoch, n.offset))
	}
	return page, nil
}

// firstPage returns the events that fit into a page, one at least.
func firstPage(events []located, limit int) []located {
	bytes := 0
	for i := range events {
		bytes += events[i].weight()
		if i == limit || i > 0 && bytes > pageBytes {
			return events[:i]
		}
	}
	return events
}

// readRecoverable reads what is kept of the events that followed since, and a little
// more than a page of it.
func (e *Engine) readRecoverable(ctx context.Context, t engine.Topic, since engine.Position, limit int) (h *head, events []located, all bool, err error) {
	h, err = e.headOf(ctx, t)
	if err == nil {
		err = h.wrong
	}
	if err != nil {
		return nil, nil, false, err
	}
	from := uint64(0)
	if since.Epoch == h.epoch && since.Offset <= h.last {
		from = since.Offset
	}
	if size := uint64(max(t.Size, 1)); h.last > size {
		from = max(from, h.last-size)
	}
	now := time.Now()
	bytes := 0
	add := func(b *batch, last uint64) {
		for _, n := range b.after(from, last) {
			if time.UnixMilli(n.ms).Add(b.keeps).After(now) {
				events = append(events, n)
				bytes += n.weight()
			}
		}
	}
	if from < h.before() {
		for b, err := range e.table.log(ctx, t.Name, h.epoch, from, int32(min(limit+1, 1000))) {
			if err != nil {
				return nil, nil, false, err
			}
			if b.last > h.before() {
				break
			}
			add(&b.batch, b.last)
			if len(events) > limit || bytes > pageBytes {
				return h, events, false, nil
			}
		}
	}
	add(&h.batch, h.last)
	return h, events, true, nil
}

// whole leaves out what is before something that is not kept any more, and tells
// whether something is lost.
func whole(events []located, all bool, h *head, since engine.Position) ([]located, bool) {
	fresh, other := since == engine.Position{}, since.Epoch != h.epoch
	want, lost := since.Offset+1, other && !fresh
	if !other && since.Offset > h.last { // nobody has given it that
		want, lost = 1, true
	}
	if other {
		want = 1
	}
	begin := 0
	for i, n := range events {
		if n.offset != want {
			begin, lost = i, !fresh
		}
		want = n.offset + 1
	}
	if all && want <= h.last {
		return nil, !fresh
	}
	return events[begin:], lost
}
