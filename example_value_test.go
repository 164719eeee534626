package kanava_test

import (
	"context"
	"fmt"

	"github.com/kanava-go/kanava"
)

// A Value is kept with the connection from one call to the next.
func ExampleNewValue() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	type Filter struct {
		Word string `json:"word"`
	}
	filter := kanava.NewValue[Filter]("filter")
	set := func(ctx context.Context, ch *Line, in Filter) error { return filter.Set(ctx, ch, in) }
	get := func(ctx context.Context, ch *Line, _ kanava.None) (string, error) {
		f, ok, err := filter.Get(ctx, ch)
		if !ok {
			return "no filter", err
		}
		return "only " + f.Word, err
	}

	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "news", Route: "/news", Public: true,
		Messages: kanava.By("action", kanava.OnDo("set", set), kanava.On("get", get)),
		Declares: []kanava.Declared{filter},
	})
	client := connect(srv, "/news")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"get"}`))
	client.ask(`{"action":"set","word":"boats"}`)
	fmt.Println(client.ask(`{"action":"get"}`))
	// Output:
	// {"action":"get","result":"no filter"}
	// {"action":"get","result":"only boats"}
}
