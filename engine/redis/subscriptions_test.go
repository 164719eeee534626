package redis_test

import (
	"context"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/redis"
)

// TestD4_LostConnection proves that subscriptions stand again when the connection
// they were on has gone, and that the hub is told of each.
func TestD4_LostConnection(t *testing.T) {
	s := newServer(t)
	n := join(t, redis.Options{Addrs: []string{s.addr}})
	topics := make([]engine.Topic, 1500) // more than one batch
	for i := range topics {
		topics[i] = topic(engine.Ordered)
	}
	subscribeAll(n, topics)
	gone, left := topics[:10], topics[10:]
	for _, top := range gone {
		n.Unsubscribe(top)
	}
	for round := range 3 {
		if s.do("CLIENT", "KILL", "TYPE", "pubsub") != "1" {
			t.Fatal("there is not one connection with subscriptions")
		}
		n.until("Resumed for all", func() bool {
			return !slices.ContainsFunc(left, func(top engine.Topic) bool { return n.resumed[top.Name] <= round })
		})
		for _, i := range []int{0, 700, len(left) - 1} {
			n.publish(left[i], "x")
			n.next(left[i], round+1)
		}
	}
	n.publish(gone[0], "x")
	if err := n.Probe(within(t)); err != nil { // all that was on its way has come
		t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.resumed[gone[0].Name]+len(n.events[gone[0].Name]) > 0 {
		t.Error("a topic that was unsubscribed from came back")
	}
}

// subscribeAll subscribes to many topics at once.
func subscribeAll(n *node, topics []engine.Topic) {
	n.tb.Helper()
	ctx := within(n.tb)
	var group sync.WaitGroup
	for _, top := range topics {
		group.Go(func() {
			if err := n.Subscribe(ctx, top); err != nil {
				n.tb.Error(err)
			}
		})
	}
	group.Wait()
	if n.tb.Failed() {
		n.tb.FailNow()
	}
}

// TestD4_SlowConnection proves that it heals when the server closes a connection
// because it is not read fast enough.
func TestD4_SlowConnection(t *testing.T) {
	s := newServer(t, "--client-output-buffer-limit", "pubsub 1mb 0 0")
	n := join(t, redis.Options{Addrs: []string{s.addr}})
	top := topic(engine.Ordered)
	n.subscribe(top)
	n.hold = make(chan struct{}) // the hub takes nothing
	big := engine.Event{Data: make([]byte, 64<<10)}
	for s.do("CLIENT", "LIST", "TYPE", "pubsub") != "" {
		if err := n.Publish(within(t), top, big); err != nil {
			t.Fatal(err)
		}
	}
	close(n.hold)
	n.until("Resumed", func() bool { return n.resumed[top.Name] > 0 })
	at := n.position(top)
	n.publish(top, "last")
	n.until("the event after it", func() bool {
		events := n.events[top.Name]
		return len(events) > 0 && events[len(events)-1].At.Offset == at.Offset+1
	})
}

// TestEventsAreBounded proves that what waits for a hub that takes nothing is bounded
// here, where the server is not what bounds it.
func TestEventsAreBounded(t *testing.T) {
	s := newServer(t, "--client-output-buffer-limit", "pubsub 0 0 0")
	opts := redis.Options{Addrs: []string{s.addr}}
	publisher, n := join(t, opts), join(t, opts)
	top := topic(engine.Ordered)
	n.subscribe(top)
	n.hold = make(chan struct{})
	before := heapNow()
	const events, size = 1000, 64 << 10
	for range events {
		if err := publisher.Publish(within(t), top, engine.Event{Data: make([]byte, size)}); err != nil {
			t.Fatal(err)
		}
	}
	if piled := heapNow() - before; piled > 3*8<<20 {
		t.Errorf("%d MiB wait of %d", piled>>20, events*size>>20)
	}
	close(n.hold)
	publisher.publish(top, "last")
	n.until("the last event, or Resumed", func() bool { // a connection may be given up for its silence
		all := n.events[top.Name]
		return n.resumed[top.Name] > 0 || len(all) > 0 && string(all[len(all)-1].Data) == "last"
	})
}

func heapNow() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestD4_SlotMoves proves that topics go on when their slot moves to another server
// of a cluster, while events are published to them.
func TestD4_SlotMoves(t *testing.T) {
	c := newCluster(t, 3, false)
	opts := redis.Options{Addrs: c.addrs()}
	publisher, n := join(t, opts), join(t, opts)
	top := topic(engine.Recoverable)
	slot, _ := strconv.Atoi(c.masters[0].do("CLUSTER", "KEYSLOT", "{"+top.Name+"}"))
	from := slot * 3 / 16384
	to := (from + 1) % 3
	n.subscribe(top)
	publisher.publish(top, "0")
	first := n.next(top, 1)[0].At

	ctx, stop := context.WithCancel(context.Background())
	var group sync.WaitGroup
	said := 1
	group.Go(func() {
		for ; ctx.Err() == nil; said++ {
			if err := publisher.Publish(within(t), top, engine.Event{Data: []byte(strconv.Itoa(said))}); err != nil {
				t.Errorf("event %d: %v", said, err)
				return
			}
		}
	})
	move(t, c, slot, c.masters[from], c.masters[to])
	n.until("Resumed", func() bool { return n.resumed[top.Name] > 0 })
	at := n.position(top)
	n.until("an event from the other server", func() bool {
		events := n.events[top.Name]
		return events[len(events)-1].At.Offset > at.Offset
	})
	stop()
	group.Wait()

	if at.Epoch == first.Epoch {
		t.Error("another server goes on with the epoch")
	}
	page := n.read(top, engine.Position{})
	if len(page.Events) != said || page.At.Offset != uint64(said) {
		t.Fatalf("%d events were published, %d are kept, and the topic is at %v", said, len(page.Events), page.At)
	}
	for i, ev := range page.Events {
		if string(ev.Data) != strconv.Itoa(i) {
			t.Fatalf("event %d is %q", i, ev.Data)
		}
	}
	if err := n.Probe(within(t)); err != nil {
		t.Error(err)
	}
}

// move moves a slot with all keys.
func move(t *testing.T, c *cluster, slot int, from, to *server) {
	t.Helper()
	s := strconv.Itoa(slot)
	host, port, _ := strings.Cut(to.addr, ":")
	to.do("CLUSTER", "SETSLOT", s, "IMPORTING", from.do("CLUSTER", "MYID"))
	from.do("CLUSTER", "SETSLOT", s, "MIGRATING", to.do("CLUSTER", "MYID"))
	for from.do("CLUSTER", "COUNTKEYSINSLOT", s) != "0" {
		keys := strings.Fields(strings.Trim(from.do("CLUSTER", "GETKEYSINSLOT", s, "100"), "[]"))
		from.do(append([]string{"MIGRATE", host, port, "", "0", "5000", "KEYS"}, keys...)...)
	}
	id := to.do("CLUSTER", "MYID")
	for _, server := range append([]*server{to, from}, c.masters...) {
		server.do("CLUSTER", "SETSLOT", s, "NODE", id)
	}
}

// TestManyTopics proves that subscribing and unsubscribing at once ends in what was
// said last.
func TestManyTopics(t *testing.T) {
	for name, opts := range map[string]redis.Options{
		"one server": {Addrs: []string{newServer(t).addr}},
		"cluster":    {Addrs: newCluster(t, 3, false).addrs()},
	} {
		t.Run(name, func(t *testing.T) {
			n := join(t, opts)
			topics := make([]engine.Topic, 300)
			for i := range topics {
				topics[i] = topic(engine.Ordered)
			}
			var group sync.WaitGroup
			for i, top := range topics {
				group.Go(func() {
					for range 1 + i%4 {
						if err := n.Subscribe(within(t), top); err != nil {
							t.Error(err)
						}
						n.Unsubscribe(top)
					}
					if i%2 == 0 {
						n.subscribe(top)
					}
				})
			}
			group.Wait()
			for _, top := range topics {
				n.publish(top, "x")
			}
			if err := n.Probe(within(t)); err != nil {
				t.Fatal(err)
			}
			for i, top := range topics {
				if i%2 == 0 {
					n.next(top, 1)
					continue
				}
				n.mu.Lock()
				if len(n.events[top.Name]) > 0 {
					t.Errorf("%d events came of a topic that was unsubscribed from", len(n.events[top.Name]))
				}
				n.mu.Unlock()
			}
		})
	}
}
