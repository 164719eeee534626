package kanava_test

import (
	"context"
	"fmt"
	"net/url"
	"sync/atomic"

	"github.com/kanava-go/kanava"
)

// turn is the goroutine of a transport that serves many connections, one after
// the other. A watchdog sets late if a turn takes long, and has another
// goroutine go on with the other connections.
type turn struct{ late atomic.Bool }

func (t *turn) Waits() bool { return !t.late.Load() }

// idlePeer is not woken: what there is to be written is taken after the turn.
type idlePeer struct{}

func (idlePeer) Wake() {}

// A transport whose goroutine serves many connections runs their functions on
// it, which spares each of them a goroutine.
func ExampleHost() {
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	type line = kanava.Channel[kanava.None, kanava.None]
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "echo", Route: "/echo", Public: true,
		OnMessage: kanava.Func(func(_ context.Context, _ *line, in string) (string, error) { return in, nil }),
	})
	link, err := srv.Open(context.Background(), &kanava.OpenRequest{URL: &url.URL{Path: "/echo"}}, idlePeer{})
	if err != nil {
		panic(err)
	}
	link.Start()

	if _, work := link.Accept([]byte(`"hello"`), false); work {
		link.Work(&turn{})
	}
	frames, _ := link.Take(nil, 1<<16)
	fmt.Printf("%s\n", frames[0].Data)
	link.Disconnect(kanava.CloseGoingAway, "")
	// Output: "hello"
}
