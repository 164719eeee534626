package main

import (
	"context"
	"io"
	"log"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"github.com/kanava-go/kanava"
)

var discard = log.New(io.Discard, "", 0)

type (
	none    = kanava.None
	opening struct {
		Start string `query:"start" enum:"well,badly,panic,goexit,slowly" default:"well"` // how OnConnect ends
	}
	user   struct{ ID string }
	number struct {
		N   int    `json:"n"`
		Pad string `json:"pad,omitempty"`
	}
	credentials struct {
		ID    string `json:"id" minLength:"1" maxLength:"20"`
		Lasts int    `json:"lasts,omitempty" maximum:"10000"` // ms
	}
)

// app is the server under test.
type app struct {
	srv    *kanava.Server[session]
	rooms  *kanava.Topic[number]
	ledger *ledger
}

// session is of a user, until some time.
type session struct {
	User  user
	Until time.Time
}

func newApp() *app {
	a := &app{ledger: &ledger{live: make(map[string]bool)}}
	a.srv = kanava.NewServer(kanava.Options[session]{
		Authenticate: a.authenticate,
		Identify:     func(s session) kanava.Identity { return kanava.Identity{UserID: s.User.ID, Expires: s.Until} },
		Limits:       kanava.Limits{AddressConns: 2000, UserConns: 20, ExpiryGrace: 200 * time.Millisecond, OpenTime: 8 * time.Second},
		Logger:       slog.New(slog.DiscardHandler),
		Observer:     a.ledger,
	})
	a.rooms = kanava.NewTopic[number](a.srv.EventHub(), "room")
	w := a.wiring("soak", kanava.Limits{})
	w.Public = true
	a.srv.Wire(w, a.wiring("tight", kanava.Limits{
		Message: 1 << 10, Queue: 32 << 10, QueueNoUser: 8 << 10, WaitingCalls: 2, Subscriptions: 1, AddressConns: 200,
		Rate: kanava.Rate{PerSecond: 20, Burst: 40}, AuthWithin: 8 * time.Second, CallTime: 100 * time.Millisecond,
	}))
	return a
}

// authenticate takes any token, but for those that say how it ends.
func (a *app) authenticate(ctx context.Context, r *kanava.OpenRequest) (*session, error) {
	switch r.Token {
	case "":
		return nil, nil
	case "wrong":
		return nil, kanava.Errorf(kanava.CodeUnauthenticated, "wrong token")
	case "panic":
		panic("authenticate")
	case "slow":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &session{User: user{r.Token}}, nil
}

type line = kanava.Channel[opening, session]

func (a *app) wiring(name string, own kanava.Limits) kanava.Wiring[opening, session] {
	open := kanava.Public()
	return kanava.Wiring[opening, session]{
		Name: name, Route: "/" + name, Limits: own,
		OnConnect: kanava.ConnectFunc(a.connect), OnDisconnect: kanava.DisconnectFunc(a.disconnect),
		OnBinary: kanava.BinaryFunc(func(_ context.Context, _ *line, p []byte) ([]byte, error) { return p, nil }, open),
		Messages: kanava.By("action",
			kanava.On("echo", func(_ context.Context, _ *line, in number) (number, error) { return in, nil }, open),
			kanava.On("large", func(_ context.Context, _ *line, in number) (number, error) {
				return number{in.N, strings.Repeat("x", 20_000)}, nil
			}, open),
			kanava.OnStream("stream", a.stream, open),
			kanava.OnDo("join", func(ctx context.Context, ch *line, in number) error { return a.rooms.Subscribe(ctx, ch, key(in.N)) }, open),
			kanava.OnDo("leave", func(ctx context.Context, ch *line, in number) error { return a.rooms.Unsubscribe(ctx, ch, key(in.N)) }, open),
			kanava.OnDo("publish", func(ctx context.Context, _ *line, in number) error { return a.rooms.Publish(ctx, key(in.N), in) }, open),
			kanava.OnDo("login", a.login, open),
			kanava.OnDo("logout", func(ctx context.Context, ch *line, _ none) error { return ch.ClearSession(ctx) }, open),
			kanava.OnDo("panic", func(context.Context, *line, none) error { panic("function") }, open),
			kanava.OnDo("goexit", func(context.Context, *line, none) error { runtime.Goexit(); return nil }, open),
			kanava.OnDo("block", block, open, kanava.Timeout(200*time.Millisecond)),
			kanava.OnDo("beside", block, open, kanava.Timeout(200*time.Millisecond), kanava.Concurrent()),
			kanava.OnDo("rare", func(context.Context, *line, none) error { return nil }, open, kanava.RateLimit(kanava.Rate{PerSecond: 1, Burst: 2})),
			kanava.OnDo("quit", func(ctx context.Context, ch *line, _ none) error { return ch.Close(ctx, kanava.CloseNormal, "bye") }, open),
			kanava.On("members", func(_ context.Context, ch *line, _ none) (string, error) { return ch.Session().User.ID, nil }, kanava.Protected()),
		),
		Declares: []kanava.Declared{a.rooms},
	}
}

func key(n int) string { return string(rune('a' + n%8)) }

func (a *app) connect(ctx context.Context, ch *line) (none, error) {
	a.ledger.connect(ch.ID())
	switch ch.Opening().Start {
	case "badly":
		return none{}, kanava.Errorf(kanava.CodePermissionDenied, "not today")
	case "panic":
		panic("OnConnect")
	case "goexit":
		runtime.Goexit()
	case "slowly":
		return none{}, pause(ctx, 50*time.Millisecond)
	}
	return none{}, nil
}

func (a *app) disconnect(_ context.Context, ch *line) error {
	a.ledger.disconnect(ch.ID())
	if ch.Opening().Start == "slowly" {
		panic("OnDisconnect")
	}
	return nil
}

func (a *app) login(ctx context.Context, ch *line, in credentials) error {
	s := session{User: user{in.ID}}
	if in.Lasts > 0 {
		s.Until = time.Now().Add(time.Duration(in.Lasts) * time.Millisecond)
	}
	return ch.SetSession(ctx, s)
}

func (a *app) stream(ctx context.Context, _ *line, in number, out *kanava.Stream[number]) error {
	for i := range in.N {
		if err := out.Send(ctx, number{i, in.Pad}); err != nil {
			return err
		}
	}
	return nil
}

// block waits until its time is over.
func block(ctx context.Context, _ *line, _ none) error {
	<-ctx.Done()
	return ctx.Err()
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
