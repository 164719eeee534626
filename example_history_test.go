package kanava_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kanava-go/kanava"
)

// A program reads what a topic keeps, and follows it from there.
func ExampleTopic_History() {
	hub := kanava.NewEventHub(kanava.HubOptions{})
	defer hub.Close()
	rooms := kanava.NewTopic[string](hub, "room", kanava.Recoverable(100, time.Hour))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, text := range []string{"one", "two"} {
		fmt.Println(rooms.Publish(ctx, "general", text))
	}
	page, err := rooms.History(ctx, "general", kanava.Position{}, 10)
	fmt.Println(page.Events, page.More, err)

	// What comes between the page and the loop is in the loop.
	fmt.Println(rooms.Publish(ctx, "general", "three"))
	for text, err := range rooms.Listen(ctx, "general", kanava.Since(page.At)) {
		var lost *kanava.LostError
		switch {
		case errors.As(err, &lost):
			fmt.Println("lost: the loop goes on behind", lost.To.Offset)
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println(text)
			cancel()
		}
	}
	// Output:
	// <nil>
	// <nil>
	// [one two] false <nil>
	// <nil>
	// three
	// context canceled
}
