package kanava

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava/internal/typemodel"
)

// Presence is who is there, for each key: in a room, on a page, in a document.
//
// A member is a user, on however many connections, or a connection on which
// nobody has signed in whose [Identity] has a UserID. A connection is there
// from Join until Leave, until it ends, or until its user changes; a member
// until 5 s after the last of its connections, so that one who loses a
// connection and comes back is not seen leaving. When a server shuts down its
// members stay for 60 s more: they come back to another one.
//
// Clients of kanava.v1 that are subscribed to the topic "name:<key>" are told
// who is there, and then what changes. Above 200 members they are told how many
// there are, and ask for the list page by page. Other clients ask by an action of
// the program's.
type Presence[M any] struct {
	of     *presence
	stored *typemodel.Model
}

// Member is one member of a [Presence].
type Member[M any] struct {
	ID    string // of the user, or of the connection if there is none
	Conns int    // how many connections of the member are there; 1 also while the last one may come back
	Data  M      // of the latest Join of those connections
}

// NewPresence makes the presence of this name on hub h; it goes with the topic
// of the same name. The name has no colon. It panics if the name is taken by
// another Presence on h, or M does not survive JSON. A wiring lists it in
// Declares, so that generated clients know it.
func NewPresence[M any](h *EventHub, name string) *Presence[M] {
	is := making{"presence", name, callerPlace(0)}
	is.on(h)
	p := &Presence[M]{
		of:     &presence{name: name, where: is.where, hub: h, out: modelOf[M](is, "", typemodel.Output), gatherings: make(map[string]*gathering)},
		stored: modelOf[M](is, "", typemodel.Stored),
	}
	p.of.decode = func(ctx context.Context, data []byte) (any, error) { return p.decode(ctx, data) }
	h.presences.name(is, p.of)
	return p
}

// Join says that the connection is there, with data m of its member; again, it
// changes the data. Whoever changes user joins again. The error is CodeTooLarge
// for data over HubOptions.Event, CodeInvalidArgument for a key that makes no
// topic, CodeResourceExhausted for more keys than Limits.Subscriptions on one
// connection, CodeAborted in a call that was begun under a former user,
// ErrClosed if the connection or the hub has ended.
func (p *Presence[M]) Join(ctx context.Context, c Conn, key string, m M) error {
	data, err := encoded(func(buf []byte) ([]byte, error) { return p.of.out.Append(buf, m) })
	if err != nil {
		return err
	}
	return p.of.join(ctx, c.conn(), p.of.topic(key), data)
}

// Leave undoes Join. It is not an error if the connection is not there, but in a
// call that was begun under a former user it is CodeAborted.
func (p *Presence[M]) Leave(ctx context.Context, c Conn, key string) error {
	release, err := c.conn().steady(ctx)
	if err != nil {
		return err
	}
	defer release()
	c.conn().leavePresence(presenceSpot{p.of, p.of.topic(key)})
	return nil
}

// Members returns who is there, in the order of their ids. It does not hold up
// anybody who joins or leaves meanwhile: who is there all the time is returned
// once. The error that comes in place of a member is the last.
func (p *Presence[M]) Members(ctx context.Context, key string) iter.Seq2[Member[M], error] {
	return func(yield func(Member[M], error) bool) {
		who, err := p.of.open(ctx, p.of.topic(key))
		if err != nil {
			yield(Member[M]{}, err)
			return
		}
		defer who.release()
		after, more := "", true
		for more {
			var page []memberNow
			err := ctx.Err()
			if err == nil {
				page, more = who.page(after)
			}
			for _, at := range page {
				m := Member[M]{ID: at.id, Conns: at.n}
				if m.Data, err = p.decode(ctx, at.data); err != nil {
					break
				}
				if !yield(m, nil) {
					return
				}
				after = at.id
			}
			if err != nil {
				yield(Member[M]{}, err)
				return
			}
		}
	}
}

// Count returns how many members are there.
func (p *Presence[M]) Count(ctx context.Context, key string) (int, error) {
	who, err := p.of.open(ctx, p.of.topic(key))
	if err != nil {
		return 0, err
	}
	defer who.release()
	return who.count(), ctx.Err()
}

func (p *Presence[M]) decode(ctx context.Context, data []byte) (m M, err error) {
	return m, decodeStored(ctx, p.stored, data, &m)
}

func (p *Presence[M]) declared() declaration {
	if p == nil || p.of == nil {
		return declaration{what: "presence", zero: true}
	}
	return declaration{what: "presence", name: p.of.name, hub: p.of.hub, model: p.of.out}
}

// presence is a Presence without its type.
type presence struct {
	name   string
	where  place
	hub    *EventHub
	out    *typemodel.Model
	decode func(ctx context.Context, data []byte) (any, error)

	mu         sync.Mutex
	gatherings map[string]*gathering // guarded by mu: by topic
}

func (p *presence) topic(key string) string { return p.name + ":" + key }

// presences are those of a hub, and what its servers say of their connections.
type presences struct {
	mu     sync.Mutex
	named  map[string]*presence // guarded by mu
	leases leases               // guarded by mu; nil until there is a presence
	last   atomic.Int64         // see tick
}

func (ps *presences) name(is making, p *presence) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if first, ok := ps.named[p.name]; ok {
		is.wrong("it was already made for this hub at %s", first.where)
	}
	if ps.named == nil {
		ps.named = make(map[string]*presence)
		if k := p.hub.cluster; k != nil {
			ps.leases = newFarLeases(k, ps)
		} else {
			ps.leases = newMemoryLeases(ps.told)
		}
	}
	ps.named[p.name] = p
}

// presenceSpot is where a connection can be present.
type presenceSpot struct {
	of    *presence
	topic string
}

// presenceStay is a connection at a spot.
type presenceStay struct {
	member string
	owned  bool // joined while somebody was signed in
}

func (p *presence) join(ctx context.Context, c *conn, topic string, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := checkTopic(topic); err != nil {
		return err
	}
	if p.hub.closed.isSet() {
		return ErrClosed
	}
	if n := len(data); n > p.hub.opts.Event {
		return Errorf(CodeTooLarge, "the data of the member has %d bytes; the limit is %d", n, p.hub.opts.Event)
	}
	release, err := c.steady(ctx)
	if err != nil {
		return err
	}
	defer release()
	stay := presenceStay{member: c.id.String()}
	if s := c.current.Load(); s != nil {
		stay.owned = true
		if s.id.UserID != "" {
			stay.member = s.id.UserID
		}
	}
	if v := c.visit(); v != nil {
		return v.joinPresence(ctx, p, topic, stay, data)
	}
	at := presenceSpot{p, topic}
	c.subMu.Lock()
	defer c.subMu.Unlock() // until it is said: the end of the connection unsays it
	former, known := c.rare().present[at]
	switch {
	case c.gone:
		return ErrClosed
	case !known && len(c.rare().present) >= c.def.limits.Subscriptions:
		return Errorf(CodeResourceExhausted, "present in too many places: the limit is %d", c.def.limits.Subscriptions)
	}
	owner := c.core.presenceOwner(p.hub)
	if known && former.member != stay.member {
		owner.part(topic, former.member, c, lingerTime)
	}
	if c.rare().present == nil {
		c.ownRare().present = make(map[presenceSpot]presenceStay)
	}
	c.rare().present[at] = stay
	return owner.join(ctx, topic, stay.member, c, data)
}

// leavePresence ends one stay of the connection, if there is one.
func (c *conn) leavePresence(at presenceSpot) {
	c.subMu.Lock()
	defer c.subMu.Unlock()
	if stay, ok := c.rare().present[at]; ok {
		delete(c.rare().present, at)
		c.part(at, stay, lingerTime)
	}
}

// leaveOwned ends the stays of the former user; c.sessions is held.
func (c *conn) leaveOwned() {
	c.subMu.Lock()
	defer c.subMu.Unlock()
	for at, stay := range c.rare().present {
		if stay.owned {
			delete(c.rare().present, at)
			c.part(at, stay, lingerTime)
		}
	}
}

// leavePresences ends all stays of a connection that has ended.
func (c *conn) leavePresences(present map[presenceSpot]presenceStay) {
	if len(present) == 0 {
		return
	}
	linger := lingerTime
	if c.core.isDraining() {
		linger = leaseTime
	}
	for at, stay := range present {
		c.part(at, stay, linger)
	}
}

func (c *conn) part(at presenceSpot, stay presenceStay, linger time.Duration) {
	if v := c.visit(); v != nil {
		v.part(at, stay)
		return
	}
	c.core.presenceOwner(at.of.hub).part(at.topic, stay.member, c, linger)
}
