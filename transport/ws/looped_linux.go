//go:build !386

package ws

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/kanava-go/kanava/internal/poll"
)

// looped is the wire of a plain socket on Linux. It has no goroutine: a loop of
// package poll reads when something has come, runs the functions of messages,
// and writes.
//
// Only the loop reads. The writer is the loop too, or a goroutine that has lost
// it in a function; it gives its part back by setting blocked where the socket
// has no room, and whoever clears that goes on.
type looped struct{ *conn }

// looper is what lends a batch a loop.
type looper = poll.Turn

// socket is what a looped wire needs of a connection.
type socket struct {
	place  poll.Place
	stuck  *stuck // what the socket has not taken; belongs to the writer
	tickAt int64  // clock when tick is due; guarded by conn.mu

	io sync.Mutex // guards conn.fd, which is used and closed with io held
}

func (c *conn) wire() wire {
	if c.streamed != nil {
		return c.streamed
	}
	return looped{c}
}

// stuck is what the socket has not taken of a batch.
type stuck struct {
	todo     net.Buffers
	last     bool  // it ends with the close frame
	progress int64 // clock when the socket has taken something last
}

// loop begins a connection whose link has opened, if its socket can be given to
// a loop; the net.Conn is let go then. rest is what the client has sent already.
func (c *conn) loop(nc net.Conn, l link, rest []byte) bool {
	if c.h.stream {
		return false
	}
	fd, ok := descriptor(nc)
	if !ok {
		return false
	}
	w := looped{c}
	w.fd = int32(fd)
	if err := w.place.Join(fd, w); err != nil {
		_ = syscall.Close(fd)
		return false
	}
	_ = nc.Close() // the socket lives on with the other descriptor
	w.begin(l, rest, true)
	return true
}

// takeLooped begins a connection whose link has opened, with a socket that a
// loop has already.
//
// Until Become the loop tells the former handler of the socket.
func (c *conn) takeLooped(fd int, place poll.Place, l link, rest []byte) {
	w := looped{c}
	w.fd, w.place = int32(fd), place
	w.begin(l, rest, len(rest) > 0)
	w.place.Become(w)
}

// begin makes the connection read rest, and if there is news what has come until
// now, and begin to write.
func (w looped) begin(l link, rest []byte, news bool) {
	w.link = l
	if news {
		w.leaveUnread(rest) // until the poke
	}
	w.open(l)
	w.mu.Lock()
	w.after(w.h.o.Ping)
	w.mu.Unlock()
	if news {
		w.startReader()
	}
	if !w.writing.CompareAndSwap(running, idle) {
		w.startWriter()
	}
}

func (w looped) startWriter() {
	w.flags.set(queued)
	w.place.Poke(w)
}

// readOn has the loop read, soon.
func (w looped) readOn() {
	w.flags.set(toRead)
	w.place.Poke(w)
}

func (w looped) startReader() { w.place.Poke(w) }

func (w looped) after(d time.Duration) {
	w.tickAt = clock() + int64(d)
	w.arm()
}

// arm has the loop call when something has to be looked at; conn.mu is held.
func (w looped) arm() {
	d := time.Duration(w.tickAt - clock())
	if w.flags.has(blocked) {
		d = min(d, w.step())
	}
	w.place.After(max(d, 0))
}

// Handle implements [poll.Handler].
func (w looped) Handle(t *poll.Turn, e poll.Event) {
	if p := w.phase.Load(); p == opening || p == ended {
		return
	}
	if e&poll.Due != 0 {
		w.look()
	}
	work := false
	switch {
	case w.flags.has(parked):
		if rest, ok := w.takeOver(); ok {
			work = w.read(t, rest, true)
		}
	case w.flags.take(toRead):
		work = w.read(t, nil, true)
	case e&poll.Readable != 0:
		work = w.read(t, nil, e&poll.Hangup != 0)
	}
	free := e&poll.Writable != 0 && w.flags.take(blocked)
	if !work && !free && !w.flags.has(queued) {
		return
	}

	t.Enter()
	defer t.Leave()
	if free {
		w.writeOn(t)
	}
	if work {
		w.link.Work(host{t})
	}
	if w.flags.take(queued) { // also by what the functions said
		out := scratch(t)
		out.turn = t
		w.write(out)
		out.turn = nil
	}
}

// host is a loop as functions know it.
type host struct{ t *poll.Turn }

// Waits implements [kanava.Host].
func (h host) Waits() bool { return h.t.Mine() }

// scratch returns the batch of a goroutine that runs a loop.
func scratch(t *poll.Turn) *batch {
	b, ok := t.Scratch.(*batch)
	if !ok || b.large() {
		b = new(batch)
		t.Scratch = b
	}
	return b
}

// read is the reader: it handles rest, and what has come to the socket. If that
// may be more than one buffer holds, the loop comes back later. It reports
// whether messages wait to be worked off.
func (w looped) read(t *poll.Turn, rest []byte, toTheEnd bool) (work bool) {
	w.heard.Store(int64(t.Now.Sub(clockStart)))
	if len(rest) > 0 {
		var more bool
		if more, work = w.arrived(rest); !more {
			return work
		}
	}
	for total := 0; ; {
		n, err := w.receive(t.Buffer)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return work
		case err != nil:
			w.lost(err)
			return work
		}
		more, mine := w.arrived(t.Buffer[:n])
		work = work || mine
		if !more || n < len(t.Buffer) && !toTheEnd {
			return work
		}
		if total += n; total >= len(t.Buffer) {
			w.readOn()
			return work
		}
	}
}

// look is called when the time of arm has come.
func (w looped) look() {
	w.mu.Lock()
	due := clock() >= w.tickAt
	w.mu.Unlock()
	if due {
		w.tick()
	}
	if w.flags.take(blocked) {
		if w.stuck.progress+int64(w.h.o.WriteStall) <= clock() {
			w.sent(errStalled, false)
			return
		}
		w.lookUp()
		w.flags.set(blocked)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.arm()
}

func (w looped) send(out *batch, last bool) error {
	if !last && w.sendSoon(out) {
		return errLater
	}
	err := w.push(&out.todo)
	if !errors.Is(err, syscall.EAGAIN) {
		return err
	}
	w.stuck = &stuck{todo: out.keep(), last: last, progress: clock()}
	return w.block()
}

// sendSoon has the loop send the batch with those of others, if it can.
func (w looped) sendSoon(out *batch) bool {
	t := out.turn
	if t == nil || len(out.todo) != 1 || !t.Leave() {
		return false
	}
	defer t.Enter()
	w.io.Lock()
	defer w.io.Unlock()
	if w.fd < 0 {
		return false
	}
	sending()
	if !t.Send(int(w.fd), out.todo[0], w) {
		return false
	}
	w.flags.set(lodged)
	return true
}

// Sent implements [poll.Sender].
func (w looped) Sent(b []byte, n int, errno syscall.Errno) {
	w.io.Lock()
	w.flags.clear(lodged)
	if w.flags.has(doomed) {
		w.shut()
	}
	w.io.Unlock()
	var err error
	switch {
	case errno == syscall.EAGAIN, errno == 0 && n < len(b):
		w.stuck = &stuck{todo: net.Buffers{bytes.Clone(b[n:])}, progress: clock()}
		err = w.block()
	case errno != 0:
		err = errno
	}
	if w.sent(err, false) && !w.writing.CompareAndSwap(running, idle) {
		w.startWriter() // there is news
	}
}

// writeOn goes on with what is stuck.
func (w looped) writeOn(t *poll.Turn) {
	s := w.stuck
	err := w.pushOn(s)
	if errors.Is(err, syscall.EAGAIN) {
		err = w.block()
	}
	if !errors.Is(err, errLater) {
		w.stuck = nil
	}
	if w.sent(err, s.last) {
		w.write(scratch(t))
	}
}

func (w looped) pushOn(s *stuck) error {
	before := s.size()
	err := w.push(&s.todo)
	if s.size() < before {
		s.progress = clock()
	}
	return err
}

func (s *stuck) size() (n int) {
	for _, b := range s.todo {
		n += len(b)
	}
	return n
}

// block gives the part of the writer back until the socket has room. The error
// is errLater, or that of what was tried before.
func (w looped) block() error {
	for {
		s := w.stuck
		w.flags.set(blocked)
		w.mu.Lock()
		w.arm()
		w.mu.Unlock()
		// If room came before blocked was set, nobody else tells.
		if !w.hasRoom() || !w.flags.take(blocked) {
			return errLater
		}
		if err := w.pushOn(s); !errors.Is(err, syscall.EAGAIN) {
			w.stuck = nil
			return err
		}
	}
}
