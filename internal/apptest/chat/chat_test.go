package chat

import (
	"errors"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

func verify(token string) (User, error) {
	switch token {
	case "ann":
		return User{ID: "ann", Roles: []string{"admin"}}, nil
	case "bob":
		return User{ID: "bob", Roles: []string{"member"}}, nil
	}
	return User{}, errors.New("the signature is wrong")
}

func noon() time.Time { return time.UnixMilli(1700000000000) }

func serve() *kanava.Server[User] {
	srv := kanava.NewServer(kanava.Options[User]{Identify: identify})
	app := &App{Verify: verify, Now: noon, Rooms: kanava.NewTopic[RoomEvent](srv.EventHub(), "room")}
	srv.Wire(app.Channel())
	return srv
}

// join connects to a room, and signs in unless token is empty.
func join(t *testing.T, srv *kanava.Server[User], room, token string) *kanavatest.Client {
	t.Helper()
	c := kanavatest.Dial(t, srv, "/chat?room="+room)
	c.Expect(`{"welcome":"Welcome to ` + room + `!"}`)
	if token != "" {
		c.Send(map[string]string{"action": "authenticate", "token": token})
		c.Expect(`{"action":"authenticate","authenticated":true}`)
	}
	return c
}

func TestSigningIn(t *testing.T) {
	c := join(t, serve(), "general", "")
	c.SendText(`{"message":"hi"}`)
	c.Expect(`{"message":"Echo: hi"}`)
	c.SendText(`{"action":"sendMessage","message":"hi"}`)
	c.Expect(`{"action":"sendMessage","error":{"code":"unauthenticated","message":"sign in first"}}`)
	c.SendText(`{"action":"whoami"}`)
	c.Expect(`{"action":"whoami","user":null}`)

	c.SendText(`{"action":"authenticate","token":"forged"}`)
	c.Expect(`{"action":"authenticate","error":{"code":"unauthenticated","message":"invalid token"}}`)
	c.SendText(`{"action":"authenticate","token":"bob"}`)
	c.Expect(`{"action":"authenticate","authenticated":true}`)
	c.SendText(`{"action":"whoami"}`)
	c.Expect(`{"action":"whoami","user":{"id":"bob","roles":["member"],"until":"0001-01-01T00:00:00Z"}}`)

	c.SendText(`{"action":"logout"}`)
	c.Expect(`{"action":"logout"}`)
	c.SendText(`{"action":"logout"}`)
	c.Expect(`{"action":"logout","error":{"code":"unauthenticated","message":"sign in first"}}`)
}

func TestMessagesReachTheOthersInTheRoom(t *testing.T) {
	srv := serve()
	ann, bob, eve := join(t, srv, "general", "ann"), join(t, srv, "general", "bob"), join(t, srv, "other", "bob")
	stranger := join(t, srv, "general", "")
	ann.SendText(`{"action":"sendMessage","message":"hi"}`)
	ann.Expect(`{"action":"sendMessage","message":"hi","timestamp":1700000000000}`)
	bob.Expect(`{"topic":"room:general","data":{"message":"hi","userId":"ann"}}`)
	for name, c := range map[string]*kanavatest.Client{"sender": ann, "other room": eve, "not signed in": stranger} {
		t.Log(name)
		c.ExpectNone()
	}
}

func TestBroadcastIsForAdministrators(t *testing.T) {
	srv := serve()
	ann, bob := join(t, srv, "general", "ann"), join(t, srv, "general", "bob")
	bob.SendText(`{"action":"broadcast","room":"general","message":"no"}`)
	bob.Expect(`{"action":"broadcast","error":{"code":"permission_denied","message":"this needs a permission that the session does not have"}}`)
	ann.SendText(`{"action":"broadcast","room":"general","message":"closing time"}`)
	ann.Expect(`{"topic":"room:general","data":{"message":"closing time","userId":""}}`)
	ann.Expect(`{"action":"broadcast"}`)
	bob.Expect(`{"topic":"room:general","data":{"message":"closing time","userId":""}}`)
}

func TestJobProgress(t *testing.T) {
	c := join(t, serve(), "general", "bob")
	c.SendText(`{"action":"process","jobId":"7"}`)
	c.Expect(`{"type":"processing","step":"Loading data"}`)
	c.Expect(`{"type":"complete","result":{"job":"7"}}`)
	c.Expect(`{"action":"process"}`)
}

// Functions are tested without a server, as functions.
func TestFunctionsByThemselves(t *testing.T) {
	hub := kanava.NewEventHub(kanava.HubOptions{})
	defer hub.Close()
	app := &App{Verify: verify, Now: noon, Rooms: kanava.NewTopic[RoomEvent](hub, "room")}

	ch := kanavatest.NewChannel(t, RoomParams{"a"}, &User{ID: "ann"})
	got, err := app.SendMessage(t.Context(), ch, Text{"hi"})
	if want := (Message{"hi", 1700000000000}); got != want || err != nil {
		t.Errorf("SendMessage: %v, %v; want %v", got, err, want)
	}
	out, record := kanavatest.NewStream[StatusUpdate](t)
	if err := app.Process(t.Context(), ch, Job{"7"}, out); err != nil || len(record.Sent()) != 2 {
		t.Errorf("Process: %v, %v", record.Sent(), err)
	}
}
