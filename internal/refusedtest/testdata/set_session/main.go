// A connection is signed in with something that is not its session.
// want: in.Token (variable of type string) as User value in argument to ch.SetSession
package main

import (
	"context"

	"github.com/kanava-go/kanava"
)

type (
	Params struct{ Room string }
	User   struct{ ID string }
)

func SignIn(ctx context.Context, ch *kanava.Channel[Params, User], in struct{ Token string }) error {
	return ch.SetSession(ctx, in.Token)
}

func main() {}
