package kanava

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/internal/form"
)

// This file is a connection for the time of one event: made of what the Store keeps,
// and the Peer of itself. What changes is kept at once, before anybody is told.

// visit is a conn that no socket belongs to.
type visit struct {
	rt    *Stateless
	c     *conn
	key   connID
	at    string                          // the platform's id
	ctx   context.Context                 //nolint:containedctx // of the event; see now
	limit atomic.Pointer[context.Context] // in the place of ctx, once its time is over

	wake chan struct{} // holds one when there may be something to do

	mu      sync.Mutex // held while something is kept
	rec     keptConn   // guarded by mu, as is version
	version uint64

	rev, turn int // of the session that the connection has; guarded by conn.sessions

	topics sync.Mutex // held while a subscription is made or ended

	sending bool     // holds a place among those that send
	refused *Error   // why OnConnect, or what comes before it, has refused
	created bool     // the Store has it: changes go there. Of who opens it
	lent    []string // users whose buckets it has; of adopt, with conn.sessions held

	handing sync.Mutex
	over    bool // guarded by handing: nothing that is queued any more goes out

	ended bool // fixed: nothing is kept of it any more
	lost  bool // the platform knows the connection no more; of run
}

// visit returns the visit of a connection, nil for one with a process of its own.
func (c *conn) visit() *visit { return c.rare().visit }

// now returns the context of what has none of its own: that of the event or, when its
// time is over, of what is still to be said.
func (v *visit) now() context.Context {
	if ctx := v.limit.Load(); ctx != nil {
		return *ctx
	}
	return v.ctx
}

// Wake implements Peer.
func (v *visit) Wake() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// visit begins the visit of a connection for an event; leave ends it.
func (rt *Stateless) visit(ctx context.Context, id connID) (*visit, error) {
	rt.Start()
	recs, err := rt.store.Load(ctx, []string{id.String()})
	if err != nil {
		return nil, unavailableStore(err)
	}
	if recs[0].Version == 0 {
		return nil, ErrGone
	}
	return rt.revive(ctx, id, recs[0])
}

func unavailableStore(err error) error {
	e := Errorf(CodeUnavailable, "what is kept of the connection cannot be had")
	e.RetryAfter = time.Second
	return e.Because(err)
}

// revive makes a connection of what is kept of it.
func (rt *Stateless) revive(ctx context.Context, id connID, rec engine.Record) (*visit, error) {
	v := &visit{rt: rt, key: id, ctx: ctx, version: rec.Version, wake: make(chan struct{}, 1)}
	if err := v.rec.decode(rec.Data); err != nil {
		return nil, rt.unreadable(ctx, v, err)
	}
	v.at = v.rec.At
	def := rt.core.channel(v.rec.Channel)
	if def == nil {
		return nil, rt.unreadable(ctx, v, errNoChannel)
	}
	opened := time.Now().Add(-time.Since(time.UnixMilli(v.rec.Opened)))
	link := &Link{conn{core: rt.core, def: def, form: v.rec.form(), id: id, opened: sinceBegun(opened)}}
	c := &link.c
	v.c, c.out.peer = c, v
	c.ownRare().visit = v
	c.ch = def.newChannel(c)
	if err := decodeStored(ctx, rt.opening[def], v.rec.Opening, c.ch.openingData()); err != nil {
		return nil, rt.unreadable(ctx, v, err)
	}
	c.phase, c.started = phaseOpen, v.rec.Begun
	if v.rec.V1 {
		c.v1 = &envelopeConn{was: v.rec.Was}
		if v.rec.Phase == keptGreeting {
			c.phase = phaseGreeting
			c.out.hold()
			if r := v.rec.Request; r != nil {
				var err error
				if c.v1.req, err = r.open(); err != nil {
					return nil, rt.unreadable(ctx, v, err)
				}
			}
		} else {
			c.v1.said.Store(true)
			c.v1.greeted.set()
		}
	}
	if err := v.adopt(ctx); err != nil {
		return nil, rt.unreadable(ctx, v, err)
	}
	v.created = true
	return v, nil
}

// helloWait is how long what has overtaken a hello waits for it.
const helloWait = 2 * time.Second

// visitOpened is visit of a connection that no other event is about to connect any
// more: what comes meanwhile waits (docs/protocol.md P3, P12).
func (rt *Stateless) visitOpened(ctx context.Context, id connID, mayOvertake bool) (*visit, error) {
	begun := time.Now()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		v, err := rt.visit(ctx, id)
		if err != nil {
			return nil, err
		}
		early := mayOvertake && v.rec.Phase == keptGreeting && v.rec.Refused == nil && v.rec.Code == 0 && time.Since(begun) < helloWait
		if v.rec.Phase != keptConnecting && !early {
			return v, nil
		}
		limits := v.c.def.limits
		late := !early && time.Since(time.UnixMilli(v.rec.Since)) > limits.OpenTime+limits.CallTime+graceTime
		if late { // whoever was at it is dead
			_ = v.close(&Closing{Code: CloseInternal, Reason: CloseInternal.String()})
			v.leave()
			return nil, ErrGone
		}
		v.leave()
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return nil, ctx.Err()
		}
	}
}

var errNoChannel = errors.New("there is no such channel")

// unreadable ends a connection that another version of the program has kept in
// another way: its client comes back.
func (rt *Stateless) unreadable(ctx context.Context, v *visit, err error) error {
	rt.logger.Warn("what is kept of a connection cannot be read: it is closed", "conn", v.key.String(), "channel", v.rec.Channel, "error", err)
	if v.rec.At != "" {
		_ = rt.platform.Close(ctx, v.rec.At, CloseInternal, CloseInternal.String())
	}
	return ErrGone
}

// adopt makes the connection what is kept of it: session, subscriptions and places
// where it is present.
func (v *visit) adopt(ctx context.Context) error {
	c, k := v.c, v.kept()
	var s *session
	if k.Session != nil {
		var err error
		if s, err = v.rt.decodeSession(ctx, k.Session); err != nil {
			return err
		}
		s.buckets = v.borrow(s.id.UserID)
	}
	c.current.Store(s)
	v.rev, v.turn = k.Rev, k.Turn
	v.adoptTopics(k)
	return nil
}

// borrow lends the buckets of a user until leave.
func (v *visit) borrow(userID string) *buckets {
	v.lent = append(v.lent, userID)
	return v.c.core.bucketsOf(userID)
}

// adoptTopics is adopt of what belongs to topics.
func (v *visit) adoptTopics(k keptConn) {
	c := v.c
	c.subMu.Lock()
	defer c.subMu.Unlock()
	for _, sub := range slices.Collect(c.subs.all()) {
		if k.Subs[sub.topic].Mark != sub.mark {
			c.subs.remove(sub)
			sub.ended.set()
		}
	}
	for topic, s := range k.Subs {
		if c.subs.get(hubTopic{c.core.hub, topic}) == nil {
			c.subs.add(v.subOf(topic, s))
		}
	}
	for topic, s := range k.Present {
		if p := c.core.hub.presences.of(topic); p != nil {
			if c.rare().present == nil {
				c.ownRare().present = make(map[presenceSpot]presenceStay)
			}
			c.rare().present[presenceSpot{p, topic}] = presenceStay{member: s.Member, owned: s.Owned}
		}
	}
	for at := range c.rare().present {
		if _, kept := k.Present[at.topic]; !kept {
			delete(c.rare().present, at)
		}
	}
}

// subOf makes a subscription of what is kept of it. It knows of its topic no more
// than the name until look.
func (v *visit) subOf(topic string, k keptSub) *subscription {
	f, _ := v.c.core.hub.familyOf(topic)
	sub := &subscription{
		hubTopic: hubTopic{v.c.core.hub, topic}, family: f, to: v.c, class: f.classOf(),
		owned: k.Owned, free: k.Free, user: k.User, byClient: k.ByClient, mark: k.Mark,
		state: &topicState{topic: topic, log: newTopicLog(f, ""), apart: true},
	}
	if k.Floor != nil {
		sub.floor = &floor{user: k.User, from: *k.Floor}
	}
	return sub
}

// leave ends the visit. What still refers to the connection finds it closed.
func (v *visit) leave() {
	c := v.c
	c.core.visitors.remove(c)
	c.ownRare().life.end()
	c.out.close(Closing{Code: CloseAbnormal}, true)
	for _, sub := range c.listSubscriptions() {
		sub.ended.set()
	}
	for _, user := range v.lent {
		c.core.releaseBuckets(user)
	}
}

const (
	changeTries = 64
	changePause = 4 * time.Millisecond // between them, more and more
)

// change changes what is kept. f is called again with what another event has made of
// it meanwhile, and changes nothing else; its error gives up. It is ErrClosed where
// the connection has ended.
func (v *visit) change(ctx context.Context, f func(*keptConn) error) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for try := range changeTries {
		next := v.rec
		if err := f(&next); err != nil {
			return err
		}
		if !v.created {
			v.rec = next
			return nil
		}
		data, err := next.encode()
		if err != nil {
			return err
		}
		version, err := v.rt.store.Save(ctx, v.key.String(), data, v.version, v.lasts(&next))
		if err == nil {
			v.rec, v.version = next, version
			return nil
		}
		if !errors.Is(err, engine.ErrConflict) {
			return unavailableStore(err)
		}
		if err := v.reload(ctx); err != nil {
			return err
		}
		pause := time.NewTimer(rand.N(time.Duration(try+1) * changePause)) //nolint:gosec // spreads those who try
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
	return unavailableStore(engine.ErrConflict)
}

// lasts is how long a record is kept.
func (v *visit) lasts(k *keptConn) time.Duration {
	if k.Phase == keptGreeting {
		return v.c.def.limits.OpenTime + youngTime
	}
	return v.rt.opts.Keep
}

// reload reads what another event has made of the connection; v.mu is held.
func (v *visit) reload(ctx context.Context) error {
	recs, err := v.rt.store.Load(ctx, []string{v.key.String()})
	if err != nil {
		return unavailableStore(err)
	}
	if recs[0].Version == 0 {
		return ErrClosed
	}
	var rec keptConn
	if err := rec.decode(recs[0].Data); err != nil {
		return err
	}
	v.rec, v.version = rec, recs[0].Version
	return nil
}

// kept returns what the Store keeps, as far as this event knows.
func (v *visit) kept() keptConn {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.rec
}

func (v *visit) isYoung() bool {
	k := v.kept()
	return k.isYoung()
}

// read is kept of what the Store keeps now.
func (v *visit) read(ctx context.Context) (keptConn, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	err := v.reload(ctx)
	return v.rec, err
}

// touch notes that the connection lives, and prolongs what is kept of it.
func (v *visit) touch(ctx context.Context) {
	k := v.kept()
	due := time.Since(time.UnixMilli(k.Saved)) > v.rt.opts.Keep/4
	if k.Seen && !due {
		return
	}
	if due {
		if err := v.rejoin(ctx); err != nil {
			v.rt.logger.Error("the subscriptions of a connection are not prolonged", "conn", v.key.String(), "error", err)
			return
		}
	}
	err := v.change(ctx, func(k *keptConn) error {
		k.Seen, k.Saved = true, time.Now().UnixMilli()
		return nil
	})
	if err != nil && !errors.Is(err, ErrClosed) {
		v.rt.logger.Error("a connection is not kept for longer", "conn", v.key.String(), "error", err)
	}
}

// overdue closes a connection whose time without a session is over, and reports
// whether it has: on a server timers do that.
func (v *visit) overdue() bool {
	c, l := v.c, &v.c.def.limits
	k := v.kept()
	s, opened := c.current.Load(), time.UnixMilli(k.Opened)
	switch {
	case k.Phase == keptGreeting && time.Since(opened) > l.OpenTime:
		c.v1.hear()
		c.refuse(v.now(), Errorf(CodeUnauthenticated, "no hello came in time"))
	case s != nil && !s.live() && time.Since(s.id.Expires) > l.ExpiryGrace:
		c.closeWith(v.now(), Closing{Code: CloseUnauthenticated, Reason: "session_expired"})
	case s == nil && k.Phase == keptOpen && l.AuthWithin > 0 && !c.def.public && time.Since(opened) > l.AuthWithin:
		c.closeWith(v.now(), Closing{Code: CloseUnauthenticated, Reason: CloseUnauthenticated.String()})
	default:
		return false
	}
	return true
}

// pong answers a ping with where topics stand.
func (v *visit) pong(id uint64) {
	at := v.positions()
	v.c.rate.charge(v.c.def.limits.Rate, len(at)/8, time.Now()) // they are asked for
	_ = v.c.queueNow(outItem{frame: Frame{Data: form.AppendPongAt(nil, id, at)}})
}
