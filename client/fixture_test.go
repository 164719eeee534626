package client_test

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/client"
	"github.com/kanava-go/kanava/transport/ws"
)

// A server as users write it.

type (
	roomParams struct {
		Room string `json:"room" query:"room" minLength:"1"`
	}
	user    struct{ ID string }
	room    = kanava.Channel[roomParams, user]
	welcome struct {
		Welcome string `json:"welcome"`
	}
	say struct {
		Message string `json:"message" maxLength:"100"`
	}
	login struct {
		Name string `json:"name"`
	}
	count struct {
		N int `json:"n"`
	}
	question struct {
		Text string `json:"text"`
	}
)

type app struct {
	rooms  *kanava.Topic[say]
	notice *kanava.Push[say]
	sure   *kanava.ClientFunc[question, count]
}

func (a *app) Join(ctx context.Context, ch *room) (welcome, error) {
	name := ch.Opening().Room
	return welcome{"Welcome to " + name}, a.rooms.Subscribe(ctx, ch, name)
}

func (a *app) Login(ctx context.Context, ch *room, in login) error {
	if in.Name == "nobody" {
		return kanava.Errorf(kanava.CodeUnauthenticated, "who is that?")
	}
	return ch.SetSession(ctx, user{in.Name})
}

func (a *app) Say(ctx context.Context, ch *room, in say) (say, error) {
	in.Message = ch.Session().ID + ": " + in.Message
	return in, a.rooms.Publish(ctx, ch.Opening().Room, in)
}

func (a *app) Count(ctx context.Context, _ *room, in count, out *kanava.Stream[count]) error {
	for i := range in.N {
		if err := out.Send(ctx, count{i + 1}); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) Ask(ctx context.Context, ch *room, in question) (count, error) {
	return a.sure.Call(ctx, ch, in)
}

func (a *app) Note(ctx context.Context, ch *room, in say) error {
	return a.notice.Send(ctx, ch, in)
}

func (a *app) Echo(_ context.Context, _ *room, in say) (say, error) { return in, nil }

func (a *app) Reverse(_ context.Context, _ *room, p []byte) ([]byte, error) {
	for i, j := 0, len(p)-1; i < j; i, j = i+1, j-1 {
		p[i], p[j] = p[j], p[i]
	}
	return p, nil
}

func (a *app) Wait(ctx context.Context, _ *room, _ kanava.None) error {
	<-ctx.Done()
	return ctx.Err()
}

func newServer() (*kanava.Server[user], *app) {
	srv := kanava.NewServer(kanava.Options[user]{
		Identify: func(u user) kanava.Identity { return kanava.Identity{UserID: u.ID} },
		Logger:   slog.New(slog.DiscardHandler),
		Limits:   kanava.Limits{Rate: kanava.Unlimited},
	})
	a := &app{
		rooms:  kanava.NewTopic[say](srv.EventHub(), "room"),
		notice: kanava.NewPush[say]("notice"),
		sure:   kanava.NewClientFunc[question, count]("sure"),
	}
	srv.Wire(kanava.Wiring[roomParams, user]{
		Name: "chat", Route: "/chat",
		OnConnect: kanava.ConnectFunc(a.Join),
		OnMessage: kanava.Func(a.Echo, kanava.Public()),
		OnBinary:  kanava.BinaryFunc(a.Reverse, kanava.Public()),
		Messages: kanava.By("action",
			kanava.OnDo("login", a.Login, kanava.Public()),
			kanava.On("say", a.Say),
			kanava.OnStream("count", a.Count, kanava.Public()),
			kanava.On("ask", a.Ask, kanava.Public(), kanava.Concurrent()),
			kanava.OnDo("note", a.Note, kanava.Public()),
			kanava.OnDo("wait", a.Wait, kanava.Public(), kanava.Concurrent()),
		),
		Declares: []kanava.Declared{a.rooms, a.notice, a.sure},
	})
	return srv, a
}

// serve runs a server on loopback until the test ends, on a listener if one is
// given.
func serve(tb testing.TB, l net.Listener) (url string) {
	tb.Helper()
	srv, _ := newServer()
	hs := httptest.NewUnstartedServer(ws.Handler(srv, ws.Options{}))
	if l != nil {
		hs.Listener.Close()
		hs.Listener = l
	}
	hs.Start()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			tb.Errorf("Shutdown: %v", err)
		}
		hs.Close()
	})
	return hs.URL
}

// chat is what a generator makes.
type chat struct{ *client.Conn }

type opening struct {
	Room string `json:"room"`
}

type options = client.Options[*chat]

var spec = client.Spec{Path: "/chat", Params: []client.Param{{Name: "room", Query: "room"}}}

func connect(url string, o opening, opts options) (*chat, error) {
	return client.Connect(spec, url, o, opts, func(c *client.Conn) *chat { return &chat{c} })
}

func (c *chat) Login(ctx context.Context, in login) error {
	return client.Do(ctx, c.Conn, "", "login", in)
}

func (c *chat) Say(ctx context.Context, in say) (say, error) {
	return client.Call[say](ctx, c.Conn, "", "say", in)
}

func (c *chat) Count(ctx context.Context, in count) iter.Seq2[count, error] {
	return client.Stream[count](ctx, c.Conn, "", "count", in)
}

func (c *chat) OnRoom(key string, f func(say)) *client.Listener {
	return client.OnTopic(c.Conn, "room", key, func(v say, _ client.Topic) { f(v) })
}

// dial is connect for tests: with a transport of its own, so that no idle
// connection of net/http is left, and closed with the test.
func dial(tb testing.TB, url string, o opening, opts options) *chat {
	tb.Helper()
	tr := &http.Transport{}
	if opts.HTTPClient == nil {
		opts.HTTPClient = &http.Client{Transport: tr}
	}
	c, err := connect(url, o, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		c.Close()
		select {
		case <-c.Done():
		case <-time.After(10 * time.Second):
			tb.Error("something of the client still runs")
		}
		tr.CloseIdleConnections()
	})
	return c
}

// signIn signs in as ann.
func signIn(ctx context.Context, c *chat) error { return c.Login(ctx, login{"ann"}) }

// within is the time that a test gives anything.
func within(tb testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	tb.Cleanup(cancel)
	return ctx
}

// wait returns what comes on a channel.
func wait[T any](tb testing.TB, ch <-chan T) T {
	tb.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(20 * time.Second):
		tb.Fatal("nothing came")
		panic("unreachable")
	}
}

func codeOf(err error) client.Code {
	e, _ := errors.AsType[*client.Error](err)
	if e == nil {
		return ""
	}
	return e.Code
}
