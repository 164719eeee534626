package kanava_test

import (
	"context"
	"fmt"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
)

// An engine's package offers a function of its own on PublishBy. This one would put
// events into an outbox, for somebody to publish later.
func ExampleTopic_PublishBy() {
	hub := kanava.NewEventHub(kanava.HubOptions{Engine: memory.New().Engine()})
	defer hub.Close()
	orders := kanava.NewTopic[string](hub, "order")
	outbox := func(_ context.Context, _ engine.Engine, t engine.Topic, ev engine.Event) error {
		fmt.Printf("%s, %v: %s, once: %s\n", t.Name, t.Class, ev.Data, ev.ID)
		return nil
	}
	fmt.Println(orders.PublishBy(context.Background(), "7", "paid", outbox, kanava.Once("payment 1")))
	// Output:
	// order:7, ordered: "paid", once: payment 1
	// <nil>
}
