package kanava_test

import (
	"context"
	"fmt"

	"github.com/kanava-go/kanava"
)

// A loop over the connections of a channel; each Conn is the *Channel that the
// channel's functions get.
func ExampleConns_OfChannel() {
	type Params struct {
		Desk string `query:"desk"`
	}
	type Desk = kanava.Channel[Params, kanava.None]
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[Params, kanava.None]{Name: "desk", Route: "/desk", Public: true})
	for _, name := range []string{"north", "south", "east"} {
		client := connect(srv, "/desk?desk="+name)
		defer client.leave()
	}

	ctx, conns := context.Background(), srv.Conns()
	fmt.Println(conns.CountOfChannel("desk"))
	for conn := range conns.OfChannel("desk") {
		if desk := conn.(*Desk); desk.Opening().Desk == "south" {
			fmt.Println("closing", desk.Opening().Desk, desk.Close(ctx, kanava.CloseNormal, "lunch"))
		}
	}
	// Output:
	// 3
	// closing south <nil>
}

// A Push to all connections of a user tells how many it has reached.
func ExamplePush_SendUser() {
	type User struct {
		ID string `json:"id"`
	}
	type Alert struct {
		Text string `json:"text"`
	}
	alert := kanava.NewPush[Alert]("alert")
	srv := kanava.NewServer(kanava.Options[User]{
		Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*User, error) { return &User{r.Token}, nil },
		Identify:     func(u User) kanava.Identity { return kanava.Identity{UserID: u.ID} },
	})
	srv.Wire(kanava.Wiring[kanava.None, User]{Name: "desk", Route: "/desk", Declares: []kanava.Declared{alert}})
	phone, err := connectAs(srv, "/desk", "ann")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer phone.leave()
	laptop, err := connectAs(srv, "/desk", "ann")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer laptop.leave()

	fmt.Println(alert.SendUser(context.Background(), srv.Conns(), "ann", Alert{"dinner is ready"}))
	fmt.Println(phone.next(), laptop.next())
	fmt.Println(alert.SendUser(context.Background(), srv.Conns(), "bob", Alert{"dinner is ready"}))
	// Output:
	// 2 <nil>
	// {"text":"dinner is ready"} {"text":"dinner is ready"}
	// 0 <nil>
}
