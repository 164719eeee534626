// Server is what is measured: a Kanava server with the three channels that
// every other server of the comparison has too. Echo connections send more
// messages than the rate limits let through, which are off; all else is as it
// comes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/ws"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:9001", "`address` to listen on")
	behind := flag.Bool("http", false, "serve behind net/http, in place of a server of WebSocket connections alone")
	flag.Parse()
	if err := serve(*addr, *behind); err != nil {
		log.Fatal(err)
	}
}

// front takes connections.
type front interface {
	Serve(l net.Listener) error
	Shutdown(ctx context.Context) error
}

func serve(addr string, behind bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	srv := newServer()
	var web front = ws.NewServer(srv, ws.Options{})
	if behind {
		web = &http.Server{Handler: ws.Handler(srv, ws.Options{}), ReadHeaderTimeout: 10 * time.Second}
	}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(l) }()
	fmt.Println("listening on", addr)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	over, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(web.Shutdown(over), srv.Shutdown(over))
}

type (
	none struct{}
	conn = kanava.Channel[none, none]

	say struct {
		Message string `json:"message" maxLength:"1024"`
	}
	said struct {
		Message   string `json:"message"`
		Timestamp int64  `json:"timestamp"`
	}
	topic struct {
		Topic string `json:"topic"`
	}
	publication struct {
		Topic   string         `json:"topic"`
		Payload jsontext.Value `json:"payload"`
	}
)

type app struct{ hub *kanava.EventHub }

func newServer() *kanava.Server[none] {
	srv := kanava.NewServer(kanava.Options[none]{Limits: kanava.Limits{Rate: kanava.Unlimited}})
	a := &app{srv.EventHub()}
	srv.Wire(
		kanava.Wiring[none, none]{Name: "echo", Route: "/echo", Public: true, OnMessage: kanava.Func(a.echo)},
		kanava.Wiring[none, none]{Name: "typed", Route: "/typed", Public: true, Messages: kanava.By("action", kanava.On("echo", a.typed))},
		kanava.Wiring[none, none]{
			Name: "topic", Route: "/topic", Public: true,
			Messages: kanava.By("action", kanava.OnDo("join", a.join), kanava.OnDo("leave", a.leave), kanava.OnDo("pub", a.publish)),
		},
	)
	return srv
}

func (a *app) echo(_ context.Context, _ *conn, in jsontext.Value) (jsontext.Value, error) {
	return in, nil
}

func (a *app) typed(_ context.Context, _ *conn, in say) (said, error) {
	return said{in.Message, time.Now().UnixMilli()}, nil
}

func (a *app) join(ctx context.Context, ch *conn, in topic) error {
	return a.hub.Subscribe(ctx, in.Topic, ch.ID())
}

func (a *app) leave(ctx context.Context, ch *conn, in topic) error {
	return a.hub.Unsubscribe(ctx, in.Topic, ch.ID())
}

func (a *app) publish(ctx context.Context, _ *conn, in publication) error {
	return a.hub.Publish(ctx, in.Topic, in.Payload)
}
