package poll

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// set is all loops of the process.
type set struct {
	loops   []loop
	next    atomic.Uint32 // the loop of the next socket, modulo their number
	watched atomic.Bool   // a goroutine watches the guards
}

var all = sync.OnceValue(func() *set {
	s := &set{loops: make([]loop, runtime.GOMAXPROCS(0))}
	for i := range s.loops {
		s.loops[i].set, s.loops[i].index = s, i
	}
	return s
})

// loop is one loop: a set of epoll and what belongs to it.
type loop struct {
	set   *set
	index int           // in set.loops
	guard atomic.Uint64 // see busy

	// These belong to the goroutine that runs the loop.
	seq    uint64
	todo   []task // todo[done:] is still to be done
	done   int
	events [maxEvents]syscall.EpollEvent
	poked  []Handler // of the inbox, while it is made tasks of
	sleep  func(fd uintptr) bool
	came   int // what sleep has got

	// The same, for what is sent together: see Turn.Send.
	sends    []delivery
	room     []byte    // what they send
	gathered time.Time // since when
	uring    *ring
	ringless bool // it can have none

	mu      sync.Mutex
	open    bool            // guarded by mu, as is all that follows: the loop runs
	epoll   *os.File        // while open
	raw     syscall.RawConn // of epoll
	fd      int             // of epoll
	bell    int             // an eventfd that ends the sleep of the loop
	asleep  bool            // it has to be rung
	members []member
	free    []uint32 // members that can be used again
	count   int      // the others
	inbox   []Handler
	wheel   wheel
	until   time.Time // the deadline of epoll
}

// member is one socket of a loop.
type member struct {
	h   Handler // nil: none
	gen uint32  // tells it from those that had its place before
	timing
}

type task struct {
	h    Handler
	what Event
}

// maxEvents is how many events are taken at once. What the handlers of one such
// batch poke each other for is done at its end.
const maxEvents = 64

// edge is EPOLLET: what package syscall calls so is negative on some processors.
const edge = 1 << 31

// bellSlot stands for the bell among the slots of members.
const bellSlot = ^uint32(0)

// Place is the place of a socket in its loop. The zero value is nowhere, which
// is where Join leaves it if it fails, and must not be used.
type Place struct {
	loop *loop
	slot uint32
	gen  uint32
}

// Join puts a socket that does not block under the care of a loop, and sets p
// before h is told of anything. The caller closes the socket, after Leave.
func (p *Place) Join(fd int, h Handler) error {
	return p.join(all().turn(), fd, h, syscall.EPOLLIN|syscall.EPOLLOUT|syscall.EPOLLRDHUP|edge)
}

// turn returns the loop whose turn it is to get a socket.
func (s *set) turn() *loop { return &s.loops[s.next.Add(1)%uint32(len(s.loops))] }

// JoinAll puts a listening socket under the care of all loops: there is one
// handler for each, which next makes, with the place that is set as by Join. The
// first is told of what comes; the others only of what they are poked for, since
// a connection that woke all loops would cost more than it brings.
func JoinAll(fd int, next func() (*Place, Handler)) error {
	s := all()
	first, told := s.turn(), uint32(syscall.EPOLLIN|edge)
	for i := range s.loops {
		l := &s.loops[(first.index+i)%len(s.loops)]
		p, h := next()
		if err := p.join(l, fd, h, told); err != nil {
			return err
		}
		told = 0
	}
	return nil
}

func (p *Place) join(l *loop, fd int, h Handler, events uint32) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open {
		if err := l.begin(); err != nil {
			return err
		}
	}
	slot := uint32(len(l.members))
	if n := len(l.free); n > 0 {
		slot, l.free = l.free[n-1], l.free[:n-1]
	} else {
		l.members = append(l.members, member{})
	}
	m := &l.members[slot]
	m.h = h
	l.count++
	p.loop, p.slot, p.gen = l, slot, m.gen
	err := l.control(fd, &syscall.EpollEvent{
		Events: events,
		Fd:     int32(slot), Pad: int32(m.gen),
	})
	if err != nil {
		l.leave(slot)
		*p = Place{}
	}
	return err
}

// Poke has the handler called with Poked, soon. It may come from any goroutine,
// and before the call the handler may be poked again.
func (p *Place) Poke(h Handler) {
	l := p.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inbox = append(l.inbox, h)
	l.ring()
}

// After has the handler called with Due after d, at the earliest, and not when
// it was to be called before; not at all if d is negative. After Leave it does
// nothing.
func (p *Place) After(d time.Duration) {
	l := p.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.open || p.slot >= uint32(len(l.members)) || l.members[p.slot].gen != p.gen {
		return
	}
	m := &l.members[p.slot]
	l.wheel.set(&m.timing, p.slot, time.Now(), d)
	if !l.asleep {
		return // it looks at the wheel before it sleeps
	}
	if next, ok := l.wheel.next(); ok && (l.until.IsZero() || next.Before(l.until)) {
		l.ring()
	}
}

// Become gives the socket another handler, which is the one that is told from now
// on. It has the same place.
func (p *Place) Become(h Handler) {
	p.loop.mu.Lock()
	defer p.loop.mu.Unlock()
	p.loop.members[p.slot].h = h
}

// Leave ends what Join has begun; it is called once. Calls of the handler that
// are under way go on.
func (p *Place) Leave() {
	p.loop.mu.Lock()
	defer p.loop.mu.Unlock()
	p.loop.leave(p.slot)
}

func (l *loop) leave(slot uint32) {
	m := &l.members[slot]
	*m = member{gen: m.gen + 1}
	l.free = append(l.free, slot)
	if l.count--; l.count == 0 {
		l.ring()
	}
}

// ring ends the sleep of the loop; l.mu is held.
func (l *loop) ring() {
	if l.asleep {
		l.asleep = false
		one := [8]byte{}
		binary.NativeEndian.PutUint64(one[:], 1)
		_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(l.bell), uintptr(unsafe.Pointer(&one)), uintptr(len(one)))
	}
}

// begin starts the loop; l.mu is held.
func (l *loop) begin() (err error) {
	if l.fd, err = syscall.EpollCreate1(syscall.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("poll: epoll_create1: %w", err)
	}
	const nonblock, cloexec = syscall.O_NONBLOCK, syscall.O_CLOEXEC
	bell, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, nonblock|cloexec, 0)
	if errno != 0 {
		_ = syscall.Close(l.fd)
		return fmt.Errorf("poll: eventfd: %w", errno)
	}
	l.bell = int(bell)
	slot := bellSlot
	err = l.control(l.bell, &syscall.EpollEvent{Events: syscall.EPOLLIN | edge, Fd: int32(slot)})
	if err == nil {
		err = syscall.SetNonblock(l.fd, true) // so that Go's own poller takes it
	}
	if err == nil {
		l.epoll = os.NewFile(uintptr(l.fd), "epoll")
		l.raw, err = l.epoll.SyscallConn()
	}
	if err != nil {
		_ = syscall.Close(l.bell)
		_ = syscall.Close(l.fd)
		return err
	}
	l.wheel = wheel{began: time.Now()}
	l.until = time.Time{}
	l.open = true
	go l.run()
	return nil
}

// end ends a loop without members; l.mu is held.
func (l *loop) end() {
	_ = l.epoll.Close()
	_ = syscall.Close(l.bell)
	l.open, l.epoll, l.raw = false, nil, nil
	if l.uring != nil {
		l.uring.close()
		l.uring = nil
	}
	l.room, l.sends = nil, nil
	l.members, l.free, l.inbox, l.poked, l.todo, l.wheel = nil, nil, nil, nil, nil, wheel{}
}

func (l *loop) control(fd int, ev *syscall.EpollEvent) error {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(l.fd), syscall.EPOLL_CTL_ADD, uintptr(fd), uintptr(unsafe.Pointer(ev)), 0, 0)
	if errno != 0 {
		return fmt.Errorf("poll: epoll_ctl: %w", errno)
	}
	return nil
}

var turns = sync.Pool{New: func() any { return &Turn{Buffer: make([]byte, bufferSize)} }}

// run is the goroutine of a loop. It ends with the loop, or where it has lost
// that.
func (l *loop) run() {
	t := turns.Get().(*Turn)
	t.loop, t.mine, t.lost, t.Now = l, l.seq|busy, false, time.Now()
	over := false
	defer func() {
		if !over { // a function has ended this goroutine by runtime.Goexit
			l.handOn(t)
			return
		}
		t.loop = nil
		turns.Put(t)
	}()
	l.flush() // what the goroutine has left that had the loop before
	for {
		for l.done < len(l.todo) {
			x := &l.todo[l.done]
			l.done++
			h := x.h
			x.h = nil
			h.Handle(t, x.what)
			if t.lost {
				over = true
				return
			}
		}
		l.flush()
		if !l.gather(t) {
			over = true
			return
		}
	}
}

// gather finds something to do, and waits for it. It reports false if the loop
// has ended.
func (l *loop) gather(t *Turn) (more bool) {
	l.todo, l.done = l.todo[:0], 0
	if l.takeInbox() { // what one batch has poked goes before the next
		return true
	}
	runtime.Gosched() // the goroutines that the batch has woken
	n := l.poll(l.fd)
	for n == 0 {
		var ended bool
		if n, ended = l.wait(); ended {
			return false
		}
		if n == 0 {
			t.Now = time.Now()
			if l.take(t, 0); len(l.todo) > 0 {
				return true
			}
		}
	}
	t.Now = time.Now()
	l.take(t, n)
	return true
}

// takeInbox makes tasks of what was poked, and reports whether there is any.
func (l *loop) takeInbox() bool {
	l.mu.Lock()
	l.inbox, l.poked = l.poked[:0], l.inbox
	l.mu.Unlock()
	for i, h := range l.poked {
		l.todo = append(l.todo, task{h, Poked})
		l.poked[i] = nil
	}
	return len(l.todo) > 0
}

// take makes tasks of n events, of those who are due, and of the inbox.
func (l *loop) take(t *Turn, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asleep = false
	for i := range n {
		ev := &l.events[i]
		slot := uint32(ev.Fd)
		if slot == bellSlot || l.members[slot].gen != uint32(ev.Pad) {
			continue
		}
		l.todo = append(l.todo, task{l.members[slot].h, eventOf(ev.Events)})
	}
	l.wheel.collect(t.Now,
		func(slot uint32) *timing { return &l.members[slot].timing },
		func(slot uint32) { l.todo = append(l.todo, task{l.members[slot].h, Due}) })
	for i, h := range l.inbox {
		l.todo = append(l.todo, task{h, Poked})
		l.inbox[i] = nil
	}
	l.inbox = l.inbox[:0]
}

func eventOf(bits uint32) (e Event) {
	if bits&syscall.EPOLLIN != 0 {
		e |= Readable
	}
	if bits&syscall.EPOLLOUT != 0 {
		e |= Writable
	}
	if bits&(syscall.EPOLLRDHUP|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
		e |= Readable | Hangup
	}
	return e
}

// poll takes the events that are there. The scheduler is not told: it does not
// block.
func (l *loop) poll(fd int) int {
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(fd), uintptr(unsafe.Pointer(&l.events)), maxEvents, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// wait sleeps until there are events, which it takes, or somebody is due, or
// the bell has rung. It reports whether the loop has ended.
func (l *loop) wait() (n int, ended bool) {
	l.mu.Lock()
	if l.count == 0 && len(l.inbox) == 0 {
		l.end()
		l.mu.Unlock()
		return 0, true
	}
	if len(l.inbox) > 0 {
		l.mu.Unlock()
		return 0, false
	}
	l.asleep = true
	until, raw, epoll := time.Time{}, l.raw, l.epoll
	if next, ok := l.wheel.next(); ok {
		until = next
	}
	changed := !until.Equal(l.until)
	l.until = until
	l.mu.Unlock()
	if changed {
		_ = epoll.SetReadDeadline(until)
	}
	if l.sleep == nil {
		l.sleep = func(fd uintptr) bool {
			l.came = l.poll(int(fd))
			return l.came > 0
		}
	}
	l.came = 0
	_ = raw.Read(l.sleep) // the deadline, or events
	return l.came, false
}
