package awslambda_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
}

func (a *app) join(ctx context.Context, ch *room) (said, error) {
	if ch.Opening().Room == "broken" {
		return said{}, errors.New(hidden)
	}
	return said{"welcome"}, a.topic.Subscribe(ctx, ch, ch.Opening().Room)
}

func (a *app) leave(_ context.Context, ch *room) error {
	code, _ := ch.Closed()
	a.left <- code
	return nil
}

func (a *app) echo(_ context.Context, _ *room, in said) (said, error) { return in, nil }

func (a *app) say(ctx context.Context, ch *room, in said) error {
	return a.topic.Publish(ctx, ch.Opening().Room, in)
}

func (a *app) signIn(ctx context.Context, ch *room, in said) error {
	return ch.SetSession(ctx, user{in.Text})
}

func (a *app) whoami(_ context.Context, ch *room, _ kanava.None) (said, error) {
	return said{ch.Session().Name}, nil
}

func (a *app) opening(_ context.Context, ch *room, _ kanava.None) (params, error) {
	return ch.Opening(), nil
}

func (a *app) fail(context.Context, *room, kanava.None) error { return errors.New(hidden) }

// slow runs until its time is over.
func (a *app) slow(ctx context.Context, _ *room, _ kanava.None) error {
	<-ctx.Done()
	return ctx.Err()
}

// large returns as many bytes as the text says.
func (a *app) large(_ context.Context, _ *room, in size) (said, error) {
	return said{string(make([]byte, in.Bytes))}, nil
}

type size struct {
	Bytes int `json:"bytes"`
}

func (a *app) wiring() kanava.Wiring[params, user] {
	return kanava.Wiring[params, user]{
		Name: "room", Route: "/room", Public: true,
		OnConnect: kanava.ConnectFunc(a.join), OnDisconnect: kanava.DisconnectFunc(a.leave), OnMessage: kanava.Func(a.echo),
		Messages: kanava.By("action",
			kanava.OnDo("say", a.say), kanava.OnDo("signIn", a.signIn), kanava.On("whoami", a.whoami), kanava.On("opening", a.opening),
			kanava.OnDo("fail", a.fail), kanava.OnDo("slow", a.slow), kanava.On("large", a.large)),
		Declares: []kanava.Declared{a.topic},
	}
}

// newServer returns a server with the channel, on a hub with this engine if there
// is one.
func newServer(tb testing.TB, joined engine.Engine, authenticate func(context.Context, *kanava.OpenRequest) (*user, error)) (*kanava.Server[user], *app) {
	tb.Helper()
	logger := slog.New(slog.DiscardHandler)
	hub := kanava.NewEventHub(kanava.HubOptions{Engine: joined, Logger: logger})
	tb.Cleanup(hub.Close)
	srv := kanava.NewServer(kanava.Options[user]{
		EventHub: hub, Authenticate: authenticate, Logger: logger, Origins: []string{"https://app.example.com"},
		Identify: func(u user) kanava.Identity { return kanava.Identity{UserID: u.Name} },
	})
	a := &app{topic: kanava.NewTopic[said](hub, "room"), left: make(chan kanava.CloseCode, 100)}
	srv.Wire(a.wiring())
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			tb.Errorf("Shutdown: %v", err)
		}
	})
	return srv, a
}

// sample returns one of AWS's sample events.
func sample(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "aws", name+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}
