package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"

	"github.com/kanava-go/kanava/client"
	"github.com/kanava-go/kanava/transport/ws"
)

// With generated code the calls below are methods of a type for the channel,
// as chat of this package's tests is one.
func Example() {
	srv, _ := newServer()
	server := httptest.NewServer(ws.Handler(srv, ws.Options{}))
	defer server.Close()
	ctx := context.Background()

	c, err := connect(server.URL, opening{Room: "general"}, options{
		Authenticate: func(ctx context.Context, c *chat) error { return c.Login(ctx, login{"ann"}) },
	})
	if err != nil {
		fmt.Println(err) // the address or the opening data is wrong
		return
	}
	defer c.Close()

	said := make(chan struct{})
	listener := c.OnRoom("general", func(v say) {
		fmt.Println("event:", v.Message)
		close(said)
	})
	defer listener.Stop()

	if _, err := c.Say(ctx, say{"hello"}); err != nil {
		fmt.Println(err)
	}
	<-said
	for v, err := range c.Count(ctx, count{3}) {
		fmt.Println("item:", v.N, err)
	}
	// Output:
	// event: ann: hello
	// item: 1 <nil>
	// item: 2 <nil>
	// item: 3 <nil>
}

// Whoever calls again after a failure looks whether the call may have run.
func ExampleError() {
	err := error(&client.Error{Code: client.CodeUnavailable, Message: "the connection was lost", OutcomeUnknown: true})
	var e *client.Error
	if errors.As(err, &e) && e.Code == client.CodeUnavailable && e.OutcomeUnknown {
		fmt.Println("look whether it has run before it is called again")
	}
	// Output: look whether it has run before it is called again
}

// A function of the client that the server calls.
func ExampleHandle() {
	srv, _ := newServer()
	server := httptest.NewServer(ws.Handler(srv, ws.Options{}))
	defer server.Close()

	c, err := connect(server.URL, opening{Room: "general"}, options{
		Setup: func(c *chat) { // before the connection is made
			client.Handle(c.Conn, "sure", func(ctx context.Context, q question) (count, error) {
				client.Wait(ctx) // a person answers
				return count{N: len(q.Text)}, nil
			})
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Println(client.Call[count](context.Background(), c.Conn, "", "ask", question{"Really?"}))
	// Output: {7} <nil>
}

// Who is subscribed to a topic is told who is there. Generated clients have a
// method for each presence.
func ExampleOnPresence() {
	srv := newLobby()
	server := httptest.NewServer(ws.Handler(srv, ws.Options{}))
	defer server.Close()
	told := make(chan client.Presence[mood])
	c, err := client.Connect(client.Spec{Path: "/lobby"}, server.URL, nil, options{
		Token: func(context.Context) (string, error) { return "ann", nil },
		Setup: func(c *chat) {
			client.OnPresence(c.Conn, "lobby", "1", func(who client.Presence[mood]) { told <- who })
		},
	}, func(c *client.Conn) *chat { return &chat{c} })
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range (<-told).Members {
		fmt.Println(m.ID, "is", m.Data.Mood)
	}
	for m, err := range client.Members[mood](context.Background(), c.Conn, "lobby:1") {
		fmt.Println(m.ID, m.Connections, err)
	}
	c.Close()
	<-c.Done()
	// Output:
	// ann is new
	// ann 1 <nil>
}
