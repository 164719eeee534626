package kanava

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/go-json-experiment/json"
)

// This file is a connection without a process as one who is present, and who is told
// who is. It is an owner of its own, whose entries last as long as it is kept. Nobody
// counts the seconds after it has left: its member leaves at once.

// joinPresence says that the connection is there. The session is held still.
func (v *visit) joinPresence(ctx context.Context, p *presence, topic string, stay presenceStay, data []byte) error {
	c, at := v.c, p.hub.presences.tick()
	if p.hub != c.core.hub {
		return Errorf(CodeUnimplemented, "presences of other hubs than the server's cannot be joined here")
	}
	var former keptStay
	err := v.change(ctx, func(k *keptConn) error {
		if err := v.sameUser(k); err != nil {
			return err
		}
		var known bool
		if former, known = k.Present[topic]; !known && len(k.Present) >= c.def.limits.Subscriptions {
			return Errorf(CodeResourceExhausted, "present in too many places: the limit is %d", c.def.limits.Subscriptions)
		}
		k.Present = maps.Clone(k.Present)
		if k.Present == nil {
			k.Present = make(map[string]keptStay)
		}
		k.Present[topic] = keptStay{stay.member, stay.owned}
		return nil
	})
	if err != nil {
		return err
	}
	if former.Member != "" && former.Member != stay.member {
		v.say(ctx, p.hub, lease{entryOf: entryOf{topic, former.Member}, at: at})
	}
	l := lease{entryOf: entryOf{topic, stay.member}, n: 1, data: data, at: at, lasts: v.rt.opts.Keep}
	if err := v.put(ctx, p.hub, l); err != nil {
		return unavailable(err, "who is there cannot be said")
	}
	c.subMu.Lock()
	defer c.subMu.Unlock()
	if c.rare().present == nil {
		c.ownRare().present = make(map[presenceSpot]presenceStay)
	}
	c.rare().present[presenceSpot{p, topic}] = stay
	return nil
}

// part unsays joinPresence, of what is not kept any more.
func (v *visit) part(at presenceSpot, stay presenceStay) {
	ctx := context.WithoutCancel(v.now())
	err := error(nil)
	if !v.ended {
		err = v.forgetStay(ctx, at.topic)
	}
	if err != nil && !errors.Is(err, ErrClosed) {
		v.rt.logger.Error("a connection is still said to be there", "conn", v.key.String(), "topic", at.topic, "error", err)
	}
	v.say(ctx, at.of.hub, lease{entryOf: entryOf{at.topic, stay.member}, at: at.of.hub.presences.tick()})
}

func (v *visit) forgetStay(ctx context.Context, topic string) error {
	return v.change(ctx, func(k *keptConn) error {
		k.Present = maps.Clone(k.Present)
		delete(k.Present, topic)
		return nil
	})
}

// stayPresent prolongs what is said of the connection.
func (v *visit) stayPresent(ctx context.Context) error {
	h := v.c.core.hub
	if h.cluster == nil {
		return nil
	}
	for topic := range v.kept().Present {
		for e, err := range h.cluster.engine.Entries(ctx, presencePrefix+topic) {
			if err != nil {
				return err
			}
			if e.Owner != v.key.String() {
				continue
			}
			e.Group, e.Lasts = presencePrefix+topic, v.rt.opts.Keep
			if err := h.cluster.engine.Put(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// say is put of which nobody waits for the error: what is not said ends by itself.
func (v *visit) say(ctx context.Context, h *EventHub, l lease) {
	if err := v.put(ctx, h, l); err != nil {
		v.rt.logger.Error("who is there is not up to date", "topic", l.topic, "member", l.member, "error", err)
	}
}

// put keeps an entry of this connection, or ends it if nobody is there.
func (v *visit) put(ctx context.Context, h *EventHub, l lease) error {
	l.owner = v.key.String()
	if l.n == 0 {
		l.lasts = time.Millisecond
	}
	k := h.cluster
	if k == nil {
		h.presences.mu.Lock()
		leases := h.presences.leases
		h.presences.mu.Unlock()
		return leases.put(ctx, l)
	}
	ctx, cancel := limited(ctx, engineTime)
	defer cancel()
	if err := k.keepLease(ctx, farLease{lease: l, version: h.presences.tick()}); err != nil {
		return err
	}
	h.presenceChanged(l.topic)
	return nil
}

// snapshot returns who is present in a topic at this moment, as a gathering that
// nobody else knows.
func (p *presence) snapshot(ctx context.Context, topic string) (*gathering, error) {
	own := newGathering(p, topic)
	own.apart = true
	if k := p.hub.cluster; k != nil {
		k.start()
		ctx, cancel := limited(ctx, engineTime)
		defer cancel()
		for e, err := range k.engine.Entries(ctx, presencePrefix+topic) {
			if err != nil {
				return nil, unavailable(err, "who is there cannot be read")
			}
			var w wireLease
			if json.Unmarshal(e.Value, &w) == nil && (w.N > 0 || w.Lasts > time.Second.Milliseconds()) {
				own.take(w.lease(topic, e.Member, e.Owner).lease, false)
			}
		}
	} else if g := p.enter(topic, false); g != nil {
		for _, a := range g.order {
			for _, l := range a.leases {
				own.take(l, false)
			}
		}
		g.leave()
	}
	own.look()
	return own, nil
}

// presenceChanged has the connections of Stores told who is present in a topic.
func (h *EventHub) presenceChanged(topic string) {
	p := h.presences.of(topic)
	if p == nil {
		return
	}
	for _, rt := range h.stateless.all() {
		rt.tellPresence(p, topic)
	}
}

// tellPresence tells all subscribers of a topic who is present. What changes while
// that is still to begin is told with it.
func (rt *Stateless) tellPresence(p *presence, topic string) {
	name := presencePrefix + topic
	if !rt.fan.first(name) {
		return
	}
	before, end := rt.fan.begin(name)
	go func() {
		defer end()
		if before != nil {
			<-before
		}
		rt.fan.started(name)
		ctx, cancel := context.WithTimeout(context.Background(), fanTime)
		defer cancel()
		g, err := p.snapshot(ctx, topic)
		if err != nil {
			rt.logger.Error("subscribers are not told who is there", "topic", topic, "error", err)
			return
		}
		rt.each(ctx, topic, connID{}, func(v *visit) { v.showPresence(topic, g) })
	}()
}

// showPresence tells the client who is present in a topic, if it is subscribed to it.
func (v *visit) showPresence(topic string, g *gathering) {
	if sub := v.subscription(topic); sub != nil && v.c.form.Envelope() {
		v.watch(sub, g)
	}
}

// watchPresence tells the client who is present in the topic of a subscription.
func (v *visit) watchPresence(sub *subscription, p *presence) {
	g, err := p.snapshot(v.now(), sub.topic)
	if err != nil {
		v.rt.logger.Error("a client is not told who is there", "conn", v.key.String(), "topic", sub.topic, "error", err)
		return
	}
	v.watch(sub, g)
}

// watch has the client told of everybody, under a number that is higher than any
// before.
func (v *visit) watch(sub *subscription, g *gathering) {
	v.c.subMu.Lock()
	w := sub.watch
	if w == nil {
		w = &presenceWatch{c: v.c, sub: sub, v: uint64(time.Now().UnixMicro())}
		sub.watch = w
	}
	v.c.subMu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.g, w.anew = g, true
	w.enqueue()
}
