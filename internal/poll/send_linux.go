package poll

import (
	"errors"
	"syscall"
	"time"
)

// This file sends what many handlers have to say at once, such as an event to
// the subscribers of its topic, or replies to messages that have come together,
// with as few system calls as the kernel allows.

// Sender is a handler that sends with others; see [Turn.Send].
type Sender interface {
	// Sent tells how many bytes of b the socket has taken, and why not all: err is 0
	// or EAGAIN if it has no room for the rest. It must not block, nor call the
	// Turn. b is not to be kept.
	Sent(b []byte, n int, err syscall.Errno)
}

const (
	mostSends = 32       // at once: so long nothing else happens on the loop
	sendRoom  = 64 << 10 // bytes of them together
	// gatherTime is how long they are gathered: what is handled meanwhile may take
	// longer than it is good for the first of them.
	gatherTime = 100 * time.Microsecond
)

// delivery is what is to be sent to a socket.
type delivery struct {
	fd   int
	to   Sender
	data []byte // in loop.room
	n    int
	err  syscall.Errno
}

func (d *delivery) set(result int32) {
	if d.n, d.err = int(result), 0; result < 0 {
		d.n, d.err = 0, syscall.Errno(-result)
	}
}

// Send takes a copy of b to send it soon, with what others send that are handled
// after this one, and has to told then, on the goroutine of the loop. Until then
// fd has to stay what it is. It reports false if the caller better sends b itself:
// nobody comes after it, b is large, or the kernel has no way to send to several
// sockets at once.
//
// It must not be called between Enter and Leave.
func (t *Turn) Send(fd int, b []byte, to Sender) bool {
	l := t.loop
	if len(b) > sendRoom/4 || len(l.sends) == 0 && (l.done == len(l.todo) || !l.hasRing()) {
		return false
	}
	now := time.Now()
	if len(l.sends) == mostSends || len(l.room)+len(b) > sendRoom || now.Sub(l.gathered) > gatherTime {
		l.flush()
	}
	if len(l.sends) == 0 {
		l.gathered = now
	}
	from := len(l.room)
	l.room = append(l.room, b...)
	l.sends = append(l.sends, delivery{fd: fd, to: to, data: l.room[from:len(l.room):len(l.room)]})
	return true
}

// Flush sends what Send has taken. It is for a handler that is about to do what is
// likely to take long: otherwise it is sent when another goroutine takes over the
// loop. It must not be called between Enter and Leave.
func (t *Turn) Flush() { t.loop.flush() }

// hasRing reports whether the loop has a ring, which it makes if it can.
func (l *loop) hasRing() bool {
	if l.uring == nil && !l.ringless {
		r, err := newRing(mostSends)
		if err != nil {
			l.ringless = true
			return false
		}
		l.uring, l.room, l.sends = r, make([]byte, 0, sendRoom), make([]delivery, 0, mostSends)
	}
	return l.uring != nil
}

func (l *loop) flush() {
	if len(l.sends) == 0 {
		return
	}
	done := 0
	if len(l.sends) > 1 && l.uring != nil {
		var err error
		if done, err = l.uring.send(l.sends); err != nil {
			l.uring.close()
			l.uring, l.ringless = nil, true // there is no other
		}
	}
	for i := range l.sends {
		d := &l.sends[i]
		if i >= done {
			d.send()
		}
		d.to.Sent(d.data, d.n, d.err)
		*d = delivery{}
	}
	l.sends, l.room = l.sends[:0], l.room[:0]
}

func (d *delivery) send() {
	n, err := syscall.SendmsgN(d.fd, d.data, nil, nil, syscall.MSG_NOSIGNAL|syscall.MSG_DONTWAIT)
	d.n, d.err = max(n, 0), 0
	_ = errors.As(err, &d.err)
}
