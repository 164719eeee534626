// Package testport gives tests addresses for servers that they start as
// processes, which have to be told where to listen, or that have to be found
// where they were once they have been killed. A server in the test's own process
// needs none of this: it listens on port 0.
//
// A port that was free a moment ago is not enough. If it is one of those that the
// system hands out by itself, whoever listens on port 0 or connects to somebody
// may have it before the server does, or while the server is restarted. And go
// test runs the tests of several packages at once, each of which may look for a
// port. So these ports come from below the ones of the system, in blocks. A block
// belongs to one process as long as that lives: it listens on the first port of
// it, and gives away the others, each once.
package testport

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
)

// Well-known programs are below the lowest port. Linux hands out those above the
// highest, others those from 49,152.
const (
	lowest  = 10_000
	highest = 32_767
	size    = 64 // of a block
)

// Address returns an address of the loopback, "127.0.0.1:" and a port, on which
// nobody listens. No other call returns it, in this process or in another one
// that runs, and the system gives its port to nobody who does not ask for it. A
// test for which there is none left ends.
func Address(tb testing.TB) string {
	tb.Helper()
	return at(Port(tb))
}

// Port is the port of an [Address], for programs that want only that.
func Port(tb testing.TB) int {
	tb.Helper()
	port, err := own.next()
	if err != nil {
		tb.Fatal(err)
	}
	return port
}

// own are the ports of this process.
var own = owner{lowest: lowest, size: size, blocks: (highest + 1 - lowest) / size}

// owner is who takes blocks of a range.
type owner struct {
	lowest, size, blocks int

	mu    sync.Mutex     // guards what follows
	locks []net.Listener // on the first port of each block; the process's end closes them
	port  int            // the next of the newest block
	left  int            // how many that has from there
}

func (o *owner) next() (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		if o.left == 0 {
			if err := o.claim(); err != nil {
				return 0, err
			}
		}
		port := o.port
		o.port++
		o.left--
		if l, err := net.Listen("tcp", at(port)); err == nil { // else a stranger is there
			return port, l.Close()
		}
	}
}

// claim takes a block that nobody has.
func (o *owner) claim() error {
	start := os.Getpid() % o.blocks // others look elsewhere first
	for i := range o.blocks {
		port := o.lowest + (start+i)%o.blocks*o.size
		lock, err := net.Listen("tcp", at(port))
		if err == nil {
			o.locks, o.port, o.left = append(o.locks, lock), port+1, o.size-1
			return nil
		}
	}
	return fmt.Errorf("testport: all ports from %d to %d are taken", o.lowest, o.lowest+o.blocks*o.size-1)
}

func at(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
