package kanava

import (
	"context"
	"slices"

	"github.com/kanava-go/kanava/internal/form"
)

// This file is a connection as a subscriber of topics.

// subscribe implements sink.
func (c *conn) subscribe(ctx context.Context, at hubTopic, f *family, key string, add func(*subscription)) error {
	return c.makeSubscription(ctx, at, f, key, false, add)
}

// makeSubscription subscribes the connection, for the server or as its client
// asks. The session cannot change while it runs: what MaySubscribe decides
// holds until the subscription stands.
func (c *conn) makeSubscription(ctx context.Context, at hubTopic, f *family, key string, byClient bool, add func(*subscription)) error {
	if err := c.checkHook(ctx); err != nil {
		return err
	}
	c.sessions.RLock()
	defer c.sessions.RUnlock()
	v := c.visit()
	if known, err := c.hasSubscription(at, byClient); known || err != nil {
		if err != nil || v == nil {
			return err
		}
		if known, err = v.stay(ctx, at, byClient); known || err != nil {
			return err
		}
	}
	sub := &subscription{hubTopic: at, to: c, family: f, free: c.def.public, byClient: byClient}
	var value any
	if s := c.liveSession(); s != nil {
		value, sub.owned, sub.user = s.value, true, s.id.UserID
	}
	if f != nil && f.may != nil {
		if err := f.may(hooked(ctx, c), value, key); err != nil {
			return err
		}
		sub.free = sub.free || value == nil
	}
	if v != nil {
		return v.subscribe(ctx, sub)
	}
	release, err := at.hub.prepare(ctx, sub, c.stood(at.topic))
	if err != nil {
		return err
	}
	defer release()
	c.subMu.Lock()
	defer c.subMu.Unlock()
	switch {
	case c.gone:
		return ErrClosed
	case c.keeps(at, byClient):
		return nil
	case c.subs.len() >= c.def.limits.Subscriptions:
		return errTooManySubscriptions(c.def.limits.Subscriptions)
	}
	c.subs.add(sub)
	add(sub)
	c.watchPresence(sub)
	return nil
}

func errTooManySubscriptions(limit int) error {
	return Errorf(CodeResourceExhausted, "too many subscriptions: the limit is %d", limit)
}

func (c *conn) hasSubscription(at hubTopic, byClient bool) (bool, error) {
	c.subMu.Lock()
	defer c.subMu.Unlock()
	if c.gone {
		return false, ErrClosed
	}
	return c.keeps(at, byClient), nil
}

// keeps reports whether there is a subscription already. What the server
// subscribes too is no longer the client's to end; c.subMu is held.
func (c *conn) keeps(at hubTopic, byClient bool) bool {
	sub := c.subs.get(at)
	if sub != nil && !byClient {
		sub.byClient = false
	}
	return sub != nil
}

// subscribed implements sink: it tells the client where the topic stands, and
// in any form what a Latest topic keeps.
func (c *conn) subscribed(sub *subscription, at form.Position) {
	if c.form.Envelope() {
		c.tell(form.AppendSub(nil, sub.topic, sub.class.String(), at))
	}
	if sub.class == latest {
		c.sendLatest(sub, 0, at.Offset)
	}
	c.resumeTopic(sub, at)
}

// stands tells the client where a topic stands after it was not told of some
// events. The topic's mu is held.
func (c *conn) stands(sub *subscription) {
	at := sub.state.log.at
	switch {
	case sub.class == latest:
		c.sendLatest(sub, 0, at.Offset)
	case sub.class != volatile && c.form.Envelope() && !c.out.standsAt(sub, at):
		c.tell(form.AppendAt(nil, sub.topic, at))
	}
}

// moved implements sink: clients of kanava.v1 ask for what they have missed, and
// are told if it is lost. Those of the plain form are told where they keep marks.
func (c *conn) moved(sub *subscription, from form.Position) {
	at := sub.state.log.at
	switch {
	case !c.mayRead(sub):
	case c.rare().marks != nil && sub.class == recoverable:
		lost := outItem{sub: sub, move: &move{topic: sub.topic, to: at, lost: true}}
		lost.frame.Data = form.AppendLost(nil, sub.topic, from, at)
		c.queueMark(lost)
	default:
		c.stands(sub)
	}
}

// Why subscriptions end, as clients are told.
const (
	reasonUnsubscribed = "unsubscribed"
	reasonSession      = "session" // its user has left
	reasonRefused      = "refused" // by MaySubscribe, under a new session
)

// unsubscribe implements sink.
func (c *conn) unsubscribe(ctx context.Context, at hubTopic) error {
	if v := c.visit(); v != nil {
		return v.unsubscribe(ctx, at, false)
	}
	c.endSubscription(at, reasonUnsubscribed)
	return nil
}

func (c *conn) endSubscription(at hubTopic, reason string) {
	c.subMu.Lock()
	defer c.subMu.Unlock()
	if sub := c.subs.get(at); sub != nil {
		c.end(sub, reason)
	}
}

// end ends a subscription and says so. c.subMu is held until that is queued:
// the frame of a new subscription comes after it.
func (c *conn) end(sub *subscription, reason string) {
	c.subs.remove(sub)
	sub.drop(reason != reasonSession)
	switch {
	case c.form.Envelope():
		c.tell(form.AppendUnsub(nil, sub.topic, reason))
	case c.rare().marks != nil && sub.class == recoverable:
		c.queueMark(outItem{move: &move{topic: sub.topic, gone: true}})
	}
}

// dropSubscriptions ends those for which end returns a reason.
func (c *conn) dropSubscriptions(end func(*subscription) (reason string)) {
	for _, sub := range c.listSubscriptions() {
		if reason := end(sub); reason != "" {
			c.endSubscription(sub.hubTopic, reason)
		}
	}
}

func (c *conn) listSubscriptions() []*subscription {
	c.subMu.Lock()
	defer c.subMu.Unlock()
	return slices.Collect(c.subs.all())
}

func (c *conn) leaveHub() {
	c.subMu.Lock()
	subs := c.subs
	present := c.rare().present
	if present != nil {
		c.ownRare().present = nil
	}
	c.subs, c.gone = subscriptions{}, true
	c.subMu.Unlock()
	c.leavePresences(present)
	for sub := range subs.all() {
		sub.drop(false)
	}
}

// deliver implements sink: it queues the event and never waits.
func (c *conn) deliver(ev *event, sub *subscription) {
	it := outItem{raw: c.def.send != nil || ev.view != nil}
	if !it.raw {
		f := ev.frame(c.form)
		if sub.class == ordered && c.rare().marks == nil {
			c.queueRun(ev, sub, len(f.Data))
			return
		}
		it.frame = f
	}
	c.queueEvent(it, ev, sub)
}

// pass implements sink: where events have positions the client is told that one
// went by which it is not to see.
func (c *conn) pass(ev *event, sub *subscription) {
	f, ok := ev.hidden(c.form)
	if ok || c.rare().marks != nil && sub.class == recoverable {
		c.queueEvent(outItem{frame: f}, ev, sub)
	}
}

func (c *conn) queueRun(ev *event, sub *subscription, size int) {
	if !c.mayRead(sub) {
		return
	}
	if full, _ := c.out.addRun(ev, sub, size, c.queueLimit()); full {
		c.slow()
	}
}

func (c *conn) queueEvent(it outItem, ev *event, sub *subscription) {
	if !c.mayRead(sub) {
		return
	}
	it.sub, it.class = sub, sub.class
	if it.class == recoverable && !c.form.Envelope() {
		it.class = ordered // nobody would ask for what was dropped
	}
	if it.raw || it.class.keeps() || c.rare().marks != nil {
		it.ev = ev
	}
	if full, _ := c.out.add(it, c.queueLimit()); full {
		c.slow()
	}
}
