package kanava

import (
	"context"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Conns are the connections of a server, those of this process. It is safe for
// concurrent use. A Conn that it returns is the *Channel of the types of its
// wiring: conn.(*Room), where Room is the program's alias.
type Conns struct{ s *core }

// Get returns the connection with the given id, or CodeNotFound.
func (c *Conns) Get(_ context.Context, id string) (Conn, error) {
	if found := c.s.find(id); found != nil && found.isLive() {
		return found.ch, nil
	}
	return nil, errNoConn
}

var errNoConn = Errorf(CodeNotFound, "no connection has this id")

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

// All goes through the connections. Who is connected all the time is met once,
// who comes or goes meanwhile perhaps; the loop may do what it likes.
func (c *Conns) All() iter.Seq[Conn] { return live(c.s.all()) }

// OfChannel is All for the channel with this name; there are none where no
// channel has it.
func (c *Conns) OfChannel(name string) iter.Seq[Conn] {
	def := c.s.channel(name)
	if def == nil {
		return func(func(Conn) bool) {}
	}
	return live(c.s.each(def))
}

// CloseUser closes all connections on which the user is signed in, on all nodes
// where the hub has an engine; see [Channel.Close]. It does not wait for them to
// end. Other nodes have 2 s to answer: the error is CodeUnavailable if one does
// not, and then connections there may have been closed or not.
func (c *Conns) CloseUser(ctx context.Context, userID string, code CloseCode, reason string) error {
	for _, found := range c.s.ofUser(userID) {
		if err := found.close(ctx, code, reason); err != nil {
			return err
		}
	}
	_, err := c.s.everywhere(ctx, "close", farTarget{User: userID, Code: code, Reason: reason}, false, relayTime)
	return err
}

// Close closes the connection with the given id, on whatever node it is; see
// [Channel.Close], and CloseUser for errors of other nodes. It is
// CodeNotFound if there is none.
func (c *Conns) Close(ctx context.Context, id string, code CloseCode, reason string) error {
	if found, err := c.Get(ctx, id); err == nil {
		return found.conn().close(ctx, code, reason)
	}
	sum, err := c.s.everywhere(ctx, "close", farTarget{ID: id, Code: code, Reason: reason}, true, relayTime)
	if err == nil && sum.N == 0 {
		err = errNoConn
	}
	return err
}

// CloseChannel closes the connections of the channel with this name; see
// [Channel.Close]. It does not wait for them to end. It is CodeNotFound if there
// is no such channel.
func (c *Conns) CloseChannel(ctx context.Context, name string, code CloseCode, reason string) error {
	def := c.s.channel(name)
	if def == nil {
		return Errorf(CodeNotFound, "no channel is named %q", name)
	}
	for found := range c.s.each(def) {
		if err := found.close(ctx, code, reason); err != nil {
			return err
		}
	}
	return nil
}

// Count returns the number of connections.
func (c *Conns) Count() int {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.count
}

// CountOfChannel returns the number of connections of the channel with this
// name.
func (c *Conns) CountOfChannel(name string) int {
	def := c.s.channel(name)
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if def == nil {
		return 0
	}
	return c.s.slots[def.index].count()
}

// CountOfUser returns the number of connections on which the user is signed in.
func (c *Conns) CountOfUser(userID string) int {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if u := c.s.users[caller{id: userID}]; u != nil {
		return len(u.conns)
	}
	return 0
}

// CountUsers returns the number of users who are signed in on a connection;
// those who have no id are not counted.
func (c *Conns) CountUsers() int {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.s.signedIn
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

// channel returns the channel with this name, nil if there is none.
func (s *core) channel(name string) *channelDef {
	s.wiringMu.RLock()
	defer s.wiringMu.RUnlock()
	for _, def := range s.defs {
		if def.name == name {
			return def
		}
	}
	return nil
}

// add makes a connection known, unless the server shuts down.
func (s *core) add(c *conn) *Error {
	if k := s.hub.cluster; k != nil {
		k.start() // other nodes may ask for the connection
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return s.unavailable()
	}
	s.slots[c.def.index].add(c)
	s.count++
	c.id = newConnID(connPlace{c.def.index, uint32(c.slot)})
	if m := c.rare().marks; m != nil {
		m.id = c.id.String()
	}
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
	if s.slots[c.def.index].remove(c) { // it may have been refused before
		s.keepPast(c)
		s.count--
	}
	if counted := c.rare().addresses; counted != nil {
		s.leaveAddress(counted)
		c.ownRare().addresses = nil
	}
	s.tellEmpty()
}

// tellEmpty tells those who wait for it that nothing runs any more; s.mu is
// held.
func (s *core) tellEmpty() {
	if s.count == 0 && len(s.calls) == 0 && s.empty != nil {
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

// indexUser moves a connection from one user to another, before the next session
// is seen; nil is nobody. It refuses if the next user has too many connections.
func (s *core) indexUser(c *conn, former, next *session) error {
	from, to := userOf(former), userOf(next)
	if from == to {
		if next != nil && former != nil {
			next.buckets = former.buckets
		}
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if to != "" {
		u := s.user(caller{id: to})
		if err := u.room(s, c.def); err != nil {
			return err
		}
		if len(u.conns) == 0 {
			s.signedIn++
		}
		u.conns[c] = struct{}{}
		if c.def.own.UserConns > 0 {
			u.on[c.def]++
		}
		next.buckets = &u.buckets
	}
	s.leaveUser(c, from)
	return nil
}

// leaveUser takes a connection from a user, if it is one of the user's; s.mu is
// held.
func (s *core) leaveUser(c *conn, id string) {
	u := s.users[caller{id: id}]
	if u == nil {
		return
	}
	if _, ok := u.conns[c]; !ok {
		return
	}
	delete(u.conns, c)
	if len(u.conns) == 0 {
		s.signedIn--
	}
	if c.def.own.UserConns > 0 {
		u.on[c.def]--
	}
	s.forget(u)
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

// bucketsOf lends the buckets of a user to a connection that lives for one event;
// releaseBuckets follows. Nil is those of nobody.
func (s *core) bucketsOf(userID string) *buckets {
	if userID == "" {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &s.user(caller{id: userID}).buckets
}

func (s *core) releaseBuckets(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[caller{id: userID}]; u != nil {
		s.forget(u)
	}
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
