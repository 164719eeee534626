// OnConnect expects other opening data than its channel has.
// want: kanava.ConnectFunc(Join) (value of struct type kanava.Connect[Other, User]) as kanava.Connect[Params, User] value
package main

import (
	"context"

	"github.com/kanava-go/kanava"
)

type (
	Params struct{ Room string }
	Other  struct{ Room string }
	User   struct{ ID string }
)

func Join(ctx context.Context, ch *kanava.Channel[Other, User]) (kanava.None, error) {
	return kanava.None{}, nil
}

var room = kanava.Wiring[Params, User]{
	Name: "room", Route: "/room",
	OnConnect: kanava.ConnectFunc(Join),
}

func main() {}
