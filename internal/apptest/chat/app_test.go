package chat

import (
	"context"
	"time"

	"github.com/kanava-go/kanava"
)

type RoomParams struct {
	Room string `query:"room" minLength:"1"`
}

type User struct {
	ID    string    `json:"id"`
	Roles []string  `json:"roles"`
	Until time.Time `json:"until"`
}

type Room = kanava.Channel[RoomParams, User]

type (
	Welcome struct {
		Welcome string `json:"welcome"`
	}
	Text struct {
		Message string `json:"message" minLength:"1" maxLength:"2000"`
	}
	Credentials struct {
		Token string `json:"token"`
	}
	AuthReply struct {
		Authenticated bool `json:"authenticated"`
	}
	Message struct {
		Message   string `json:"message"`
		Timestamp int64  `json:"timestamp"`
	}
	RoomEvent struct {
		Message string `json:"message"`
		UserID  string `json:"userId"`
	}
	Broadcast struct {
		Room    string `json:"room"`
		Message string `json:"message"`
	}
	Job struct {
		JobID string `json:"jobId"`
	}
	Me struct {
		User *User `json:"user"`
	}
)

type StatusUpdate interface{ status() }

type Processing struct {
	Step string `json:"step"`
}

type Complete struct {
	Result any `json:"result"`
}

func (Processing) status() {}
func (Complete) status()   {}

var _ = kanava.OneOf("type", map[string]StatusUpdate{"processing": Processing{}, "complete": Complete{}})

type App struct {
	Verify func(string) (User, error)
	Now    func() time.Time
	Rooms  *kanava.Topic[RoomEvent]
}

func (a *App) Join(ctx context.Context, ch *Room) (Welcome, error) {
	return Welcome{"Welcome to " + ch.Opening().Room + "!"}, a.Rooms.Subscribe(ctx, ch, ch.Opening().Room)
}

func (a *App) Authenticate(ctx context.Context, ch *Room, in Credentials) (AuthReply, error) {
	u, err := a.Verify(in.Token)
	if err != nil {
		return AuthReply{}, kanava.Errorf(kanava.CodeUnauthenticated, "invalid token").Because(err)
	}
	return AuthReply{true}, ch.SetSession(ctx, u)
}

func (a *App) Echo(_ context.Context, _ *Room, in Text) (Text, error) {
	return Text{"Echo: " + in.Message}, nil
}

func (a *App) SendMessage(ctx context.Context, ch *Room, in Text) (Message, error) {
	return Message{in.Message, a.Now().UnixMilli()}, a.say(ctx, ch, in.Message)
}

func (a *App) say(ctx context.Context, ch *Room, text string) error { // a helper is a plain method
	return a.Rooms.Publish(ctx, ch.Opening().Room, RoomEvent{text, ch.Session().ID}, kanava.Except(ch.ID()))
}

func (a *App) Process(ctx context.Context, _ *Room, in Job, out *kanava.Stream[StatusUpdate]) error {
	if err := out.Send(ctx, Processing{"Loading data"}); err != nil {
		return err
	}
	return out.Send(ctx, Complete{map[string]string{"job": in.JobID}})
}

func (a *App) Broadcast(ctx context.Context, in Broadcast) error {
	return a.Rooms.Publish(ctx, in.Room, RoomEvent{Message: in.Message})
}

func (a *App) Whoami(_ context.Context, ch *Room, _ kanava.None) (Me, error) {
	if u, ok := ch.LookupSession(); ok {
		return Me{&u}, nil
	}
	return Me{}, nil
}

func (a *App) Logout(ctx context.Context, ch *Room, _ kanava.None) error { return ch.ClearSession(ctx) }

func (a *App) Channel() kanava.Wiring[RoomParams, User] {
	return kanava.Wiring[RoomParams, User]{
		Name: "chat", Route: "/chat",
		OnConnect: kanava.ConnectFunc(a.Join),
		OnMessage: kanava.Func(a.Echo, kanava.Public()),
		Messages: kanava.By("action",
			kanava.On("authenticate", a.Authenticate, kanava.Public()),
			kanava.On("sendMessage", a.SendMessage, kanava.Doc("Send a message", "chat")),
			kanava.On("whoami", a.Whoami, kanava.Public()),
			kanava.OnDo("logout", a.Logout),
			kanava.OnStream("process", a.Process),
		).Plain("broadcast", kanava.PlainDo(a.Broadcast, kanava.Allow("admin"))),
		Declares: []kanava.Declared{a.Rooms},
	}
}

func identify(u User) kanava.Identity {
	return kanava.Identity{UserID: u.ID, Expires: u.Until, Permissions: u.Roles}
}
