package kanava

import (
	"sync/atomic"
	"time"
)

// rare is what few connections ever have, or only at their end: it is made when
// it is needed, so that those that just wait hold nothing for it.
type rare struct {
	subprotocol string                  // fixed before the connection is open, as is marks
	marks       *marks                  // of the plain form where OpenRequest.Marks asks for them; nil otherwise
	own         atomic.Pointer[buckets] // of actions called while nobody had signed in
	addresses   *addresses              // guarded by core.mu: what it is counted by where Limits.AddressConns is set
	expiry      *time.Timer             // guarded by conn.sessions
	life        lifetime
	visit       *visit // fixed: nil unless it lives for one event only

	present map[presenceSpot]presenceStay // guarded by conn.subMu: where it has joined

	values    *values       // guarded by conn.mu, as is all that follows; nil while none is kept
	done      chan struct{} // closed when it is buried; nil until somebody asks
	closing   *Closing      // Close was called
	ended     *Closing      // how it ended, once phase is phaseEnded
	closeWait *time.Timer
}

// nothingRare is what a connection has that has none of it.
var nothingRare rare

// rare returns what the connection has, to be read.
func (c *conn) rare() *rare {
	if r := c.more.Load(); r != nil {
		return r
	}
	return &nothingRare
}

// ownRare returns what the connection has, to be changed.
func (c *conn) ownRare() *rare {
	if r := c.more.Load(); r != nil {
		return r
	}
	c.more.CompareAndSwap(nil, &rare{})
	return c.more.Load()
}
