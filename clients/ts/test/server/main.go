// Command server is what the tests of the TypeScript run-time talk to where the
// examples do not do it: it asks its clients, lets them subscribe themselves, and
// cuts them off.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/sse"
	"github.com/kanava-go/kanava/transport/ws"
)

type (
	conn = kanava.Channel[kanava.None, kanava.None]
	text struct {
		Text string `json:"text"`
	}
)

type app struct {
	log     *kanava.Topic[text]
	confirm *kanava.ClientFunc[text, text]
}

// ask asks the client what it is asked.
func (a *app) ask(ctx context.Context, ch *conn, in text) (text, error) {
	return a.confirm.Call(ctx, ch, in)
}

func (a *app) publish(ctx context.Context, _ *conn, in text) error {
	return a.log.Publish(ctx, "a", in)
}

// cut ends the connection, and publishes when nobody is there to hear it.
func (a *app) cut(ctx context.Context, ch *conn, in text) error {
	if err := ch.Close(ctx, 4200, ""); err != nil {
		return err
	}
	later := context.WithoutCancel(ctx)
	go func() { // ends with the connection
		<-ch.Context().Done()
		if err := a.log.Publish(later, "a", in); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return nil
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	a := &app{
		log: kanava.NewTopic[text](srv.EventHub(), "log", kanava.ClientSubscribable(), kanava.Recoverable(100, time.Hour), kanava.MaySubscribe(
			func(_ context.Context, _ kanava.None, key string) error {
				if key == "secret" {
					return kanava.Errorf(kanava.CodePermissionDenied, "not for you")
				}
				return nil
			})),
		confirm: kanava.NewClientFunc[text, text]("confirm"),
	}
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "test", Route: "/test", Public: true,
		Messages: kanava.By("action", kanava.On("ask", a.ask, kanava.Concurrent()), kanava.OnDo("publish", a.publish), kanava.OnDo("cut", a.cut)),
		Declares: []kanava.Declared{a.log, a.confirm},
	})
	var listen net.ListenConfig
	ln, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "open http://%s\n", ln.Addr())
	server := http.Server{
		Handler:           ws.Handler(srv, ws.Options{Fallback: sse.Handler(srv, sse.Options{})}),
		ReadHeaderTimeout: 15 * time.Second,
	}
	return server.Serve(ln)
}
