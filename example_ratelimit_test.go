package kanava_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/kanava-go/kanava"
)

// A function that costs something can be bounded more tightly than the
// messages of a connection are.
func ExampleRateLimit() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	search := func(context.Context, *Line, kanava.None) (int, error) { return 42, nil }

	hourly := kanava.Rate{PerSecond: 1.0 / 3600, Burst: 2} // one an hour, and two at once
	client := connect(oneRoute(kanava.On("search", search, kanava.RateLimit(hourly))), "/")
	defer client.leave()
	for range 3 {
		frame, _, _ := strings.Cut(client.ask(`{"action":"search"}`), `,"retryAfter"`) // in milliseconds
		fmt.Println(frame)
	}
	// Output:
	// {"action":"search","result":42}
	// {"action":"search","result":42}
	// {"action":"search","error":{"code":"resource_exhausted","message":"too many messages: wait a little"
}

// What one connection may send at all is bounded for each server. Messages
// over the rate are refused, and a client that goes on is closed.
func ExampleRate() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	srv := kanava.NewServer(kanava.Options[kanava.None]{
		Limits: kanava.Limits{Rate: kanava.Rate{PerSecond: 1.0 / 60, Burst: 2}}, // one a minute, and two at once
	})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "ping", Route: "/ping", Public: true,
		OnMessage: kanava.Func(func(context.Context, *Line, kanava.None) (string, error) { return "pong", nil }),
	})
	client := connect(srv, "/ping")
	defer client.leave()
	for range 3 {
		frame, _, _ := strings.Cut(client.ask(`{}`), `,"retryAfter"`)
		fmt.Println(frame)
	}
	// Output:
	// "pong"
	// "pong"
	// {"error":{"code":"resource_exhausted","message":"too many messages: wait a little"
}

// A channel that takes uploads has limits of its own beside the server's.
func ExampleLimits_ofAChannel() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	size := kanava.Func(func(_ context.Context, _ *Line, in string) (int, error) { return len(in), nil })
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(
		kanava.Wiring[kanava.None, kanava.None]{Name: "chat", Route: "/chat", Public: true, OnMessage: size},
		kanava.Wiring[kanava.None, kanava.None]{
			Name: "upload", Route: "/upload", Public: true, OnMessage: size,
			Limits: kanava.Limits{Message: 1 << 20, Rate: kanava.Rate{PerSecond: 5, Burst: 10}},
		},
	)
	client := connect(srv, "/upload")
	defer client.leave()
	fmt.Println(client.ask(`"` + strings.Repeat("x", 500_000) + `"`))
	// Output: 500000
}
