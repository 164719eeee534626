// Package chat is a chat as one channel: rooms, sign in, messages, jobs with
// progress. The program above it serves it to browsers; that of
// examples/serverless/aws runs it on AWS Lambda.
package chat

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava"
)

// This file is the whole channel: types first, then plain functions, then the
// wiring that says which function answers what.

// RoomParams is the opening data: which room the client is in.
type RoomParams struct {
	Room string `json:"room" query:"room" doc:"Name of the room" minLength:"1" maxLength:"64"`
}

// User is the session: who has signed in on a connection.
type User struct {
	ID    string    `json:"id"`
	Role  string    `json:"role"`
	Until time.Time `json:"until"`
}

// Room is one client in a room.
type Room = kanava.Channel[RoomParams, User]

// What clients send and get.

type (
	// Welcome is what a client is told when it has come into its room.
	Welcome struct {
		Welcome string `json:"welcome"`
	}
	// Text is something that is said.
	Text struct {
		Message string `json:"message" minLength:"1" maxLength:"2000"`
	}
	// Credentials sign a client in.
	Credentials struct {
		Token string `json:"token" maxLength:"4096"`
	}
	// Authenticated says that the client is signed in.
	Authenticated struct {
		Authenticated bool `json:"authenticated"`
	}
	// Sent is what a sender is told of its message.
	Sent struct {
		Message   string `json:"message"`
		Timestamp int64  `json:"timestamp" doc:"milliseconds since 1970"`
	}
	// Broadcast is said to everybody in a room.
	Broadcast struct {
		Room    string `json:"room" minLength:"1" maxLength:"64"`
		Message string `json:"message" minLength:"1" maxLength:"2000"`
	}
	// Job is one to be run.
	Job struct {
		JobID string `json:"jobId" minLength:"1" maxLength:"64"`
	}
	// Page says how much of a room's history is wanted.
	Page struct {
		Limit int `json:"limit" doc:"How many of the newest messages" minimum:"1" maximum:"200" default:"50"`
	}
	// History is what was said last in a room.
	History struct {
		Events []RoomEvent `json:"events" doc:"The oldest first"`
		Older  bool        `json:"older" doc:"Whether the server keeps older ones, too"`
	}
	// Who is in a room.
	Who struct {
		Names []string `json:"names" doc:"At most 100, in order"`
		Count int      `json:"count" doc:"How many people there are; guests do not count"`
	}
	// Me is who has signed in on a connection.
	Me struct {
		UserID string `json:"userId"`
		Role   string `json:"role"`
	}
)

// RoomEvent is what everyone in a room sees.
type RoomEvent struct {
	ID        string `json:"id" doc:"Never the same for two events, whichever server made them"`
	Type      string `json:"type" enum:"message"`
	Message   string `json:"message"`
	UserID    string `json:"userId"`
	Timestamp int64  `json:"timestamp"`
}

// StatusUpdate is one step of a job: Processing or Complete, told apart by
// the member "type".
type StatusUpdate interface{ status() }

// Processing says what the job is doing.
type Processing struct {
	Step string `json:"step"`
}

// Complete is the last update.
type Complete struct {
	Result JobResult `json:"result"`
}

// JobResult is what a job has to show.
type JobResult struct {
	JobID   string `json:"jobId"`
	Records int    `json:"records"`
}

func (Processing) status() {}
func (Complete) status()   {}

var _ = kanava.OneOf("type", map[string]StatusUpdate{"processing": Processing{}, "complete": Complete{}})

// Person is what is told of somebody who has signed in and is in a room.
type Person struct {
	Role string `json:"role"`
}

// A room keeps its last messages: for who comes in, and for who was away.
const (
	kept    = 200
	keptFor = time.Hour
)

// App holds what the functions need.
type App struct {
	rooms  *kanava.Topic[RoomEvent]
	people *kanava.Presence[Person]
	tokens *Tokens
	step   time.Duration // how long one step of a job takes
	boot   string        // random: tells the events of this process from those of others
	events atomic.Uint64 // how many events were made
}

// NewApp makes the chat on a hub.
func NewApp(hub *kanava.EventHub, tokens *Tokens) *App {
	return &App{
		rooms:  kanava.NewTopic[RoomEvent](hub, "room", kanava.Recoverable(kept, keptFor), kanava.MaySubscribe(anyone)),
		people: kanava.NewPresence[Person](hub, "room"),
		tokens: tokens,
		step:   700 * time.Millisecond,
		boot:   rand.Text()[:8],
	}
}

// NewServer returns a server with the chat, on this hub. nil is one of its own. Pages of
// other origins than the server's may connect if they are named.
func NewServer(hub *kanava.EventHub, tokens *Tokens, origins ...string) *kanava.Server[User] {
	srv := kanava.NewServer(kanava.Options[User]{
		EventHub: hub,
		Origins:  origins,
		Identify: func(u User) kanava.Identity {
			return kanava.Identity{UserID: u.ID, Expires: u.Until, Permissions: []string{u.Role}}
		},
	})
	srv.Wire(NewApp(srv.EventHub(), tokens).Channel())
	return srv
}

// anyone lets clients read a room before they sign in.
func anyone(context.Context, User, string) error { return nil }

// Join greets a new client and subscribes it to its room.
func (a *App) Join(ctx context.Context, ch *Room) (Welcome, error) {
	room := ch.Opening().Room
	return Welcome{"Welcome to " + room + "!"}, a.rooms.Subscribe(ctx, ch, room)
}

// Echo answers messages that name no action.
func (a *App) Echo(_ context.Context, _ *Room, in Text) (Text, error) {
	return Text{"Echo: " + in.Message}, nil
}

// Reverse sends binary messages back, last byte first.
func (a *App) Reverse(_ context.Context, _ *Room, p []byte) ([]byte, error) {
	out := make([]byte, len(p))
	for i, b := range p {
		out[len(p)-1-i] = b
	}
	return out, nil
}

// Authenticate signs the client in with a token.
func (a *App) Authenticate(ctx context.Context, ch *Room, in Credentials) (Authenticated, error) {
	user, err := a.tokens.Verify(in.Token)
	if err != nil {
		return Authenticated{}, kanava.Errorf(kanava.CodeUnauthenticated, "the token is not valid").Because(err)
	}
	if err := ch.SetSession(ctx, user); err != nil {
		return Authenticated{}, err
	}
	return Authenticated{true}, a.people.Join(ctx, ch, ch.Opening().Room, Person{user.Role})
}

// History tells what was said last in the room.
func (a *App) History(ctx context.Context, ch *Room, in Page) (History, error) {
	page, err := a.rooms.History(ctx, ch.Opening().Room, kanava.Position{}, kept)
	if err != nil {
		return History{}, err
	}
	from := max(0, len(page.Events)-in.Limit)
	return History{append([]RoomEvent{}, page.Events[from:]...), from > 0}, nil
}

// Who tells who is in the room.
func (a *App) Who(ctx context.Context, ch *Room, _ kanava.None) (Who, error) {
	who := Who{Names: []string{}}
	for m, err := range a.people.Members(ctx, ch.Opening().Room) {
		if err != nil {
			return Who{}, err
		}
		if who.Count++; who.Count <= 100 {
			who.Names = append(who.Names, m.ID)
		}
	}
	return who, nil
}

// SendMessage tells the others in the room.
func (a *App) SendMessage(ctx context.Context, ch *Room, in Text) (Sent, error) {
	event := a.message(in.Message, ch.Session())
	return Sent{in.Message, event.Timestamp}, a.rooms.Publish(ctx, ch.Opening().Room, event, kanava.Except(ch.ID()))
}

// Broadcast tells everyone in a room. It knows nothing of channels.
func (a *App) Broadcast(ctx context.Context, in Broadcast) error {
	user, _ := kanava.SessionFrom[User](ctx)
	return a.rooms.Publish(ctx, in.Room, a.message(in.Message, user))
}

// message makes the event of a message that is said now.
func (a *App) message(text string, by User) RoomEvent {
	id := a.boot + "-" + strconv.FormatUint(a.events.Add(1), 10)
	return RoomEvent{id, "message", text, by.ID, time.Now().UnixMilli()}
}

// Process runs a job and reports each step.
func (a *App) Process(ctx context.Context, _ *Room, in Job, out *kanava.Stream[StatusUpdate]) error {
	for _, step := range []string{"Loading data", "Processing"} {
		if err := out.Send(ctx, Processing{step}); err != nil {
			return err
		}
		select {
		case <-time.After(a.step):
		case <-ctx.Done():
			return fmt.Errorf("job %s: %w", in.JobID, ctx.Err())
		}
	}
	return out.Send(ctx, Complete{JobResult{in.JobID, 3 * len(in.JobID)}})
}

// Whoami tells who has signed in; nobody is empty.
func (a *App) Whoami(_ context.Context, ch *Room, _ kanava.None) (Me, error) {
	user := ch.Session()
	return Me{user.ID, user.Role}, nil
}

// Logout signs the client out.
func (a *App) Logout(ctx context.Context, ch *Room, _ kanava.None) error {
	if err := a.people.Leave(ctx, ch, ch.Opening().Room); err != nil {
		return err
	}
	return ch.ClearSession(ctx)
}

// Channel wires the functions.
func (a *App) Channel() kanava.Wiring[RoomParams, User] {
	return kanava.Wiring[RoomParams, User]{
		Name: "chat", Route: "/chat",
		OnConnect: kanava.ConnectFunc(a.Join),
		OnMessage: kanava.Func(a.Echo, kanava.Public()),
		OnBinary:  kanava.BinaryFunc(a.Reverse, kanava.Public()),
		Messages: kanava.By("action",
			kanava.On("authenticate", a.Authenticate, kanava.Public(), kanava.Doc("Sign in", "auth")),
			kanava.On("sendMessage", a.SendMessage, kanava.Doc("Send a message to the room", "chat")),
			kanava.OnStream("process", a.Process, kanava.Doc("Run a job and follow its steps", "jobs")),
			kanava.On("history", a.History, kanava.Public(), kanava.Doc("What was said last in the room", "chat")),
			kanava.On("who", a.Who, kanava.Public(), kanava.Doc("Who is in the room", "chat")),
			kanava.On("whoami", a.Whoami, kanava.Public(), kanava.Doc("Who is signed in", "auth")),
			kanava.OnDo("logout", a.Logout, kanava.Doc("Sign out", "auth")),
		).Plain("broadcast", kanava.PlainDo(a.Broadcast, kanava.Allow("admin"), kanava.Doc("Announce to a room", "chat"))),
		Declares: []kanava.Declared{a.rooms, a.people},
		Tags:     []string{"realtime"},
	}
}
