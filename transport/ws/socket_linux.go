//go:build !386

package ws

import (
	"io"
	"net"
	"syscall"
	"unsafe"
)

// This file has the system calls of a looped connection. The 386 has no numbers
// of their own for them: its connections are streamed. None of them blocks,
// so the scheduler is not told of them, which would cost more than they do.

const (
	sendFlags = syscall.MSG_NOSIGNAL | syscall.MSG_DONTWAIT
	mostParts = 64 // of one sendmsg; more of them go out with the next
)

// descriptor returns a descriptor of its own for the socket of a connection
// that is nothing but a socket.
func descriptor(nc net.Conn) (fd int, ok bool) {
	switch nc.(type) {
	case *net.TCPConn, *net.UnixConn:
	default:
		return -1, false
	}
	raw, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		return -1, false
	}
	err = raw.Control(func(s uintptr) {
		n, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, s, syscall.F_DUPFD_CLOEXEC, 0)
		fd, ok = int(n), errno == 0
	})
	return fd, ok && err == nil
}

// receive reads what has come; the error is EAGAIN if that is nothing, and
// io.EOF at the end.
func (w looped) receive(b []byte) (int, error) {
	w.io.Lock()
	defer w.io.Unlock()
	if w.fd < 0 {
		return 0, net.ErrClosed
	}
	return receive(int(w.fd), b)
}

func receive(fd int, b []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == syscall.EINTR:
		case errno != 0:
			return 0, errno
		case n == 0:
			return 0, io.EOF
		default:
			received(fd)
			return int(n), nil
		}
	}
}

// push sends what it can, and takes that from todo. The error is EAGAIN if the
// socket has no room for the rest.
func (w looped) push(todo *net.Buffers) error {
	w.io.Lock()
	defer w.io.Unlock()
	if w.fd < 0 {
		return net.ErrClosed
	}
	for len(*todo) > 0 {
		n, errno := send(int(w.fd), *todo)
		switch errno {
		case 0:
			skip(todo, n)
		case syscall.EINTR:
		default:
			return errno
		}
	}
	return nil
}

func send(fd int, parts net.Buffers) (int, syscall.Errno) {
	sending()
	if len(parts) == 1 {
		b := parts[0]
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), sendFlags, 0, 0)
		return int(n), errno
	}
	var vecs [mostParts]syscall.Iovec
	n := min(len(parts), mostParts)
	for i, b := range parts[:n] {
		vecs[i].Base = unsafe.SliceData(b)
		vecs[i].SetLen(len(b))
	}
	m := syscall.Msghdr{Iov: &vecs[0]}
	setIovlen(&m, n)
	sent, _, errno := syscall.RawSyscall(syscall.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&m)), sendFlags)
	return int(sent), errno
}

// setIovlen sets a field whose type depends on the processor.
func setIovlen(m *syscall.Msghdr, n int) {
	type word = struct{ uintptr }
	(*word)(unsafe.Pointer(&m.Iovlen)).uintptr = uintptr(n)
}

// skip takes n bytes from the front of todo.
func skip(todo *net.Buffers, n int) {
	for len(*todo) > 0 {
		b := (*todo)[0]
		if n < len(b) {
			(*todo)[0] = b[n:]
			return
		}
		n -= len(b)
		(*todo)[0] = nil
		*todo = (*todo)[1:]
	}
}

// hasRoom reports whether the socket would take something, or is broken.
func (w looped) hasRoom() bool {
	w.io.Lock()
	defer w.io.Unlock()
	if w.fd < 0 {
		return true
	}
	const pollOut = 4
	p := struct {
		fd             int32
		events, revent int16
	}{w.fd, pollOut, 0}
	ts := syscall.Timespec{}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	return errno != 0 || n > 0
}

func (w looped) closeWrite() {
	w.io.Lock()
	defer w.io.Unlock()
	if w.fd >= 0 {
		_ = syscall.Shutdown(int(w.fd), syscall.SHUT_WR)
	}
}

func (w looped) close(hard bool) {
	w.io.Lock()
	defer w.io.Unlock()
	if w.fd < 0 {
		return
	}
	if hard {
		_ = syscall.SetsockoptLinger(int(w.fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1})
	}
	if w.flags.has(lodged) {
		w.flags.set(doomed)
		return
	}
	w.shut()
}

// shut closes the socket; io is held.
func (w looped) shut() {
	w.place.Leave()
	_ = syscall.Close(int(w.fd))
	w.fd = -1
}

// inline is small: the kernel takes parts from where they lie.
func (w looped) inline() int { return smallPayload }
