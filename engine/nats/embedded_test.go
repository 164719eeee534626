package nats_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/nats"
	"github.com/kanava-go/kanava/internal/testport"
)

// embedded returns the options of servers that are one cluster.
func embedded(t *testing.T, n int) []nats.EmbeddedOptions {
	var peers []string
	for range n {
		peers = append(peers, testport.Address(t))
	}
	all := make([]nats.EmbeddedOptions, n)
	for i := range all {
		all[i] = nats.EmbeddedOptions{
			Dir:     t.TempDir(),
			Cluster: &nats.Cluster{Server: fmt.Sprint("node", i), Listen: peers[i], Peers: peers, Secret: "a secret of the test"},
			Keep:    nats.Keeping{Replicas: n},
			Logger:  logger(t),
		}
	}
	return all
}

// TestEmbeddedCluster: three nodes are a cluster by themselves. One leaves and
// comes back, and the others go on meanwhile.
func TestEmbeddedCluster(t *testing.T) {
	options := embedded(t, 3)
	nodes := make([]*node, 3)
	topic := topicOf(engine.Recoverable)
	join := func(i int) {
		e, err := nats.Embedded(options[i])
		nodes[i] = start(t, e, err)
	}
	for i := range nodes {
		join(i)
	}
	var want []string
	say := func(i int) {
		want = append(want, fmt.Sprint("event ", len(want)))
		nodes[i].publish(topic, want[len(want)-1])
	}
	for i, n := range nodes {
		n.subscribe(topic)
		say(i)
	}
	for _, n := range nodes {
		n.got(topic, 1)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := nodes[0].Close(ctx); err != nil {
		t.Fatal(err)
	}
	say(1)
	say(2)
	join(0)
	nodes[0].subscribe(topic)
	say(0)
	if got := texts(nodes[0].got(topic, 1)); !slices.Equal(got, want[len(want)-1:]) {
		t.Fatalf("delivered %q", got)
	}
	for i, n := range nodes {
		if got := texts(n.read(topic, engine.Position{}).Events); !slices.Equal(got, want) {
			t.Fatalf("node %d: got %q, want %q", i, got, want)
		}
	}
}

// TestEmbeddedStranger: a server with another secret does not get into the cluster.
func TestEmbeddedStranger(t *testing.T) {
	options := embedded(t, 2)
	for i := range options {
		options[i].Keep.Replicas = 1
	}
	options[1].Cluster.Secret = strings.Repeat("x", 20)
	for i := range options {
		e, err := nats.Embedded(options[i])
		n := start(t, e, err)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		if err := n.Publish(ctx, topicOf(engine.Ordered), engine.Event{}); err == nil {
			t.Fatal("a server that is not let in has a cluster")
		}
		cancel()
	}
}

// TestEmbeddedAlone: what a server keeps in its Dir is there when it comes back.
func TestEmbeddedAlone(t *testing.T) {
	dir, topic := t.TempDir(), topicOf(engine.Recoverable)
	var at engine.Position
	for i := range 3 {
		e, err := nats.Embedded(nats.EmbeddedOptions{Dir: dir, Logger: logger(t)})
		n := start(t, e, err)
		n.publish(topic, fmt.Sprint(i))
		if now := n.position(topic); i > 0 && now.Epoch != at.Epoch || now.Offset <= at.Offset {
			t.Fatalf("at %v, was at %v", now, at)
		} else {
			at = now
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := n.Close(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
}

// TestEmbeddedPortTaken: a server that cannot listen says so to who publishes,
// and is there when it can.
func TestEmbeddedPortTaken(t *testing.T) {
	options := embedded(t, 1)[0]
	options.Dir = t.TempDir()
	first, err := nats.Embedded(options)
	n := start(t, first, err)
	n.do("probe", n.Probe)
	options.Dir = t.TempDir()
	second, err := nats.Embedded(options)
	m := start(t, second, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := m.Probe(ctx); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Fatalf("probe: %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		t.Fatal(err)
	}
	m.do("probe", m.Probe)
}
