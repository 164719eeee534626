//go:build faults

package redis_test

import (
	"net"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine/redis"
	"github.com/kanava-go/kanava/internal/badnet"
)

// ground is what the nodes of a program stand on.
type ground struct {
	*testing.T

	server  *server // the only one, or that of sentinels
	replica *server // of sentinels
	cluster *cluster
	network *badnet.Network // between the last node and the server, where there is one
	opts    redis.Options   // of all nodes
	nodes   []*member
}

// oneServer is a server that confirms what is on its disk.
func oneServer(g *ground) {
	g.server = newServer(g, "--appendonly", "yes", "--appendfsync", "always", "--client-output-buffer-limit", "pubsub 1mb 0 0")
	g.network = badnet.To(g, g.server.addr)
	g.opts = redis.Options{Addrs: []string{g.server.addr}}
}

// durableServer is such a server, and engines that rely on it.
func durableServer(g *ground) {
	oneServer(g)
	g.opts.Durable = true
}

// mastersAndReplicas is a cluster, each master of which has a replica.
func mastersAndReplicas(g *ground) {
	g.cluster = newCluster(g, 3, true)
	g.opts = redis.Options{Addrs: g.cluster.addrs()}
}

// sentinels look after a server and its replica.
func sentinels(g *ground) {
	g.server = newServer(g)
	host, port, err := net.SplitHostPort(g.server.addr)
	if err != nil {
		g.Fatal(err)
	}
	g.replica = newServer(g, "--replicaof", host+" "+port, "--repl-diskless-sync-delay", "0")
	g.replica.eventually("replica", g.replica.linked)
	g.opts = redis.Options{Addrs: newSentinels(g, g.server, 1), Master: "main", SentinelPassword: "watch"}
}

// linked tells whether a replica has all that its master has.
func (s *server) linked() bool {
	info, err := s.try("INFO", "replication")
	return err == nil && strings.Contains(info, "master_link_status:up")
}

// isMaster tells whether a server answers, as a master.
func (s *server) isMaster() bool {
	info, err := s.try("INFO", "replication")
	return err == nil && strings.Contains(info, "role:master")
}

// pair returns the master that has the Recoverable topic, and its replica.
func (g *ground) pair() (master, replica *server) {
	if g.cluster == nil {
		return g.server, g.replica
	}
	slot, err := strconv.Atoi(g.cluster.masters[0].do("CLUSTER", "KEYSLOT", "{"+roomName+":"+roomKey+"}"))
	if err != nil {
		g.Fatal(err)
	}
	i := slot * 3 / 16384
	return g.cluster.masters[i], g.cluster.replicas[i]
}

// rest is for what a fault needs to be one.
func rest(d time.Duration) { <-time.After(d) }

const partition = 10 * time.Second

// TestFaults proves, with real hubs, what programs are promised whatever becomes of
// servers and of the network: events of a Recoverable topic come once and in order,
// or it is said that something is lost; those of an Ordered one never go back; the
// newest ones of a Latest one come in the end; who is there is known to all nodes
// within 65 s; publishers hear of it in time; and all goes on by itself.
func TestFaults(t *testing.T) {
	peak := watchHeap(t)
	t.Run("all", func(t *testing.T) {
		for _, c := range []struct {
			name  string
			stand func(g *ground)
			fault func(g *ground)
			hold  promise
		}{
			{"the server is killed, three times, and loses nothing", durableServer, func(g *ground) {
				for range 3 {
					g.server.restart(true)
					rest(time.Second)
				}
			}, promise{keeps: true}},
			{"the server is killed, three times, and may have lost something", oneServer, func(g *ground) {
				for range 3 {
					g.server.restart(true)
					rest(time.Second)
				}
			}, promise{keeps: true, tells: true}},
			{"the server is killed, and has lost all", oneServer, func(g *ground) {
				g.server.restart(false)
			}, promise{tells: true}},
			{"masters of a cluster are killed", mastersAndReplicas, func(g *ground) {
				master, replica := g.pair()
				for range 2 {
					master.kill()
					replica.eventually("new master", replica.isMaster)
					rest(time.Second)
					master.start()
					master.eventually("replica", master.linked)
					master, replica = replica, master
				}
				g.cluster.wait()
			}, promise{tells: true}},
			{"the master of a cluster stands still", mastersAndReplicas, func(g *ground) {
				master, replica := g.pair()
				master.stop()
				replica.eventually("new master", replica.isMaster)
				rest(2 * time.Second)
				master.goOn()
				master.eventually("replica", master.linked)
			}, promise{tells: true}},
			{"the master of sentinels is killed", sentinels, func(g *ground) {
				master, replica := g.pair()
				master.kill()
				replica.eventually("new master", replica.isMaster)
				rest(time.Second)
				master.start()
				master.eventually("replica", master.linked)
			}, promise{tells: true}},
			{"nothing comes through to a node for 10 s", oneServer, func(g *ground) {
				g.network.Fail(badnet.Fault{Hole: true})
				rest(partition)
				g.network.Heal()
			}, promise{keeps: true}},
			{"the network of a node is slow", oneServer, func(g *ground) {
				g.network.Fail(badnet.Fault{Pause: 100 * time.Millisecond})
				rest(partition)
				g.network.Heal()
			}, promise{keeps: true}},
			{"a node reads nothing for 10 s", oneServer, func(g *ground) {
				a, c := g.nodes[0], g.nodes[2]
				c.hear("noise", c.noise)
				g.network.Fail(badnet.Fault{Deaf: true})
				for range 400 { // more than the server and the system keep for a node
					a.publish(a.noise, event("noise", 0)+strings.Repeat("x", 60<<10))
				}
				rest(partition)
				g.network.Heal()
			}, promise{keeps: true}},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				g := &ground{T: t}
				c.stand(g)
				survive(g, c.fault, c.hold)
			})
		}
	})
	const most = 256 << 20 // of all nodes together, and of the tests, whose cases run at once
	got := peak()
	t.Logf("%d MiB were held", got>>20)
	if got > most {
		t.Errorf("that is more than %d", most>>20)
	}
}

// watchHeap returns a function that tells how much was held on the heap at most.
// Garbage does not count: how much of that there is says how busy the machine is.
func watchHeap(tb testing.TB) (peak func() uint64) {
	tb.Helper()
	var most uint64
	var watching sync.WaitGroup
	stop := make(chan struct{})
	watching.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		for {
			metrics.Read(live)
			most = max(most, live[0].Value.Uint64())
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
	return func() uint64 {
		close(stop)
		watching.Wait()
		return most
	}
}
