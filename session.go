package kanava

import (
	"context"
	"errors"
	"time"
)

// Identity is what Kanava wants to know of a session; Options.Identify tells.
type Identity struct {
	// UserID names the user. Sessions with the same id are of one user. Those
	// without an id are of one user who cannot be named: such connections are
	// not counted by Limits.UserConns and not found by Conns.OfUser.
	UserID string
	// Expires is when the session ends by itself; zero is never. Calls are
	// refused from then on, and after Limits.ExpiryGrace without a new session
	// the connection is closed with CloseUnauthenticated.
	Expires time.Time
	// Permissions are what Allow looks for.
	Permissions []string
}

// session is one session of a connection. It does not change.
type session struct {
	value   any // of the server's session type
	id      Identity
	buckets *buckets // of the user; nil for one without an id
}

func (s *session) live() bool {
	return s.id.Expires.IsZero() || time.Now().Before(s.id.Expires)
}

// liveSession returns the session, nil where there is none or it has expired.
// OnDisconnect sees the last one, expired or not.
func (c *conn) liveSession() *session {
	if s := c.current.Load(); s != nil && (s.live() || c.isOver()) {
		return s
	}
	return nil
}

// hookKey marks the context of Admit and MaySubscribe.
type hookKey struct{}

// hooked returns the context for Admit and MaySubscribe. They run while the
// session is held still: from inside of them it cannot be changed, nor a
// subscription made, and trying that is an error instead of a deadlock.
func hooked(ctx context.Context, c *conn) context.Context {
	return context.WithValue(ctx, hookKey{}, c)
}

func (c *conn) checkHook(ctx context.Context) error {
	if ctx.Value(hookKey{}) == c {
		return errors.New("kanava: Admit and MaySubscribe cannot change the session or make subscriptions")
	}
	return nil
}

// setSession implements Channel.SetSession.
func (c *conn) setSession(ctx context.Context, value any) error {
	return c.visit().again(ctx, func() error { return c.trySession(ctx, value) })
}

// trySession is setSession. Everything that the program or a limit decides comes
// first: after that nothing fails.
func (c *conn) trySession(ctx context.Context, value any) error {
	if err := c.checkHook(ctx); err != nil {
		return err
	}
	c.sessions.Lock()
	defer c.sessions.Unlock()
	if c.out.isClosed() {
		return ErrClosed
	}
	next := &session{value: value, id: c.core.identify(value)}
	if !next.live() {
		return Errorf(CodeUnauthenticated, "the session has expired")
	}
	former := c.current.Load()
	changed := former != nil && former.id.UserID != next.id.UserID
	if changed && !c.core.allowUserChange {
		return Errorf(CodePermissionDenied, "this connection belongs to another user")
	}
	if c.def.admit != nil {
		if err := c.def.admit(hooked(ctx, c), c.ch.openingData(), value); err != nil {
			return err
		}
	}
	refused := c.refused(ctx, next)
	ends := func(sub *subscription) string {
		switch {
		case changed && sub.owned:
			return reasonSession
		case refused[sub]:
			return reasonRefused
		}
		return ""
	}
	var err error
	if v := c.visit(); v != nil {
		err = v.setSession(ctx, next, changed, ends)
	} else {
		err = c.core.indexUser(c, former, next)
	}
	if err != nil {
		return err
	}
	c.dropSubscriptions(ends)
	c.current.Store(next)
	c.watchSession(next)
	c.tellSession(next)
	if former == nil || !former.live() {
		c.resumeSubscriptions()
	}
	if changed {
		c.leaveOwned()
		c.forgetOwned()
		c.abortOthers(callOf(ctx))
	}
	c.showPresences()
	return nil
}

// refused returns the subscriptions that MaySubscribe refuses to s.
func (c *conn) refused(ctx context.Context, s *session) map[*subscription]bool {
	var no map[*subscription]bool
	for _, sub := range c.listSubscriptions() {
		if sub.family == nil || sub.family.may == nil || sub.family.may(hooked(ctx, c), s.value, sub.key()) == nil {
			continue
		}
		if no == nil {
			no = make(map[*subscription]bool)
		}
		no[sub] = true
	}
	return no
}

// clearSession implements Channel.ClearSession.
func (c *conn) clearSession(ctx context.Context) error {
	return c.visit().again(ctx, func() error { return c.tryClearSession(ctx) })
}

func (c *conn) tryClearSession(ctx context.Context) error {
	if err := c.checkHook(ctx); err != nil {
		return err
	}
	c.sessions.Lock()
	defer c.sessions.Unlock()
	former := c.current.Load()
	if former == nil {
		return nil
	}
	ends := func(sub *subscription) string {
		if sub.owned {
			return reasonSession
		}
		return ""
	}
	if v := c.visit(); v != nil {
		if err := v.setSession(ctx, nil, true, ends); err != nil {
			return err
		}
	}
	c.dropSubscriptions(ends)
	c.current.Store(nil)
	c.watchSession(nil)
	if c.visit() == nil {
		_ = c.core.indexUser(c, former, nil) // leaving is never refused
	}
	c.leaveOwned()
	c.forgetOwned()
	c.abortOthers(callOf(ctx))
	return nil
}

// abortOthers ends the calls begun under the former user, but for the one that
// changed it.
func (c *conn) abortOthers(but *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for x := c.calls; x != nil; x = x.next {
		if x != but {
			x.aborted.set()
			x.cancel(context.Canceled)
		}
	}
	c.abortAsks(but)
}

// expiryWarning is how long before the end of a session the client is told.
const expiryWarning = time.Minute

// watchSession closes the connection some time after s has expired or, where s
// is nil and the channel wants a session, if none comes in time; c.sessions is
// held.
func (c *conn) watchSession(s *session) {
	if c.visit() != nil { // no timer outlives an event: see visit.overdue
		return
	}
	c.unwatchSession()
	if s == nil {
		if within := c.def.limits.AuthWithin; within > 0 && !c.def.public {
			c.closeIfStill(s, within, CloseUnauthenticated.String())
		}
		return
	}
	if s.id.Expires.IsZero() {
		return
	}
	if before := time.Until(s.id.Expires) - expiryWarning; before > 0 && c.form.Envelope() {
		c.ownRare().expiry = time.AfterFunc(before, func() {
			c.sessions.Lock()
			defer c.sessions.Unlock()
			if c.current.Load() == s && !c.out.isClosed() {
				c.tellSession(s)
				c.expireLater(s)
			}
		})
		return
	}
	c.expireLater(s)
}

func (c *conn) expireLater(s *session) {
	c.closeIfStill(s, time.Until(s.id.Expires)+c.def.limits.ExpiryGrace, "session_expired")
}

// closeIfStill closes the connection if it has the session s still after wait;
// c.sessions is held.
func (c *conn) closeIfStill(s *session, wait time.Duration, reason string) {
	c.ownRare().expiry = time.AfterFunc(wait, func() {
		if c.current.Load() == s {
			_ = c.close(context.Background(), CloseUnauthenticated, reason)
		}
	})
}

func (c *conn) unwatchSession() {
	if r := c.rare(); r.expiry != nil {
		r.expiry.Stop()
		r.expiry = nil
	}
}

// watchSignIn is watchSession for a connection that has just been opened.
func (c *conn) watchSignIn() {
	c.sessions.Lock()
	defer c.sessions.Unlock()
	if c.current.Load() == nil {
		c.watchSession(nil)
	}
}

// endSession forgets timers and the user's place when the connection ends. The
// session stays readable for OnDisconnect.
func (c *conn) endSession() {
	c.sessions.Lock()
	defer c.sessions.Unlock()
	c.unwatchSession()
	_ = c.core.indexUser(c, c.current.Load(), nil)
}
