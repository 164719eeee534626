//go:build faults

package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/postgres"
	"github.com/kanava-go/kanava/internal/badnet"
	"github.com/kanava-go/kanava/internal/follow"
)

// ground is a server, and a network between it and nodes.
type ground struct {
	*testing.T
	server  *server
	network *badnet.Network
}

// signal sends a signal to all processes of the server: first to the one that
// makes the others.
func (s *server) signal(sig syscall.Signal) {
	s.tb.Helper()
	first := s.cmd.Process.Pid
	if err := syscall.Kill(first, sig); err != nil {
		s.tb.Fatal(err)
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		s.tb.Fatalf("no processes are seen: %v", err)
	}
	number := 0
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		var id, parent int
		var state string
		fmt.Sscan(string(stat), &id)
		fmt.Sscan(string(stat[bytes.LastIndexByte(stat, ')')+1:]), &state, &parent)
		if parent == first && syscall.Kill(id, sig) == nil {
			number++
		}
	}
	if number < 3 {
		s.tb.Fatalf("the server has made %d processes", number)
	}
}

// rest is for what a fault needs to be one.
func rest(d time.Duration) { <-time.After(d) }

// TestFaults: whatever becomes of the server and of the network, every event that
// was published arrives, once and in order, or the follower is told that it may
// be lost; publishers hear of it in time; memory is bounded; all goes on by itself.
func TestFaults(t *testing.T) {
	const long = 10 * time.Second
	for _, c := range []struct {
		name    string
		fault   func(g *ground)
		mayLose bool
	}{
		{"the server is killed, five times", func(g *ground) {
			for range 5 {
				g.server.restart(true)
				rest(time.Second)
			}
		}, false},
		{"the server is killed, and loses all", func(g *ground) {
			g.server.restart(false)
			rest(time.Second)
		}, true},
		{"the server is away for 10 s", func(g *ground) {
			g.server.kill()
			rest(long)
			g.server.start()
			rest(time.Second)
		}, false},
		{"the server stands still for 10 s", func(g *ground) {
			g.server.signal(syscall.SIGSTOP)
			rest(long)
			g.server.signal(syscall.SIGCONT)
			rest(time.Second)
		}, false},
		{"nothing comes through for 10 s", func(g *ground) {
			g.network.Fail(badnet.Fault{Hole: true})
			rest(long)
			g.network.Heal()
			rest(time.Second)
		}, false},
		{"nothing comes through until connections are given up", func(g *ground) {
			g.network.Fail(badnet.Fault{Hole: true})
			rest(3 * long)
			g.network.Heal()
			rest(long / 2)
		}, false},
		{"the network is away for 10 s", func(g *ground) {
			g.network.Fail(badnet.Fault{Cut: true})
			rest(long)
			g.network.Heal()
			rest(long / 2)
		}, false},
		{"the network is slow", func(g *ground) {
			g.network.Fail(badnet.Fault{Pause: 50 * time.Millisecond})
			rest(long)
			g.network.Heal()
			rest(time.Second)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t)
			g := &ground{T: t, server: s, network: badnet.To(t, s.addr)}
			opts := postgres.Options{URL: urlAt(g.network.Addr()), Logger: slog.New(slog.DiscardHandler)}
			top := topic(engine.Recoverable)
			top.Size = 100_000
			e, err := postgres.New(opts)
			if err != nil {
				t.Fatal(err)
			}
			f := follow.Begin(t, e, top)
			a, b := join(t, opts), join(t, opts)
			publishers := []*follow.Publisher{{Broker: a, Topic: top, Name: "a"}, {Broker: b, Topic: top, Name: "b"}}
			goroutines, memory := runtime.NumGoroutine(), heapNow()
			var (
				writing, reading sync.WaitGroup
				stop, end        = make(chan struct{}), make(chan struct{})
			)
			for _, p := range publishers {
				writing.Go(func() { p.Run(stop) })
			}
			reading.Go(func() { f.Run(end) })
			rest(time.Second)
			c.fault(g)
			for _, probe := range []func(context.Context) error{e.Probe, a.Probe, b.Probe} {
				if err := probe(within(t)); err != nil {
					t.Error(err)
				}
			}
			close(stop)
			writing.Wait()
			close(end)
			reading.Wait()

			f.Check(publishers, c.mayLose)
			const most = 64 << 20
			if now := heapNow(); now > memory+most {
				t.Errorf("%d MiB more on the heap", (now-memory)>>20)
			}
			awaitGoroutines(t, goroutines+20)
		})
	}
}

// TestHubThatTakesNothing is that a node whose hub takes no events gives its
// connection up before the server has to keep much for it, and goes on when it
// does.
func TestHubThatTakesNothing(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	n, other := join(t, postgres.Options{URL: s.url()}), join(t, postgres.Options{URL: s.url()})
	top := topic(engine.Volatile)
	n.subscribe(top)
	hold := make(chan struct{})
	n.mu.Lock()
	n.hold = hold
	n.mu.Unlock()
	data := bytes.Repeat([]byte("x"), 5500)
	for range 5000 { // 37 MB as it is sent
		if err := other.Publish(within(t), top, engine.Event{Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	listeners := func() string {
		return s.do("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kanava listener'")
	}
	if got := listeners(); got != "2" {
		t.Fatalf("at first there are %s listeners", got)
	}
	s.eventually("connection that is given up", func() bool { return listeners() == "1" })
	n.mu.Lock()
	n.hold = nil
	n.mu.Unlock()
	close(hold)
	n.until("Resumed", func() bool { return n.resumed[top.Name] > 0 })
	count := len(n.come(top))
	other.publish(top, "after")
	n.next(top, count+1)
}

func heapNow() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// awaitGoroutines demands that there are at most so many: in a while, for those of
// connections that were lost end when their ends are noticed.
func awaitGoroutines(t *testing.T, most int) {
	t.Helper()
	for range 300 {
		if runtime.NumGoroutine() <= most {
			return
		}
		rest(100 * time.Millisecond)
	}
	t.Errorf("%d goroutines, not %d or less", runtime.NumGoroutine(), most)
}

// TestNodeThatStops is that a node which takes nothing costs others nothing: its
// connection is ended before the server has no room for what it does not take, and
// when it goes on it is told that it may have missed something.
func TestNodeThatStops(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	network := badnet.To(t, s.addr)
	stopped := join(t, postgres.Options{URL: s.url(), ListenURL: urlAt(network.Addr())})
	n := join(t, postgres.Options{URL: s.url()})
	top := topic(engine.Volatile)
	stopped.subscribe(top)
	var published atomic.Int64
	n.subscribe(topic(engine.Volatile)) // others
	network.Fail(badnet.Fault{Hole: true})
	data := bytes.Repeat([]byte("x"), 5500)
	var most float64
	usage := func() (u float64) {
		fmt.Sscan(s.do("SELECT pg_notification_queue_usage()"), &u)
		most = max(most, u)
		return u
	}
	// On a busy machine the connection is ended before all has been published. So
	// the queue is looked at meanwhile.
	const enough = 70_000
	var publishing sync.WaitGroup
	for range 64 {
		publishing.Go(func() {
			for published.Add(1) < enough {
				if err := n.Publish(within(t), top, engine.Event{Data: data}); err != nil {
					t.Error(err)
					published.Add(enough)
				}
			}
		})
	}
	for published.Load() < enough {
		usage()
		rest(200 * time.Millisecond)
	}
	publishing.Wait()
	usage()
	if most < 0.01 { // 86 MB
		t.Fatalf("only %v of the server's queue was used", most)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for usage() > most/2 && ctx.Err() == nil {
		rest(200 * time.Millisecond)
		n.publish(top, "x") // which lets the server look at what nobody needs any more
	}
	if now := usage(); now > most/2 {
		t.Errorf("%v of the server's queue is used, and was %v", now, most)
	}
	t.Logf("%v of the server's queue was used, and in the end %v", most, usage())
	network.Heal()
	stopped.until("Resumed", func() bool { return stopped.resumed[top.Name] > 0 })
	if err := stopped.Probe(within(t)); err != nil {
		t.Error(err)
	}
}
