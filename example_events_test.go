package kanava_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/kanava-go/kanava"
)

// A topic is a family: one order book for each stock. Events have one type,
// and all who subscribe to a key get them.
func ExampleNewTopic() {
	type Params struct {
		Stock string `path:"stock"`
	}
	type Trade struct {
		Price int `json:"price"`
	}
	hub := kanava.NewEventHub(kanava.HubOptions{})
	defer hub.Close()
	trades := kanava.NewTopic[Trade](hub, "trades")

	watch := func(ctx context.Context, ch *kanava.Channel[Params, kanava.None]) (kanava.None, error) {
		return kanava.None{}, trades.Subscribe(ctx, ch, ch.Opening().Stock)
	}
	srv := kanava.NewServer(kanava.Options[kanava.None]{EventHub: hub})
	srv.Wire(kanava.Wiring[Params, kanava.None]{
		Name: "ticker", Route: "/ticker/{stock}", Public: true,
		OnConnect: kanava.ConnectFunc(watch),
		OnMessage: kanava.Func(func(context.Context, *kanava.Channel[Params, kanava.None], kanava.None) (string, error) {
			return "pong", nil
		}),
		Declares: []kanava.Declared{trades},
	})
	client := connect(srv, "/ticker/gold")
	defer client.leave()
	fmt.Println(client.ask(`{}`)) // OnConnect comes first, so this waits for it

	ctx := context.Background()
	fmt.Println(trades.Publish(ctx, "gold", Trade{1900}))
	fmt.Println(trades.Publish(ctx, "silver", Trade{24})) // nobody watches: not an error
	fmt.Println(client.next())
	// Output:
	// "pong"
	// <nil>
	// <nil>
	// {"topic":"trades:gold","data":{"price":1900}}
}

// MaySubscribe decides who gets the events of a key: when a client subscribes,
// and again whenever its session changes.
func ExampleMaySubscribe() {
	type User struct {
		ID    string   `json:"id"`
		Teams []string `json:"teams"`
	}
	type Line = kanava.Channel[kanava.None, User]
	type Team struct {
		Team string `json:"team"`
	}
	mayRead := func(_ context.Context, u User, team string) error {
		if !slices.Contains(u.Teams, team) {
			return kanava.Errorf(kanava.CodePermissionDenied, "you are not in team %s", team)
		}
		return nil
	}
	srv := kanava.NewServer(kanava.Options[User]{
		Authenticate: func(context.Context, *kanava.OpenRequest) (*User, error) {
			return &User{"ann", []string{"red"}}, nil
		},
	})
	news := kanava.NewTopic[string](srv.EventHub(), "team", kanava.MaySubscribe(mayRead))
	follow := func(ctx context.Context, ch *Line, in Team) error { return news.Subscribe(ctx, ch, in.Team) }
	srv.Wire(kanava.Wiring[kanava.None, User]{
		Name: "teams", Route: "/teams",
		Messages: kanava.By("action", kanava.OnDo("follow", follow)),
		Declares: []kanava.Declared{news},
	})
	client := connect(srv, "/teams")
	defer client.leave()
	fmt.Println(client.ask(`{"action":"follow","team":"red"}`))
	fmt.Println(client.ask(`{"action":"follow","team":"blue"}`))
	// Output:
	// {"action":"follow"}
	// {"action":"follow","error":{"code":"permission_denied","message":"you are not in team blue"}}
}

// Who causes an event usually knows of it: Except keeps it from them.
func ExampleExcept() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	type Text struct {
		Text string `json:"text"`
	}
	hub := kanava.NewEventHub(kanava.HubOptions{})
	defer hub.Close()
	lobby := kanava.NewTopic[Text](hub, "lobby")

	srv := kanava.NewServer(kanava.Options[kanava.None]{EventHub: hub})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "lobby", Route: "/lobby", Public: true,
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *Line) (string, error) {
			return "welcome", lobby.Subscribe(ctx, ch, "all")
		}),
		Messages: kanava.By("action", kanava.OnDo("say", func(ctx context.Context, ch *Line, in Text) error {
			return lobby.Publish(ctx, "all", in, kanava.Except(ch.ID()))
		})),
		Declares: []kanava.Declared{lobby},
	})
	ann, bob := connect(srv, "/lobby"), connect(srv, "/lobby")
	defer ann.leave()
	defer bob.leave()
	fmt.Println(ann.next(), bob.next())
	fmt.Println(ann.ask(`{"action":"say","text":"hi"}`)) // the reply, and no event
	fmt.Println(bob.next())
	// Output:
	// "welcome" "welcome"
	// {"action":"say"}
	// {"topic":"lobby:all","data":{"text":"hi"}}
}

// A hub by itself: topics are names, subscribers are ids, payloads are of any
// type. Programs mostly use a Topic.
func ExampleEventHub() {
	type Line = kanava.Channel[kanava.None, kanava.None]
	hub := kanava.NewEventHub(kanava.HubOptions{})
	defer hub.Close() // who makes a hub closes it

	srv := kanava.NewServer(kanava.Options[kanava.None]{EventHub: hub})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "news", Route: "/news", Public: true,
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *Line) (string, error) {
			return "welcome", hub.Subscribe(ctx, "news", ch.ID())
		}),
	})
	client := connect(srv, "/news")
	defer client.leave()
	fmt.Println(client.next())

	ctx := context.Background()
	fmt.Println(hub.Publish(ctx, "news", map[string]int{"temperature": 21}))
	fmt.Println(client.next())
	fmt.Println(hub.Publish(ctx, "news", []byte{0xca, 0xfe}))
	fmt.Println(client.next())
	// Output:
	// "welcome"
	// <nil>
	// {"topic":"news","data":{"temperature":21}}
	// <nil>
	// bytes: cafe
}

// A listener is code of the program that gets events.
func ExampleEventHub_Listen() {
	hub := kanava.NewEventHub(kanava.HubOptions{})
	events := make(chan kanava.Event)
	listener := hub.Listen(func(_ context.Context, ev kanava.Event) { events <- ev })

	ctx := context.Background()
	if err := hub.Subscribe(ctx, "orders", listener.ID()); err != nil {
		fmt.Println(err)
	}
	if err := hub.Publish(ctx, "orders", map[string]int{"id": 7}); err != nil {
		fmt.Println(err)
	}
	ev := <-events
	fmt.Println(ev.Topic, string(ev.Data))

	hub.Close()
	<-listener.Done()
	fmt.Println(listener.Err() == kanava.ErrClosed)
	// Output:
	// orders {"id":7}
	// true
}

// A push goes to one client, whenever there is something to tell: the id of
// its connection is all that has to be kept.
func ExampleNewPush() {
	type Alert struct {
		Text string `json:"text"`
	}
	alerts := kanava.NewPush[Alert]("alert")
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
		Name: "line", Route: "/line", Public: true,
		Declares: []kanava.Declared{alerts},
	})
	client := connect(srv, "/line")
	defer client.leave()

	ctx := context.Background()
	conn, err := srv.Conns().Get(ctx, client.link.ID())
	if err != nil {
		fmt.Println("no longer connected")
		return
	}
	fmt.Println(alerts.Send(ctx, conn, Alert{"dinner is ready"}))
	fmt.Println(client.next())
	// Output:
	// <nil>
	// {"text":"dinner is ready"}
}
