// A function of one channel is mounted on another.
// want: (value of struct type kanava.Router[GameParams, User]) as kanava.Router[RoomParams, User] value
package main

import (
	"context"

	"github.com/kanava-go/kanava"
)

type (
	RoomParams struct{ Room string }
	GameParams struct{ Game string }
	User       struct{ ID string }
	Text       struct{ Message string }
)

func Move(ctx context.Context, ch *kanava.Channel[GameParams, User], in Text) error { return nil }

var room = kanava.Wiring[RoomParams, User]{
	Name: "room", Route: "/room",
	Messages: kanava.By("action", kanava.OnDo("move", Move)),
}

func main() {}
