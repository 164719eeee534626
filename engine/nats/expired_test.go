package nats_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/kanava-go/kanava/engine"
)

// TestD2_PositionOutlivesEvents: when the server has let go of events by their
// age, who comes from before them is told that they may be lost.
func TestD2_PositionOutlivesEvents(t *testing.T) {
	server := startServers(t, 1, "")[0]
	n := connect(t, "nats://"+server.address)
	topic := topicOf(engine.Recoverable)
	n.publish(topic, "0")
	before := n.position(topic)
	n.publish(topic, "1")
	n.publish(topic, "2")
	letGo(t, server, topic)
	for proves, subscribed := range map[string]bool{"a node that remembers": true, "a node that does not": false} {
		reader := connect(t, "nats://"+server.address)
		if subscribed {
			reader.subscribe(topic)
		}
		if page := reader.read(topic, before); !page.Lost || len(page.Events) > 0 {
			t.Errorf("%s: since %v: %+v", proves, before, page)
		}
	}
	n.publish(topic, "3")
	page := n.read(topic, before)
	if got := texts(page.Events); !page.Lost || !slices.Equal(got, []string{"3"}) || page.At.Epoch != before.Epoch {
		t.Errorf("since %v: lost %v, %q, at %v", before, page.Lost, got, page.At)
	}
}

// letGo removes what is kept of a topic, as the server does when it is old.
func letGo(t *testing.T, server *process, topic engine.Topic) {
	t.Helper()
	nc, err := natsgo.Connect("nats://" + server.address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	subject := fmt.Sprintf("kanava.keep.last%dof%dms.%s", topic.Size, topic.TTL.Milliseconds(), topic.Name)
	name, err := js.StreamNameBySubject(subject, natsgo.Context(ctx))
	if err != nil {
		t.Fatal(err)
	}
	if err := js.PurgeStream(name, &natsgo.StreamPurgeRequest{Subject: subject}, natsgo.Context(ctx)); err != nil {
		t.Fatal(err)
	}
}
