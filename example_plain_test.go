package kanava_test

import (
	"context"
	"fmt"

	"github.com/kanava-go/kanava"
)

// A plain function knows nothing of channels: it can be called from anywhere,
// and mounted on any number of channels.
func ExamplePlainFunc() {
	type Pair struct {
		A int `json:"a"`
		B int `json:"b"`
	}
	add := kanava.PlainFunc(func(_ context.Context, in Pair) (int, error) { return in.A + in.B, nil })

	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "math", Route: "/math", Public: true,
		Messages: kanava.By[kanava.None, kanava.None]("op").Plain("add", add).Plain("plus", add),
	})
	client := connect(srv, "/math")
	defer client.leave()
	fmt.Println(client.ask(`{"op":"add","a":1,"b":2}`))
	fmt.Println(client.ask(`{"op":"plus","a":3,"b":4}`))
	// Output:
	// {"op":"add","result":3}
	// {"op":"plus","result":7}
}

// PlainDo is for functions without a result.
func ExamplePlainDo() {
	type Line struct {
		Text string `json:"text"`
	}
	write := kanava.PlainDo(func(_ context.Context, in Line) error {
		fmt.Println("log:", in.Text)
		return nil
	})
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "log", Route: "/log", Public: true,
		Messages: kanava.By[kanava.None, kanava.None]("action").Plain("write", write),
	})
	client := connect(srv, "/log")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"write","text":"hello"}`))
	// Output:
	// log: hello
	// {"action":"write"}
}

// PlainStream is for functions that send any number of values.
func ExamplePlainStream() {
	type Text struct {
		Text string `json:"text"`
	}
	letters := kanava.PlainStream(func(ctx context.Context, in Text, out *kanava.Stream[string]) error {
		for _, r := range in.Text {
			if err := out.Send(ctx, string(r)); err != nil {
				return err
			}
		}
		return nil
	})
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "spell", Route: "/spell", Public: true,
		Messages: kanava.By[kanava.None, kanava.None]("action").Plain("spell", letters),
	})
	client := connect(srv, "/spell")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"spell","text":"Go"}`))
	fmt.Println(client.next())
	fmt.Println(client.next())
	// Output:
	// "G"
	// "o"
	// {"action":"spell"}
}

// SessionFrom tells a plain function who calls it.
func ExampleSessionFrom() {
	type User struct {
		ID string `json:"id"`
	}
	greet := kanava.PlainFunc(func(ctx context.Context, _ kanava.None) (string, error) {
		user, ok := kanava.SessionFrom[User](ctx)
		if !ok {
			return "Hello, stranger", nil
		}
		return "Hello, " + user.ID, nil
	}, kanava.Public())

	srv := kanava.NewServer(kanava.Options[User]{
		Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*User, error) {
			if r.Token == "" {
				return nil, nil
			}
			return &User{r.Token}, nil
		},
	})
	srv.Wire(kanava.Wiring[kanava.None, User]{
		Name: "greet", Route: "/greet",
		Messages: kanava.By[kanava.None, User]("action").Plain("greet", greet),
	})
	for _, token := range []string{"ann", ""} {
		client, err := connectAs(srv, "/greet", token)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(client.ask(`{"action":"greet"}`))
		client.leave()
	}
	// Output:
	// {"action":"greet","result":"Hello, ann"}
	// {"action":"greet","result":"Hello, stranger"}
}

// NewStream makes a stream for code that calls a stream function itself.
func ExampleNewStream() {
	count := func(ctx context.Context, upTo int, out *kanava.Stream[int]) error {
		for i := range upTo {
			if err := out.Send(ctx, i); err != nil {
				return err
			}
		}
		return nil
	}
	sum := 0
	err := count(context.Background(), 4, kanava.NewStream(func(_ context.Context, i int) error {
		sum += i
		return nil
	}))
	fmt.Println(sum, err)
	// Output: 6 <nil>
}

// None stands for nothing: no opening data, no session, no input, no output.
func ExampleNone() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	wave := func(context.Context, *Line, kanava.None) (kanava.None, error) { return kanava.None{}, nil }

	client := connect(oneRoute(kanava.On("wave", wave)), "/")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"wave"}`))
	fmt.Println(client.ask(`{"action":"wave","to":"ann"}`))
	// Output:
	// {"action":"wave"}
	// {"action":"wave","error":{"code":"invalid_argument","message":"invalid input","details":[{"pointer":"/to","message":"unknown member \"to\""}]}}
}
