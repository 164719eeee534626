//go:build !386

package ws

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/kanava-go/kanava/internal/poll"
)

// acceptors take connections from one listening socket. There is one for each
// loop: the first does it alone while few come, and whoever finds more than it
// takes at once calls the next to help.
type acceptors struct {
	take func(a *acceptor, fd int, from netip.AddrPort) poll.Handler // gets each connection
	over chan struct{}                                               // closed when they have ended

	mu  sync.RWMutex // read-held while fd is used
	f   *os.File     // guarded by mu: nil once it is closed
	fd  int          // of f
	all []*acceptor  // guarded by mu
	err error        // why they have ended; set before over is closed
}

// acceptor is the part of one loop.
type acceptor struct {
	*acceptors
	index  int // in all
	place  poll.Place
	pause  time.Duration // how long it has waited for descriptors, or memory, to be there again
	called atomic.Bool   // to help
}

// newAcceptors begins to take connections from a listening socket, which belongs
// to the acceptors from now on. take is called on a loop, and does not block; what it returns, if
// anything, has joined a loop, and is told at once that there is something to
// read: so it is where a client speaks first.
func newAcceptors(f *os.File, take func(a *acceptor, fd int, from netip.AddrPort) poll.Handler) (*acceptors, error) {
	x := &acceptors{take: take, f: f, fd: int(f.Fd()), over: make(chan struct{})}
	err := syscall.SetNonblock(x.fd, true)
	if err == nil { // those that are accepted have it from the listener
		err = syscall.SetsockoptInt(x.fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	}
	// A connection is accepted with what its client says first, or after a second
	// or two without: that saves to be woken twice. It is no error to do without.
	_ = syscall.SetsockoptInt(x.fd, syscall.IPPROTO_TCP, syscall.TCP_DEFER_ACCEPT, 1)
	if err == nil {
		x.mu.Lock()
		err = poll.JoinAll(x.fd, func() (*poll.Place, poll.Handler) {
			a := &acceptor{acceptors: x, index: len(x.all)}
			x.all = append(x.all, a)
			return &a.place, a
		})
		x.mu.Unlock()
	}
	if err != nil {
		x.end(err)
		return nil, err
	}
	return x, nil
}

// Close ends the acceptors.
func (x *acceptors) Close() error {
	x.end(net.ErrClosed)
	return nil
}

func (x *acceptors) end(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.f == nil {
		return
	}
	for _, a := range x.all {
		if a.place != (poll.Place{}) {
			a.place.Leave()
		}
	}
	_ = x.f.Close()
	x.f, x.fd, x.err = nil, -1, err
	close(x.over)
}

// acceptAtOnce is how many connections one loop takes before it looks after
// others.
const acceptAtOnce = 16

// Handle implements [poll.Handler].
func (a *acceptor) Handle(t *poll.Turn, e poll.Event) {
	if e&poll.Poked != 0 {
		a.called.Store(false)
	}
	var came [acceptAtOnce]poll.Handler // all join their loops before the first is answered, which may take long
	more := true
	for i := 0; i < len(came) && more; i++ {
		fd, from, errno := a.accept()
		switch errno {
		case 0:
			a.pause = 0
			came[i] = a.take(a, fd, from)
		case syscall.EINTR, syscall.ECONNABORTED:
		case syscall.EAGAIN:
			more = false
		default:
			a.failed(errno)
			more = false
		}
	}
	if more {
		a.call()
		a.next().call()
	}
	for _, h := range came {
		if t.Lost() {
			return // the loop tells the others
		}
		if h != nil {
			h.Handle(t, poll.Readable)
		}
	}
}

// call has the acceptor take connections, soon.
func (a *acceptor) call() {
	if a.called.CompareAndSwap(false, true) {
		a.place.Poke(a)
	}
}

// next returns the acceptor of another loop, if there is one.
func (a *acceptor) next() *acceptor {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.all[(a.index+1)%len(a.all)]
}

// failed waits where an error of accept may be over soon, and ends the acceptors
// otherwise.
func (a *acceptor) failed(err error) {
	if !isShort(err) {
		a.end(err)
		return
	}
	a.pause = nextPause(a.pause)
	a.place.After(a.pause)
}

// accept takes one connection. It does not block.
func (x *acceptors) accept() (fd int, from netip.AddrPort, errno syscall.Errno) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.f == nil {
		return -1, from, syscall.EAGAIN
	}
	var addr syscall.RawSockaddrAny
	size := uint32(unsafe.Sizeof(addr))
	n, _, errno := syscall.RawSyscall6(syscall.SYS_ACCEPT4, uintptr(x.fd), uintptr(unsafe.Pointer(&addr)), uintptr(unsafe.Pointer(&size)),
		syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, from, errno
	}
	return int(n), addrPort(&addr), 0
}

// addrPort returns the address of a peer.
func addrPort(addr *syscall.RawSockaddrAny) netip.AddrPort {
	switch addr.Addr.Family {
	case syscall.AF_INET:
		a := (*syscall.RawSockaddrInet4)(unsafe.Pointer(addr))
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), hostOrder(a.Port))
	case syscall.AF_INET6:
		a := (*syscall.RawSockaddrInet6)(unsafe.Pointer(addr))
		ip := netip.AddrFrom16(a.Addr).Unmap()
		if a.Scope_id != 0 {
			ip = ip.WithZone(zoneName(a.Scope_id))
		}
		return netip.AddrPortFrom(ip, hostOrder(a.Port))
	}
	return netip.AddrPort{}
}

// hostOrder turns a port as it stands in a socket's address into a number.
func hostOrder(port uint16) uint16 {
	p := (*[2]byte)(unsafe.Pointer(&port))
	return uint16(p[0])<<8 | uint16(p[1])
}

func zoneName(id uint32) string {
	if i, err := net.InterfaceByIndex(int(id)); err == nil {
		return i.Name
	}
	return strconv.Itoa(int(id))
}
