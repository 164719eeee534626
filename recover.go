package kanava

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kanava-go/kanava/internal/form"
	"github.com/kanava-go/kanava/internal/jsonscan"
)

// This file answers a client that asks what followed a position of a topic
// (docs/protocol.md D6 and D7). The reader only takes the question: the answer
// is made when there is room for it, by a goroutine that ends with it.

const (
	recoverConn  = 4        // answers under way, of one connection
	recoverNode  = 64       // and of all connections of a server, once there is room for them
	recoverBytes = 64 << 10 // of one answer
)

// errRecovering tells a client to come again with its question: in about a
// second, and not all at once.
func errRecovering(text string) *Error {
	e := Errorf(CodeResourceExhausted, "%s", text)
	e.RetryAfter = time.Second/2 + rand.N(time.Second) //nolint:gosec // spreads clients; nothing depends on its being secret
	return e
}

// question is what a recover frame asks.
type question struct {
	id   uint64
	sub  *subscription
	from form.Position
}

// recover takes the question of a client.
func (c *conn) recover(m *message) *Error {
	topic, from, err := recoverFrame(m)
	if err != nil {
		return err
	}
	sub, err := c.beginRecovery(topic)
	if err != nil {
		c.chargeError()
		c.sendError(form.Route{ID: m.id}, err)
		return nil
	}
	go c.answerRecovery(question{m.id, sub, from})
	return nil
}

// recoverFrame reads a recover frame.
func recoverFrame(m *message) (topic string, from form.Position, _ *Error) {
	if m.id == 0 {
		return "", from, Errorf(CodeInvalidFrame, "the member %q needs an id", "recover")
	}
	topic, known := jsonscan.String(m.raw(memberRecover))
	var ok bool
	from.Epoch, ok = jsonscan.String(m.raw(memberE))
	if !known || !ok || len(topic) > 256 || len(from.Epoch) > 16 {
		return "", from, Errorf(CodeInvalidFrame, "the members %q and %q are the topic and an epoch", "recover", "e")
	}
	if from.Offset, ok = frameOffset(m.raw(memberO)); !ok {
		return "", from, Errorf(CodeInvalidFrame, "the member %q is an integer from 0 to 2^53-1", "o")
	}
	return topic, from, nil
}

// beginRecovery finds the subscription for a question, and counts the question
// among those under way.
func (c *conn) beginRecovery(topic string) (*subscription, *Error) {
	c.subMu.Lock()
	defer c.subMu.Unlock()
	sub := c.subscriptionTo(topic)
	switch {
	case sub == nil:
		return nil, Errorf(CodeNotFound, "there is no subscription to this topic")
	case !c.mayRead(sub):
		return nil, errUnreadable
	case sub.class == volatile:
		return nil, Errorf(CodeFailedPrecondition, "the topic has no positions")
	case sub.recovering:
		return nil, errRecovering("the answer for this topic is under way")
	case c.recoveries >= recoverConn:
		return nil, errRecovering("too many answers are under way")
	}
	sub.recovering = true
	c.recoveries++
	return sub, nil
}

var errUnreadable = Errorf(CodeUnauthenticated, "events of this topic need a session")

// mayRead reports whether events of a subscription may be sent now.
func (c *conn) mayRead(sub *subscription) bool { return sub.free || c.liveSession() != nil }

// subscriptionTo finds a subscription by the name of its topic; c.subMu is held.
func (c *conn) subscriptionTo(topic string) *subscription {
	if sub := c.subs.get(hubTopic{c.core.hub, topic}); sub != nil {
		return sub
	}
	for sub := range c.subs.all() { // of another hub
		if sub.topic == topic {
			return sub
		}
	}
	return nil
}

// answerRecovery makes the answer and sends it, if the subscription stands
// still: after unsub nothing of it goes out.
func (c *conn) answerRecovery(q question) {
	var body []byte // nil if there is none, or if outgoing middleware has ended this goroutine
	defer func() {
		c.subMu.Lock()
		defer c.subMu.Unlock()
		c.recoveries--
		q.sub.recovering = false
		switch {
		case q.sub.ended.isSet():
			c.sendError(form.Route{ID: q.id}, Errorf(CodeNotFound, "the subscription has ended"))
		case !c.mayRead(q.sub):
			c.sendError(form.Route{ID: q.id}, errUnreadable)
		case body == nil:
			c.sendError(form.Route{ID: q.id}, errRecovering("too many clients recover"))
		default:
			c.rate.charge(c.def.limits.Rate, len(body)/recoverBytes, time.Now())
			c.tell(form.AppendPage(make([]byte, 0, len(body)+40), q.id, body))
		}
	}()
	c.out.waitRoom(c.queueLimit() / 2)
	if c.core.recoveries.Add(1) <= recoverNode {
		body = c.recoverPage(q)
	}
	c.core.recoveries.Add(-1)
}

// recoverPage returns the answer to a question.
func (c *conn) recoverPage(q question) []byte {
	limit := min(recoverBytes, c.def.limits.Message, c.queueLimit()/2)
	if v := c.visit(); v != nil {
		return v.recoverPage(q, v.rt.messageLimit(limit))
	}
	ts := q.sub.state
	var far []*event
	if k := q.sub.hub.cluster; k != nil {
		var err error
		if far, _, err = k.missed(c.context(), q.sub, q.from, limit); err != nil {
			return nil // asked again in a while
		}
	}
	ts.mu.Lock()
	at := ts.log.at
	events, ok := q.sub.missed(q.from, limit)
	ts.mu.Unlock()
	if !ok && far != nil {
		events, ok = far, true
		if last := far[len(far)-1].at; last.Offset > at.Offset {
			at = last
		}
	}
	if !ok {
		return form.AppendNoPage(nil, at)
	}
	key := pageKey{topic: ts, from: q.from.Offset, to: q.from.Offset, top: at.Offset, limit: limit}
	if n := len(events); n > 0 {
		key.to = events[n-1].at.Offset
	}
	same := c.def.send == nil && len(events) > 0
	if w := viewerOf(events); w != nil && same {
		key.view = w.of(c.sessionValue())
		same = key.view != nil
	}
	if same {
		p := q.sub.hub.pages.get(key)
		p.once.Do(func() { p.write(events, at, nil) })
		if !p.hides(c) {
			return p.body
		}
	}
	own := page{key: key}
	own.write(events, at, c)
	return own.body
}

// missed returns what followed a position as since does, as far as the
// subscriber may know of it. The topic's mu is held.
func (sub *subscription) missed(from form.Position, bytes int) (events []*event, ok bool) {
	if sub.floor != nil && from.Offset < sub.floor.from {
		return nil, false
	}
	return sub.state.log.since(from, math.MaxInt, bytes, time.Now())
}

// former returns the ids that the client says its last connections had.
func (c *conn) former() []string {
	switch {
	case c.v1 != nil:
		return c.v1.was
	case c.rare().marks != nil:
		return c.rare().marks.former
	}
	return nil
}

// is reports whether id is that of this connection, or of one that its client
// says it was before (D9).
func (c *conn) is(id string) bool {
	return c.id.is(id) || slices.Contains(c.former(), id)
}
