package kanava

import (
	"container/list"
	"math"
	"sort"
	"time"

	"github.com/kanava-go/kanava/internal/form"
)

// topicLog is what the memory of this process keeps of one topic: where it
// stands and, as its class wants it, its events (docs/protocol.md section 4,
// D1 and D2). Nothing else knows how they are kept: an engine that joins nodes
// has an append, a since and a values of its own. The topic's mu guards it.
type topicLog struct {
	class class
	size  int // of a Recoverable topic, as is ttl
	ttl   time.Duration

	at     form.Position            // of the last event; the zero Position of a Volatile topic
	events fifo[*event]             // of a Recoverable topic: the last ones, each the prev of the next, up to at
	newest map[string]*list.Element // of a Latest topic: by key, in order
	order  list.List                // of *event, by offset
	bytes  int                      // what events, or newest, cost
}

const (
	latestMost = 1024           // keys of a Latest topic
	latestTime = 24 * time.Hour // how long their events are kept
	keptCost   = 256            // what an event costs besides its bytes
	itemLeast  = 16             // the bytes of an event in an answer besides its payload, at least
)

func newTopicLog(f *family, epoch string) topicLog {
	l := topicLog{class: f.classOf(), at: form.Position{Epoch: epoch}}
	switch l.class {
	case volatile:
		l.at = form.Position{}
	case recoverable:
		l.size, l.ttl = f.size, f.ttl
	}
	return l
}

// cost is what it takes to keep ev: its bytes, the value they are the JSON of,
// and the frames that are made of them.
func (ev *event) cost() int { return keptCost + 3*len(ev.data) + len(ev.key) + len(ev.except) }

// append gives ev its position and keeps it, if the class does, in place of
// what is too old or too much then. It returns how many bytes more are kept.
func (l *topicLog) append(ev *event, now time.Time) (grown int) {
	if l.class == volatile {
		return 0
	}
	ev.prev = l.at.Offset
	l.at.Offset++
	ev.at = l.at
	return l.take(ev, now)
}

// take keeps an event that follows what there is, if the class does. It returns
// how many bytes more are kept.
func (l *topicLog) take(ev *event, now time.Time) (grown int) {
	l.at = ev.at
	before := l.bytes
	switch l.class {
	case latest:
		ev.kept = now
		if at := l.newest[ev.key]; at != nil {
			l.bytes -= at.Value.(*event).cost()
			at.Value = ev
			l.order.MoveToBack(at)
		} else {
			if l.newest == nil {
				l.newest = make(map[string]*list.Element)
			}
			l.newest[ev.key] = l.order.PushBack(ev)
		}
		l.bytes += ev.cost()
		if len(l.newest) > latestMost {
			l.drop()
		}
	case recoverable:
		l.events.push(ev.record(now))
		l.bytes += ev.cost()
		if l.events.len() > l.size {
			l.drop()
		}
		l.expire(now)
	}
	return l.bytes - before
}

// oldest returns what drop lets go of, nil if nothing is kept.
func (l *topicLog) oldest() *event {
	if l.events.len() > 0 {
		return *l.events.first()
	}
	if first := l.order.Front(); first != nil {
		return first.Value.(*event)
	}
	return nil
}

// drop lets go of the oldest event.
func (l *topicLog) drop() {
	ev := l.oldest()
	l.bytes -= ev.cost()
	if l.class == recoverable {
		l.events.pop()
		return
	}
	l.order.Remove(l.newest[ev.key])
	delete(l.newest, ev.key)
}

// expire lets go of what is too old. It returns how many bytes that were.
func (l *topicLog) expire(now time.Time) (freed int) {
	before := l.bytes
	for ev := l.oldest(); ev != nil && l.tooOld(ev, now); ev = l.oldest() {
		l.drop()
	}
	return before - l.bytes
}

func (l *topicLog) tooOld(ev *event, now time.Time) bool {
	if l.class == recoverable {
		return now.Sub(ev.kept) >= l.ttl
	}
	return now.Sub(ev.kept) >= latestTime
}

// trim lets go of the oldest events until at most bytes are kept. It returns
// how many bytes that were.
func (l *topicLog) trim(bytes int) (freed int) {
	before := l.bytes
	for l.bytes > bytes && l.oldest() != nil {
		l.drop()
	}
	return before - l.bytes
}

// since returns the events that followed from, at least one if there is one and
// then at most limit, and as long as they have at most about bytes: all of them
// if the last is that of at. It is false if that is not known: another epoch, or
// events that are not kept, or not any more.
func (l *topicLog) since(from form.Position, limit, bytes int, now time.Time) (events []*event, ok bool) {
	if from.Epoch != l.at.Epoch || from.Offset > l.at.Offset {
		return nil, false
	}
	first := l.after(from.Offset)
	if first == l.events.len() {
		return nil, from.Offset == l.at.Offset
	}
	if ev := *l.events.at(first); ev.prev > from.Offset || l.tooOld(ev, now) {
		return nil, false
	}
	for i := first; i < l.events.len() && len(events) < limit; i++ {
		ev := *l.events.at(i)
		if bytes -= itemLeast + len(ev.data); bytes < 0 && len(events) > 0 {
			break
		}
		events = append(events, ev)
	}
	return events, true
}

// after returns the index of the first kept event with an offset above this.
func (l *topicLog) after(offset uint64) int {
	return sort.Search(l.events.len(), func(i int) bool { return (*l.events.at(i)).at.Offset > offset })
}

// start returns the position behind which all events are kept, however old.
func (l *topicLog) start() form.Position {
	at := l.at
	if l.events.len() > 0 {
		at.Offset = (*l.events.first()).prev
	}
	return at
}

// prepend keeps events that came before those of a Recoverable topic that are
// kept, and is nothing if the last of them is not the one before these. It
// returns how many bytes more are kept.
func (l *topicLog) prepend(events []*event) (grown int) {
	if n := len(events); n == 0 || events[n-1].at != l.start() {
		return 0
	}
	before := l.bytes
	var all fifo[*event]
	for _, ev := range events {
		all.push(ev)
		l.bytes += ev.cost()
	}
	for i := range l.events.len() {
		all.push(*l.events.at(i))
	}
	l.events = all
	for l.events.len() > l.size {
		l.drop()
	}
	return l.bytes - before
}

// begin returns the position after which everything is kept that is.
func (l *topicLog) begin(now time.Time) form.Position {
	at := l.at
	switch l.class {
	case latest:
		at.Offset = 0
	case recoverable:
		i := 0
		for i < l.events.len() && l.tooOld(*l.events.at(i), now) {
			i++
		}
		if i < l.events.len() {
			at.Offset = (*l.events.at(i)).prev
		}
	}
	return at
}

// read returns at most limit of the kept events that followed from: all there
// were, or of a Latest topic the newest of each key. It is false if that is not
// known.
func (l *topicLog) read(from form.Position, limit int, now time.Time) (events []*event, ok bool) {
	if l.class != latest {
		return l.since(from, limit, math.MaxInt, now)
	}
	if from.Epoch != l.at.Epoch || from.Offset > l.at.Offset {
		return nil, false
	}
	l.values(from.Offset, l.at.Offset, now, func(ev *event) bool {
		events = append(events, ev)
		return len(events) < limit
	})
	return events, true
}

// values calls yield with the newest event of each key of a Latest topic, those
// with offsets above after and up to to, lower ones first.
func (l *topicLog) values(after, to uint64, now time.Time, yield func(*event) bool) {
	for e := l.order.Front(); e != nil; e = e.Next() {
		ev := e.Value.(*event)
		if ev.at.Offset > to || ev.at.Offset > after && !l.tooOld(ev, now) && !yield(ev) {
			return
		}
	}
}
