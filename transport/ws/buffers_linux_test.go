package ws_test

import (
	"net"
	"syscall"
	"testing"
)

// small gives the connections of a listener small buffers.
func small(tb testing.TB, l net.Listener) net.Listener {
	tb.Helper()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		tb.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { // what is accepted has them from here
		for _, which := range []int{syscall.SO_RCVBUF, syscall.SO_SNDBUF} {
			if err := syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, which, smallBuffer); err != nil {
				tb.Error(err)
			}
		}
	}); err != nil {
		tb.Fatal(err)
	}
	return l
}
