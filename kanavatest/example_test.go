package kanavatest_test

import (
	"context"
	"fmt"
	"net/url"
	"testing"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// The program under test: a room in which clients say things.
type (
	Params struct {
		Room string `query:"room" minLength:"1"`
	}
	User struct {
		ID string `json:"id"`
	}
	Text struct {
		Text string `json:"text" minLength:"1"`
	}
	Said struct {
		Text string `json:"text"`
		By   string `json:"by"`
	}
	Room = kanava.Channel[Params, User]
)

type App struct{ Rooms *kanava.Topic[Said] }

func (a *App) Join(ctx context.Context, ch *Room) (Text, error) {
	return Text{"welcome"}, a.Rooms.Subscribe(ctx, ch, ch.Opening().Room)
}

func (a *App) Say(ctx context.Context, ch *Room, in Text) (Said, error) {
	said := Said{in.Text, ch.Session().ID}
	return said, a.Rooms.Publish(ctx, ch.Opening().Room, said, kanava.Except(ch.ID()))
}

func (a *App) Repeat(ctx context.Context, _ *Room, in Text, out *kanava.Stream[Text]) error {
	for range 2 {
		if err := out.Send(ctx, in); err != nil {
			return err
		}
	}
	return nil
}

// NewServer is what main and the tests make.
func NewServer() *kanava.Server[User] {
	srv := kanava.NewServer(kanava.Options[User]{Authenticate: authenticate})
	a := &App{kanava.NewTopic[Said](srv.EventHub(), "room")}
	srv.Wire(kanava.Wiring[Params, User]{
		Name: "room", Route: "/room",
		OnConnect: kanava.ConnectFunc(a.Join),
		Messages: kanava.By("action",
			kanava.On("say", a.Say),
			kanava.OnStream("repeat", a.Repeat),
		),
		Declares: []kanava.Declared{a.Rooms},
	})
	return srv
}

func authenticate(_ context.Context, r *kanava.OpenRequest) (*User, error) {
	if r.Token == "forged" {
		return nil, kanava.Errorf(kanava.CodeUnauthenticated, "invalid token")
	}
	return &User{"ann"}, nil
}

// A wired server is driven as a client does: with messages and what it is sent.
func ExampleDial() {
	// In a test, t is its *testing.T.
	t := newT()
	defer t.end()

	srv := NewServer()
	ann, bob := kanavatest.Dial(t, srv, "/room?room=lobby"), kanavatest.Dial(t, srv, "/room?room=lobby")
	ann.Expect(`{"text":"welcome"}`)
	bob.Expect(`{"text":"welcome"}`) // he is subscribed now

	ann.SendText(`{"action":"say","text":"hi"}`)
	ann.Expect(`{"action":"say","text":"hi","by":"ann"}`)
	bob.Expect(`{"topic":"room:lobby","data":{"text":"hi","by":"ann"}}`)
	ann.ExpectNone()

	fmt.Println("as expected")
	// Output: as expected
}

// DialRequest tests who is let in.
func ExampleDialRequest() {
	t := newT()
	defer t.end()

	_, err := kanavatest.DialRequest(t, NewServer(), &kanava.OpenRequest{
		URL:   &url.URL{Path: "/room", RawQuery: "room=lobby"},
		Token: "forged",
	})
	fmt.Println(err)
	// Output: unauthenticated: invalid token
}

// Into decodes a frame whose every byte is not known before.
func ExampleInto() {
	t := newT()
	defer t.end()

	client := kanavatest.Dial(t, NewServer(), "/room?room=lobby")
	client.Expect(`{"text":"welcome"}`)
	client.Send(map[string]string{"action": "say", "text": "hi"})
	said := kanavatest.Into[Said](client)
	fmt.Println(said.Text, "by", said.By)
	// Output: hi by ann
}

// A function is called as any other: NewChannel makes the channel it wants,
// with opening data and a session, and no server.
func ExampleNewChannel() {
	t := newT()
	defer t.end()

	hub := kanava.NewEventHub(kanava.HubOptions{})
	defer hub.Close()
	app := &App{kanava.NewTopic[Said](hub, "room")}
	ch := kanavatest.NewChannel(t, Params{Room: "lobby"}, &User{ID: "bob"})

	said, err := app.Say(context.Background(), ch, Text{"hello"})
	fmt.Println(said, err)
	// Output: {hello bob} <nil>
}

// A function that names a channel by its id needs one that the hub knows.
func ExampleNewChannelOn() {
	t := newT()
	defer t.end()

	hub := kanava.NewEventHub(kanava.HubOptions{})
	defer hub.Close()
	watch := func(ctx context.Context, ch *Room, _ kanava.None) error {
		return hub.Subscribe(ctx, "news", ch.ID())
	}
	ch := kanavatest.NewChannelOn[Params, User](t, hub, Params{Room: "lobby"}, nil)

	ctx := context.Background()
	fmt.Println(watch(ctx, ch, kanava.None{}), hub.Publish(ctx, "news", "rain"))
	fmt.Println(kanavatest.ClientOf(t, ch).Next())
	// Output:
	// <nil> <nil>
	// {"topic":"news","data":"rain"}
}

// ClientOf is the client at the other end of such a channel.
func ExampleClientOf() {
	t := newT()
	defer t.end()

	hub := kanava.NewEventHub(kanava.HubOptions{})
	defer hub.Close()
	app := &App{kanava.NewTopic[Said](hub, "room")}
	ch := kanavatest.NewChannel(t, Params{Room: "lobby"}, &User{ID: "bob"})

	ctx := context.Background()
	welcome, err := app.Join(ctx, ch)
	fmt.Println(welcome, err)
	fmt.Println(app.Rooms.Publish(ctx, "lobby", Said{"hi", "ann"}))
	fmt.Println(kanavatest.ClientOf(t, ch).Next())
	// Output:
	// {welcome} <nil>
	// <nil>
	// {"topic":"room:lobby","data":{"text":"hi","by":"ann"}}
}

// NewStream records what a stream function sends.
func ExampleNewStream() {
	t := newT()
	defer t.end()

	app := &App{}
	out, record := kanavatest.NewStream[Text](t)
	err := app.Repeat(context.Background(), nil, Text{"again"}, out)
	fmt.Println(record.Sent(), err)
	// Output: [{again} {again}] <nil>
}

// SameJSON compares texts as JSON does.
func ExampleSameJSON() {
	fmt.Println(kanavatest.SameJSON(`{"a":1,"b":[2]}`, `{"b": [2], "a": 1}`))
	fmt.Println(kanavatest.SameJSON(`[1,2]`, `[2,1]`))
	// Output:
	// true
	// false
}

// exampleT is the testing.TB of an example: an example has none.
type exampleT struct {
	testing.TB
	cleanups []func()
}

func newT() *exampleT { return &exampleT{} }

func (t *exampleT) Helper()                         {}
func (t *exampleT) Cleanup(f func())                { t.cleanups = append(t.cleanups, f) }
func (t *exampleT) Errorf(text string, args ...any) { panic(fmt.Sprintf(text, args...)) }
func (t *exampleT) Fatal(args ...any)               { panic(fmt.Sprint(args...)) }
func (t *exampleT) Fatalf(text string, args ...any) { panic(fmt.Sprintf(text, args...)) }

// end does what the end of a test does.
func (t *exampleT) end() {
	for len(t.cleanups) > 0 {
		last := len(t.cleanups) - 1
		f := t.cleanups[last]
		t.cleanups = t.cleanups[:last]
		f()
	}
}
