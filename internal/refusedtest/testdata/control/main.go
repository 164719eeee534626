// What the other programs get wrong, done right.
// compiles
package main

import (
	"context"

	"github.com/kanava-go/kanava"
)

type RoomParams struct {
	Room string `query:"room"`
}

type User struct{ ID string }

type Room = kanava.Channel[RoomParams, User]

type Text struct{ Message string }

type App struct {
	Rooms    *kanava.Topic[Text]
	Welcomes *kanava.Push[Text]
}

func (a *App) Join(ctx context.Context, ch *Room) (Text, error) {
	return Text{"welcome"}, a.Rooms.Subscribe(ctx, ch, ch.Opening().Room)
}

func (a *App) SignIn(ctx context.Context, ch *Room, in Text) (Text, error) {
	if err := a.Welcomes.Send(ctx, ch, in); err != nil {
		return Text{}, err
	}
	return in, ch.SetSession(ctx, User{in.Message})
}

func (a *App) Say(ctx context.Context, ch *Room, in Text) error {
	return a.Rooms.Publish(ctx, ch.Opening().Room, in, kanava.Except(ch.ID()))
}

func (a *App) Count(ctx context.Context, _ *Room, in Text, out *kanava.Stream[Text]) error {
	return out.Send(ctx, in)
}

func (a *App) Shout(ctx context.Context, in Text) error {
	return a.Rooms.Publish(ctx, "general", in)
}

func (a *App) Bye(ctx context.Context, ch *Room, _ kanava.None) error {
	return ch.Close(ctx, kanava.CloseNormal, "bye")
}

func main() {
	srv := kanava.NewServer(kanava.Options[User]{})
	app := &App{Rooms: kanava.NewTopic[Text](srv.EventHub(), "room"), Welcomes: kanava.NewPush[Text]("welcome")}
	srv.Wire(kanava.Wiring[RoomParams, User]{
		Name: "room", Route: "/room",
		OnConnect: kanava.ConnectFunc(app.Join),
		OnMessage: kanava.Func(app.SignIn, kanava.Public()),
		Messages: kanava.By("action",
			kanava.OnDo("say", app.Say),
			kanava.OnStream("count", app.Count),
		).By("verb",
			kanava.OnDo("bye", app.Bye),
		).Plain("shout", kanava.PlainDo(app.Shout)),
		Declares: []kanava.Declared{app.Rooms, app.Welcomes},
	})
}
