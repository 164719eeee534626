package kanava_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/kanava-go/kanava"
)

// A publication whose outcome is not known is tried again with the same id.
func ExampleOnce() {
	hub := kanava.NewEventHub(kanava.HubOptions{})
	defer hub.Close()
	orders := kanava.NewTopic[string](hub, "orders")
	var heard sync.WaitGroup
	heard.Add(2)
	l := hub.Listen(func(_ context.Context, ev kanava.Event) {
		fmt.Println(string(ev.Data))
		heard.Done()
	})
	_ = orders.Subscribe(context.Background(), l, "all")
	for range 2 { // as if it were not known whether the first try succeeded
		_ = orders.Publish(context.Background(), "all", "order 17 is paid", kanava.Once("paid-17"))
	}
	_ = orders.Publish(context.Background(), "all", "order 18 is paid", kanava.Once("paid-18"))
	heard.Wait()
	// Output:
	// "order 17 is paid"
	// "order 18 is paid"
}
