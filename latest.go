package kanava

import "time"

// This file is how a connection gets what was said before it could hear it:
// the newest event of each key of a Latest topic (docs/protocol.md section 4).
// A program can keep more of them than a queue takes: they come as there is
// room, and one that is replaced meanwhile does not come any more.

// sendLatest hands the subscriber what is kept of the events after one and up to
// another. The topic's mu is held.
func (c *conn) sendLatest(sub *subscription, after, to uint64) {
	limit := c.queueLimit()
	sub.state.log.values(after, to, time.Now(), func(ev *event) bool {
		room := min(limit/2, limit-2*(itemCost+ev.size()))
		if !c.out.hasRoom(room) {
			go c.sendLatestLater(sub, after, to, max(room, 0))
			return false
		}
		after = ev.at.Offset
		if ev.except != "" && c.is(ev.except) {
			c.pass(ev, sub)
		} else {
			c.deliver(ev, sub)
		}
		return true
	})
}

// sendLatestLater is sendLatest when at most room waits. It ends with the
// connection.
func (c *conn) sendLatestLater(sub *subscription, after, to uint64, room int) {
	c.out.waitRoom(room)
	sub.state.mu.Lock()
	defer sub.state.mu.Unlock()
	if !sub.ended.isSet() {
		c.sendLatest(sub, after, to)
	}
}

// resumeSubscriptions tells the client, after a time without a session, where
// those topics stand that need one: what was said in that time was not sent.
func (c *conn) resumeSubscriptions() {
	for _, sub := range c.listSubscriptions() {
		if sub.free {
			continue
		}
		if v := c.visit(); v != nil && v.look(v.now(), sub) != nil {
			continue // the next ping tells
		}
		sub.state.mu.Lock()
		if !sub.ended.isSet() {
			c.stands(sub)
		}
		sub.state.mu.Unlock()
	}
}
