package main

import (
	"context"
	"net/http"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/transport/sse"
	"github.com/kanava-go/kanava/transport/ws"
)

// Visit is what a visitor says when it connects. Anybody is who they say they are:
// this is an example of something else.
type Visit struct {
	Visitor string `query:"visitor" doc:"Name of the visitor" minLength:"1" maxLength:"24"`
}

// Visitor is the session.
type Visitor struct{ Name string }

// Place is where a visitor is connected.
type Place struct {
	Node string `json:"node"`
}

// Tick is what each node publishes each second.
type Tick struct {
	Node string    `json:"node"`
	N    int       `json:"n"` // of the node, from its start on
	At   time.Time `json:"at"`
}

type visit = kanava.Channel[Visit, Visitor]

// app is one node's part of the program. What the others do reaches it through the
// topic and the presence.
type app struct {
	node  string
	ticks *kanava.Topic[Tick]
	there *kanava.Presence[Place]
}

// everybody is the one key of the topic and the presence.
const everybody = "all"

// newServer puts a node together. The engine joins it with the others.
func newServer(node string, joins engine.Engine) (*app, *kanava.Server[Visitor], http.Handler) {
	hub := kanava.NewEventHub(kanava.HubOptions{Engine: joins})
	srv := kanava.NewServer(kanava.Options[Visitor]{
		EventHub: hub,
		Identify: func(v Visitor) kanava.Identity { return kanava.Identity{UserID: v.Name} },
		Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*Visitor, error) {
			return &Visitor{Name: r.URL.Query().Get("visitor")}, nil
		},
		DrainSpread: time.Second,
	})
	a := &app{
		node: node,
		// A visitor who comes back within ten minutes misses none.
		ticks: kanava.NewTopic[Tick](hub, "visits", kanava.Recoverable(2000, 10*time.Minute)),
		there: kanava.NewPresence[Place](hub, "visits"),
	}
	srv.Wire(kanava.Wiring[Visit, Visitor]{
		Name: "cluster", Route: "/visit",
		OnConnect: kanava.ConnectFunc(a.welcome),
		Declares:  []kanava.Declared{a.ticks, a.there},
	})
	return a, srv, ws.Handler(srv, ws.Options{Fallback: sse.Handler(srv, sse.Options{})})
}

// welcome tells the visitor on which node it is.
func (a *app) welcome(ctx context.Context, ch *visit) (Place, error) {
	here := Place{Node: a.node}
	if err := a.there.Join(ctx, ch, everybody, here); err != nil {
		return here, err
	}
	return here, a.ticks.Subscribe(ctx, ch, everybody)
}

// tick publishes each second, until ctx ends.
func (a *app) tick(ctx context.Context) {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case now := <-every.C:
			// While the cluster has no leader the tick is lost; the next one is not.
			_ = a.ticks.Publish(ctx, everybody, Tick{Node: a.node, N: n, At: now})
		}
	}
}
