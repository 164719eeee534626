package kanava_test

import (
	"context"
	"fmt"
	"net/url"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine/memory"
)

// printer is a Platform that prints what clients are told. Transports have real ones:
// see transport/awslambda and transport/webpubsub.
type printer struct{}

func (printer) Send(_ context.Context, id string, f kanava.Frame) error {
	fmt.Println("to", id+":", string(f.Data)) //nolint:forbidigo // it is what the examples show
	return nil
}

func (printer) Close(_ context.Context, id string, code kanava.CloseCode, _ string) error {
	fmt.Println("close", id+":", uint16(code)) //nolint:forbidigo // it is what the examples show
	return nil
}

// The same wiring, where a gateway holds the connections: each event is handed to
// whatever process there is, and finds in the Store what the one before has left.
func ExampleStateless() {
	type User struct {
		ID string `json:"id"`
	}
	type Line = kanava.Channel[kanava.None, User]
	signIn := func(ctx context.Context, ch *Line, in User) error { return ch.SetSession(ctx, in) }
	whoami := func(_ context.Context, ch *Line, _ kanava.None) (User, error) { return ch.Session(), nil }

	store := memory.NewStore() // engine/dynamodb, engine/redis and engine/postgres have others
	process := func() *kanava.Stateless {
		srv := kanava.NewServer(kanava.Options[User]{})
		srv.Wire(kanava.Wiring[kanava.None, User]{
			Name: "line", Route: "/line",
			Messages: kanava.By("action", kanava.OnDo("signIn", signIn, kanava.Public()), kanava.On("whoami", whoami)),
		})
		return srv.Stateless(kanava.StatelessOptions{Store: store, Platform: printer{}})
	}
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	_, err := process().Connect(ctx, "c1", &kanava.OpenRequest{URL: &url.URL{Path: "/line"}})
	check(err)
	check(process().Message(ctx, "c1", []byte(`{"action":"signIn","id":"ann"}`), false, nil))
	check(process().Message(ctx, "c1", []byte(`{"action":"whoami"}`), false, nil))
	check(process().Disconnect(ctx, "c1", kanava.CloseNormal, ""))
	// Output:
	// to c1: {"action":"signIn"}
	// to c1: {"id":"ann","action":"whoami"}
}

// A Platform is what sends to the connections.
func ExamplePlatform() {
	var p kanava.Platform = printer{}
	_ = p.Close(context.Background(), "c1", kanava.CloseNormal, "done")
	// Output:
	// close c1: 1000
}
