package client

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// This file connects the topics of a connection with their states. All of it
// is called with c.mu held.

// A server has 128 subscriptions for a connection; whoever shows more topics
// than these gets no memory for them.
const (
	maxTopics    = 1024
	maxHeldBytes = 4 << 20
	maxRecovers  = 4
)

// followed is one topic of a Conn.
type followed struct {
	topicState
	c    *Conn
	name string
}

func (c *Conn) takeTopic(f *frame) error {
	name, err := f.text(f.kind)
	if err != nil {
		return err
	}
	if f.kind == memberUnsub {
		if t := c.topics[name]; t != nil {
			c.unfollow(t)
		}
		c.unpresent(name)
		return nil
	}
	if f.kind == memberOn {
		ev, err := f.event()
		if err != nil {
			return err
		}
		if !f.has(memberO) { // no positions: nothing to put in order
			c.deliver(name, &ev)
			return nil
		}
		t, err := c.follow(name)
		if err == nil {
			ev.data = bytes.Clone(ev.data)
			t.event(ev)
		}
		return err
	}
	at, err := f.position()
	if err != nil && (f.has(memberO) || f.kind == memberAt) {
		return err
	}
	t, err := c.follow(name)
	if err != nil {
		return err
	}
	if f.kind == memberAt {
		t.stands(at)
		return nil
	}
	class, err := f.text(memberClass)
	if err == nil {
		t.subscribed(at, class)
	}
	return err
}

// event returns the event of a frame. Its data is the frame's.
func (f *frame) event() (ev topicEvent, err error) {
	switch {
	case f.has(memberData):
		ev.data = f.raw(memberData)
	case f.has(memberB64):
		ev.data, ev.binary = f.raw(memberB64), true
	default:
		ev.empty = true
	}
	if !f.has(memberO) {
		return ev, nil
	}
	if ev.at, err = f.position(); err != nil {
		return ev, err
	}
	ev.before = ev.at.Offset - min(ev.at.Offset, 1)
	if f.has(memberP) {
		if ev.before, err = f.integer(memberP); err != nil {
			return ev, err
		}
	}
	ev.key, err = f.text(memberK)
	return ev, err
}

// follow returns the state of a topic.
func (c *Conn) follow(name string) (*followed, error) {
	if t := c.topics[name]; t != nil {
		return t, nil
	}
	if len(c.topics) >= maxTopics && !c.forgetOne() {
		return nil, fault(CodeResourceExhausted, "the server sends more topics than a client follows")
	}
	t := &followed{c: c, name: strings.Clone(name)}
	t.link = t
	c.topics[t.name] = t
	return t, nil
}

// forgetOne makes room for a topic.
func (c *Conn) forgetOne() bool {
	for _, t := range c.topics {
		if !t.live {
			c.unfollow(t)
			return true
		}
	}
	return false
}

func (c *Conn) unfollow(t *followed) {
	c.cancelTimer(t)
	t.drop()
	delete(c.topics, t.name)
}

// deliver tells of an event.
func (c *Conn) deliver(name string, ev *topicEvent) {
	if ev.empty {
		return
	}
	family, key, _ := strings.Cut(name, ":")
	at := listenKey{listenTopic, family}
	if len(c.events.listeners[at]) > 0 {
		c.happen(at, &happening{topic: Topic{name, key}, data: bytes.Clone(ev.data), binary: ev.binary})
	}
}

// The topic's link.

func (t *followed) deliver(ev *topicEvent) { t.c.deliver(t.name, ev) }

func (t *followed) lost(from, to Position) { t.c.tell(listenLost, Lost{t.name, from, to}) }

func (t *followed) again(d time.Duration) { t.c.later(t, d, t.retry) }

func (t *followed) hold(n int) (tooMany bool) {
	t.c.held += n
	return t.c.held > maxHeldBytes
}

func (t *followed) ask(from Position) bool {
	r := t.c.run
	if r.recovers >= maxRecovers {
		if !slices.Contains(t.c.impatient, t) {
			t.c.impatient = append(t.c.impatient, t)
		}
		return false
	}
	r.recovers++
	id := r.nextID()
	r.replies[id] = &recovery{t, r}
	b := appendRequest(id, "recover", quote(t.name))
	b = append(append(b[:len(b)-1], `,"e":`...), quote(from.Epoch)...)
	b = appendUint(append(b, `,"o":`...), from.Offset)
	r.send(append(b, '}'))
	t.c.events.stir()
	return true
}

// recovery waits for the answer to a recover.
type recovery struct {
	t *followed
	r *run
}

func (a *recovery) abandoned() {}

func (a *recovery) replied(f *frame) {
	c := a.t.c
	delete(a.r.replies, f.id)
	a.r.recovers--
	if c.topics[a.t.name] == a.t {
		p, err := f.page()
		a.t.answer(p, err)
	}
	for len(c.impatient) > 0 && a.r.recovers < maxRecovers {
		next := c.impatient[0]
		c.impatient = c.impatient[1:]
		next.settle()
	}
}

// wirePage is an answer to recover as it goes over the wire.
type wirePage struct {
	OK     bool   `json:"ok"`
	E      string `json:"e"`
	O      uint64 `json:"o"`
	More   bool   `json:"more"`
	Events []struct {
		O    uint64         `json:"o"`
		Data jsontext.Value `json:"data"`
		B64  jsontext.Value `json:"b64"`
	} `json:"events"`
}

// page returns the answer to a recover, or its error.
func (f *frame) page() (*page, *Error) {
	var w wirePage
	if !f.has(memberOut) || f.decode(memberOut, &w) != nil {
		e := wireError{Code: CodeInvalidFrame}
		if f.has(memberErr) {
			_ = f.decode(memberErr, &e)
		}
		return nil, e.told()
	}
	p := &page{ok: w.OK, at: Position{w.E, w.O}, more: w.More}
	for _, x := range w.Events {
		ev := topicEvent{at: Position{w.E, x.O}, data: x.Data}
		switch {
		case x.Data == nil && x.B64 == nil:
			ev.empty = true
		case x.Data == nil:
			ev.data, ev.binary = x.B64, true
		}
		p.events = append(p.events, ev)
	}
	return p, nil
}
