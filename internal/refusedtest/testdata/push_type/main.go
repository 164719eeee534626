// A push is sent a value of another type than it declares.
// want: (value of struct type Progress) as Text value in argument to welcomes.Send
package main

import (
	"context"

	"github.com/kanava-go/kanava"
)

type (
	Text     struct{ Message string }
	Progress struct{ Percent int }
)

func Tell(ctx context.Context, welcomes *kanava.Push[Text], to kanava.Conn) error {
	return welcomes.Send(ctx, to, Progress{10})
}

func main() {}
