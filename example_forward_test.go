package kanava_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine/memory"
)

// A transport names the node in what it gives to a client, and forwards what
// comes to another node.
func ExampleForwarder() {
	ground := memory.New()
	node := func() *kanava.Server[kanava.None] {
		hub := kanava.NewEventHub(kanava.HubOptions{Engine: ground.Engine(), Logger: slog.New(slog.DiscardHandler)})
		return kanava.NewServer(kanava.Options[kanava.None]{EventHub: hub})
	}
	here, there := node(), node()
	name := there.Relay(func(_ context.Context, request []byte) (response []byte) {
		return append([]byte("answer to "), request...)
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	defer here.EventHub().Close()
	defer there.EventHub().Close()
	_ = there.EventHub().Ready(ctx) // as the first connection does
	for {
		response, err := here.Forward(ctx, name, []byte("a request"))
		if err != nil && ctx.Err() == nil {
			continue // the node has just begun to tell that it is there
		}
		fmt.Println(string(response), err)
		break
	}
	// Output: answer to a request <nil>
}
