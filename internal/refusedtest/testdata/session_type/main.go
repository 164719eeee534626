// A function takes another session than its channel has.
// want: kanava.Func(Echo) (value of struct type kanava.Message[Params, Admin]) as kanava.Message[Params, User] value
package main

import (
	"context"

	"github.com/kanava-go/kanava"
)

type (
	Params struct{ Room string }
	User   struct{ ID string }
	Admin  struct{ ID string }
	Text   struct{ Message string }
)

func Echo(ctx context.Context, ch *kanava.Channel[Params, Admin], in Text) (Text, error) {
	return in, nil
}

var room = kanava.Wiring[Params, User]{
	Name: "room", Route: "/room",
	OnMessage: kanava.Func(Echo),
}

func main() {}
