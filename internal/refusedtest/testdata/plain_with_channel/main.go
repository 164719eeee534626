// A plain function takes a channel: it is a route, not a Plain.
// want: in call to kanava.PlainFunc, type func(ctx context.Context, ch *kanava.Channel[Params, User], in Text) (Text, error) of Echo does not match
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

var echo = kanava.PlainFunc(Echo)

func main() {}
