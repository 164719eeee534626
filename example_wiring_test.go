package kanava_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kanava-go/kanava"
)

// A server with one channel, in memory. In a program a transport puts the
// server on the network:
//
//	http.Handle("/greet", ws.Handler(srv, ws.Options{}))
func ExampleServer() {
	type Params struct {
		Lang string `query:"lang" enum:"en,fi" default:"en"`
	}
	type User struct {
		ID string `json:"id"`
	}
	type Greeter = kanava.Channel[Params, User] // one plain alias for each channel

	type Name struct {
		Name string `json:"name" minLength:"1" maxLength:"20"`
	}
	type Greeting struct {
		Text string `json:"text"`
	}
	greet := func(_ context.Context, ch *Greeter, in Name) (Greeting, error) {
		hello := map[string]string{"en": "Hello", "fi": "Hei"}[ch.Opening().Lang]
		return Greeting{hello + ", " + in.Name + "!"}, nil
	}

	srv := kanava.NewServer(kanava.Options[User]{})
	srv.Wire(kanava.Wiring[Params, User]{
		Name: "greet", Route: "/greet", Public: true,
		OnMessage: kanava.Func(greet),
	})

	client := connect(srv, "/greet?lang=fi")
	defer client.leave()
	fmt.Println(client.ask(`{"name":"Ada"}`))
	fmt.Println(client.ask(`{"name":""}`))
	// Output:
	// {"text":"Hei, Ada!"}
	// {"error":{"code":"invalid_argument","message":"invalid input","details":[{"pointer":"/name","message":"must have at least 1 character"}]}}
}

// A wiring names all that a channel has. It is a value, usually returned by a
// method of the program's App, so that functions are its methods.
func ExampleWiring() {
	type Params struct {
		Room string `path:"room" minLength:"1"`
	}
	type Room = kanava.Channel[Params, kanava.None]

	type Welcome struct {
		Welcome string `json:"welcome"`
	}
	join := func(_ context.Context, ch *Room) (Welcome, error) {
		return Welcome{"Welcome to " + ch.Opening().Room + "!"}, nil
	}
	leave := func(_ context.Context, ch *Room) error {
		fmt.Println("somebody left", ch.Opening().Room)
		return nil
	}
	type Shout struct {
		Text string `json:"text"`
	}
	shout := func(_ context.Context, _ *Room, in Shout) (Shout, error) {
		return Shout{strings.ToUpper(in.Text)}, nil
	}

	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[Params, kanava.None]{
		Name: "rooms", Route: "/rooms/{room}", Public: true,
		OnConnect:    kanava.ConnectFunc(join),
		OnDisconnect: kanava.DisconnectFunc(leave),
		Messages:     kanava.By("action", kanava.On("shout", shout)),
	})

	client := connect(srv, "/rooms/lobby")
	fmt.Println(client.next())
	fmt.Println(client.ask(`{"action":"shout","text":"hi"}`))
	client.leave()
	// Output:
	// {"welcome":"Welcome to lobby!"}
	// {"text":"HI","action":"shout"}
	// somebody left lobby
}

// Messages go to functions by a member of theirs; another member comes next,
// and what no route takes goes to OnMessage.
func ExampleBy() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	say := func(word string) func(context.Context, *Line, kanava.None) (string, error) {
		return func(context.Context, *Line, kanava.None) (string, error) { return word, nil }
	}
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "line", Route: "/line", Public: true,
		Messages: kanava.By("action",
			kanava.On("start", say("started")),
			kanava.On("stop", say("stopped")),
		).By("query",
			kanava.On("status", say("fine")),
		),
		OnMessage: kanava.Func(say("what?")),
	})
	client := connect(srv, "/line")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"start"}`))
	fmt.Println(client.ask(`{"query":"status"}`))
	fmt.Println(client.ask(`{}`))
	// Output:
	// {"action":"start","result":"started"}
	// {"query":"status","result":"fine"}
	// "what?"
}

// The result is sent with the routing member added, so that a client knows
// which function it is of. So are errors.
func ExampleOn() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	type Pair struct {
		A int `json:"a"`
		B int `json:"b"`
	}
	type Sum struct {
		Sum int `json:"sum"`
	}
	add := func(_ context.Context, _ *Line, in Pair) (Sum, error) { return Sum{in.A + in.B}, nil }

	client := connect(oneRoute(kanava.On("add", add)), "/")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"add","a":1,"b":2}`))
	fmt.Println(client.ask(`{"action":"add","a":1}`))
	fmt.Println(client.ask(`{"action":"subtract"}`))
	// Output:
	// {"sum":3,"action":"add"}
	// {"action":"add","error":{"code":"invalid_argument","message":"invalid input","details":[{"pointer":"/b","message":"is missing"}]}}
	// {"action":"subtract","error":{"code":"not_found","message":"no action is named \"subtract\" here"}}
}

// A function without a result is answered too: the client learns that it is
// done.
func ExampleOnDo() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	type Note struct {
		Text string `json:"text"`
	}
	save := func(_ context.Context, _ *Line, in Note) error {
		fmt.Println("saved:", in.Text)
		return nil
	}
	client := connect(oneRoute(kanava.OnDo("save", save)), "/")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"save","text":"buy milk"}`))
	// Output:
	// saved: buy milk
	// {"action":"save"}
}

// A stream function sends what it has when it has it; its return is the end.
func ExampleOnStream() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	type Range struct {
		From int `json:"from"`
	}
	countdown := func(ctx context.Context, _ *Line, in Range, out *kanava.Stream[int]) error {
		for i := in.From; i > 0; i-- {
			if err := out.Send(ctx, i); err != nil {
				return err // the client has left
			}
		}
		return nil
	}
	client := connect(oneRoute(kanava.OnStream("countdown", countdown)), "/")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"countdown","from":2}`))
	fmt.Println(client.next())
	fmt.Println(client.next())
	// Output:
	// 2
	// 1
	// {"action":"countdown"}
}

// OnMessage takes any JSON value that no route takes.
func ExampleFunc() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	sum := func(_ context.Context, _ *Line, in []int) (total int, err error) {
		for _, n := range in {
			total += n
		}
		return total, nil
	}
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "sum", Route: "/sum", Public: true,
		OnMessage: kanava.Func(sum),
	})
	client := connect(srv, "/sum")
	defer client.leave()
	fmt.Println(client.ask(`[1, 2, 3]`))
	fmt.Println(client.ask(`[1, "2", 3]`))
	// Output:
	// 6
	// {"error":{"code":"invalid_argument","message":"invalid input","details":[{"pointer":"/1","message":"must be an integer, not a string"}]}}
}

// Binary frames have one function. It returns bytes.
func ExampleBinaryFunc() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	reverse := func(_ context.Context, _ *Line, p []byte) ([]byte, error) {
		slices.Reverse(p) // p is the function's own
		return p, nil
	}
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "reverse", Route: "/reverse", Public: true,
		OnBinary: kanava.BinaryFunc(reverse),
	})
	client := connect(srv, "/reverse")
	defer client.leave()
	client.link.Receive([]byte{1, 2, 3}, true)
	fmt.Println(client.next())
	// Output: bytes: 030201
}

// oneRoute returns a server with one public channel at "/" that has the routes
// of the member "action".
func oneRoute(routes ...kanava.Route[kanava.None, kanava.None]) *kanava.Server[kanava.None] {
	srv := kanava.NewServer(kanava.Options[kanava.None]{Logger: quiet()})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "example", Route: "/{$}", Public: true,
		Messages: kanava.By("action", routes...),
	})
	return srv
}
