package nats_test

import (
	"context"
	"fmt"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/nats"
)

// heard stands for the hub, which is the only user of an engine.
type heard chan engine.Event

func (h heard) Deliver(_ string, events []engine.Event) {
	for _, ev := range events {
		h <- ev
	}
}

func (heard) Resumed(...string) {}

// A server inside of this process, which is alone and keeps all in memory. A
// program gives the engine to its hub, as HubOptions.Engine.
func ExampleEmbedded() {
	e, err := nats.Embedded(nats.EmbeddedOptions{})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	hub := make(heard, 1)
	e.Start(hub)
	defer e.Close(ctx)

	room := engine.Topic{Name: "room:general", Class: engine.Recoverable, Size: 100, TTL: time.Hour}
	if err := e.Subscribe(ctx, room); err != nil {
		panic(err)
	}
	if err := e.Publish(ctx, room, engine.Event{Data: []byte(`"hello"`)}); err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", (<-hub).Data)
	// Output: "hello"
}

// One of three nodes that are a cluster. The others differ in Server, Listen and
// Dir.
func ExampleEmbedded_cluster() {
	_, err := nats.Embedded(nats.EmbeddedOptions{
		Dir: "/var/lib/chat/nats",
		Cluster: &nats.Cluster{
			Server: "a",
			Listen: "10.0.0.1:6222",
			Peers:  []string{"10.0.0.2:6222", "10.0.0.3:6222"},
			Secret: "read it from where secrets are",
		},
		Keep: nats.Keeping{Replicas: 3},
	})
	fmt.Println(err)
	// Output: <nil>
}

// Servers that are there already.
func ExampleNew() {
	_, err := nats.New(nats.Options{
		URLs: []string{"tls://nats-1.example.com:4222", "tls://nats-2.example.com:4222"},
		User: "chat", Password: "read it from where secrets are",
		Keep: nats.Keeping{Replicas: 3},
	})
	fmt.Println(err)
	// Output: <nil>
}
