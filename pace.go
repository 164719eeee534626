package kanava

import (
	"sync/atomic"
	"time"
)

// pace is what is known of how long a function takes. One that has held up a
// Host gets a goroutine for each call, until many in a row were short. The zero
// value is that of a short one.
type pace struct{ left atomic.Int32 } // calls that have to be short before it counts as such

const (
	paceShort = 50 * time.Microsecond // what is no longer than this is short
	paceCalls = 64
)

func (p *pace) isSlow() bool { return p.left.Load() > 0 }

// tookLong notes that the function has held up a Host.
func (p *pace) tookLong() { p.left.Store(paceCalls) }

// run runs a call on a goroutine for which nobody waits.
func (p *pace) run(x *call) {
	if !p.isSlow() {
		x.run()
		return
	}
	began := time.Now()
	x.run()
	if time.Since(began) > paceShort {
		p.left.Store(paceCalls)
	} else {
		p.left.Add(-1)
	}
}
