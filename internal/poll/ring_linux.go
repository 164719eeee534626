package poll

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// ring sends to several sockets by one system call: a pair of queues that are
// shared with the kernel, io_uring(7). It belongs to whoever runs its loop.
//
// The structures are those of linux/io_uring.h.
type ring struct {
	fd     int
	shared []byte // both queues
	sends  []submission

	tail    *uint32 // of what is to be done; the kernel reads it
	head    *uint32 // the same; the kernel writes it
	mask    uint32
	results *uint32 // head of what has been done; the kernel reads it
	came    *uint32 // tail of it; the kernel writes it
	doneAt  uintptr // where in shared it is
	most    uint32  // results, less one
}

const (
	sysSetup = 425 // the same number on all processors but MIPS and Alpha
	sysEnter = 426

	setupSubmitAll = 1 << 7 // one that fails does not stop those behind it
	setupCoop      = 1 << 8 // nobody is interrupted
	enterGetEvents = 1
	featSingleMmap = 1
	offsetOfSends  = 0x10000000
	opSend         = 26
)

// ringParams is io_uring_params.
type ringParams struct {
	entries, results, flags, cpu, idle, features, workers uint32
	_                                                     [3]uint32
	todo                                                  struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	done struct {
		head, tail, mask, entries, overflow, at, flags, _ uint32
		_                                                 uint64
	}
}

// submission is io_uring_sqe.
type submission struct {
	op, flags  uint8
	prio       uint16
	fd         int32
	offset     uint64
	addr       uint64
	size       uint32
	sendFlags  uint32
	of         uint64
	_, _, _, _ uint32
	_          uint64
}

// completion is io_uring_cqe.
type completion struct {
	of     uint64
	result int32
	_      uint32
}

// newRing makes a ring for up to n at once, which is a power of two. The error
// says why there can be none: the kernel is older than 5.19, or does not let us.
func newRing(n int) (_ *ring, err error) {
	if strings.HasPrefix(runtime.GOARCH, "mips") {
		return nil, errors.New("poll: no numbers for this processor")
	}
	p := ringParams{flags: setupSubmitAll | setupCoop}
	fd, _, errno := syscall.Syscall(sysSetup, uintptr(n), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("poll: io_uring_setup: %w", errno)
	}
	r := &ring{fd: int(fd)}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if p.features&featSingleMmap == 0 {
		return nil, errors.New("poll: io_uring of an old kernel")
	}
	const access = syscall.PROT_READ | syscall.PROT_WRITE
	size := max(int(p.todo.array)+int(p.entries)*4, int(p.done.at)+int(p.results)*int(unsafe.Sizeof(completion{})))
	if r.shared, err = syscall.Mmap(r.fd, 0, size, access, syscall.MAP_SHARED|syscall.MAP_POPULATE); err != nil {
		return nil, fmt.Errorf("poll: mmap: %w", err)
	}
	each := int(unsafe.Sizeof(submission{}))
	sends, err := syscall.Mmap(r.fd, offsetOfSends, int(p.entries)*each, access, syscall.MAP_SHARED|syscall.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("poll: mmap: %w", err)
	}
	r.sends = unsafe.Slice((*submission)(unsafe.Pointer(unsafe.SliceData(sends))), p.entries)
	word := func(at uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.shared[at])) }
	r.head, r.tail, r.mask = word(p.todo.head), word(p.todo.tail), *word(p.todo.mask)
	r.results, r.came, r.most, r.doneAt = word(p.done.head), word(p.done.tail), *word(p.done.mask), uintptr(p.done.at)
	for i := range p.entries { // each place stands for itself
		*word(p.todo.array + 4*i) = i
	}
	return r, nil
}

func (r *ring) close() {
	if r.sends != nil {
		first := (*byte)(unsafe.Pointer(unsafe.SliceData(r.sends)))
		_ = syscall.Munmap(unsafe.Slice(first, len(r.sends)*int(unsafe.Sizeof(submission{}))))
	}
	if r.shared != nil {
		_ = syscall.Munmap(r.shared)
	}
	_ = syscall.Close(r.fd)
}

// send does all, and sets what has come of each. There are no more than the ring
// was made for. It does not block: what finds no room fails with EAGAIN. An error
// is of the ring, which is of no use then; it returns how many were done.
func (r *ring) send(all []delivery) (done int, err error) {
	begin := *r.tail
	for i := range all {
		d := &all[i]
		r.sends[(begin+uint32(i))&r.mask] = submission{
			op: opSend, fd: int32(d.fd), addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(d.data)))),
			size: uint32(len(d.data)), sendFlags: syscall.MSG_NOSIGNAL | syscall.MSG_DONTWAIT, of: uint64(i),
		}
	}
	atomic.StoreUint32(r.tail, begin+uint32(len(all)))
	for got := 0; got < len(all); got += r.collect(all) {
		taken := int(atomic.LoadUint32(r.head) - begin)
		_, _, errno := syscall.Syscall6(sysEnter, uintptr(r.fd), uintptr(len(all)-taken), uintptr(len(all)-got), enterGetEvents, 0, 0)
		if errno == 0 || errno == syscall.EINTR {
			continue
		}
		if taken = int(atomic.LoadUint32(r.head) - begin); taken < len(all) {
			r.collect(all) // without waiting, nothing was left out: each ends when it is taken
			return taken, fmt.Errorf("poll: io_uring_enter: %w", errno)
		}
	}
	runtime.KeepAlive(all)
	return len(all), nil
}

// collect takes the results that there are, and returns how many.
func (r *ring) collect(all []delivery) (n int) {
	head, tail := *r.results, atomic.LoadUint32(r.came)
	for ; head != tail; head++ {
		c := (*completion)(unsafe.Pointer(&r.shared[r.doneAt+uintptr(head&r.most)*unsafe.Sizeof(completion{})]))
		all[c.of].set(c.result)
		n++
	}
	atomic.StoreUint32(r.results, head)
	return n
}
