// The function of a route returns no error.
// want: in call to kanava.On, type func(ctx context.Context, ch *kanava.Channel[Params, User], in Text) Text of Echo does not match
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

func Echo(ctx context.Context, ch *kanava.Channel[Params, User], in Text) Text { return in }

var echo = kanava.On("echo", Echo)

func main() {}
