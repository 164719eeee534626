package nats_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/kanava-go/kanava/engine"
)

// TestD2_OneStream: nodes that need a stream at once make one, so that an event
// has one epoch. A server that is alone would make several.
func TestD2_OneStream(t *testing.T) {
	server := startServers(t, 1, "")[0]
	url := "nats://" + server.address
	var nodes []*node
	for range 8 {
		nodes = append(nodes, connect(t, url))
	}
	for _, n := range nodes {
		n.do("probe", n.Probe)
	}
	nc, err := natsgo.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for round := range 20 {
		topic := topicOf(engine.Recoverable)
		topic.Size = 10 + round // another stream
		var group sync.WaitGroup
		for i, n := range nodes {
			group.Go(func() { n.publish(topic, fmt.Sprint("event ", i)) })
		}
		group.Wait()
		m, err := nc.Request("$JS.API.STREAM.NAMES", fmt.Appendf(nil, `{"subject":"kanava.check.last%dof3600000ms"}`, topic.Size), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var found struct{ Streams []string }
		if err := json.Unmarshal(m.Data, &found); err != nil || len(found.Streams) != 1 {
			t.Fatalf("streams %q, %v", found.Streams, err)
		}
		page := nodes[0].read(topic, engine.Position{})
		got := texts(page.Events)
		slices.Sort(got)
		if want := len(nodes); len(got) != want || len(slices.Compact(got)) != want {
			t.Fatalf("of %d events %q are kept", want, got)
		}
	}
}

// TestTurnOfTheDead: a node that dies while it makes a stream holds the others
// up for some seconds only.
func TestTurnOfTheDead(t *testing.T) {
	server := startServers(t, 1, "")[0]
	n := connect(t, "nats://"+server.address)
	n.publish(topicOf(engine.Ordered), "another") // so that there are turns
	nc, err := natsgo.Connect("nats://" + server.address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Request("kanava.turn.latest", nil, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := n.Publish(ctx, topicOf(engine.Latest), engine.Event{Key: "k", Data: []byte("1")}); err != nil {
		t.Fatal(err)
	}
}
