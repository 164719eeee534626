package ws

import (
	"bytes"
	"time"

	"github.com/kanava-go/kanava"
)

// tick runs when the time of wire.after has come: it pings a silent client, and
// one that has long been told nothing and cannot see pings of WebSocket; it
// gives up on one that stays silent, and cuts what leaves for too long. Any byte
// from the client is a sign of life. It does not block.
func (c *conn) tick() {
	now := clock()
	c.mu.Lock()
	switch c.phase.Load() {
	case leaving:
		// It may have been meant for the heartbeat just before.
		late, sent := !time.Now().Before(c.ending.deadline), c.ending.sent
		c.mu.Unlock()
		if late {
			c.end(kanava.Closing{}, !sent)
		}
		return
	case ended:
		c.mu.Unlock()
		return
	}

	ping, pongWait := c.h.o.Ping, c.h.o.PongWait
	heard := c.heard.Load()
	quiet := heard // since when one side has said nothing
	if c.alive {
		quiet = min(heard, c.wrote.Load())
	}
	next, due := ping-time.Duration(now-quiet), false
	switch {
	case c.flags.has(parked): // the server does not listen, but a write finds a client that is gone
		c.want(duePing)
		next, due = ping, true
	case next > 0: // nobody is silent
	case c.pinged != heard: // an own write may be blocked; the client has time from when the ping goes out
		c.want(duePing)
		next, due = min(ping, pongWait), true
	default:
		next = min(ping, pongWait-time.Duration(now-c.pingedAt))
		if next <= 0 {
			c.mu.Unlock()
			c.leaveWith(closing(kanava.CloseTimeout), nothingMore)
			return
		}
	}
	c.wire().after(next)
	c.mu.Unlock()
	if due {
		c.kick()
	}
}

// answer has a pong sent for a ping with this body. Of several pings before
// the pong is written, the last is answered (RFC 6455 section 5.5.3).
func (c *conn) answer(body []byte) {
	c.mu.Lock()
	if c.phase.Load() == open {
		pong := bytes.Clone(body)
		c.pong = &pong
		c.want(duePong)
	}
	c.mu.Unlock()
	c.kick()
}

// closing returns the end with a code whose reason is its name.
func closing(code kanava.CloseCode) kanava.Closing {
	return kanava.Closing{Code: code, Reason: code.String()}
}
