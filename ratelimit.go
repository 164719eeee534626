package kanava

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Rate bounds how often something may happen: PerSecond on average, and Burst
// at once after a quiet time. The zero value stands for a default; Unlimited
// is no bound.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Unlimited is the Rate that refuses nothing.
var Unlimited = Rate{PerSecond: math.Inf(1), Burst: math.MaxInt}

// valid reports whether r can be a limit.
func (r Rate) valid() bool { return r == Rate{} || r.PerSecond > 0 && r.Burst > 0 }

func (r Rate) unlimited() bool { return math.IsInf(r.PerSecond, 1) }

// time is how long n tokens take to grow back: at most a year for each, and at
// most a hundred years in all, which keeps within what a Duration can be.
func (r Rate) time(n int) time.Duration {
	const year = 365 * 24 * time.Hour
	each := min(float64(time.Second)/r.PerSecond, float64(year))
	return time.Duration(min(each*float64(n), float64(100*year)))
}

// bucket is a token bucket in the form of the generic cell rate algorithm
// (ITU-T I.371): one time says how full it is. The zero value is full.
type bucket struct {
	full atomic.Int64 // when the bucket will be full again, in nanoseconds since begun
}

// begun is what times are counted from where a time.Time is too large: so long
// ago that the virtual times of tests are later, too.
var begun = time.Now().Add(-100 * 365 * 24 * time.Hour)

func sinceBegun(t time.Time) int64 { return int64(t.Sub(begun)) }

// errorCost is what a message costs that is answered with an error.
const errorCost = 5

// maxStrikes is how many times in a row a connection may be over its rate
// before it is closed.
const maxStrikes = 10

// take takes one token, or tells how long it takes until there is one.
func (b *bucket) take(r Rate, now time.Time) (wait time.Duration) {
	if r.unlimited() {
		return 0
	}
	at, most, one := sinceBegun(now), r.time(r.Burst), r.time(1)
	for {
		former := b.full.Load()
		full := max(former, at) + int64(one)
		if wait = time.Duration(full-at) - most; wait > 0 {
			return wait
		}
		if b.full.CompareAndSwap(former, full) {
			return 0
		}
	}
}

// charge takes tokens that are owed, whether they are there or not, but leaves
// no debt behind.
func (b *bucket) charge(r Rate, n int, now time.Time) {
	if r.unlimited() {
		return
	}
	at := sinceBegun(now)
	empty := at + int64(r.time(r.Burst))
	for {
		former := b.full.Load()
		full := min(max(former, at)+int64(r.time(n)), empty)
		if b.full.CompareAndSwap(former, full) {
			return
		}
	}
}

// RateLimit bounds how often the function is called: by one user, over all of
// the user's connections to this server, or by one connection where nobody has
// signed in. A call over the rate is answered with CodeResourceExhausted. It
// comes on top of Limits.Rate.
func RateLimit(r Rate) FuncOption { return func(o *funcOptions) { o.rate = r } }

// buckets are those of one user, or of a connection without one.
type buckets struct {
	all bucket

	mu  sync.Mutex
	own map[any]*bucket // guarded by mu: of each *action with a RateLimit, and *channelDef with a UserRate
}

func (b *buckets) of(what any) *bucket {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.own == nil {
		b.own = make(map[any]*bucket)
	}
	x := b.own[what]
	if x == nil {
		x = &bucket{}
		b.own[what] = x
	}
	return x
}

// fullAt returns when all buckets are full again: nothing is lost then if they
// are forgotten.
func (b *buckets) fullAt() time.Time {
	at := b.all.fullAt()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, x := range b.own {
		if t := x.fullAt(); t.After(at) {
			at = t
		}
	}
	return at
}

func (b *bucket) fullAt() time.Time { return begun.Add(time.Duration(b.full.Load())) }

// userBuckets returns those of the user who has signed in, nil if there is none,
// or one without an id.
func (c *conn) userBuckets() *buckets {
	if s := c.current.Load(); s != nil {
		return s.buckets
	}
	return nil
}

// meter charges a message before anything is done for it: to the connection
// and to its user.
func (c *conn) meter() *Error {
	b := c.userBuckets()
	if b == nil && c.def.limits.Rate.unlimited() {
		return nil
	}
	now := time.Now()
	wait := c.rate.take(c.def.limits.Rate, now)
	if b != nil && wait == 0 {
		wait = b.all.take(c.core.limits.UserRate, now)
		if own := c.def.own.UserRate; own != (Rate{}) && wait == 0 {
			wait = b.of(c.def).take(own, now)
		}
	}
	if wait == 0 && c.strikes.Load() != 0 {
		c.strikes.Store(0)
	}
	return tooFast(wait)
}

// chargeNoise charges what is no message, and so is not answered; see
// Link.Charge.
func (c *conn) chargeNoise(n int) {
	for now := time.Now(); n > 0; n-- {
		if err := tooFast(c.rate.take(c.def.limits.Rate, now)); err != nil {
			c.strike(err)
		} else {
			c.strikes.Store(0)
		}
	}
}

// strike counts what was refused for its rate; one too many in a row closes
// the connection.
func (c *conn) strike(e *Error) {
	if c.strikes.Add(1) >= maxStrikes {
		c.closeWith(context.Background(), closingFor(e))
	}
}

// meterAction charges a call to its function's RateLimit.
func (c *conn) meterAction(a *action) *Error {
	if a.opts.rate == (Rate{}) {
		return nil
	}
	b := c.userBuckets()
	if b == nil { // nobody has signed in
		own := &c.ownRare().own
		own.CompareAndSwap(nil, &buckets{})
		b = own.Load()
	}
	return tooFast(b.of(a).take(a.opts.rate, time.Now()))
}

// chargeError makes a message that was answered with an error dearer than one
// that was not.
func (c *conn) chargeError() { c.rate.charge(c.def.limits.Rate, errorCost-1, time.Now()) }

func tooFast(wait time.Duration) *Error {
	if wait == 0 {
		return nil
	}
	e := Errorf(CodeResourceExhausted, "too many messages: wait a little")
	e.RetryAfter = max(wait, time.Millisecond)
	return e
}
