//go:build faults

package dynamodb_test

import (
	"context"
	"log/slog"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/dynamodb"
	"github.com/kanava-go/kanava/internal/badnet"
	"github.com/kanava-go/kanava/internal/follow"
)

// rest is for what a fault needs to be one.
func rest(d time.Duration) { <-time.After(d) }

// TestFaults: whatever becomes of the server and of the network, every event that
// was published arrives, once and in order, or the follower is told that it may
// be lost; publishers hear of it in time; memory is bounded; all goes on by itself.
func TestFaults(t *testing.T) {
	const long = 10 * time.Second
	for _, c := range []struct {
		name    string
		fault   func(s *server, n *badnet.Network)
		mayLose bool
	}{
		{"the server is killed, three times", func(s *server, _ *badnet.Network) {
			for range 3 {
				s.restart(true)
				rest(time.Second)
			}
		}, false},
		{"the server is killed, and loses all", func(s *server, _ *badnet.Network) {
			s.restart(false)
			rest(time.Second)
		}, true},
		{"the server stands still for 10 s", func(s *server, _ *badnet.Network) {
			s.stop()
			rest(long)
			s.goOn()
			rest(time.Second)
		}, false},
		{"nothing comes through for 10 s", func(_ *server, n *badnet.Network) {
			n.Fail(badnet.Fault{Hole: true})
			rest(long)
			n.Heal()
			rest(time.Second)
		}, false},
		{"no answer comes through for 10 s", func(_ *server, n *badnet.Network) {
			n.Fail(badnet.Fault{Deaf: true})
			rest(long)
			n.Heal()
			rest(time.Second)
		}, false},
		{"the network is away for 10 s", func(_ *server, n *badnet.Network) {
			n.Fail(badnet.Fault{Cut: true})
			rest(long)
			n.Heal()
			rest(time.Second)
		}, false},
		{"the network is slow", func(_ *server, n *badnet.Network) {
			n.Fail(badnet.Fault{Pause: 50 * time.Millisecond})
			rest(long)
			n.Heal()
			rest(time.Second)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t)
			network := badnet.To(t, s.addr)
			topic := topic(engine.Recoverable)
			topic.Size = 100_000
			begin := func() *dynamodb.Engine {
				transport := &http.Transport{MaxIdleConnsPerHost: 64}
				t.Cleanup(transport.CloseIdleConnections)
				e, err := dynamodb.New(dynamodb.Options{
					Client: clientBy(transport, network.Addr()), Table: tableName, Poll: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
				})
				if err != nil {
					t.Fatal(err)
				}
				return e
			}
			e, a, b := begin(), begin(), begin()
			f := follow.Begin(t, e, topic)
			for _, publisher := range []*dynamodb.Engine{a, b} {
				publisher.Start(deaf{})
				defer publisher.Close(t.Context())
			}
			publishers := []*follow.Publisher{{Broker: a, Topic: topic, Name: "a"}, {Broker: b, Topic: topic, Name: "b"}}
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
			c.fault(s, network)
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
