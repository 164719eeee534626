package emulate

import (
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
)

// Ports come from below those that the system gives to clients, which start at
// 32768 on Linux, and each is given once.
const (
	firstPort = 16000
	lastPort  = 23999
)

var ports struct {
	sync.Mutex // guards next
	next       int
}

// freePort returns a port of the loopback that was free a moment ago. No other
// call in this process gets the same one.
func freePort(tb testing.TB) int {
	tb.Helper()
	ports.Lock()
	defer ports.Unlock()
	const room = lastPort - firstPort + 1
	if ports.next == 0 {
		ports.next = os.Getpid() * 41 // test binaries that run at once start apart
	}
	for range room {
		port := firstPort + ports.next%room
		ports.next++
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
	tb.Fatalf("emulate: no port between %d and %d is free", firstPort, lastPort)
	return 0
}
