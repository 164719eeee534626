package kanava_test

import (
	"context"
	"fmt"

	"github.com/kanava-go/kanava"
)

// Middleware stands around functions of any type: it sees who calls what, and
// with what result.
func ExampleMiddleware() {
	logged := func(next kanava.Handler) kanava.Handler {
		return func(ctx context.Context, inv *kanava.Invocation) (any, error) {
			out, err := next(ctx, inv)
			fmt.Println(inv.Channel, inv.Kind, inv.Action, "->", out, err)
			return out, err
		}
	}
	type Line = kanava.Channel[kanava.None, kanava.None]
	srv := kanava.NewServer(kanava.Options[kanava.None]{Middleware: []kanava.Middleware{logged}})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "dice", Route: "/dice", Public: true,
		OnConnect: kanava.ConnectFunc(func(context.Context, *Line) (string, error) { return "welcome", nil }),
		Messages: kanava.By("action", kanava.On("roll", func(context.Context, *Line, kanava.None) (int, error) {
			return 4, nil
		})),
	})
	client := connect(srv, "/dice")
	defer client.leave()
	client.next()
	client.ask(`{"action":"roll"}`)
	// Output:
	// dice connect  -> welcome <nil>
	// dice message roll -> 4 <nil>
}

// A guard is middleware with typed access to the channel: it lets a call
// through, or says why not.
func ExampleGuard() {
	type Params struct {
		Room string `path:"room"`
	}
	type User struct {
		ID    string `json:"id"`
		Owner string `json:"owner"` // the room that is theirs
	}
	type Room = kanava.Channel[Params, User]
	ownersOnly := func(_ context.Context, ch *Room) error {
		if ch.Session().Owner != ch.Opening().Room {
			return kanava.Errorf(kanava.CodePermissionDenied, "this room is not yours")
		}
		return nil
	}
	ok := func(context.Context, *Room, kanava.None) error { return nil }

	srv := kanava.NewServer(kanava.Options[User]{
		Authenticate: func(context.Context, *kanava.OpenRequest) (*User, error) {
			return &User{ID: "ann", Owner: "den"}, nil
		},
	})
	srv.Wire(kanava.Wiring[Params, User]{
		Name: "room", Route: "/{room}",
		Messages: kanava.By("action",
			kanava.OnDo("enter", ok),
			kanava.OnDo("redecorate", ok, kanava.With(kanava.Guard(ownersOnly))),
		),
	})
	client := connect(srv, "/lobby")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"enter"}`))
	fmt.Println(client.ask(`{"action":"redecorate"}`))
	// Output:
	// {"action":"enter"}
	// {"action":"redecorate","error":{"code":"permission_denied","message":"this room is not yours"}}
}

// Outgoing middleware sees what goes to clients, whatever causes it, and may
// replace or drop it.
func ExampleOutgoing() {
	type Text struct {
		Text   string `json:"text"`
		Secret string `json:"secret,omitempty"`
	}
	redact := func(next kanava.Sender) kanava.Sender {
		return func(ctx context.Context, p *kanava.Payload) error {
			if text, ok := p.Value.(Text); ok {
				text.Secret = ""
				p.Value = text // another value: the original may be shared
			}
			if p.Value == "nothing" {
				return nil // not sent
			}
			return next(ctx, p)
		}
	}
	type Line = kanava.Channel[kanava.None, kanava.None]
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "line", Route: "/line", Public: true,
		Outgoing: []kanava.Outgoing{redact},
		OnConnect: kanava.ConnectFunc(func(context.Context, *Line) (string, error) {
			return "nothing", nil
		}),
		OnMessage: kanava.Func(func(context.Context, *Line, kanava.None) (Text, error) {
			return Text{"the key is", "under the mat"}, nil
		}),
	})
	client := connect(srv, "/line")
	defer client.leave()
	fmt.Println(client.ask(`{}`))
	// Output: {"text":"the key is"}
}
