package kanava_test

import (
	"fmt"
	"time"

	"github.com/kanava-go/kanava"
)

// What a subscriber is to see of a topic that it cannot follow is said once,
// where the topic is made.
func ExampleRecoverable() {
	type Price struct{ Symbol, Value string }
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	hub := srv.EventHub()
	topics := []kanava.Declared{
		kanava.NewTopic[string](hub, "audit", kanava.Ordered()),
		kanava.NewTopic[string](hub, "room", kanava.Recoverable(1000, time.Hour)),
		kanava.NewTopic[string](hub, "talk", kanava.Recoverable(1000, time.Hour), kanava.Private()),
		kanava.NewTopic[int](hub, "load", kanava.Volatile()),
		kanava.NewTopic[string](hub, "status", kanava.Latest()),
		kanava.NewTopic[Price](hub, "price", kanava.LatestBy(func(p Price) string { return p.Symbol })),
	}
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{Name: "board", Route: "/board", Declares: topics})
	for _, t := range srv.Manifest().Channels[0].Topics {
		fmt.Println(t.Name, t.Class)
	}
	// Output:
	// audit ordered
	// room recoverable
	// talk recoverable
	// load volatile
	// status latest
	// price latest
}
