//go:build faults && unix

package nats_test

import (
	"bytes"
	"context"
	"encoding/json"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/nats"
	"github.com/kanava-go/kanava/internal/badnet"
	"github.com/kanava-go/kanava/internal/follow"
)

// ground is servers, and a network between them and nodes.
type ground struct {
	*testing.T
	servers  []*process
	networks []*badnet.Network // to each
}

// leader returns the server that leads the stream of the topic.
func (g *ground) leader(topic engine.Topic) int {
	g.Helper()
	nc, err := natsgo.Connect("nats://" + g.servers[0].address + ",nats://" + g.servers[1].address + ",nats://" + g.servers[2].address)
	if err != nil {
		g.Fatal(err)
	}
	defer nc.Close()
	ask := func(method string, out any) {
		const tries = 30
		for try := 1; ; try++ { // who has no leader does not answer
			m, err := nc.Request("$JS.API."+method, []byte("{}"), time.Second)
			if err == nil && json.Unmarshal(m.Data, out) == nil && !bytes.Contains(m.Data, []byte(`"error"`)) {
				return
			}
			if try == tries {
				g.Fatalf("%s: %v", method, err)
			}
		}
	}
	var names struct{ Streams []string }
	ask("STREAM.NAMES", &names)
	var info struct{ Cluster struct{ Leader string } }
	ask("STREAM.INFO."+names.Streams[0], &info)
	for i, s := range g.servers {
		if s.name == info.Cluster.Leader {
			return i
		}
	}
	g.Fatalf("%v is led by nobody: %+v", names, info)
	return 0
}

// rest is for what a fault needs to be one.
func rest(d time.Duration) { <-time.After(d) }

// TestFaults: whatever becomes of servers and of the network, every event that
// was published arrives, once and in order, or the follower is told that it may
// be lost; publishers hear of it in time; memory is bounded; all goes on by itself.
func TestFaults(t *testing.T) {
	const long = 10 * time.Second
	for _, c := range []struct {
		name    string
		servers int
		fault   func(g *ground, topic engine.Topic)
		mayLose bool
	}{
		{"the only server is killed, five times", 1, func(g *ground, _ engine.Topic) {
			for range 5 {
				g.servers[0].restart(true)
				g.servers[0].wait()
				rest(time.Second)
			}
		}, false},
		{"the only server is killed, and loses all", 1, func(g *ground, _ engine.Topic) {
			g.servers[0].restart(false)
			g.servers[0].wait()
			rest(time.Second)
		}, true},
		{"the leader of the stream is killed, three times", 3, func(g *ground, topic engine.Topic) {
			for range 3 {
				leader := g.servers[g.leader(topic)]
				leader.kill()
				rest(long / 2)
				leader.start()
				leader.wait()
				rest(time.Second)
			}
		}, false},
		{"the leader of the stream loses its data", 3, func(g *ground, topic engine.Topic) {
			leader := g.servers[g.leader(topic)]
			leader.restart(false)
			leader.wait()
			rest(long / 2)
		}, false},
		{"the leader of the stream stands still", 3, func(g *ground, topic engine.Topic) {
			leader := g.servers[g.leader(topic)]
			leader.cmd.Process.Signal(syscall.SIGSTOP)
			rest(2 * long)
			leader.cmd.Process.Signal(syscall.SIGCONT)
			rest(long / 2)
		}, false},
		{"nothing comes through for 10 s", 1, func(g *ground, _ engine.Topic) {
			g.networks[0].Fail(badnet.Fault{Hole: true})
			rest(long)
			g.networks[0].Heal()
			rest(time.Second)
		}, false},
		{"nothing comes through until connections are given up", 1, func(g *ground, _ engine.Topic) {
			g.networks[0].Fail(badnet.Fault{Hole: true})
			rest(3 * long)
			g.networks[0].Heal()
			rest(long / 2)
		}, false},
		{"the network is away for 10 s", 1, func(g *ground, _ engine.Topic) {
			g.networks[0].Fail(badnet.Fault{Cut: true})
			rest(long)
			g.networks[0].Heal()
			rest(long / 2)
		}, false},
		{"the network is slow", 1, func(g *ground, _ engine.Topic) {
			g.networks[0].Fail(badnet.Fault{Pause: 50 * time.Millisecond})
			rest(long)
			g.networks[0].Heal()
			rest(time.Second)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := &ground{T: t, servers: startServers(t, c.servers, "")}
			var urls []string
			for _, s := range g.servers {
				p := badnet.To(t, s.address)
				g.networks = append(g.networks, p)
				urls = append(urls, "nats://"+p.Addr())
			}
			opts := nats.Options{URLs: urls, Keep: nats.Keeping{Replicas: c.servers}, Logger: logger(t)}
			topic := topicOf(engine.Recoverable)
			topic.Size = 100_000
			e, err := nats.New(opts)
			if err != nil {
				t.Fatal(err)
			}
			f := follow.Begin(t, e, topic)
			a, b := connectWith(t, opts), connectWith(t, opts)
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
			c.fault(g, topic)
			for _, probe := range []func(context.Context) error{e.Probe, a.Probe, b.Probe} {
				a.do("probe", probe)
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
