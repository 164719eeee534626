package kanava_test

import (
	"context"
	"fmt"

	"github.com/kanava-go/kanava"
)

// Clients that choose themselves what they follow need no function of the
// program for it. What MaySubscribe and middleware refuse, they do not get.
func ExampleClientSubscribable() {
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	prices := kanava.NewTopic[int](srv.EventHub(), "price", kanava.ClientSubscribable())
	logged := func(next kanava.Handler) kanava.Handler {
		return func(ctx context.Context, inv *kanava.Invocation) (any, error) {
			if in, ok := inv.In.(*kanava.ClientSubscription); ok {
				fmt.Println(inv.Action, in.Topic)
			}
			return next(ctx, inv)
		}
	}
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "ticker", Route: "/ticker", Public: true,
		Declares:   []kanava.Declared{prices},
		Middleware: []kanava.Middleware{logged},
	})
	client := connect(srv, "/ticker")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"subscribe","topic":"price:gold"}`))
	fmt.Println(prices.Publish(context.Background(), "gold", 1900))
	fmt.Println(client.next())
	fmt.Println(client.ask(`{"action":"unsubscribe","topic":"price:gold"}`))
	fmt.Println(client.ask(`{"action":"subscribe","topic":"salary:ann"}`))
	// Output:
	// subscribe price:gold
	// {"action":"subscribe"}
	// <nil>
	// {"topic":"price:gold","data":1900}
	// unsubscribe price:gold
	// {"action":"unsubscribe"}
	// {"action":"subscribe","error":{"code":"not_found","message":"there is no such topic here that clients may subscribe to"}}
}
