package kanava

import (
	"context"
	"fmt"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/internal/form"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// Position is where a topic stands: after the event with this offset. An epoch
// is one unbroken count of events: a topic that was forgotten, as by a restart,
// begins another. The zero Position is before all that is kept.
type Position struct {
	Epoch  string
	Offset uint64
}

// HistoryPage is a part of what a topic keeps.
type HistoryPage[T any] struct {
	Events []T      // the oldest first. Shared: nobody may change what they point to
	At     Position // after the last of Events
	More   bool     // others follow: they are read from At
	Lost   bool     // some that followed the position asked for are not kept any more: Events begins with the oldest that is
}

// History returns what key keeps of the events that followed since, at most
// limit of them: of a Recoverable topic its last events, of a Latest one the
// newest of each key. It is for the program: Except and outgoing middleware,
// which say what a client sees, do not count, nor does Private. [Since] goes on
// from there with what comes next. The error is CodeInvalidArgument for a bad
// key or a limit below 1, ErrClosed after the hub was closed; another error if
// an event is not of type T, as one published raw can be.
func (t *Topic[T]) History(ctx context.Context, key string, since Position, limit int) (page HistoryPage[T], err error) {
	topic := t.name(key)
	if err := ctx.Err(); err != nil {
		return page, err
	}
	if err := checkTopic(topic); err != nil {
		return page, err
	}
	if limit < 1 {
		return page, Errorf(CodeInvalidArgument, "the limit of a history is 1 or more")
	}
	if t.hub.closed.isSet() {
		return page, ErrClosed
	}
	if t.family.class == volatile {
		return page, nil
	}
	if k := t.hub.cluster; k != nil {
		return t.farHistory(ctx, k, topic, since, limit)
	}
	ts := t.hub.hold(topic, t.family, true)
	now := time.Now()
	from := form.Position(since)
	var events []*event
	ok := false
	if since != (Position{}) {
		events, ok = ts.log.read(from, limit, now)
		page.Lost = !ok
	}
	if !ok {
		from = ts.log.begin(now)
		events, _ = ts.log.read(from, limit, now)
	}
	at := ts.log.at
	ts.mu.Unlock()
	page.At = Position(at)
	if len(events) == limit {
		last := events[limit-1].at
		page.At, page.More = Position(last), last != at
	}
	page.Events, err = t.valuesOf(ctx, events)
	return page, err
}

// farHistory is History where an engine has it.
func (t *Topic[T]) farHistory(ctx context.Context, k *cluster, topic string, since Position, limit int) (page HistoryPage[T], err error) {
	k.start()
	ctx, cancel := limited(ctx, 2*engineTime)
	defer cancel()
	read, err := k.engine.Read(ctx, specOf(topic, t.family), engine.Position(since), limit)
	if err != nil {
		return page, unavailable(err, "the history cannot be read")
	}
	events := make([]*event, len(read.Events))
	page.At, page.More, page.Lost = Position(read.At), read.More, read.Lost && since != Position{}
	for i, e := range read.Events {
		events[i] = received(topic, e, t.family)
		if read.More {
			page.At = Position(e.At)
		}
	}
	page.Events, err = t.valuesOf(ctx, events)
	return page, err
}

func (t *Topic[T]) valuesOf(ctx context.Context, events []*event) (values []T, err error) {
	for _, ev := range events {
		v, err := t.valueOf(ctx, ev)
		if err != nil {
			return values, err
		}
		values = append(values, v)
	}
	return values, nil
}

// valueOf returns the value of an event: what was published or, of one that was
// published raw, what its JSON says.
func (t *Topic[T]) valueOf(ctx context.Context, ev *event) (v T, err error) {
	value := ev.payload()
	if v, ok := value.(T); ok || value == nil {
		return v, nil
	}
	wrong := func(why any) error {
		return fmt.Errorf("kanava: event %d of topic %q is no %T: %v", ev.at.Offset, ev.topic, v, why)
	}
	if ev.binary {
		return v, wrong("it is binary")
	}
	m, err := typemodel.Of(t.model.Type(), typemodel.Stored)
	if err != nil {
		return v, wrong(err)
	}
	faults, err := m.Decode(ctx, ev.data, &v)
	if err == nil && len(faults) > 0 {
		err = fmt.Errorf("%s %s", faults[0].Pointer, faults[0].Message)
	}
	if err != nil {
		return v, wrong(err)
	}
	return v, nil
}
