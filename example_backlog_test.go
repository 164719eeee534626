package kanava_test

import (
	"context"
	"fmt"
	"os"

	"github.com/kanava-go/kanava"
)

// dropObserver prints what was dropped.
type dropObserver struct{ kanava.NopObserver }

func (dropObserver) Dropped(_ kanava.ConnInfo, d kanava.Dropped) {
	fmt.Fprintln(os.Stdout, "dropped", d.Volatile, "volatile events")
}

// Backlogs finds the clients that do not read as fast as events are published
// for them.
func ExampleConns_Backlogs() {
	srv := kanava.NewServer(kanava.Options[kanava.None]{Observer: dropObserver{}})
	moves := kanava.NewTopic[[]int](srv.EventHub(), "moves", kanava.Volatile())
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "board", Route: "/board", Public: true,
		Limits: kanava.Limits{Queue: 1000},
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *kanava.Channel[kanava.None, kanava.None]) (string, error) {
			return "welcome", moves.Subscribe(ctx, ch, "main")
		}),
		Declares: []kanava.Declared{moves},
	})
	client := connect(srv, "/board")
	fmt.Println(client.next())
	for i := range 100 { // it reads none of them
		_ = moves.Publish(context.Background(), "main", []int{i, i})
	}
	for _, c := range srv.Conns().Backlogs(500) {
		fmt.Println(c.Channel, c.Items, "items,", c.Bytes, "bytes")
	}
	fmt.Println(client.next())
	fmt.Println("dropped in all:", srv.Conns().TotalBacklog().Dropped.Volatile)
	client.leave()
	// Output:
	// "welcome"
	// board 9 items, 909 bytes
	// dropped 91 volatile events
	// {"topic":"moves:main","data":[91,91]}
	// dropped in all: 91
}
