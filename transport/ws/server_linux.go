//go:build !386

package ws

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"time"

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
	f, err := tcp.File() // which can tell that it is readable
	if err != nil {
		return err
	}
	_ = l.Close()
	done, err := s.listen(f)
	if err != nil {
		return err
	}
	defer done()
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	_ = conn.Control(func(fd uintptr) { // those that are accepted have it from the listener
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	})
	for pause := time.Duration(0); ; {
		var failed error
		err := conn.Read(func(listener uintptr) (done bool) {
			failed = s.acceptAll(int(listener))
			return failed != nil
		})
		switch {
		case err != nil:
			return err
		case !isShort(failed):
			return failed
		}
		pause = nextPause(pause)
		time.Sleep(pause)
	}
}

// acceptAll takes all connections that are there. The error is not EAGAIN.
func (s *Server) acceptAll(listener int) error {
	for {
		fd, from, err := syscall.Accept4(listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return nil
		case errors.Is(err, syscall.EINTR), errors.Is(err, syscall.ECONNABORTED):
			continue
		case err != nil:
			return err
		}
		x := newLoopShake(s, fd, remoteAddr(from))
		if !s.enter(x) {
			_ = syscall.Close(fd)
			continue
		}
		if err := x.begin(); err != nil {
			x.end()
			return err
		}
	}
}

func remoteAddr(from syscall.Sockaddr) string {
	switch a := from.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)).String()
	case *syscall.SockaddrInet6:
		addr := netip.AddrFrom16(a.Addr).Unmap()
		if a.ZoneId != 0 {
			addr = addr.WithZone(zoneName(a.ZoneId))
		}
		return netip.AddrPortFrom(addr, uint16(a.Port)).String()
	}
	return "@" // as package net names who has no address
}

func zoneName(id uint32) string {
	if i, err := net.InterfaceByIndex(int(id)); err == nil {
		return i.Name
	}
	return strconv.Itoa(int(id))
}

// loopShake is a handshake on a loop. Once its request has come the descriptor
// belongs to the goroutine that answers, until the answer is written.
type loopShake struct {
	s      *Server
	place  poll.Place
	remote string
	ctx    context.Context //nolint:containedctx // of the answer, which another goroutine may cancel
	cancel context.CancelFunc

	mu    sync.Mutex
	fd    int        // guarded by mu, as is all that follows; -1 once it is closed, or the connection's
	stage shakeStage //
	head  []byte     // what has come, where that is not yet the whole head
}

type shakeStage uint8

const (
	headComes shakeStage = iota
	answering
	refused // the client may see why
	over
)

func newLoopShake(s *Server, fd int, remote string) *loopShake {
	x := &loopShake{s: s, fd: fd, remote: remote}
	x.ctx, x.cancel = context.WithCancel(context.Background())
	return x
}

func (x *loopShake) begin() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err := x.place.Join(x.fd, x); err != nil {
		return err
	}
	x.place.After(x.s.headTime)
	return nil
}

// end closes the socket.
func (x *loopShake) end() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.close()
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
	x.cancel()
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
	x.mu.Lock()
	defer x.mu.Unlock()
	switch x.stage {
	case headComes:
		if e&poll.Due != 0 {
			x.close()
		} else if e&poll.Readable != 0 {
			x.read(t)
		}
	case answering:
		if e&poll.Hangup != 0 {
			x.cancel()
		}
	case refused:
		if e&poll.Due != 0 || e&poll.Readable != 0 && x.drained(t) {
			x.close()
		}
	case over:
	}
}

// read takes what has come of the head, and answers it if it is whole.
func (x *loopShake) read(t *poll.Turn) {
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
			x.stage, x.head = answering, nil
			x.place.After(-1)
			x.mu.Unlock()
			x.answer(t, buf, end)
			x.mu.Lock()
			return
		}
	}
}

// answer opens the connection, or refuses it. Since opening runs functions of
// the program the loop may go on without it.
func (x *loopShake) answer(t *poll.Turn, buf []byte, end int) {
	t.Enter()
	defer t.Leave()
	u, answer := x.s.answer(x.ctx, buf, end, x.remote)
	sent, _ := send(x.fd, net.Buffers{answer}) // a fresh socket has room for it
	if u != nil && sent == len(answer) {
		rest := append([]byte(nil), buf[max(end, 0):]...)
		x.mu.Lock()
		x.stage = over
		x.mu.Unlock()
		u.conn.takeLooped(x.fd, x.place, u.link, rest)
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
