// An event of another type than the topic's is published.
// want: (value of struct type Progress) as Text value in argument to rooms.Publish
package main

import (
	"context"

	"github.com/kanava-go/kanava"
)

type (
	Text     struct{ Message string }
	Progress struct{ Percent int }
)

func Tell(ctx context.Context, rooms *kanava.Topic[Text]) error {
	return rooms.Publish(ctx, "general", Progress{10})
}

func main() {}
