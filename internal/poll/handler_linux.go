package poll

import "time"

// Event says what a handler is called for.
type Event uint8

// A handler may be called for several things at once.
const (
	Readable Event = 1 << iota // there may be bytes to receive, or their end
	Writable                   // there may be room to send
	Hangup                     // the peer sends no more, or the socket is broken: receive until that shows
	Poked                      // Place.Poke was called
	Due                        // the time of Place.After has come
)

// Handler is the owner of a socket.
type Handler interface {
	// Handle does what there is to do, without blocking but between Enter and
	// Leave of the turn. Where one of these reports that the loop has gone on
	// without it, other calls of Handle run at the same time: this one may finish
	// what it does, under locks of its own, and returns. It may be told of what
	// has been dealt with by now.
	Handle(t *Turn, e Event)
}

// Turn is what a goroutine has while it runs a loop. A handler may use it until
// it returns.
type Turn struct {
	Now     time.Time // about: it is looked up once for all that came together
	Buffer  []byte    // for what is received
	Scratch any       // the handlers' own, nil at first

	loop *loop
	mine uint64 // what loop.guard is while this goroutine is between Enter and Leave
	lost bool   // another goroutine has the loop
}

// bufferSize is what one call receives at most.
const bufferSize = 64 << 10

// Enter says that what follows may take long. Until Leave the handler may block
// as it likes.
func (t *Turn) Enter() {
	l := t.loop
	l.seq += 2
	t.mine = l.seq | busy
	l.guard.Store(t.mine)
	if !l.set.watched.Load() {
		l.set.watch()
	}
}

// Mine reports whether the loop still waits for the handler that has called
// Enter.
func (t *Turn) Mine() bool { return !t.lost && t.loop.guard.Load() == t.mine }

// Lost reports whether the loop has gone on without the handler.
func (t *Turn) Lost() bool { return t.lost }

// Leave ends what Enter has begun. It reports false if the loop has gone on
// without the handler, which is not to call Enter again then.
func (t *Turn) Leave() (mine bool) {
	if !t.loop.guard.CompareAndSwap(t.mine, t.mine&^busy) {
		t.lost = true
	}
	return !t.lost
}
