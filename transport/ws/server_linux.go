//go:build !386

package ws

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/poll"
)

// accept takes connections from a plain listener without making a net.Conn of
// each: their handshakes are done by the loops that they stay with.
func (s *Server) accept(l net.Listener) error {
	tcp, ok := l.(*net.TCPListener)
	if !ok || s.h.stream {
		return s.acceptEach(l)
	}
	f, err := tcp.File()
	if err != nil {
		return err
	}
	_ = l.Close()
	a, err := newAcceptors(f, func(_ *acceptor, fd int, from netip.AddrPort) poll.Handler {
		x := newLoopShake(s, fd, from)
		x.begin()
		return x
	})
	if err != nil {
		return err
	}
	done, err := s.listen(a)
	if err != nil {
		return err
	}
	defer done()
	<-a.over
	return a.err
}

// loopShake is a handshake on a loop. Once its request has come the descriptor
// belongs to the goroutine that answers, until the answer is written.
type loopShake struct {
	s      *Server
	place  poll.Place
	remote netip.AddrPort
	ctx    context.Context //nolint:containedctx // of the answer, which another goroutine may cancel
	cancel context.CancelFunc

	mu    sync.Mutex
	fd    int        // guarded by mu, as is all that follows; -1 once it is closed, or the connection's
	stage shakeStage //
	news  poll.Event // what the loop has told since the head came
	next  *conn      // the connection, once it is over
	head  []byte     // what has come, where that is not yet the whole head
}

type shakeStage uint8

const (
	headComes shakeStage = iota
	answering
	refused // the client may see why
	over
)

func newLoopShake(s *Server, fd int, remote netip.AddrPort) *loopShake {
	return &loopShake{s: s, fd: fd, remote: remote}
}

// begin waits for the request.
func (x *loopShake) begin() {
	if !x.s.enter(x) {
		_ = syscall.Close(x.fd)
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.place.Join(x.fd, x); err != nil {
		x.close() // the process is short of memory, or of what the user may watch
		return
	}
	x.place.After(x.s.headTime)
}

// close closes the socket; x.mu is held.
func (x *loopShake) close() {
	if x.stage == over {
		return
	}
	x.stage, x.head = over, nil
	if x.place != (poll.Place{}) {
		x.place.Leave()
	}
	_ = syscall.Close(x.fd)
	x.fd = -1
	if x.cancel != nil {
		x.cancel()
	}
	go x.s.leave(x) // its lock comes before x.mu
}

func (x *loopShake) stop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stage == headComes {
		x.close()
	}
}

// Handle implements [poll.Handler].
func (x *loopShake) Handle(t *poll.Turn, e poll.Event) {
	if next := x.handle(t, e); next != nil {
		looped{next}.Handle(t, e) // the loop did not know of it yet
	}
}

// handle is Handle, or returns the connection that this is for by now.
func (x *loopShake) handle(t *poll.Turn, e poll.Event) (next *conn) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch x.stage {
	case headComes:
		if e&poll.Due != 0 {
			x.close()
		} else if e&poll.Readable != 0 {
			x.read(t, e)
		}
	case answering:
		x.news |= e
		if e&poll.Hangup != 0 {
			x.cancel()
		}
	case refused:
		if e&poll.Due != 0 || e&poll.Readable != 0 && x.drained(t) {
			x.close()
		}
	case over:
		return x.next
	}
	return nil
}

// read takes what has come of the head, and answers it if it is whole.
func (x *loopShake) read(t *poll.Turn, e poll.Event) {
	buf := t.Buffer[:copy(t.Buffer, x.head)]
	for {
		n, err := receive(x.fd, t.Buffer[len(buf):])
		if errors.Is(err, syscall.EAGAIN) {
			x.head = append([]byte(nil), buf...)
			return
		}
		if err != nil {
			x.close()
			return
		}
		buf = t.Buffer[:len(buf)+n]
		if end := headEnd(buf); end != 0 {
			if x.news = e & poll.Hangup; len(buf) == len(t.Buffer) {
				x.news |= poll.Readable // there may be more
			}
			x.hasCome()
			x.mu.Unlock()
			x.answer(t, buf, end)
			x.mu.Lock()
			return
		}
	}
}

// hasCome notes that the request is there; x.mu is held.
func (x *loopShake) hasCome() {
	x.stage, x.head = answering, nil
	x.ctx, x.cancel = context.WithCancel(context.Background())
	x.place.After(-1)
}

// answer opens the connection, or refuses it. Since opening runs functions of
// the program the loop may go on without it.
func (x *loopShake) answer(t *poll.Turn, buf []byte, end int) {
	t.Flush()
	t.Enter()
	defer t.Leave()
	remote := "@" // as package net names who has no address
	if x.remote.IsValid() {
		remote = x.remote.String()
	}
	u, answer := x.s.answer(x.ctx, buf, end, remote)
	sent, _ := send(x.fd, net.Buffers{answer}) // a fresh socket has room for it
	if u != nil && sent == len(answer) {
		u.conn.takeLooped(x.fd, x.place, u.link, buf[end:])
		x.mu.Lock()
		x.stage, x.next = over, u.conn
		news := x.news
		x.mu.Unlock()
		if news&(poll.Readable|poll.Hangup) != 0 {
			looped{u.conn}.readOn()
		}
		x.cancel()
		x.s.leave(x)
		return
	}
	if u != nil {
		u.link.Disconnect(kanava.CloseAbnormal, "")
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if u != nil || sent < len(answer) {
		x.close()
		return
	}
	x.stage = refused
	_ = syscall.Shutdown(x.fd, syscall.SHUT_WR)
	x.place.After(lastTime)
	x.place.Poke(x)
}

// drained throws away what a refused client sends, and reports whether that is
// over.
func (x *loopShake) drained(t *poll.Turn) bool {
	for range maxExcess / len(t.Buffer) {
		if _, err := receive(x.fd, t.Buffer); err != nil {
			return !errors.Is(err, syscall.EAGAIN)
		}
	}
	return true
}
