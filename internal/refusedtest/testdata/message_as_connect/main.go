// OnConnect is given a message function: there is no message yet.
// want: in call to kanava.ConnectFunc, type func(ctx context.Context, ch *kanava.Channel[Params, User], in Text) (Text, error) of Echo does not match
package main

import (
	"context"

	"github.com/kanava-go/kanava"
)

type (
	Params struct{ Room string }
	User   struct{ ID string }
	Text   struct{ Message string }
)

func Echo(ctx context.Context, ch *kanava.Channel[Params, User], in Text) (Text, error) {
	return in, nil
}

var room = kanava.Wiring[Params, User]{
	Name: "room", Route: "/room",
	OnConnect: kanava.ConnectFunc(Echo),
}

func main() {}
