package kanava

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Conns are the connections of a server. It is safe for concurrent use.
type Conns struct{ s *core }

// Get returns the connection with the given id, or CodeNotFound. The Conn is a
// *Channel of the types of its wiring.
func (c *Conns) Get(_ context.Context, id string) (Conn, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if found := c.s.conns[id]; found != nil && found.isLive() {
		return found.ch, nil
	}
	return nil, Errorf(CodeNotFound, "no connection has this id")
}

// OfUser returns the connections on which the user is signed in; none is not
// an error.
func (c *Conns) OfUser(_ context.Context, userID string) ([]Conn, error) {
	var out []Conn
	for _, found := range c.s.ofUser(userID) {
		if found.isLive() {
			out = append(out, found.ch)
		}
	}
	return out, nil
}

// CloseUser closes all connections on which the user is signed in; see
// [Channel.Close]. It does not wait for them to end.
func (c *Conns) CloseUser(ctx context.Context, userID string, code CloseCode, reason string) error {
	for _, found := range c.s.ofUser(userID) {
		if err := found.close(ctx, code, reason); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the connection with the given id; see [Channel.Close]. It is
// CodeNotFound if there is none.
func (c *Conns) Close(ctx context.Context, id string, code CloseCode, reason string) error {
	found, err := c.Get(ctx, id)
	if err != nil {
		return err
	}
	return found.conn().close(ctx, code, reason)
}

// Count returns the number of connections.
func (c *Conns) Count() int {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return len(c.s.conns)
}

func (c *conn) isLive() bool { return c.state() != StateClosed }

func (s *core) ofUser(userID string) []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[caller{id: userID}]
	if u == nil {
		return nil
	}
	return slices.Collect(maps.Keys(u.conns))
}

// all returns every connection.
func (s *core) all() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.conns))
}

// add makes a connection known, unless the server shuts down.
func (s *core) add(c *conn) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return s.unavailable()
	}
	s.conns[c.id] = c
	s.hub.sinks.Store(c.id, c)
	return nil
}

func (s *core) unavailable() *Error {
	e := Errorf(CodeUnavailable, "the server is shutting down")
	e.RetryAfter = s.drainSpread
	return e
}

func (s *core) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// remove forgets a connection that has ended.
func (s *core) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c.id)
	s.leaveAddress(c.addresses)
	c.addresses = nil
	s.tellEmpty()
}

// tellEmpty tells those who wait for it that nothing runs any more; s.mu is
// held.
func (s *core) tellEmpty() {
	if len(s.conns) == 0 && len(s.calls) == 0 && s.empty != nil {
		select {
		case <-s.empty:
		default:
			close(s.empty)
		}
	}
}

// caller is who is counted: a user, or who calls over HTTP from an address
// without having signed in.
type caller struct {
	id   string // "" for an address
	from netip.Addr
}

// user is what the server keeps of a caller.
type user struct {
	who     caller
	conns   map[*conn]struct{}
	on      map[*channelDef]int // how many of conns are on each channel that has Limits.UserConns of its own
	calls   int                 // over HTTP, which run
	buckets buckets
	leaving bool // a timer looks again when the buckets are full
}

// user returns the entry of a caller, which leave removes; s.mu is held.
func (s *core) user(who caller) *user {
	u := s.users[who]
	if u == nil {
		u = &user{who: who, conns: make(map[*conn]struct{}), on: make(map[*channelDef]int)}
		s.users[who] = u
	}
	return u
}

// indexUser moves a connection from one user to another; nil is nobody. It
// refuses if the next user has too many connections.
func (s *core) indexUser(c *conn, former, next *session) error {
	from, to := userOf(former), userOf(next)
	if from == to {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if to != "" {
		u := s.user(caller{id: to})
		if err := u.room(s, c.def); err != nil {
			return err
		}
		u.conns[c] = struct{}{}
		if c.def.own.UserConns > 0 {
			u.on[c.def]++
		}
		c.ofUser.Store(&u.buckets)
	} else {
		c.ofUser.Store(nil)
	}
	if u := s.users[caller{id: from}]; u != nil {
		delete(u.conns, c)
		if c.def.own.UserConns > 0 {
			u.on[c.def]--
		}
		s.forget(u)
	}
	return nil
}

// room refuses a user who has too many connections, calls over HTTP included,
// on the server or the channel; s.mu is held.
func (u *user) room(s *core, def *channelDef) error {
	limit := s.limits.UserConns
	if own := def.own.UserConns; own > 0 && u.on[def] >= own {
		limit = own
	} else if len(u.conns)+u.calls < limit {
		return nil
	}
	return Errorf(CodeResourceExhausted, "too many connections of this user: the limit is %d", limit)
}

// forget removes a caller who has no connection, as soon as the caller's
// buckets are full: leaving and coming back does not fill them. s.mu is held.
func (s *core) forget(u *user) {
	if len(u.conns) > 0 || u.calls > 0 || u.leaving {
		return
	}
	if wait := time.Until(u.buckets.fullAt()); wait > 0 {
		u.leaving = true
		time.AfterFunc(wait, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			u.leaving = false
			s.forget(u)
		})
		return
	}
	delete(s.users, u.who)
}

func userOf(s *session) string {
	if s == nil {
		return ""
	}
	return s.id.UserID
}
