package nats_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/nats"
)

func threeReplicas(o *nats.Options) { o.Keep.Replicas = 3 }

// TestD3_SubscribedMeansDelivered: where the event comes from another server than
// the subscription, that one must know of it when Subscribe returns.
func TestD3_SubscribedMeansDelivered(t *testing.T) {
	servers := startServers(t, 3, "")
	var nodes []*node
	for _, s := range servers {
		nodes = append(nodes, connect(t, "nats://"+s.address, threeReplicas))
	}
	const topics = 200
	for _, class := range []engine.Class{engine.Volatile, engine.Ordered, engine.Latest, engine.Recoverable} {
		for i := range topics {
			topic := topicOf(class)
			reader, writer := nodes[i%3], nodes[(i+1+i/3%2)%3]
			reader.subscribe(topic)
			writer.publish(topic, "first")
			if got := texts(reader.got(topic, 1)); !slices.Equal(got, []string{"first"}) {
				t.Fatalf("%s: got %q", topic.Name, got)
			}
			reader.Unsubscribe(topic)
		}
	}
}

// TestD1_ClusterLosesAServer: killing a server, the leader of streams among
// them, loses no event that was published, and ends no subscription.
func TestD1_ClusterLosesAServer(t *testing.T) {
	servers := startServers(t, 3, "")
	var nodes []*node
	topic := topicOf(engine.Recoverable)
	for i := range servers {
		// Each knows two of them, so that it finds another.
		n := connect(t, "nats://"+servers[i].address, threeReplicas, func(o *nats.Options) {
			o.URLs = append(o.URLs, "nats://"+servers[(i+1)%3].address)
		})
		n.subscribe(topic)
		nodes = append(nodes, n)
	}
	var want []string
	say := func() {
		text := fmt.Sprint("event ", len(want))
		want = append(want, text)
		nodes[len(want)%3].publish(topic, text)
	}
	for range 10 {
		say()
	}
	epoch := nodes[0].position(topic).Epoch
	for _, s := range servers {
		s.kill()
		for range 10 {
			say()
		}
		s.start()
		s.wait()
		for range 10 {
			say()
		}
	}
	for i, n := range nodes {
		page := n.read(topic, engine.Position{Epoch: epoch})
		if got := texts(page.Events); page.Lost || page.At.Epoch != epoch || !slices.Equal(got, want) {
			t.Fatalf("node %d: lost %v, epoch %s then %s, got %q, want %q", i, page.Lost, epoch, page.At.Epoch, got, want)
		}
		last := uint64(0)
		for _, ev := range n.got(topic, 1) { // what came by itself is in order
			if ev.At.Offset <= last {
				t.Fatalf("node %d: offset %d after %d", i, ev.At.Offset, last)
			}
			last = ev.At.Offset
		}
	}
}
