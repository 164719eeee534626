package memory

import (
	"container/list"
	"crypto/rand"
	"time"

	"github.com/kanava-go/kanava/engine"
)

const (
	latestMost = 1024           // keys of a Latest topic
	latestTime = 24 * time.Hour // how long their events are kept
	pageBytes  = 1 << 20        // of a page
	pageCost   = 64             // what an event costs there besides its bytes
	idTime     = 2 * time.Minute
	idleTime   = 25 * time.Hour // how long a position is kept that nobody uses
)

// topicLog is what is kept of a topic. The backend's mu guards it.
type topicLog struct {
	at     engine.Position
	events []kept                   // of a Recoverable topic, without a gap, up to at
	newest map[string]*list.Element // of a Latest topic: by key, in order
	order  list.List                // of kept, by offset
	ids    map[string]struct{}      // of those in said
	said   []publication            // the oldest first
	ends   time.Time                // when the position is forgotten
}

// kept is an event that ends.
type kept struct {
	engine.Event

	until time.Time
}

// publication is the id of one, and how long it is known.
type publication struct {
	id    string
	until time.Time
}

func newTopicLog() *topicLog {
	return &topicLog{at: engine.Position{Epoch: rand.Text()[:16]}}
}

// touch makes the position last.
func (l *topicLog) touch(now time.Time) { l.last(now.Add(idleTime)) }

func (l *topicLog) last(until time.Time) {
	if until.After(l.ends) {
		l.ends = until
	}
}

// over tells whether the position has been forgotten.
func (l *topicLog) over(now time.Time) bool { return !now.Before(l.ends) }

// seen tells whether a publication with this id is known, and remembers it.
func (l *topicLog) seen(id string, now time.Time) bool {
	if id == "" {
		return false
	}
	l.forgetIDs(now)
	if _, ok := l.ids[id]; ok {
		return true
	}
	if l.ids == nil {
		l.ids = make(map[string]struct{})
	}
	l.ids[id] = struct{}{}
	l.said = append(l.said, publication{id, now.Add(idTime)})
	return false
}

func (l *topicLog) forgetIDs(now time.Time) {
	for len(l.said) > 0 && !now.Before(l.said[0].until) {
		delete(l.ids, l.said[0].id)
		l.said[0] = publication{}
		l.said = l.said[1:]
	}
}

// append gives an event its position and keeps it as t says.
func (l *topicLog) append(t engine.Topic, ev *engine.Event, now time.Time) {
	ev.Prev = l.at.Offset
	l.at.Offset++
	ev.At, ev.Time = l.at, now
	if t.Class != engine.Recoverable {
		l.events = nil // there would be a gap
	}
	switch t.Class {
	case engine.Latest:
		l.keepNewest(kept{*ev, now.Add(latestTime)})
	case engine.Recoverable:
		until := now.Add(t.TTL)
		l.last(until.Add(time.Hour))
		l.endBy(until)
		l.events = append(l.events, kept{*ev, until})
		for len(l.events) > t.Size {
			l.dropFirst()
		}
	}
	l.expire(now)
}

func (l *topicLog) keepNewest(ev kept) {
	if at := l.newest[ev.Key]; at != nil {
		at.Value = ev
		l.order.MoveToBack(at)
		return
	}
	if l.newest == nil {
		l.newest = make(map[string]*list.Element)
	}
	l.newest[ev.Key] = l.order.PushBack(ev)
	if len(l.newest) > latestMost {
		l.dropOldest()
	}
}

func (l *topicLog) dropFirst() {
	l.events[0] = kept{}
	l.events = l.events[1:]
}

func (l *topicLog) dropOldest() {
	first := l.order.Front()
	delete(l.newest, first.Value.(kept).Key)
	l.order.Remove(first)
}

// endBy has all events of a Recoverable topic end by the time at which the next
// one ends: those before it go with it, whatever was said of them. So the first
// of them is always the first to end.
func (l *topicLog) endBy(until time.Time) {
	for i := len(l.events) - 1; i >= 0 && l.events[i].until.After(until); i-- {
		l.events[i].until = until
	}
}

// expire lets go of what has ended.
func (l *topicLog) expire(now time.Time) {
	for len(l.events) > 0 && !now.Before(l.events[0].until) {
		l.dropFirst()
	}
	for first := l.order.Front(); first != nil && !now.Before(first.Value.(kept).until); first = l.order.Front() {
		l.dropOldest()
	}
	l.forgetIDs(now)
}

// read returns a page of what followed since.
func (l *topicLog) read(class engine.Class, since engine.Position, limit int, now time.Time) engine.Page {
	l.expire(now)
	p := engine.Page{At: l.at}
	known := since.Epoch == l.at.Epoch
	fresh := since == engine.Position{}
	if !known {
		since.Offset = 0
	}
	bytes := 0
	add := func(ev engine.Event) bool {
		bytes += len(ev.Data) + len(ev.Key) + len(ev.Except) + pageCost
		if len(p.Events) >= limit || bytes > pageBytes && len(p.Events) > 0 {
			p.More = true
			return false
		}
		p.Events = append(p.Events, own(ev))
		return true
	}
	switch class {
	case engine.Latest:
		p.Lost = !known && !fresh
		for e := l.order.Front(); e != nil; e = e.Next() {
			if ev := e.Value.(kept); ev.At.Offset > since.Offset && !add(ev.Event) {
				break
			}
		}
	case engine.Ordered:
		p.Lost = since != l.at
	case engine.Recoverable:
		start := l.at.Offset - uint64(len(l.events)) // the first of events follows it
		from := max(since.Offset, start)
		p.Lost = !fresh && (!known || since.Offset < start)
		if since.Offset > l.at.Offset { // nobody has given it that
			p.Lost, from = true, start
		}
		for _, ev := range l.events[from-start:] {
			if !add(ev.Event) {
				break
			}
		}
	}
	return p
}
