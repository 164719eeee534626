package main

import (
	"context"

	"github.com/kanava-go/kanava"
)

// RoomParams is the opening data: the room stands in the path, the name in the
// query.
type RoomParams struct {
	Room string `json:"room" path:"room" maxLength:"64"`
	Name string `json:"name" query:"name" minLength:"1" maxLength:"64"`
}

// Room is one client in a room. There are no sessions: everybody may speak.
type Room = kanava.Channel[RoomParams, kanava.None]

// What clients send and get.
type (
	Welcome struct {
		Welcome string `json:"welcome"`
	}
	Text struct {
		Message string `json:"message" minLength:"1" maxLength:"2000"`
	}
	Said struct {
		Name    string `json:"name"`
		Message string `json:"message"`
	}
)

// App holds what the functions need.
type App struct{ rooms *kanava.Topic[Said] }

// Join greets a new client and subscribes it to its room.
func (a *App) Join(ctx context.Context, ch *Room) (Welcome, error) {
	in := ch.Opening()
	return Welcome{"Welcome to " + in.Room + ", " + in.Name + "!"}, a.rooms.Subscribe(ctx, ch, in.Room)
}

// Echo answers messages that name no action.
func (a *App) Echo(_ context.Context, _ *Room, in Text) (Text, error) { return in, nil }

// Say tells the others in the room.
func (a *App) Say(ctx context.Context, ch *Room, in Text) error {
	open := ch.Opening()
	return a.rooms.Publish(ctx, open.Room, Said{open.Name, in.Message}, kanava.Except(ch.ID()))
}

// newServer makes the server with its one channel.
func newServer() *kanava.Server[kanava.None] {
	srv := kanava.NewServer(kanava.Options[kanava.None]{})
	app := &App{rooms: kanava.NewTopic[Said](srv.EventHub(), "room")}
	srv.Wire(kanava.Wiring[RoomParams, kanava.None]{
		Name: "room", Route: "/rooms/{room}", Public: true,
		OnConnect: kanava.ConnectFunc(app.Join),
		OnMessage: kanava.Func(app.Echo),
		Messages:  kanava.By("action", kanava.OnDo("say", app.Say)),
		Declares:  []kanava.Declared{app.rooms},
	})
	return srv
}
