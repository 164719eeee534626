package kanava

import (
	"context"
	"maps"
	"math"
	"strconv"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/internal/form"
)

// This file is a connection without a process as a subscriber. Nothing is followed:
// whoever publishes looks for it in the Store, and where a topic stands is asked for
// when the client has to know.

// subscribe makes a subscription that the rules allow. First it is kept, then whoever
// publishes finds it, then the position is read, then the client is told
// (docs/protocol.md D3). The session is held still.
func (v *visit) subscribe(ctx context.Context, sub *subscription) error {
	c := v.c
	if sub.hub != c.core.hub {
		return Errorf(CodeUnimplemented, "topics of other hubs than the server's cannot be subscribed to here")
	}
	sub.class, sub.mark = sub.family.classOf(), memberMark()
	v.topics.Lock()
	defer v.topics.Unlock()
	if known, err := c.hasSubscription(sub.hubTopic, sub.byClient); known || err != nil {
		return err
	}
	kept := keptSub{Mark: sub.mark, Owned: sub.owned, Free: sub.free, ByClient: sub.byClient, User: sub.user}
	if sub.family != nil && sub.family.private {
		from, err := v.keepFloor(ctx, sub)
		if err != nil {
			return unavailable(err, "the subscription cannot be made")
		}
		sub.floor, kept.Floor = &floor{user: sub.user, from: from}, &from
	}
	mine, err := v.keepSub(ctx, sub.topic, kept)
	if err != nil {
		return err
	}
	if !mine { // another event has made it meanwhile, and told the client
		v.adoptTopics(v.kept())
		return nil
	}
	if err := v.enterTopic(ctx, sub); err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineTime)
		defer cancel()
		_ = v.forgetSub(undo, sub.topic, sub.mark)
		return err
	}
	if !v.add(sub) {
		return ErrClosed
	}
	c.watchPresence(sub)
	return nil
}

// add tells the client of a subscription that stands.
func (v *visit) add(sub *subscription) (ok bool) {
	c := v.c
	c.subMu.Lock()
	defer c.subMu.Unlock()
	if c.gone {
		return false
	}
	c.subs.add(sub)
	sub.state.mu.Lock()
	defer sub.state.mu.Unlock()
	c.subscribed(sub, sub.state.log.at)
	return true
}

// keepSub keeps a subscription, if there is room for one more; mine is false if there
// is one already. The session is held still.
func (v *visit) keepSub(ctx context.Context, topic string, kept keptSub) (mine bool, err error) {
	limit := v.c.def.limits.Subscriptions
	err = v.change(ctx, func(k *keptConn) error {
		if err := v.sameUser(k); err != nil {
			return err
		}
		there, known := k.Subs[topic]
		mine = !known
		switch {
		case known && (kept.ByClient || !there.ByClient):
			return nil
		case known: // what the server subscribes too is no longer the client's to end
			there.ByClient = false
			kept = there
		case len(k.Subs) >= limit:
			return errTooManySubscriptions(limit)
		}
		k.Subs = maps.Clone(k.Subs)
		if k.Subs == nil {
			k.Subs = make(map[string]keptSub)
		}
		k.Subs[topic] = kept
		return nil
	})
	return mine, err
}

// enterTopic makes a subscription that is kept known to who publishes, and finds out
// where it begins.
func (v *visit) enterTopic(ctx context.Context, sub *subscription) error {
	if err := v.rt.store.Join(ctx, sub.topic, member(v.key, sub.mark), v.rt.opts.Keep); err != nil {
		return unavailableStore(err)
	}
	if err := v.look(ctx, sub); err != nil {
		return unavailable(err, "the subscription cannot be made")
	}
	return nil
}

// stay sees to it that who publishes finds a subscription which this event knows: the
// process that made it may have ended in the middle of that. It reports false if it is
// not kept any more: another event has ended it.
func (v *visit) stay(ctx context.Context, at hubTopic, byClient bool) (still bool, err error) {
	var kept keptSub
	err = v.change(ctx, func(k *keptConn) error {
		if err := v.sameUser(k); err != nil {
			return err
		}
		if kept, still = k.Subs[at.topic]; still && kept.ByClient && !byClient {
			kept.ByClient = false
			k.Subs = maps.Clone(k.Subs)
			k.Subs[at.topic] = kept
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	if !still {
		v.adoptTopics(v.kept())
		return false, nil
	}
	if err := v.rt.store.Join(ctx, at.topic, member(v.key, kept.Mark), v.rt.opts.Keep); err != nil {
		return true, unavailableStore(err)
	}
	return true, nil
}

// forgetSub undoes keepSub and enterTopic, unless the subscription is another one.
func (v *visit) forgetSub(ctx context.Context, topic, mark string) error {
	err := v.change(ctx, func(k *keptConn) error {
		if k.Subs[topic].Mark == mark {
			k.Subs = maps.Clone(k.Subs)
			delete(k.Subs, topic)
		}
		return nil
	})
	if err == nil {
		v.leaveGroup(ctx, topic, mark)
	}
	return err
}

// unsubscribe ends a subscription. What is only the server's to end stays, if the
// client asks.
func (v *visit) unsubscribe(ctx context.Context, at hubTopic, byClient bool) error {
	c := v.c
	v.topics.Lock()
	defer v.topics.Unlock()
	now, err := v.read(ctx)
	if err != nil {
		return err
	}
	v.adoptTopics(now)
	c.subMu.Lock()
	sub := c.subs.get(at)
	c.subMu.Unlock()
	if sub == nil || byClient && !sub.byClient {
		return nil
	}
	if err := v.forgetSub(ctx, at.topic, sub.mark); err != nil {
		return err
	}
	if k := c.core.hub.cluster; k != nil && sub.floor != nil && sub.user != "" {
		_ = k.engine.Forget(ctx, v.floorKey(ctx, sub)) // else it ends by itself
	}
	c.endSubscription(at, reasonUnsubscribed)
	return nil
}

// look finds out where a topic stands, and what a Latest one keeps. The plain form
// is told only of the latter.
func (v *visit) look(ctx context.Context, sub *subscription) error {
	h := v.c.core.hub
	ts := &topicState{topic: sub.topic, log: newTopicLog(sub.family, ""), apart: true}
	sub.state = ts
	if sub.class == volatile || sub.class != latest && !v.c.form.Envelope() && (sub.family == nil || !sub.family.private) {
		return nil
	}
	k := h.cluster
	if k == nil {
		from := h.hold(sub.topic, sub.family, true)
		defer from.mu.Unlock()
		from.log.values(0, math.MaxUint64, time.Now(), func(ev *event) bool {
			ts.log.take(ev.record(ev.kept), ev.kept)
			return true
		})
		ts.log.at = from.log.at
		return nil
	}
	ctx, cancel := limited(ctx, 2*engineTime)
	defer cancel()
	if sub.class == latest {
		page, err := k.readAll(ctx, specOf(sub.topic, sub.family))
		for _, e := range page.Events {
			e.Prev = ts.log.at.Offset
			ev := received(sub.topic, e, sub.family)
			ts.log.take(ev, ev.kept)
		}
		ts.log.at = form.Position(page.At)
		return err
	}
	at, err := k.engine.Positions(ctx, []engine.Topic{specOf(sub.topic, sub.family)})
	if err == nil {
		ts.log.at = form.Position(at[0])
	}
	return err
}

// positions returns where the topics of the connection stand, those that have
// positions, as far as they can be had.
func (v *visit) positions() (at []form.TopicPosition) {
	h := v.c.core.hub
	var topics []engine.Topic
	for _, sub := range v.c.listSubscriptions() {
		if sub.class == volatile || !v.c.mayRead(sub) {
			continue
		}
		if h.cluster != nil {
			topics = append(topics, specOf(sub.topic, sub.family))
			continue
		}
		ts := h.hold(sub.topic, sub.family, true)
		at = append(at, form.TopicPosition{Topic: sub.topic, At: ts.log.at})
		ts.mu.Unlock()
	}
	if len(topics) == 0 {
		return at
	}
	ctx, cancel := limited(v.now(), engineTime)
	defer cancel()
	stand, err := h.cluster.engine.Positions(ctx, topics)
	if err != nil {
		v.rt.logger.Warn("where topics stand cannot be had", "conn", v.key.String(), "error", err)
		return nil
	}
	for i, t := range topics {
		at = append(at, form.TopicPosition{Topic: t.Name, At: form.Position(stand[i])})
	}
	return at
}

// keepFloor returns from where a user may recover a Private topic: where the
// subscription is made, unless the user had one before.
func (v *visit) keepFloor(ctx context.Context, sub *subscription) (uint64, error) {
	if err := v.look(ctx, sub); err != nil {
		return 0, err
	}
	at := sub.state.log.at.Offset
	if sub.user == "" {
		return at, nil
	}
	h := v.c.core.hub
	if h.cluster == nil {
		ts, now := h.hold(sub.topic, sub.family, true), time.Now()
		defer ts.mu.Unlock()
		f, grown := ts.floors.join(sub.user, at, now)
		ts.floors.leave(f, now)
		h.kept.bytes.Add(int64(grown))
		return f.from, nil
	}
	ctx, cancel := limited(ctx, engineTime)
	defer cancel()
	kept, err := h.cluster.engine.Keep(ctx, v.floorKey(ctx, sub), strconv.AppendUint(nil, at, 10), sub.family.ttl+v.rt.opts.Keep)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(string(kept), 10, 64)
}

func (v *visit) floorKey(ctx context.Context, sub *subscription) string {
	if sub.state.log.at.Epoch == "" {
		_ = v.look(ctx, sub) // a floor of another epoch is of no use
	}
	return floorKey(sub.topic, sub.state.log.at.Epoch, sub.user)
}

// recoverPage answers what followed a position.
func (v *visit) recoverPage(q question, limit int) []byte {
	at, events, ok, err := v.missed(q, limit)
	switch {
	case err != nil:
		v.rt.logger.Warn("what a client has missed cannot be had", "conn", v.key.String(), "error", err)
		return nil // asked again in a while
	case !ok:
		return form.AppendNoPage(nil, at)
	}
	own := page{key: pageKey{from: q.from.Offset, to: q.from.Offset, top: at.Offset, limit: limit}}
	own.write(events, at, v.c)
	return own.body
}

// missed returns what followed a position; ok is false if that is not known.
func (v *visit) missed(q question, limit int) (at form.Position, events []*event, ok bool, err error) {
	h, sub := v.c.core.hub, q.sub
	hidden := sub.floor != nil && q.from.Offset < sub.floor.from
	k := h.cluster
	if k == nil {
		ts := h.hold(sub.topic, sub.family, true)
		defer ts.mu.Unlock()
		events, ok = ts.log.since(q.from, math.MaxInt, limit, time.Now())
		return ts.log.at, events, ok && !hidden, nil
	}
	ctx, cancel := limited(v.now(), engineTime)
	defer cancel()
	read, err := k.engine.Read(ctx, specOf(sub.topic, sub.family), engine.Position(q.from), readMost)
	if err != nil {
		return at, nil, false, err
	}
	at = form.Position(read.At)
	if sub.class != recoverable {
		return at, nil, at == q.from, nil
	}
	for _, e := range read.Events {
		if limit -= itemLeast + len(e.Data); limit < 0 && len(events) > 0 {
			break
		}
		events = append(events, received(sub.topic, e, sub.family))
	}
	return at, events, !read.Lost && at.Epoch == q.from.Epoch && !hidden, nil
}
