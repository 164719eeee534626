package redis_test

import (
	"io"
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
	deaf    bool          // those from the server are not
	pause   time.Duration // after each 16 KiB
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
		p.set(func() { p.cut, p.hole, p.deaf, p.pause = true, false, false, 0 })
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
func (p *proxy) heal() { p.set(func() { p.cut, p.hole, p.deaf, p.pause = false, false, false, 0 }) }

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
			p.pass(way[0], way[1], way[0] == server)
			client.Close()
			server.Close()
		})
	}
	both.Wait()
}

func (p *proxy) pass(from io.Reader, to io.Writer, back bool) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		for (p.hole || p.deaf && back) && !p.cut {
			p.changed.Wait()
		}
		pause := p.pause
		p.mu.Unlock()
		if pause > 0 {
			time.Sleep(pause) // this is the network, not the test
		}
		if _, failed := to.Write(buf[:n]); failed != nil || err != nil {
			return
		}
	}
}
