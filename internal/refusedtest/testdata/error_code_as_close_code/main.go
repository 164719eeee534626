// A connection is closed with the code of an error.
// want: kanava.CodeNotFound (constant "not_found" of string type kanava.Code) as kanava.CloseCode value
package main

import (
	"context"

	"github.com/kanava-go/kanava"
)

type (
	Params struct{ Room string }
	User   struct{ ID string }
)

func Leave(ctx context.Context, ch *kanava.Channel[Params, User], _ kanava.None) error {
	return ch.Close(ctx, kanava.CodeNotFound, "no such room")
}

func main() {}
