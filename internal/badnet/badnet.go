// Package badnet is a network for tests, between what is tested and a server of
// its, which can fail. It works on bytes of TCP, and knows no protocol: what has
// to fail at a certain message finds it by a text in it.
//
// Toxiproxy can do most of this, and brings two dozen modules with it. e2e has
// them; the engines are modules of programs.
package badnet

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"
)

// Fault is what a network does wrong. The zero value is a network that works.
type Fault struct {
	Cut   bool          // ends all connections, also new ones
	Hole  bool          // bytes are neither lost nor passed on
	Deaf  bool          // those from the server are not
	Pause time.Duration // after each 16 KiB, each way
}

// Network leads from an address of its own to a server. It is safe for concurrent
// use.
type Network struct {
	listener net.Listener
	server   string

	mu      sync.Mutex // guards what follows
	changed *sync.Cond
	open    map[net.Conn]struct{}
	fault   Fault
	lose    string   // of LoseAnswer
	then    func()   // of LoseAnswerAfter
	losing  net.Conn // the client that has sent it
	lost    int      // how many answers have been
}

// To returns a network to the server at an address, which works, and ends with
// the test.
func To(tb testing.TB, server string) *Network {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	n := &Network{listener: l, server: server, open: make(map[net.Conn]struct{})}
	n.changed = sync.NewCond(&n.mu)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { n.serve(conn) })
		}
	})
	tb.Cleanup(func() {
		l.Close()
		n.Fail(Fault{Cut: true})
		running.Wait()
	})
	return n
}

// Addr returns the address in the place of the server's.
func (n *Network) Addr() string { return n.listener.Addr().String() }

// Fail has the network do this wrong from now on, and nothing else.
func (n *Network) Fail(f Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fault = f
	if f.Cut {
		for conn := range n.open {
			conn.Close()
		}
	}
	n.changed.Broadcast()
}

// Heal makes the network work again.
func (n *Network) Heal() { n.Fail(Fault{}) }

// LoseAnswer ends a connection in the place of the answer to the next request with
// this text, which the server gets: it has to come in one piece. The function that
// it returns tells whether that has happened.
func (n *Network) LoseAnswer(request string) (lost func() bool) {
	return n.LoseAnswerAfter(request, func() {})
}

// LoseAnswerAfter is LoseAnswer, with what happens before the connection ends: when
// the server has answered.
func (n *Network) LoseAnswerAfter(request string, then func()) (lost func() bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lose, n.then = request, then
	before := n.lost
	return func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.lost > before
	}
}

func (n *Network) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", n.server)
	if err != nil {
		return
	}
	defer server.Close()
	defer n.forget(client, server)
	if !n.add(client, server) {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		both.Go(func() {
			n.pass(way[0], way[1], way[0] == server)
			client.Close()
			server.Close()
		})
	}
	both.Wait()
}

// add notes connections, and reports whether the network is not cut.
func (n *Network) add(conns ...net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range conns {
		n.open[c] = struct{}{}
	}
	return !n.fault.Cut
}

func (n *Network) forget(conns ...net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range conns {
		delete(n.open, c)
	}
}

// pass passes bytes on until one side ends.
func (n *Network) pass(from, to net.Conn, back bool) {
	buf := make([]byte, 16<<10)
	for {
		size, err := from.Read(buf)
		pause, lost := n.meet(buf[:size], from, to, back)
		if lost != nil {
			lost()
			return
		}
		if pause > 0 {
			time.Sleep(pause) // this is the network, not the test
		}
		if _, failed := to.Write(buf[:size]); failed != nil || err != nil {
			return
		}
	}
}

// meet is what bytes meet with on their way: it may last. lost is nil unless they are
// lost; it is called before their connection ends.
func (n *Network) meet(data []byte, from, to net.Conn, back bool) (pause time.Duration, lost func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.fault.Hole || n.fault.Deaf && back {
		n.changed.Wait()
	}
	if back && to == n.losing {
		lost = n.then
		n.lost++
	}
	if !back && n.lose != "" && bytes.Contains(data, []byte(n.lose)) {
		n.lose, n.losing = "", from
	}
	return n.fault.Pause, lost
}
