package kanava_test

import (
	"context"
	"fmt"

	"github.com/kanava-go/kanava"
)

// What OnConnect returns is the first thing the client is sent. Its error
// refuses the client.
func ExampleConnectFunc() {
	type Params struct {
		Room string `query:"room"`
	}
	type Welcome struct {
		Welcome string `json:"welcome"`
	}
	join := func(_ context.Context, ch *kanava.Channel[Params, kanava.None]) (Welcome, error) {
		if ch.Opening().Room == "secret" {
			return Welcome{}, kanava.Errorf(kanava.CodePermissionDenied, "members only")
		}
		return Welcome{"Welcome to " + ch.Opening().Room + "!"}, nil
	}
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[Params, kanava.None]{
		Name: "room", Route: "/room",
		OnConnect: kanava.ConnectFunc(join),
	})

	client := connect(srv, "/room?room=lobby")
	fmt.Println(client.next())
	client.leave()

	client = connect(srv, "/room?room=secret")
	fmt.Println(client.next())
	fmt.Println(client.next())
	// Output:
	// {"welcome":"Welcome to lobby!"}
	// {"error":{"code":"permission_denied","message":"members only"}}
	// closed: 4403 permission_denied
}

// OnDisconnect runs once for each client that was connected, however it left.
func ExampleDisconnectFunc() {
	left := func(_ context.Context, ch *kanava.Channel[kanava.None, kanava.None]) error {
		code, _ := ch.Closed()
		fmt.Println(ch.State(), code)
		return nil
	}
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "room", Route: "/room",
		OnDisconnect: kanava.DisconnectFunc(left),
	})
	connect(srv, "/room").leave()
	// Output: closed going_away
}

// A function can end the connection; what it returns is sent before.
func ExampleChannel_Close() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	quit := func(ctx context.Context, ch *Line, _ kanava.None) (string, error) {
		return "bye", ch.Close(ctx, kanava.CloseNormal, "as you wish")
	}
	client := connect(oneRoute(kanava.On("quit", quit)), "/")
	fmt.Println(client.ask(`{"action":"quit"}`))
	fmt.Println(client.next())
	// Output:
	// {"action":"quit","result":"bye"}
	// closed: 1000 as you wish
}

// Codes from 4000 to 4399 are the program's own: after 4000 to 4199 clients
// stay away, after 4200 to 4399 they reconnect.
func ExampleCloseCode() {
	const kicked kanava.CloseCode = 4001
	type Line = kanava.Channel[kanava.None, kanava.None]
	leave := func(ctx context.Context, ch *Line, _ kanava.None) error {
		return ch.Close(ctx, kicked, "too loud")
	}
	client := connect(oneRoute(kanava.OnDo("shout", leave)), "/")
	fmt.Println(client.ask(`{"action":"shout"}`))
	fmt.Println(client.next())
	fmt.Println(kicked, kanava.CloseSlowConsumer)
	// Output:
	// {"action":"shout"}
	// closed: 4001 too loud
	// 4001 slow_consumer
}

// OnConnect runs in the first state; afterwards a connection is open until
// either side ends it.
func ExampleState() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "line", Route: "/line", Public: true,
		OnConnect: kanava.ConnectFunc(func(_ context.Context, ch *Line) (string, error) {
			return ch.State().String(), nil
		}),
		OnMessage: kanava.Func(func(_ context.Context, ch *Line, _ kanava.None) (string, error) {
			return ch.State().String(), nil
		}),
	})
	client := connect(srv, "/line")
	defer client.leave()
	fmt.Println(client.next())
	fmt.Println(client.ask(`{}`))
	// Output:
	// "initial"
	// "open"
}

// Shutdown lets running functions finish, tells every client to come back
// within a few seconds, and refuses new ones.
func ExampleServer_Shutdown() {
	srv := oneRoute()
	client := connect(srv, "/")

	done := make(chan error)
	go func() { done <- srv.Shutdown(context.Background()) }()
	fmt.Println(client.next())
	fmt.Println(<-done)

	_, err := connectAs(srv, "/", "")
	fmt.Println(err)
	// Output:
	// closed: 4503 draining 0-5000
	// <nil>
	// unavailable: the server is shutting down
}

// One client can be bounded more tightly than the defaults do.
func ExampleLimits() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	srv := kanava.NewServer(kanava.Options[kanava.None]{Limits: kanava.Limits{Depth: 2}})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "count", Route: "/count", Public: true,
		OnMessage: kanava.Func(func(_ context.Context, _ *Line, in [][]int) (int, error) { return len(in), nil }),
	})
	client := connect(srv, "/count")
	defer client.leave()
	fmt.Println(client.ask(`[[1], [2]]`))
	fmt.Println(client.ask(`[[[1]]]`))
	fmt.Println(srv.Limits().Message, "bytes is a message at most")
	// Output:
	// 2
	// {"error":{"code":"invalid_argument","message":"nested deeper than 2 at byte 2"}}
	// 65536 bytes is a message at most
}
