package kanava_test

import (
	"context"
	"fmt"
	"time"

	"github.com/kanava-go/kanava"
)

// Functions need a session; Public functions are for everyone.
func ExamplePublic() {
	type User struct {
		ID string `json:"id"`
	}
	type Line = kanava.Channel[kanava.None, User]
	type Credentials struct {
		Password string `json:"password"`
	}
	signIn := func(ctx context.Context, ch *Line, in Credentials) error {
		if in.Password != "open sesame" {
			return kanava.Errorf(kanava.CodeUnauthenticated, "wrong password")
		}
		return ch.SetSession(ctx, User{"ali"})
	}
	whoami := func(_ context.Context, ch *Line, _ kanava.None) (User, error) { return ch.Session(), nil }

	srv := kanava.NewServer(kanava.Options[User]{})
	srv.Wire(kanava.Wiring[kanava.None, User]{
		Name: "cave", Route: "/cave",
		Messages: kanava.By("action",
			kanava.OnDo("signIn", signIn, kanava.Public()),
			kanava.On("whoami", whoami),
		),
	})
	client := connect(srv, "/cave")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"whoami"}`))
	fmt.Println(client.ask(`{"action":"signIn","password":"open sesame"}`))
	fmt.Println(client.ask(`{"action":"whoami"}`))
	// Output:
	// {"action":"whoami","error":{"code":"unauthenticated","message":"sign in first"}}
	// {"action":"signIn"}
	// {"id":"ali","action":"whoami"}
}

// On a Public channel, Protected functions need a session all the same.
func ExampleProtected() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	ok := func(context.Context, *Line, kanava.None) error { return nil }

	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "library", Route: "/library", Public: true,
		Messages: kanava.By("action",
			kanava.OnDo("read", ok),
			kanava.OnDo("write", ok, kanava.Protected()),
		),
	})
	client := connect(srv, "/library")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"read"}`))
	fmt.Println(client.ask(`{"action":"write"}`))
	// Output:
	// {"action":"read"}
	// {"action":"write","error":{"code":"unauthenticated","message":"sign in first"}}
}

// Allow looks for permissions in what Options.Identify tells of a session. The
// credential here is a name; in a program it is verified.
func ExampleAllow() {
	type User struct {
		Name string `json:"name"`
		Role string `json:"role"`
	}
	type Line = kanava.Channel[kanava.None, User]
	ok := func(context.Context, *Line, kanava.None) error { return nil }

	roles := map[string]string{"ann": "admin", "bob": "guest"}
	srv := kanava.NewServer(kanava.Options[User]{
		Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*User, error) {
			return &User{r.Token, roles[r.Token]}, nil
		},
		Identify: func(u User) kanava.Identity {
			return kanava.Identity{UserID: u.Name, Permissions: []string{u.Role}}
		},
	})
	srv.Wire(kanava.Wiring[kanava.None, User]{
		Name: "room", Route: "/room",
		Messages: kanava.By("action", kanava.OnDo("kick", ok, kanava.Allow("admin", "moderator"))),
	})
	for _, name := range []string{"ann", "bob"} {
		client, err := connectAs(srv, "/room", name)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(client.ask(`{"action":"kick"}`))
		client.leave()
	}
	// Output:
	// {"action":"kick"}
	// {"action":"kick","error":{"code":"permission_denied","message":"this needs a permission that the session does not have"}}
}

// Doc is metadata: for generated documents, and, as tags, for middleware.
func ExampleDoc() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	ok := func(context.Context, *Line, kanava.None) error { return nil }
	audit := func(next kanava.Handler) kanava.Handler {
		return func(ctx context.Context, inv *kanava.Invocation) (any, error) {
			fmt.Println(inv.Action, inv.Tags)
			return next(ctx, inv)
		}
	}
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "shop", Route: "/shop", Public: true, Tags: []string{"shop"},
		Middleware: []kanava.Middleware{audit},
		Messages:   kanava.By("action", kanava.OnDo("pay", ok, kanava.Doc("Pay what is in the cart", "money", "audited"))),
	})
	client := connect(srv, "/shop")
	defer client.leave()
	client.ask(`{"action":"pay"}`)
	// Output: pay [shop money audited]
}

// With puts middleware around one function.
func ExampleWith() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	double := func(_ context.Context, _ *Line, n map[string]int) (int, error) { return 2 * n["n"], nil }
	plusOne := func(next kanava.Handler) kanava.Handler {
		return func(ctx context.Context, inv *kanava.Invocation) (any, error) {
			out, err := next(ctx, inv)
			if err != nil {
				return nil, err
			}
			return out.(int) + 1, nil
		}
	}
	client := connect(oneRoute(
		kanava.On("double", double),
		kanava.On("doublePlusOne", double, kanava.With(plusOne)),
	), "/")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"double","n":4}`))
	fmt.Println(client.ask(`{"action":"doublePlusOne","n":4}`))
	// Output:
	// {"action":"double","result":8}
	// {"action":"doublePlusOne","result":9}
}

// The messages of a client run one after the other; a Concurrent function lets
// those that follow overtake it.
func ExampleConcurrent() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	arrived := make(chan string)
	fetch := func(ctx context.Context, _ *Line, _ kanava.None) (string, error) {
		select {
		case page := <-arrived:
			return page, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	ping := func(context.Context, *Line, kanava.None) error { return nil }

	client := connect(oneRoute(
		kanava.On("fetch", fetch, kanava.Concurrent()),
		kanava.OnDo("ping", ping),
	), "/")
	defer client.leave()
	client.tell(`{"action":"fetch"}`)
	fmt.Println(client.ask(`{"action":"ping"}`))
	arrived <- "the page"
	fmt.Println(client.next())
	// Output:
	// {"action":"ping"}
	// {"action":"fetch","result":"the page"}
}

// A function's context ends at its deadline. The function has to return then:
// nothing is stopped by force.
func ExampleTimeout() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	slow := func(ctx context.Context, _ *Line, _ kanava.None) error {
		<-ctx.Done() // a query, a request, ...
		return ctx.Err()
	}
	client := connect(oneRoute(kanava.OnDo("slow", slow, kanava.Timeout(time.Millisecond))), "/")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"slow"}`))
	// Output: {"action":"slow","error":{"code":"deadline_exceeded","message":"the function took too long"}}
}
