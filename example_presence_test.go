package kanava_test

import (
	"context"
	"fmt"

	"github.com/kanava-go/kanava"
)

// Who is in a room: clients that are subscribed to the topic of the same name
// are told, and the server asks Members.
func ExampleNewPresence() {
	type User struct {
		ID string `json:"id"`
	}
	type Params struct {
		Room string `query:"room"`
	}
	type Member struct {
		Status string `json:"status"`
	}
	type Room = kanava.Channel[Params, User]

	srv := kanava.NewServer(kanava.Options[User]{
		Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*User, error) { return &User{r.Token}, nil },
		Identify:     func(u User) kanava.Identity { return kanava.Identity{UserID: u.ID} },
	})
	rooms := kanava.NewTopic[string](srv.EventHub(), "room")
	here := kanava.NewPresence[Member](srv.EventHub(), "room")
	join := func(ctx context.Context, ch *Room) (kanava.None, error) {
		if err := here.Join(ctx, ch, ch.Opening().Room, Member{"online"}); err != nil {
			return kanava.None{}, err
		}
		return kanava.None{}, rooms.Subscribe(ctx, ch, ch.Opening().Room)
	}
	who := func(ctx context.Context, ch *Room, _ kanava.None) (names []string, err error) {
		for m, err := range here.Members(ctx, ch.Opening().Room) {
			if err != nil {
				return nil, err
			}
			names = append(names, m.ID)
		}
		return names, nil
	}
	srv.Wire(kanava.Wiring[Params, User]{
		Name: "room", Route: "/room",
		OnConnect: kanava.ConnectFunc(join), // whoever leaves need not say so
		Messages:  kanava.By("action", kanava.On("who", who)),
		Declares:  []kanava.Declared{rooms, here},
	})

	ann, err := connectWith(srv, "/room?room=hall", &kanava.OpenRequest{Token: "ann", Subprotocols: []string{"kanava.v1"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ann.leave()
	ann.ask(`{"hello":{}}`) // open
	ann.next()              // OnConnect is over
	ann.next()              // the topic stands at …
	fmt.Println(ann.next())

	bob, err := connectAs(srv, "/room?room=hall", "bob") // the plain form
	if err != nil {
		fmt.Println(err)
		return
	}
	defer bob.leave()
	fmt.Println(bob.ask(`{"action":"who"}`))
	fmt.Println(ann.next())
	// Output:
	// {"presence":"room:hall","v":1,"all":[{"id":"ann","n":1,"data":{"status":"online"}}],"count":1}
	// {"action":"who","result":["ann","bob"]}
	// {"presence":"room:hall","v":2,"join":[{"id":"bob","n":1,"data":{"status":"online"}}],"leave":[],"count":2}
}
