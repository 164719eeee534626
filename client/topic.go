package client

import (
	"slices"
	"time"
)

// Position is a place in the history of a topic: the engine's epoch, and the
// number of the last event.
type Position struct {
	Epoch  string
	Offset uint64
}

// topicEvent is an event of a topic as it came.
type topicEvent struct {
	at     Position
	before uint64 // the offset before it
	key    string // of a Latest topic
	data   []byte // JSON, or base64 if binary is set
	binary bool
	empty  bool // a position only: nothing to deliver

	came time.Time // set while it is held
}

// topicLink is what a topic needs of its connection.
type topicLink interface {
	deliver(ev *topicEvent)
	lost(from, to Position)
	// ask sends one recover, whose answer the topic is given later. It reports
	// false if too many are under way: then the topic is woken later.
	ask(from Position) bool
	// again calls the topic's retry after d.
	again(d time.Duration)
	// hold counts the bytes of held events, and reports whether they are too
	// many.
	hold(n int) (tooMany bool)
}

// The numbers of rules D5 to D7 of docs/protocol.md.
const (
	maxHeld      = 64
	maxVain      = 5 // answers in a row without progress, after which events are lost
	heldBefore   = 5 * time.Second
	positionTime = 10 * time.Minute
	maxLatest    = 1024 // keys of a Latest topic
)

// topicState follows one topic: it delivers each event once and in order, asks
// the server for what it has missed, or says that events are lost (rules D5 to
// D7 of docs/protocol.md). It is not safe for concurrent use.
type topicState struct {
	link  topicLink
	class string

	live   bool // sub came on this connection
	known  bool // pos is set
	pos    Position
	tipped bool     // tip is set
	tip    Position // the topic is known to stand here
	goaled bool
	goal   Position // the tip for which was asked
	more   bool     // ask again, whatever the tip
	held   []topicEvent
	busy   bool // a recover is under way, or waits to be repeated
	vain   int  // answers in a row that brought nothing
	left   time.Time

	newest map[string]uint64 // of each key of a Latest topic
	keys   []string          // of newest, the oldest first
}

// event takes an event that has a position.
func (t *topicState) event(ev topicEvent) {
	ev.came = time.Now()
	t.held = append(t.held, ev)
	tooMany := t.link.hold(len(ev.data))
	if len(t.held) > maxHeld {
		t.letGo(0)
	}
	if t.live && (ev.at.Epoch != t.pos.Epoch || ev.before > t.pos.Offset) {
		t.raise(ev.at)
	}
	t.settle()
	for tooMany && len(t.held) > 0 {
		tooMany = t.letGo(0)
	}
}

// letGo removes a held event, and reports whether those that are left, of all
// topics, are still too many.
func (t *topicState) letGo(i int) (tooMany bool) {
	tooMany = t.link.hold(-len(t.held[i].data))
	t.held = slices.Delete(t.held, i, i+1)
	return tooMany
}

// subscribed takes that the subscription stands.
func (t *topicState) subscribed(at Position, class string) {
	now := time.Now()
	t.live, t.class = true, class
	for i := 0; i < len(t.held); {
		if now.Sub(t.held[i].came) < heldBefore {
			i++
		} else {
			t.letGo(i)
		}
	}
	// After that time nobody keeps the history: what was missed is lost.
	t.vain = 0
	if !t.left.IsZero() && now.Sub(t.left) > positionTime {
		t.vain = maxVain
	}
	t.left = time.Time{}
	t.stands(at)
}

// stands takes where the topic stands.
func (t *topicState) stands(at Position) {
	if !t.live {
		return
	}
	if t.known {
		t.raise(at)
	} else {
		t.pos, t.known, t.vain = at, true, 0
	}
	t.settle()
}

// drop takes that the connection is lost: the position stays.
func (t *topicState) drop() {
	if t.live {
		t.left = time.Now()
	}
	t.live, t.busy, t.tipped, t.more = false, false, false, false
	t.forget()
}

// forget lets go of all held events.
func (t *topicState) forget() {
	for len(t.held) > 0 {
		t.letGo(len(t.held) - 1)
	}
}

// retry is called after the time of topicLink.again.
func (t *topicState) retry() {
	t.busy = false
	t.settle()
}

func (t *topicState) raise(at Position) {
	if t.tipped && t.known && t.tip.Epoch != t.pos.Epoch && at.Epoch == t.pos.Epoch {
		return
	}
	if !t.tipped || at.Epoch != t.tip.Epoch || at.Offset > t.tip.Offset {
		t.tip, t.tipped = at, true
	}
}

// take delivers an event of the position's epoch, unless it is a duplicate.
func (t *topicState) take(ev *topicEvent) {
	if ev.at.Offset <= t.pos.Offset {
		return
	}
	t.pos.Offset = ev.at.Offset
	t.link.deliver(ev)
}

// move gives up what is between the position and another.
func (t *topicState) move(to Position) {
	from := t.pos
	t.pos = to
	t.link.lost(from, to)
}

// drain delivers what the chain allows of the held events.
func (t *topicState) drain() {
	for {
		i := slices.IndexFunc(t.held, func(ev topicEvent) bool {
			return ev.at.Epoch == t.pos.Epoch && (ev.before <= t.pos.Offset || ev.at.Offset <= t.pos.Offset)
		})
		if i < 0 {
			return
		}
		ev := t.held[i]
		t.letGo(i)
		t.take(&ev)
	}
}

// settle does what can be done now.
func (t *topicState) settle() {
	if !t.live {
		return
	}
	if t.class == "volatile" || t.class == "latest" {
		for len(t.held) > 0 {
			ev := t.held[0]
			t.letGo(0)
			t.unchained(&ev)
		}
		return
	}
	for {
		t.drain()
		if t.tipped && t.tip.Epoch == t.pos.Epoch && t.tip.Offset <= t.pos.Offset {
			t.tipped, t.vain = false, 0 // nothing is missing: the next gap is another one
		}
		if t.busy || !t.tipped && !t.more {
			return
		}
		if t.class == "recoverable" && t.vain < maxVain {
			if t.link.ask(t.pos) {
				t.goal, t.goaled = t.tip, t.tipped
				t.busy, t.tipped, t.more = true, false, false
			}
			return
		}
		t.more, t.vain = false, 0
		if !t.tipped {
			return
		}
		// What is in hand need not be lost: the jump ends before the first
		// held event.
		to := t.tip
		for i := range t.held {
			if t.held[i].at.Epoch == to.Epoch {
				to.Offset = min(to.Offset, t.held[i].before)
			}
		}
		t.move(to)
		t.forgetOthers()
	}
}

// unchained takes an event of a class whose events do not follow each other.
func (t *topicState) unchained(ev *topicEvent) {
	if t.class == "latest" && !t.isNewest(ev) {
		return
	}
	t.link.deliver(ev)
}

func (t *topicState) isNewest(ev *topicEvent) bool {
	if ev.at.Epoch != t.pos.Epoch || t.newest == nil {
		t.newest, t.keys = map[string]uint64{}, nil
		t.pos = ev.at
	}
	last, seen := t.newest[ev.key]
	if seen && ev.at.Offset <= last {
		return false
	}
	if seen {
		i := slices.Index(t.keys, ev.key)
		t.keys = slices.Delete(t.keys, i, i+1)
	}
	t.newest[ev.key] = ev.at.Offset
	if t.keys = append(t.keys, ev.key); len(t.keys) > maxLatest {
		delete(t.newest, t.keys[0])
		t.keys = slices.Delete(t.keys, 0, 1)
	}
	return true
}

func (t *topicState) forgetOthers() {
	for i := 0; i < len(t.held); {
		if t.held[i].at.Epoch == t.pos.Epoch {
			i++
		} else {
			t.letGo(i)
		}
	}
}

// page is an answer to recover. It is complete: what it leaves out is nothing
// for this client.
type page struct {
	ok     bool
	at     Position
	more   bool
	events []topicEvent // of the epoch of at
}

// answer takes the answer to what was asked: a page or an error.
func (t *topicState) answer(p *page, err *Error) {
	from := t.pos
	t.busy = false
	switch {
	case p == nil:
		if t.goaled {
			t.raise(t.goal)
		}
		t.more = true
		if err.Code == CodeUnimplemented {
			t.vain = maxVain
			break
		}
		t.busy = true
		if err.Code == CodeResourceExhausted {
			t.vain--
		}
		wait := err.RetryAfter
		if wait == 0 {
			wait = time.Second
		}
		t.link.again(wait)
	case p.ok && p.at.Epoch == from.Epoch:
		for i := range p.events {
			t.take(&p.events[i])
		}
		t.pos.Offset = max(t.pos.Offset, p.at.Offset)
		t.more = p.more
	case p.at.Epoch != from.Epoch || p.at.Offset > from.Offset:
		t.move(p.at)
	}
	t.forgetOthers()
	if t.pos == from {
		t.vain++
	} else {
		t.vain = 0
	}
	t.settle()
}
