// OnMessage is given what ConnectFunc made.
// want: kanava.ConnectFunc(Join) (value of struct type kanava.Connect[Params, User]) as kanava.Message[Params, User] value
package main

import (
	"context"

	"github.com/kanava-go/kanava"
)

type (
	Params struct{ Room string }
	User   struct{ ID string }
)

func Join(ctx context.Context, ch *kanava.Channel[Params, User]) (kanava.None, error) {
	return kanava.None{}, nil
}

var room = kanava.Wiring[Params, User]{
	Name: "room", Route: "/room",
	OnMessage: kanava.ConnectFunc(Join),
}

func main() {}
