//go:build !race

package ws

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
)

// make crowd sets it to what one process can hold of the 20,000 files that it may
// have open.
var crowdSize = flag.Int("crowd", 500, "connections of TestCrowd")

// The server is a process of its own, since each side has a descriptor for each
// connection.
var _ = func() bool { programs["crowd"] = serveCrowd; return true }()

// holding is what the server holds.
type holding struct {
	Conns, Goroutines, Files int
	Heap, RSS                int
	Joined, Left             int64 // calls of OnConnect and OnDisconnect
}

// serveCrowd tells where it listens, and what it holds for each line that it
// reads.
func serveCrowd() error {
	var joined, left atomic.Int64
	srv := kanava.NewServer(kanava.Options[kanava.None]{Limits: kanava.Limits{Rate: kanava.Unlimited}})
	type channel = kanava.Channel[kanava.None, kanava.None]
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "crowd", Route: "/echo", Public: true,
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *channel) (kanava.None, error) {
			err := srv.EventHub().Subscribe(ctx, "all", ch.ID())
			joined.Add(1)
			return kanava.None{}, err
		}),
		OnDisconnect: kanava.DisconnectFunc(func(context.Context, *channel) error { left.Add(1); return nil }),
		OnMessage: kanava.Func(func(ctx context.Context, _ *channel, in int) (kanava.None, error) {
			return kanava.None{}, srv.EventHub().Publish(ctx, "all", in)
		}),
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	// Clients answer no ping, and the test may take longer than the usual 25 s.
	s := NewServer(srv, Options{Ping: time.Hour})
	go func() { _ = s.Serve(l) }() // ends with the process
	if _, err := fmt.Fprintln(os.Stdout, l.Addr()); err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	for asked := bufio.NewScanner(os.Stdin); asked.Scan(); {
		// The connections first: whoever has gone by then holds nothing any more.
		h := holding{Left: left.Load(), Joined: joined.Load(), Conns: srv.Conns().Count()}
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		files, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return err
		}
		h.Goroutines, h.Files, h.Heap = runtime.NumGoroutine(), len(files), int(m.HeapAlloc)
		statm, err := os.ReadFile("/proc/self/statm")
		if err != nil {
			return err
		}
		if _, err := fmt.Sscan(string(statm), new(int), &h.RSS); err != nil {
			return err
		}
		h.RSS *= os.Getpagesize()
		if err := out.Encode(h); err != nil {
			return err
		}
	}
	return nil
}

// crowd is many clients of one server.
type crowd struct {
	t      *testing.T
	addr   string
	ask    io.Writer
	answer *json.Decoder
	conns  []net.Conn
	events int
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	server := exec.CommandContext(context.Background(), os.Args[0]) // it ends with its input
	server.Env = append(os.Environ(), programName+"=crowd")
	server.Stderr = os.Stderr
	in, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := server.Wait(); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	lines := bufio.NewReader(out)
	addr, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return &crowd{t: t, addr: strings.TrimSpace(addr), ask: in, answer: json.NewDecoder(lines)}
}

// holds returns what the server holds once it has n connections, no call is
// missing, and it has no more goroutines than usual: one of them ends by itself
// when nothing has happened for a while.
func (c *crowd) holds(n, goroutines int) (h holding) {
	c.t.Helper()
	for late := time.Now().Add(30 * time.Second); time.Now().Before(late); {
		if _, err := io.WriteString(c.ask, "\n"); err != nil {
			c.t.Fatal(err)
		}
		h = holding{}
		if err := c.answer.Decode(&h); err != nil {
			c.t.Fatal(err)
		}
		if h.Conns == n && h.Joined-h.Left == int64(n) && h.Goroutines <= goroutines {
			return h
		}
	}
	c.t.Fatalf("the server holds %+v, and not %d connections and %d goroutines", h, n, goroutines)
	return h
}

// each runs f for many at once.
func each(n int, f func(i int) error) error {
	const together = 64
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make([]error, together)
	for w := range together {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n) && errs[w] == nil; i = next.Add(1) - 1 {
				errs[w] = f(int(i))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// grow opens connections until there are n. They come from several addresses,
// since one has no ports for all that were closed a while ago.
func (c *crowd) grow(n int) {
	c.t.Helper()
	had := len(c.conns)
	more := make([]net.Conn, n-had)
	if err := each(len(more), func(i int) error {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%8))}}
		nc, err := d.DialContext(c.t.Context(), "tcp", c.addr)
		if err != nil {
			return err
		}
		more[i] = nc
		if _, err := io.WriteString(nc, request()); err != nil {
			return err
		}
		answer := make([]byte, 0, 256)
		for !strings.HasSuffix(string(answer), "\r\n\r\n") {
			k, err := nc.Read(answer[len(answer):cap(answer)])
			if answer = answer[:len(answer)+k]; err != nil {
				return fmt.Errorf("%q: %w", answer, err)
			}
		}
		if !strings.HasPrefix(string(answer), "HTTP/1.1 101 ") {
			return fmt.Errorf("answered %q", answer)
		}
		return nil
	}); err != nil {
		c.t.Fatal(err)
	}
	c.conns = append(c.conns, more...)
}

// drop ends every second connection at once, in two ways.
func (c *crowd) drop() {
	var stay []net.Conn
	for i, nc := range c.conns {
		if i%2 == 0 {
			stay = append(stay, nc)
			continue
		}
		if i%4 == 1 {
			_ = nc.(*net.TCPConn).SetLinger(0) // a reset
		}
		nc.Close()
	}
	c.conns = stay
}

func (c *crowd) closeAll() {
	for _, nc := range c.conns {
		nc.Close()
	}
	c.conns = nil
}

// live sees that an event reaches each connection, and nothing else does.
func (c *crowd) live() {
	c.t.Helper()
	c.events++
	number := fmt.Sprint(c.events)
	if _, err := c.conns[len(c.conns)/2].Write(message(number)); err != nil {
		c.t.Fatal(err)
	}
	want := `{"topic":"all","data":` + number + `}`
	if err := each(len(c.conns), func(i int) error {
		got := make([]byte, 2+len(want))
		_ = c.conns[i].SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.ReadFull(c.conns[i], got); err != nil || string(got[2:]) != want {
			return fmt.Errorf("connection %d of %d got %q, want %q: %w", i, len(c.conns), got, want, err)
		}
		return nil
	}); err != nil {
		c.t.Fatal(err)
	}
}

// Many connections live through half of them dropping at once, three times:
// nothing of those that have gone is left.
func TestCrowd(t *testing.T) {
	n := *crowdSize
	c := newCrowd(t)
	first := c.holds(0, 100)
	most := first.Goroutines + 1 + runtime.GOMAXPROCS(0) // the loops start with the first connection
	settled := func(n int) holding { t.Helper(); return c.holds(n, most) }

	c.grow(n)
	settled(n)
	c.live()
	full := settled(n)
	c.closeAll()
	empty := settled(0) // but for what pools and lists keep
	c.grow(n)
	for round := range 3 {
		settled(n)
		c.drop()
		settled(len(c.conns))
		c.live()
		c.grow(n)
		again := settled(n)
		c.live()
		t.Logf("round %d: %+v", round+1, again)
		if again.Files != full.Files {
			t.Errorf("%d files, and %d before", again.Files, full.Files)
		}
		if again.Heap > full.Heap+full.Heap/20+1<<20 || again.RSS > full.RSS+full.RSS/10+8<<20 {
			t.Errorf("a heap of %d bytes and %d resident, and %d and %d before", again.Heap, again.RSS, full.Heap, full.RSS)
		}
	}
	c.closeAll()
	left := c.holds(0, empty.Goroutines)
	t.Logf("at first %+v, when all had left %+v, at last %+v", first, empty, left)
	if left.Files > empty.Files || left.Heap > empty.Heap+1<<20 || left.RSS > empty.RSS+8<<20 {
		t.Errorf("left over: %+v, and %+v before", left, empty)
	}
}
