package transporttest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
)

// This file is the application of the conformance vectors, in Go: the server,
// its sessions, its gates and its channels. conformance/README.md describes it
// for everyone. The functions are in the files beside it.

// User is the session of the application.
type User struct {
	Name  string    `json:"name"`
	Admin bool      `json:"admin"`
	Until time.Time `json:"until,omitzero"`
}

// shortLived is how long the session of the token "short" lasts, and askBriefly. It ends
// while a test waits. But what begins before it does has to: a busy machine may
// well keep a goroutine for a tenth of this.
const shortLived = 500 * time.Millisecond

// Patience bounds each wait for something that has to happen.
const Patience = 30 * time.Second

// hidden stands in errors that no client may be told of.
const hidden = "hidden-detail"

// signIn returns the session of a token.
func signIn(token string) (User, error) {
	switch token {
	case "alice", "bob", "banned":
		return User{Name: token}, nil
	case "root":
		return User{Name: token, Admin: true}, nil
	case "short":
		return User{Name: "alice", Until: time.Now().Add(shortLived)}, nil
	case "hour":
		return User{Name: "alice", Until: time.Now().Add(time.Hour)}, nil
	case "expired":
		return User{Name: "alice", Until: time.Now().Add(-time.Hour)}, nil
	case "broken":
		return User{}, errors.New(hidden)
	}
	return User{}, kanava.Errorf(kanava.CodeUnauthenticated, "the token is not valid")
}

func identify(u User) kanava.Identity {
	id := kanava.Identity{UserID: u.Name, Expires: u.Until}
	if u.Admin {
		id.Permissions = []string{"admin"}
	}
	return id
}

func authenticate(_ context.Context, r *kanava.OpenRequest) (*User, error) {
	if r.Token == "" {
		return nil, nil
	}
	u, err := signIn(r.Token)
	if err != nil {
		return nil, err
	}
	return &u, nil
}

// app is what the functions of the application share.
type app struct {
	hub     *kanava.EventHub
	rooms   *kanava.Topic[roomEvent]
	clubs   *kanava.Topic[roomEvent]
	halls   *kanava.Presence[attendant]
	opens   *kanava.Topic[roomEvent]
	guild   *kanava.Topic[roomEvent]
	note    *kanava.Push[textValue]
	confirm *kanava.ClientFunc[question, verdict]

	mu    sync.Mutex
	gates map[string]chan struct{} // guarded by mu: closed where the gate is open
	ticks map[string]int           // guarded by mu: how often "tick" has run, by name
}

// NewServer returns a server with the application that the conformance vectors
// talk to. It is shut down when the test ends, and logs nothing.
func NewServer(tb testing.TB) *kanava.Server[User] {
	tb.Helper()
	srv := kanava.NewServer(kanava.Options[User]{
		Authenticate: authenticate,
		Identify:     identify,
		Origins:      []string{"https://app.example.com"},
		Subprotocols: []string{"app.v1"},
		Logger:       slog.New(slog.DiscardHandler),
	})
	a := &app{
		hub:     srv.EventHub(),
		rooms:   kanava.NewTopic[roomEvent](srv.EventHub(), "room"),
		clubs:   kanava.NewTopic[roomEvent](srv.EventHub(), "club", kanava.MaySubscribe(noBob)),
		opens:   kanava.NewTopic[roomEvent](srv.EventHub(), "open", kanava.ClientSubscribable()),
		guild:   kanava.NewTopic[roomEvent](srv.EventHub(), "guild", kanava.ClientSubscribable(), kanava.MaySubscribe(noBob)),
		halls:   kanava.NewPresence[attendant](srv.EventHub(), "hall"),
		note:    kanava.NewPush[textValue]("note"),
		confirm: kanava.NewClientFunc[question, verdict]("confirm"),
		gates:   make(map[string]chan struct{}),
		ticks:   make(map[string]int),
	}
	kanava.NewTopic[jsontext.Value](a.hub, "cursor", kanava.Volatile())
	kanava.NewTopic[jsontext.Value](a.hub, "price", kanava.LatestBy(keyOf))
	kanava.NewTopic[jsontext.Value](a.hub, "log", kanava.Recoverable(5, time.Hour))
	srv.Wire(a.main(), a.strict(), a.silent(), a.anything(), a.secure(), a.opening(), a.connecting(), a.watched(), a.filtered(), a.limited(), a.following(),
		a.members("members", kanava.Protected()), a.members("admins", kanava.Allow("admin")))
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			tb.Errorf("shut down the application: %v", err)
		}
	})
	return srv
}

// keyOf returns the member "of" of an event, a string.
func keyOf(event jsontext.Value) string {
	var e struct {
		Of string `json:"of"`
	}
	_ = json.Unmarshal(event, &e) // "" where there is none
	return e.Of
}

func noBob(_ context.Context, u User, _ string) error {
	if u.Name == "bob" {
		return kanava.Errorf(kanava.CodePermissionDenied, "not bob")
	}
	return nil
}

// gate returns the gate with this name.
func (a *app) gate(name string) chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	g := a.gates[name]
	if g == nil {
		g = make(chan struct{})
		a.gates[name] = g
	}
	return g
}

// open opens a gate for ever.
func (a *app) open(name string) {
	g := a.gate(name)
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-g:
	default:
		close(g)
	}
}

// pass waits until a gate is open.
func (a *app) pass(ctx context.Context, name string) error {
	select {
	case <-a.gate(name):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type channel = kanava.Channel[kanava.None, User]

// main is the channel "/main", which has nearly everything.
func (a *app) main() kanava.Wiring[kanava.None, User] {
	return kanava.Wiring[kanava.None, User]{
		Name: "main", Route: "/main", Public: true,
		OnMessage: kanava.Func(func(_ context.Context, _ *channel, in message) (message, error) {
			return message{"Echo: " + in.Message}, nil
		}),
		OnBinary: kanava.BinaryFunc(reverse),
		Messages: kanava.By("action", join(a.replies(), a.inputs(), a.errors(), a.streams(), a.timing(), a.topics(), a.presences(), a.signing(), a.asking())...).
			By("type",
				kanava.On("greet", func(context.Context, *channel, byType) (chosenBy, error) { return chosenBy{"type"}, nil }),
				kanava.OnDo("fall", func(context.Context, *channel, kanava.None) error {
					return kanava.Errorf(kanava.CodeFailedPrecondition, "as asked for")
				}),
			).Plain("plain", kanava.PlainFunc(func(context.Context, kanava.None) (chosenBy, error) { return chosenBy{"plain"}, nil })),
		Declares: []kanava.Declared{a.rooms, a.clubs, a.halls, a.note, a.confirm},
	}
}

func join(groups ...[]kanava.Route[kanava.None, User]) []kanava.Route[kanava.None, User] {
	var all []kanava.Route[kanava.None, User]
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

func ping[Open any](context.Context, *kanava.Channel[Open, User], kanava.None) error { return nil }

// strict is a channel without OnMessage and OnBinary.
func (a *app) strict() kanava.Wiring[kanava.None, User] {
	return kanava.Wiring[kanava.None, User]{
		Name: "strict", Route: "/strict", Public: true,
		Messages: kanava.By("action", kanava.OnDo("ping", ping[kanava.None])),
	}
}

// silent is a channel whose OnConnect and OnMessage return nothing.
func (a *app) silent() kanava.Wiring[kanava.None, User] {
	return kanava.Wiring[kanava.None, User]{
		Name: "silent", Route: "/silent", Public: true,
		OnConnect: kanava.ConnectFunc(func(context.Context, *channel) (kanava.None, error) { return kanava.None{}, nil }),
		OnMessage: kanava.Func(func(context.Context, *channel, message) (kanava.None, error) { return kanava.None{}, nil }),
		Messages:  kanava.By("action", kanava.OnDo("ping", ping[kanava.None])),
	}
}

// anything is a channel whose OnMessage returns what it takes: any JSON.
func (a *app) anything() kanava.Wiring[kanava.None, User] {
	return kanava.Wiring[kanava.None, User]{
		Name: "any", Route: "/any", Public: true,
		OnMessage: kanava.Func(func(_ context.Context, _ *channel, in jsontext.Value) (jsontext.Value, error) { return in, nil }),
		Messages:  kanava.By("action", kanava.OnDo("ping", ping[kanava.None])),
	}
}

// secure is a channel whose functions need a session unless they say
// otherwise. The user "banned" may not be there.
func (a *app) secure() kanava.Wiring[kanava.None, User] {
	return kanava.Wiring[kanava.None, User]{
		Name: "secure", Route: "/secure",
		OnMessage: kanava.Func(func(_ context.Context, _ *channel, in message) (message, error) {
			return message{"Echo: " + in.Message}, nil
		}),
		Messages: kanava.By("action",
			kanava.OnDo("ping", ping[kanava.None], kanava.Public()),
			kanava.On("authenticate", a.authenticate, kanava.Public()),
			kanava.On("whoami", a.whoami, kanava.Public()),
			kanava.On("outlive", a.outlive, kanava.Public()),
			kanava.OnDo("join", a.join, kanava.Public()),
			kanava.OnDo("publish", a.publish, kanava.Public()),
			kanava.OnDo("logout", a.logout),
			kanava.OnDo("secret", ping[kanava.None]),
			kanava.OnDo("admin", ping[kanava.None], kanava.Allow("admin")),
		),
		Admit: func(_ context.Context, _ kanava.None, u User) error {
			if u.Name == "banned" {
				return kanava.Errorf(kanava.CodePermissionDenied, "not here")
			}
			return nil
		},
	}
}

// following is a channel whose clients subscribe themselves.
func (a *app) following() kanava.Wiring[kanava.None, User] {
	return kanava.Wiring[kanava.None, User]{
		Name: "following", Route: "/following",
		Messages: kanava.By("action",
			kanava.OnDo("ping", ping[kanava.None], kanava.Public()),
			kanava.On("authenticate", a.authenticate, kanava.Public()),
			kanava.OnDo("logout", a.logout),
			kanava.OnDo("publish", func(ctx context.Context, _ *channel, in topicValue) error {
				return a.hub.Publish(ctx, in.Topic, in.Value)
			}, kanava.Public()),
			kanava.OnDo("enrol", func(ctx context.Context, ch *channel, in roomName) error {
				return a.opens.Subscribe(ctx, ch, in.Room)
			}, kanava.Public()),
		),
		Declares: []kanava.Declared{a.rooms, a.opens, a.guild},
	}
}

// reverse sends binary messages back, last byte first. One that begins with ff
// is refused.
func reverse(_ context.Context, _ *channel, p []byte) ([]byte, error) {
	if len(p) > 0 && p[0] == 0xff {
		return nil, kanava.Errorf(kanava.CodeFailedPrecondition, "it begins with ff")
	}
	out := make([]byte, len(p))
	for i, b := range p {
		out[len(p)-1-i] = b
	}
	return out, nil
}

// opening is a channel that sends its opening data back.
func (a *app) opening() kanava.Wiring[openingData, User] {
	return kanava.Wiring[openingData, User]{
		Name: "opening", Route: "/opening/{place}", Public: true,
		OnConnect: kanava.ConnectFunc(func(_ context.Context, ch *kanava.Channel[openingData, User]) (openingData, error) {
			return ch.Opening(), nil
		}),
		Messages: kanava.By("action", kanava.OnDo("ping", ping[openingData])),
	}
}

// connecting is a channel whose OnConnect waits, fails, or closes, as it is asked to.
func (a *app) connecting() kanava.Wiring[connectData, User] {
	return kanava.Wiring[connectData, User]{
		Name: "connecting", Route: "/connect", Public: true,
		OnConnect: kanava.ConnectFunc(a.connect),
		OnMessage: kanava.Func(func(_ context.Context, _ *kanava.Channel[connectData, User], in message) (message, error) {
			return message{"Echo: " + in.Message}, nil
		}),
		Messages: kanava.By("action", kanava.OnDo("ping", ping[connectData])),
	}
}

func (a *app) connect(ctx context.Context, ch *kanava.Channel[connectData, User]) (welcome, error) {
	o := ch.Opening()
	if o.Wait != "" {
		if err := a.pass(ctx, o.Wait); err != nil {
			return welcome{}, err
		}
	}
	switch {
	case o.Fail == "crash":
		return welcome{}, errors.New(hidden)
	case o.Fail == "panic":
		panic(hidden)
	case o.Fail != "":
		e := kanava.Errorf(kanava.Code(o.Fail), "as asked for")
		e.RetryAfter = time.Duration(o.Retry) * time.Millisecond
		return welcome{}, e
	case o.Close != 0:
		return welcome{"and goodbye"}, ch.Close(ctx, kanava.CloseCode(o.Close), "done here")
	}
	return welcome{"welcome"}, nil
}

// members is a channel whose OnConnect is not for everyone.
func (a *app) members(name string, who kanava.FuncOption) kanava.Wiring[kanava.None, User] {
	return kanava.Wiring[kanava.None, User]{
		Name: name, Route: "/" + name, Public: true,
		OnConnect: kanava.ConnectFunc(func(_ context.Context, ch *channel) (welcome, error) {
			return welcome{ch.Session().Name}, nil
		}, who),
		Messages: kanava.By("action", kanava.OnDo("ping", ping[kanava.None])),
	}
}

// watched is a channel whose OnDisconnect tells a room how the connection
// ended.
func (a *app) watched() kanava.Wiring[watchData, User] {
	return kanava.Wiring[watchData, User]{
		Name: "watched", Route: "/watched", Public: true,
		OnDisconnect: kanava.DisconnectFunc(func(ctx context.Context, ch *kanava.Channel[watchData, User]) error {
			code, reason := ch.Closed()
			return a.rooms.Publish(ctx, ch.Opening().Room, roomEvent{"left", int(code), reason})
		}),
		Messages: kanava.By("action",
			kanava.OnDo("ping", ping[watchData]),
			kanava.OnDo("wait", func(ctx context.Context, _ *kanava.Channel[watchData, User], in gateName) error {
				return a.pass(ctx, in.Gate)
			}),
			kanava.OnDo("hold", func(ctx context.Context, ch *kanava.Channel[watchData, User], in gateName) error {
				room, lasting := ch.Opening().Room, context.WithoutCancel(ctx)
				err := a.rooms.Publish(ctx, room, roomEvent{Text: "holding"})
				<-ctx.Done() // the connection has ended
				return errors.Join(err, a.pass(lasting, in.Gate), a.rooms.Publish(lasting, room, roomEvent{Text: "released"}))
			}),
		),
		Declares: []kanava.Declared{a.rooms},
	}
}
