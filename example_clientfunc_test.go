package kanava_test

import (
	"context"
	"fmt"

	"github.com/kanava-go/kanava"
)

// A function asks the client that has called it, and waits for the answer. The
// client speaks kanava.v1, as generated clients do.
func ExampleNewClientFunc() {
	type Order struct {
		Item string `json:"item"`
	}
	type Question struct {
		Text string `json:"text"`
	}
	type Answer struct {
		Yes bool `json:"yes"`
	}
	type Shop = kanava.Channel[kanava.None, kanava.None]

	confirm := kanava.NewClientFunc[Question, Answer]("confirm")
	buy := func(ctx context.Context, ch *Shop, in Order) (string, error) {
		answer, err := confirm.Call(ctx, ch, Question{"Buy the " + in.Item + "?"})
		if err != nil {
			return "", err
		}
		if !answer.Yes {
			return "", kanava.Errorf(kanava.CodeCanceled, "not bought")
		}
		return in.Item, nil
	}

	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "shop", Route: "/shop", Public: true,
		Messages: kanava.By("action",
			kanava.On("buy", buy, kanava.Concurrent()), // so that the answer is not behind it
		),
		Declares: []kanava.Declared{confirm},
	})

	client := connectV1(srv, "/shop")
	client.tell(`{"do":"buy","id":1,"in":{"item":"boat"}}`)
	question := client.next()
	fmt.Println(question[:len(`{"call":"confirm","id":1,"in":{"text":"Buy the boat?"}`)])
	fmt.Println(client.ask(`{"re":1,"out":{"yes":true}}`))
	client.leave()
	// Output:
	// {"call":"confirm","id":1,"in":{"text":"Buy the boat?"}
	// {"re":1,"out":"boat"}
}
