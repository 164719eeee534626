package kanava_test

import (
	"context"
	"fmt"
	"os"

	"github.com/kanava-go/kanava"
)

// printObserver implements a part of Observer; NopObserver does the rest.
type printObserver struct{ kanava.NopObserver }

func (printObserver) ConnOpened(c kanava.ConnInfo) {
	fmt.Fprintln(os.Stdout, "opened", c.Channel)
}

func (printObserver) OpenRefused(_ string, err *kanava.Error) {
	fmt.Fprintln(os.Stdout, "refused:", err.Code)
}

func (printObserver) CallStarted(ctx context.Context, c kanava.CallInfo) (context.Context, func(kanava.Code)) {
	return ctx, func(code kanava.Code) { // a span would end here
		fmt.Fprintf(os.Stdout, "called %s %q: %q\n", c.Kind, c.Action, code)
	}
}

// An observer feeds metrics and traces.
func ExampleObserver() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	type Number struct {
		N int `json:"n"`
	}
	halve := func(_ context.Context, _ *Line, in Number) (int, error) {
		if in.N%2 != 0 {
			return 0, kanava.Invalid("/n", "must be even")
		}
		return in.N / 2, nil
	}
	srv := kanava.NewServer(kanava.Options[kanava.None]{Observer: printObserver{}})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "math", Route: "/math", Public: true,
		Messages: kanava.By("action", kanava.On("halve", halve)),
	})
	client := connect(srv, "/math")
	client.ask(`{"action":"halve","n":4}`)
	client.ask(`{"action":"halve","n":3}`)
	client.leave()
	_, _ = connectAs(srv, "/history", "")
	// Output:
	// opened math
	// called message "halve": ""
	// called message "halve": "invalid_argument"
	// refused: not_found
}
