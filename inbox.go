package kanava

import (
	"math"
	"sync"
	"time"

	"github.com/kanava-go/kanava/internal/form"
)

// inbox holds the events that wait for code of the program's own: bounded, and
// at the bound each class does what it promises (docs/protocol.md section 4).
// Nobody who publishes ever waits for it. A topic can be behind: its events are
// not taken as they come, but from its log when there is room.
//
// The locks of topics come before mu.
type inbox struct {
	id    string // of whose events are kept from it by Except
	limit int    // bytes
	ready func() // called with mu held when something comes

	mu     sync.Mutex
	queue  fifo[*inboxItem]                // guarded by mu, as is all that follows
	bytes  int                             // of queue
	latest map[latestKey]*inboxItem        // those of queue that belong to Latest topics
	behind map[*subscription]form.Position // topics that are, and after which event
	err    error                           // why nothing is taken any more
}

type inboxItem struct {
	sub  *subscription
	ev   *event
	lost *LostError // in place of ev
}

type latestKey struct {
	sub *subscription
	key string
}

func (it *inboxItem) size() int {
	if it.ev == nil {
		return itemCost
	}
	return itemCost + it.ev.size()
}

// deliver takes an event, or notes that its topic is behind. It returns false
// if the event is lost for good, which no Ordered topic allows. The topic's mu
// is held.
func (b *inbox) deliver(ev *event, sub *subscription) (ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, behind := b.behind[sub]; behind || b.err != nil {
		return true
	}
	if b.replace(ev, sub) {
		return true
	}
	it := &inboxItem{sub: sub, ev: ev}
	switch fits := b.hasRoom(it.size()); {
	case fits:
		b.push(it)
	case sub.class == volatile:
		b.dropVolatile(it.size())
		if b.hasRoom(it.size()) {
			b.push(it)
		}
	case sub.class == ordered:
		return false
	default:
		b.fallBehind(sub, form.Position{Epoch: ev.at.Epoch, Offset: ev.prev})
	}
	return true
}

// fallBehind notes that a topic is behind, after the position at.
func (b *inbox) fallBehind(sub *subscription, at form.Position) {
	if b.behind == nil {
		b.behind = make(map[*subscription]form.Position)
	}
	b.behind[sub] = at
	b.ready()
}

// moved takes that the topic stands elsewhere now; see sink. The topic's mu is
// held.
func (b *inbox) moved(sub *subscription, from form.Position) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := sub.state.log.at
	switch _, behind := b.behind[sub]; {
	case b.err != nil || behind && sub.class == recoverable:
	case sub.class == latest:
		b.fallBehind(sub, form.Position{Epoch: at.Epoch})
	case sub.class == recoverable:
		b.fallBehind(sub, from)
	default:
		b.push(&inboxItem{sub: sub, lost: &LostError{sub.topic, Position(from), Position(at)}})
	}
}

func (b *inbox) hasRoom(size int) bool { return b.queue.len() == 0 || b.bytes+size <= b.limit }

func (b *inbox) push(it *inboxItem) {
	b.queue.push(it)
	b.bytes += it.size()
	if it.ev != nil && it.sub.class == latest {
		if b.latest == nil {
			b.latest = make(map[latestKey]*inboxItem)
		}
		b.latest[latestKey{it.sub, it.ev.key}] = it
	}
	b.ready()
}

// replace puts an event of a Latest topic in the place of an older one that
// waits.
func (b *inbox) replace(ev *event, sub *subscription) bool {
	if sub.class != latest {
		return false
	}
	it := b.latest[latestKey{sub, ev.key}]
	if it == nil {
		return false
	}
	b.bytes += ev.size() - it.ev.size()
	it.ev = ev
	return true
}

// dropVolatile drops the oldest events of Volatile topics until there is room.
func (b *inbox) dropVolatile(size int) {
	var left fifo[*inboxItem]
	for b.queue.len() > 0 {
		it := b.queue.pop()
		if it.sub.class == volatile && b.bytes+size > b.limit {
			b.bytes -= it.size()
			continue
		}
		left.push(it)
	}
	b.queue = left
}

// next returns what waits, or nil. Topics that are behind go on when nothing
// else waits. The caller is the only one who takes.
func (b *inbox) next() *inboxItem {
	for {
		it, behind := b.pop()
		if behind == nil {
			return it
		}
		b.catchUp(behind)
	}
}

// pop takes what comes next or, if there is nothing, returns a topic that is
// behind, if there is one.
func (b *inbox) pop() (it *inboxItem, behind *subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.queue.len() > 0 {
		it = b.queue.pop()
		b.bytes -= it.size()
		if it.ev != nil && it.sub.class == latest {
			delete(b.latest, latestKey{it.sub, it.ev.key})
		}
		if !it.sub.ended.isSet() {
			return it, nil
		}
	}
	for sub := range b.behind {
		return nil, sub
	}
	return nil, nil
}

// catchUp takes from the log of a topic that is behind what there is room for.
func (b *inbox) catchUp(sub *subscription) {
	ts := sub.state
	far := b.reach(sub)
	ts.mu.Lock()
	defer ts.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	from, behind := b.behind[sub]
	if !behind {
		return
	}
	delete(b.behind, sub)
	if sub.ended.isSet() || b.err != nil {
		return
	}
	take := func(ev *event) (more bool) {
		it := &inboxItem{sub: sub, ev: ev}
		switch {
		case ev.except == b.id:
		case b.replace(ev, sub):
		case !b.hasRoom(it.size()):
			b.behind[sub] = from
			return false
		default:
			b.push(it)
		}
		from.Offset = ev.at.Offset
		return true
	}
	now := time.Now()
	if sub.class == latest {
		ts.log.values(from.Offset, math.MaxUint64, now, take)
		return
	}
	events, ok := ts.log.since(from, math.MaxInt, b.limit, now)
	if !ok {
		events, ok = far.since(from)
	}
	if !ok {
		begin := ts.log.begin(now)
		b.push(&inboxItem{sub: sub, lost: &LostError{sub.topic, Position(from), Position(begin)}})
		from = begin
		events, _ = ts.log.since(from, math.MaxInt, b.limit, now)
	}
	for _, ev := range events {
		if !take(ev) {
			return
		}
	}
	if from.Offset < ts.log.at.Offset {
		b.behind[sub] = from
	}
}

// farEvents are what was read at an engine of the events behind a position.
type farEvents struct {
	from   form.Position
	events []*event
	ok     bool
}

func (f *farEvents) since(from form.Position) ([]*event, bool) {
	return f.events, f.ok && f.from == from
}

// reach sees to it that a topic that is behind is found in its log or, where
// that is too much for it, in what is returned. An engine that does not answer is
// asked again until the listener ends: nothing is lost for that.
func (b *inbox) reach(sub *subscription) (far farEvents) {
	k := sub.hub.cluster
	if k == nil || sub.class != recoverable {
		return far
	}
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		b.mu.Lock()
		from, behind := b.behind[sub]
		b.mu.Unlock()
		if !behind || sub.ended.isSet() {
			return far
		}
		events, ok, err := k.missed(k.ctx, sub, from, b.limit)
		if err == nil {
			return farEvents{from, events, ok}
		}
		if !k.sleep(wait) {
			return far
		}
	}
}

// forget lets go of a topic that is not subscribed to any more.
func (b *inbox) forget(sub *subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.behind, sub)
}

// end makes the inbox take nothing more, and drops what waits. It reports
// whether it was the first.
func (b *inbox) end(err error) (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return false
	}
	b.err = err
	b.queue, b.bytes, b.latest, b.behind = fifo[*inboxItem]{}, 0, nil, nil
	b.ready()
	return true
}

func (b *inbox) ended() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}
