package memory_test

import (
	"context"
	"fmt"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
)

// printer is a hub that prints.
type printer chan string

func (p printer) Deliver(topic string, events []engine.Event) {
	for _, ev := range events {
		p <- fmt.Sprintf("%s %d: %s", topic, ev.At.Offset, ev.Data)
	}
}

func (p printer) Resumed(...string) {}

// Two engines on one backend are two nodes on one server.
func Example() {
	ctx := context.Background()
	backend := memory.New()
	one, other := backend.Engine(), backend.Engine()
	came := make(printer, 1)
	one.Start(came)
	other.Start(make(printer, 1))
	defer one.Close(ctx)
	defer other.Close(ctx)

	room := engine.Topic{Name: "room:general", Class: engine.Ordered}
	if err := one.Subscribe(ctx, room); err != nil {
		fmt.Println(err)
	}
	if err := other.Publish(ctx, room, engine.Event{Data: []byte(`"hello"`)}); err != nil {
		fmt.Println(err)
	}
	fmt.Println(<-came)
	// Output: room:general 1: "hello"
}
