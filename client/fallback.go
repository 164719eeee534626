package client

import (
	"crypto/tls"
	"errors"
	"net"
	"time"
)

// This file decides what a connection travels by (docs/protocol.md section 5):
// a WebSocket, or server-sent events where no WebSocket comes through. All of it
// is called with c.mu held.

// Transport is what a connection travels by.
type Transport string

// The transports.
const (
	WebSocket        Transport = "websocket"
	ServerSentEvents Transport = "sse"
)

const (
	turnTime    = 5 * time.Second  // for the first transport of a try to connect
	stayTime    = 10 * time.Minute // after server-sent events have worked, they are tried first
	probeTime   = 5 * time.Minute  // from this to twice of it: whether a WebSocket opens by now
	comeBackMax = 5 * time.Second
)

// path is what a Conn knows of the ways to its server.
type path struct {
	until  time.Time // the end of this try
	failed int       // tries in a row in which nothing has opened
	proven bool      // a WebSocket has opened once
	events time.Time // tries begin with server-sent events until then
}

// both reports whether there are two ways.
func (s *settings) both() bool { return s.webSocket != nil && s.events != nil }

func (c *Conn) firstTransport() Transport {
	if c.settings.webSocket == nil || c.settings.events != nil && time.Now().Before(c.path.events) {
		return ServerSentEvents
	}
	return WebSocket
}

// try begins a connection.
func (c *Conn) try(by Transport, second bool) {
	r := newRun(c, by, second)
	c.run = r
	c.later(timerGreet, time.Until(c.path.until), func() { c.lose(CloseLost, "no answer", false) })
	if c.mayGoOn(r) {
		c.later(timerTurn, turnTime, func() { c.lose(CloseLost, "no answer", false) })
	}
	c.become(State{Phase: Connecting})
	c.spawn(r.connect)
}

// mayGoOn reports whether a try goes on with the other transport if this one
// does not open. Who has had a WebSocket before thinks first that the server is
// away.
func (c *Conn) mayGoOn(r *run) bool {
	return c.settings.both() && !r.second && (r.by != WebSocket || !c.path.proven || c.path.failed > 0)
}

// goOn goes on with the other transport, if that may open where this one has
// not, and reports whether it does.
func (c *Conn) goOn(r *run) bool {
	told := r.server != nil || r.plain || r.away != nil || c.reason != nil
	if told || !c.mayGoOn(r) || !time.Now().Before(c.path.until) {
		return false
	}
	c.drop(0)
	other := WebSocket
	if r.by == WebSocket {
		other = ServerSentEvents
	}
	c.try(other, true)
	return true
}

// opened takes that a connection has opened.
func (p *path) opened(by Transport) {
	p.failed = 0
	if by == WebSocket {
		p.proven, p.events = true, time.Time{}
	}
}

// lost takes that a try has failed, or that a connection has ended.
func (p *path) lost(r *run) {
	stay := time.Now().Add(stayTime)
	switch {
	case r.server == nil:
		p.failed++
		if r.by == WebSocket && r.link != nil && !time.Now().Before(p.until) {
			p.events = stay // it has opened, and nothing came through
		}
	case r.by == ServerSentEvents && !r.returns:
		p.events = stay
	case r.by == ServerSentEvents:
		p.events = time.Time{}
	}
}

// probeLater looks by and by whether a WebSocket opens again, and comes back
// with one.
func (c *Conn) probeLater() {
	r := c.run
	if r.by == WebSocket || !c.settings.both() || c.settings.probe == nil {
		return
	}
	c.later(timerProbe, c.spread(probeTime, 2*probeTime), func() {
		c.spawn(func() {
			opens := c.settings.probe(r.life)
			c.mu.Lock()
			defer c.mu.Unlock()
			switch {
			case r.ended || r.away != nil:
			case opens:
				r.returns = true
				r.leaveWithin(0, 0, comeBackMax)
			default:
				c.probeLater()
			}
		})
	})
}

// unreachable reports whether no connection to the server was made at all, so
// that none of another kind would be.
func unreachable(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	_, wrong := errors.AsType[*tls.CertificateVerificationError](err)
	return wrong
}
