package webpubsub_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
)

// hidden stands in errors that no client may be told of.
const hidden = "hidden-detail"

// params is the opening data of the channel of these tests.
type params struct {
	Room  string `json:"room" query:"room" minLength:"1"`
	Agent string `json:"agent" header:"X-Agent" required:"false"`
}

// user is its session.
type user struct {
	Name string `json:"name"`
}

type room = kanava.Channel[params, user]

type said struct {
	Text string `json:"text"`
}

// app is the channel "/room": who connects is in the room.
type app struct {
	topic *kanava.Topic[said]
	left  chan kanava.CloseCode // of each client whose OnDisconnect ran
	ran   chan string           // each say that ran
}

func (a *app) join(ctx context.Context, ch *room) (said, error) {
	return said{"welcome"}, a.topic.Subscribe(ctx, ch, ch.Opening().Room)
}

func (a *app) leave(_ context.Context, ch *room) error {
	code, _ := ch.Closed()
	a.left <- code
	return nil
}

func (a *app) say(ctx context.Context, ch *room, in said) error {
	a.ran <- in.Text
	return a.topic.Publish(ctx, ch.Opening().Room, in, kanava.Except(ch.ID()))
}

// shout is also for who shouts.
func (a *app) shout(ctx context.Context, ch *room, in said) error {
	return a.topic.Publish(ctx, ch.Opening().Room, in)
}

func (a *app) whoami(_ context.Context, ch *room, _ kanava.None) (said, error) {
	return said{ch.Session().Name}, nil
}

func (a *app) opening(_ context.Context, ch *room, _ kanava.None) (params, error) {
	return ch.Opening(), nil
}

func (a *app) fail(context.Context, *room, kanava.None) error { return errors.New(hidden) }

// large returns as many bytes as are asked for.
func (a *app) large(_ context.Context, _ *room, in size) (said, error) {
	return said{strings.Repeat("x", in.Bytes)}, nil
}

type size struct {
	Bytes int `json:"bytes"`
}

// newServer returns a server with the channel.
func newServer(tb testing.TB, authenticate func(context.Context, *kanava.OpenRequest) (*user, error)) (*kanava.Server[user], *app) {
	tb.Helper()
	logger := slog.New(slog.DiscardHandler)
	hub := kanava.NewEventHub(kanava.HubOptions{Logger: logger})
	tb.Cleanup(hub.Close)
	srv := kanava.NewServer(kanava.Options[user]{
		EventHub: hub, Authenticate: authenticate, Logger: logger,
		Identify: func(u user) kanava.Identity { return kanava.Identity{UserID: u.Name} },
	})
	a := &app{topic: kanava.NewTopic[said](hub, "room"), left: make(chan kanava.CloseCode, 100), ran: make(chan string, 100)}
	srv.Wire(kanava.Wiring[params, user]{
		Name: "room", Route: "/room", Public: true,
		OnConnect: kanava.ConnectFunc(a.join), OnDisconnect: kanava.DisconnectFunc(a.leave),
		Messages: kanava.By("action",
			kanava.OnDo("say", a.say), kanava.OnDo("shout", a.shout), kanava.On("whoami", a.whoami), kanava.On("opening", a.opening),
			kanava.OnDo("fail", a.fail), kanava.On("large", a.large)),
		Declares: []kanava.Declared{a.topic},
	})
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			tb.Errorf("Shutdown: %v", err)
		}
	})
	return srv, a
}
