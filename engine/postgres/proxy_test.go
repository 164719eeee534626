package postgres_test

import (
	"bytes"
	"net"
	"sync"
	"testing"
	"time"
)

// proxy is a network between an engine and its server, which can fail.
type proxy struct {
	listener net.Listener
	server   string

	mu      sync.Mutex // guards what follows
	changed *sync.Cond
	open    map[net.Conn]struct{}
	cut     bool
	hole    bool          // bytes are neither lost nor passed on
	pause   time.Duration // after each 16 KiB
	lose    string        // the next request with this has no answer: its connection ends in the place of that
	losing  net.Conn      // the client of that connection
}

func newProxy(tb testing.TB, server string) *proxy {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &proxy{listener: l, server: server, open: make(map[net.Conn]struct{})}
	p.changed = sync.NewCond(&p.mu)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.serve(conn) })
		}
	})
	tb.Cleanup(func() {
		l.Close()
		p.set(func() { p.cut, p.hole, p.pause = true, false, 0 })
		running.Wait()
	})
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// set changes what the network does. Cut closes all connections.
func (p *proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	if p.cut {
		for conn := range p.open {
			conn.Close()
		}
	}
	p.changed.Broadcast()
}

// heal makes the network whole.
func (p *proxy) heal() { p.set(func() { p.cut, p.hole, p.pause = false, false, 0 }) }

func (p *proxy) add(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.open[c] = struct{}{}
	}
	return !p.cut
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	defer p.set(func() { delete(p.open, client); delete(p.open, server) })
	if !p.add(client, server) {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		both.Go(func() {
			p.pass(way[0], way[1])
			client.Close()
			server.Close()
		})
	}
	both.Wait()
}

func (p *proxy) pass(from, to net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		for p.hole && !p.cut {
			p.changed.Wait()
		}
		pause := p.pause
		lost := to == p.losing
		if p.lose != "" && bytes.Contains(buf[:n], []byte(p.lose)) {
			p.lose, p.losing = "", from
		}
		p.mu.Unlock()
		if lost {
			return
		}
		if pause > 0 {
			time.Sleep(pause) // this is the network, not the test
		}
		if _, failed := to.Write(buf[:n]); failed != nil || err != nil {
			return
		}
	}
}
