package kanava_test

import (
	"context"
	"fmt"

	"github.com/kanava-go/kanava"
)

// SetSession counts at once: for the next statement, and for the next message.
func ExampleChannel_SetSession() {
	type User struct {
		ID string `json:"id"`
	}
	type Line = kanava.Channel[kanava.None, User]
	type Credentials struct {
		Token string `json:"token"`
	}
	tokens := map[string]User{"t1": {"ann"}, "t2": {"bob"}}
	signIn := func(ctx context.Context, ch *Line, in Credentials) (User, error) {
		user, ok := tokens[in.Token]
		if !ok {
			return User{}, kanava.Errorf(kanava.CodeUnauthenticated, "invalid token")
		}
		if err := ch.SetSession(ctx, user); err != nil {
			return User{}, err
		}
		return ch.Session(), nil
	}
	signOut := func(ctx context.Context, ch *Line, _ kanava.None) error { return ch.ClearSession(ctx) }

	srv := kanava.NewServer(kanava.Options[User]{
		Identify: func(u User) kanava.Identity { return kanava.Identity{UserID: u.ID} },
	})
	srv.Wire(kanava.Wiring[kanava.None, User]{
		Name: "line", Route: "/line",
		Messages: kanava.By("action",
			kanava.On("signIn", signIn, kanava.Public()),
			kanava.OnDo("signOut", signOut),
		),
	})
	client := connect(srv, "/line")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"signIn","token":"t1"}`))
	fmt.Println(client.ask(`{"action":"signIn","token":"t2"}`)) // somebody else: only after signing out
	fmt.Println(client.ask(`{"action":"signOut"}`))
	fmt.Println(client.ask(`{"action":"signIn","token":"t2"}`))
	// Output:
	// {"id":"ann","action":"signIn"}
	// {"action":"signIn","error":{"code":"permission_denied","message":"this connection belongs to another user"}}
	// {"action":"signOut"}
	// {"id":"bob","action":"signIn"}
}

// A client can sign in when it connects, by what the request carries. Those
// who carry nothing may come in without a session; what they are refused then
// the functions say.
func ExampleOpenRequest() {
	type User struct {
		ID string `json:"id"`
	}
	type Line = kanava.Channel[kanava.None, User]
	whoami := func(_ context.Context, ch *Line, _ kanava.None) (User, error) { return ch.Session(), nil }

	srv := kanava.NewServer(kanava.Options[User]{
		Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*User, error) {
			switch r.Token {
			case "":
				return nil, nil
			case "ann's token":
				return &User{"ann"}, nil
			}
			return nil, kanava.Errorf(kanava.CodeUnauthenticated, "invalid token")
		},
	})
	srv.Wire(kanava.Wiring[kanava.None, User]{
		Name: "line", Route: "/line",
		OnMessage: kanava.Func(whoami),
	})
	for _, token := range []string{"ann's token", "", "another"} {
		client, err := connectAs(srv, "/line", token)
		if err != nil {
			fmt.Println("refused:", err)
			continue
		}
		fmt.Println(client.ask(`{}`))
		client.leave()
	}
	// Output:
	// {"id":"ann"}
	// {"error":{"code":"unauthenticated","message":"sign in first"}}
	// refused: unauthenticated: invalid token
}

// Admit compares a session with the opening data, whenever either is new: here
// a user has to be of the tenant in the path.
func ExampleWiring_admit() {
	type Params struct {
		Tenant string `path:"tenant"`
	}
	type User struct {
		ID     string `json:"id"`
		Tenant string `json:"tenant"`
	}
	sameTenant := func(_ context.Context, p Params, u User) error {
		if u.Tenant != p.Tenant {
			return kanava.Errorf(kanava.CodePermissionDenied, "this is not your tenant")
		}
		return nil
	}
	srv := kanava.NewServer(kanava.Options[User]{
		Authenticate: func(context.Context, *kanava.OpenRequest) (*User, error) {
			return &User{ID: "ann", Tenant: "acme"}, nil
		},
	})
	srv.Wire(kanava.Wiring[Params, User]{Name: "office", Route: "/{tenant}/office", Admit: sameTenant})

	for _, target := range []string{"/acme/office", "/globex/office"} {
		client, err := connectAs(srv, target, "")
		fmt.Println(target, err)
		if err == nil {
			client.leave()
		}
	}
	// Output:
	// /acme/office <nil>
	// /globex/office permission_denied: this is not your tenant
}

// Options describe a server; their zero value is a server on which people sign
// in by functions. Identify is what most programs add.
func ExampleOptions() {
	type User struct {
		ID   string `json:"id"`
		Role string `json:"role"`
	}
	srv := kanava.NewServer(kanava.Options[User]{
		Identify: func(u User) kanava.Identity {
			return kanava.Identity{UserID: u.ID, Permissions: []string{u.Role}}
		},
		Origins: []string{"https://app.example.com"}, // pages of another host that may connect
		Limits:  kanava.Limits{Message: 16 << 10},
	})
	fmt.Println(srv.Limits().Message, srv.Limits().WaitingCalls)
	// Output: 16384 32
}

// Other code finds connections by their id, or by the user who is signed in.
func ExampleConns() {
	type User struct {
		ID string `json:"id"`
	}
	srv := kanava.NewServer(kanava.Options[User]{
		Identify:     func(u User) kanava.Identity { return kanava.Identity{UserID: u.ID} },
		Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*User, error) { return &User{r.Token}, nil },
	})
	srv.Wire(kanava.Wiring[kanava.None, User]{Name: "line", Route: "/line"})

	phone, err := connectAs(srv, "/line", "ann")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer phone.leave()

	ctx := context.Background()
	conns, err := srv.Conns().OfUser(ctx, "ann")
	fmt.Println(srv.Conns().Count(), len(conns), conns[0].ID() == phone.link.ID(), err)

	err = srv.Conns().CloseUser(ctx, "ann", kanava.CloseForbidden, "banned")
	fmt.Println(phone.next(), err)
	// Output:
	// 1 1 true <nil>
	// closed: 4403 banned <nil>
}
