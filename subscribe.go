package kanava

import (
	"context"
	"maps"
	"slices"
)

// This file is a connection as a subscriber of topics.

// subscribe implements sink. The session cannot change while it runs: what
// MaySubscribe decides holds until the subscription stands.
func (c *conn) subscribe(ctx context.Context, at hubTopic, f *family, key string, add func(*subscription)) error {
	if err := c.checkHook(ctx); err != nil {
		return err
	}
	c.sessions.RLock()
	defer c.sessions.RUnlock()
	if known, err := c.subscribed(at); known || err != nil {
		return err
	}
	sub := &subscription{hubTopic: at, to: c, family: f, key: key, free: c.def.public}
	var value any
	if s := c.liveSession(); s != nil {
		value, sub.owned = s.value, true
	}
	if f != nil && f.may != nil {
		if err := f.may(hooked(ctx, c), value, key); err != nil {
			return err
		}
		sub.free = sub.free || value == nil
	}
	c.subMu.Lock()
	defer c.subMu.Unlock()
	switch {
	case c.gone:
		return ErrClosed
	case c.subs[at] != nil:
		return nil
	case len(c.subs) >= c.core.limits.Subscriptions:
		return Errorf(CodeResourceExhausted, "too many subscriptions: the limit is %d", c.core.limits.Subscriptions)
	}
	if c.subs == nil {
		c.subs = make(map[hubTopic]*subscription)
	}
	c.subs[at] = sub
	add(sub)
	return nil
}

func (c *conn) subscribed(at hubTopic) (bool, error) {
	c.subMu.Lock()
	defer c.subMu.Unlock()
	if c.gone {
		return false, ErrClosed
	}
	return c.subs[at] != nil, nil
}

// unsubscribe implements sink.
func (c *conn) unsubscribe(at hubTopic) *subscription {
	c.subMu.Lock()
	defer c.subMu.Unlock()
	sub := c.subs[at]
	delete(c.subs, at)
	return sub
}

// dropSubscriptions ends those for which end is true.
func (c *conn) dropSubscriptions(end func(*subscription) bool) {
	for _, sub := range c.listSubscriptions() {
		if end(sub) {
			c.unsubscribe(sub.hubTopic).drop()
		}
	}
}

func (c *conn) listSubscriptions() []*subscription {
	c.subMu.Lock()
	defer c.subMu.Unlock()
	return slices.Collect(maps.Values(c.subs))
}

func (c *conn) leaveHub() {
	c.subMu.Lock()
	subs := c.subs
	c.subs, c.gone = nil, true
	c.subMu.Unlock()
	for _, sub := range subs {
		sub.drop()
	}
	c.core.hub.sinks.Delete(c.id)
}

// deliver implements sink: it queues the event and never waits.
func (c *conn) deliver(ev *event, sub *subscription) {
	if !sub.free && c.liveSession() == nil {
		return
	}
	it := outItem{sub: sub}
	if c.def.send != nil {
		it.ev = ev
	} else {
		it.frame = ev.frame(c.form)
	}
	if full, _ := c.out.add(it, c.queueLimit()); full {
		c.slow()
	}
}
