// A stream is sent an item of another type than it declares.
// want: in (variable of struct type Text) as Progress value in argument to out.Send
package main

import (
	"context"

	"github.com/kanava-go/kanava"
)

type (
	Params   struct{ Room string }
	User     struct{ ID string }
	Text     struct{ Message string }
	Progress struct{ Percent int }
)

func Count(ctx context.Context, ch *kanava.Channel[Params, User], in Text, out *kanava.Stream[Progress]) error {
	return out.Send(ctx, in)
}

func main() {}
