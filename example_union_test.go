package kanava_test

import (
	"context"
	"fmt"

	"github.com/kanava-go/kanava"
)

// Shape is a union: a Square or a Rectangle. Its JSON has a member "kind" that
// tells which.
type Shape interface{ Area() int }

type Square struct {
	Side int `json:"side" minimum:"1"`
}

type Rectangle struct {
	Width  int `json:"width"`
	Height int `json:"height"`
}

func (s Square) Area() int    { return s.Side * s.Side }
func (r Rectangle) Area() int { return r.Width * r.Height }

var _ = kanava.OneOf("kind", map[string]Shape{"square": Square{}, "rectangle": Rectangle{}})

type Measured struct {
	Shape Shape `json:"shape"`
	Area  int   `json:"area"`
}

// A union can stand wherever a type can: here as an element of the input, and
// as a member of the output.
func ExampleOneOf() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	measure := func(_ context.Context, _ *Line, shapes []Shape) ([]Measured, error) {
		out := make([]Measured, len(shapes))
		for i, s := range shapes {
			out[i] = Measured{s, s.Area()}
		}
		return out, nil
	}
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "measure", Route: "/measure", Public: true,
		OnMessage: kanava.Func(measure),
	})
	client := connect(srv, "/measure")
	defer client.leave()
	fmt.Println(client.ask(`[{"kind":"square","side":3}]`))
	fmt.Println(client.ask(`[{"kind":"square","side":0}]`))
	fmt.Println(client.ask(`[{"kind":"circle","radius":1}]`))
	// Output:
	// [{"shape":{"kind":"square","side":3},"area":9}]
	// {"error":{"code":"invalid_argument","message":"invalid input","details":[{"pointer":"/0/side","message":"must be at least 1"}]}}
	// {"error":{"code":"invalid_argument","message":"invalid input","details":[{"pointer":"/0/kind","message":"must be one of \"rectangle\", \"square\""}]}}
}
