package client

import (
	"context"
	"errors"
	"time"
)

// This file is the life of a Conn: connections come, are lost, and come again
// (docs/protocol.md section 5). All of it is called with c.mu held.

const (
	greetTime  = 15 * time.Second
	backOff    = 500 * time.Millisecond
	maxBackOff = 20 * time.Second
	steady     = 10 * time.Second // an open connection of this age resets the back-off
)

func (c *Conn) become(s State) {
	c.state = s
	c.tell(listenState, s)
}

// attempt begins a connection.
func (c *Conn) attempt() {
	if c.state.Phase == Closed {
		return
	}
	c.cancelTimer(timerRetry)
	c.path.until = time.Now().Add(greetTime)
	c.try(c.firstTransport(), false)
}

// lose ends a connection, and begins to wait for the next one, if there is to
// be one.
func (c *Conn) lose(code CloseCode, reason string, final bool) {
	if c.state.Phase == Closed {
		return
	}
	now := time.Now()
	r := c.run
	if !final && code == CloseLost && c.goOn(r) {
		c.ended = reason
		return
	}
	c.path.lost(r)
	if r.after > 0 {
		c.notBefore = now.Add(r.after)
	}
	if !r.openedAt.IsZero() && now.Sub(r.openedAt) >= steady {
		c.failures = 0
	}
	away := r.away
	c.ended = reason
	c.drop(0)
	if code == CloseUnauthenticated {
		c.refused++
		final = final || c.refused > 1
	}
	if final || code.stops() {
		c.end(code, reason)
		return
	}
	var next time.Time
	if away != nil {
		next = away.at
	} else {
		if next = now; c.notBefore.After(now) {
			next = c.notBefore
		}
		next = next.Add(c.spread(0, min(maxBackOff, backOff<<min(c.failures, 6))))
		c.failures++
	}
	c.reason = nil
	c.later(timerRetry, next.Sub(now), c.attempt)
	c.become(State{Phase: Waiting, Code: code, Reason: reason, Next: next})
}

// spread returns a time that is as likely as any other from one to the other.
func (c *Conn) spread(from, to time.Duration) time.Duration {
	return from + time.Duration(c.settings.random()*float64(to-from))
}

// end closes for good.
func (c *Conn) end(code CloseCode, reason string) {
	c.drop(CloseNormal)
	clear(c.topics)
	clear(c.presences)
	c.become(State{Phase: Closed, Code: code, Reason: reason})
	err := fault(CodeUnavailable, "the connection is closed: "+reason)
	if c.reason != nil {
		err.cause = c.reason
	}
	select {
	case <-c.opened:
	default:
		c.openFailed = err
		close(c.opened)
	}
	waiting := c.queue
	c.queue = nil
	for _, x := range waiting {
		x.finish(nil, err)
	}
	c.rest()
}

// drop lets go of the connection of the moment. Nothing of it is ever answered
// on another one. What has to be sent goes out if there is a code.
func (c *Conn) drop(code CloseCode) {
	for name := range c.timers {
		c.cancelTimer(name)
	}
	r := c.run
	if r == nil || r.ended {
		return
	}
	r.stop(code)
	c.dropAside()
	for _, t := range c.topics {
		t.drop()
	}
	for _, p := range c.presences {
		p.drop()
	}
	c.impatient = nil
	for _, a := range r.asked {
		a.abandon(fault(CodeUnavailable, "the connection was lost"))
	}
	waiting := c.queue
	c.queue = nil
	for _, reply := range inOrder(r.replies) {
		reply.abandoned()
	}
	r.replies = nil
	c.queue = append(c.queue, waiting...)
	c.trim()
}

// lost returns the error of a call whose connection was lost.
func (c *Conn) lost() *Error {
	err := fault(CodeUnavailable, "the connection was lost")
	if c.reason != nil {
		err.cause = c.reason
	}
	return err
}

// away is the server's advice to come back.
type away struct {
	code  CloseCode
	at    time.Time // when
	until time.Time // calls that run may take until then
}

// leave ends a connection that the server wants to end, once nothing runs.
func (c *Conn) leave() {
	r := c.run
	if now := time.Now(); r.running > 0 && now.Before(r.away.until) {
		c.later(timerLeave, r.away.until.Sub(now), c.leave)
		return
	}
	reason := "the server asked to come back"
	if r.returns {
		reason = "a WebSocket opens again"
	}
	c.lose(r.away.code, reason, false)
}

// signIn runs Authenticate: for the first time on a connection, or to renew the
// session.
func (c *Conn) signIn() {
	r := c.run
	c.spawn(func() {
		err := c.settings.authenticate(context.WithValue(r.life, signInKey{}, r))
		c.mu.Lock()
		defer c.mu.Unlock()
		if r.ended {
			return
		}
		if err == nil {
			c.denied = 0
			c.becomeReady(r)
			return
		}
		c.tell(listenError, err)
		if r.ready {
			return // the session lasts a while yet
		}
		e, _ := errors.AsType[*Error](err)
		if e != nil && e.RetryAfter > 0 {
			c.notBefore = time.Now().Add(e.RetryAfter)
		}
		if e == nil || e.Code != CodeUnauthenticated {
			c.lose(CloseLost, "authentication failed: "+err.Error(), false)
			return
		}
		c.denied++
		c.lose(CloseUnauthenticated, "authentication failed: "+err.Error(), c.denied > 1)
	})
}

// becomeReady lets calls go out on a connection that has authenticated, for the
// first time or again.
func (c *Conn) becomeReady(r *run) {
	if !r.ready {
		r.ready = true
		c.subscribeAgain()
	}
	c.flush()
}

// signInKey marks the context of an Authenticate with its run: calls made with
// it pass before others.
type signInKey struct{}
