package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/examples/chat/chat"
	"github.com/kanava-go/kanava/kanavatest"
)

// start returns a server that ends with the test, and its tokens' endpoint.
func start(t *testing.T) (*kanava.Server[chat.User], func(user, role string) string) {
	t.Helper()
	srv, handler := newServer(chat.NewTokens("a secret", time.Hour))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return srv, func(user, role string) string {
		t.Helper()
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/token?user="+user+"&role="+role, nil))
		var out struct {
			Token string `json:"token"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &out); err != nil || rec.Code != http.StatusOK {
			t.Fatalf("GET /token: %d %s", rec.Code, rec.Body)
		}
		return out.Token
	}
}

// join connects to a room and reads the welcome.
func join(t *testing.T, srv *kanava.Server[chat.User], room string) *kanavatest.Client {
	t.Helper()
	c := kanavatest.Dial(t, srv, "/chat?room="+room)
	c.Expect(`{"welcome":"Welcome to ` + room + `!"}`)
	return c
}

func signIn(t *testing.T, c *kanavatest.Client, token string) {
	t.Helper()
	c.Send(map[string]string{"action": "authenticate", "token": token})
	c.Expect(`{"authenticated":true,"action":"authenticate"}`)
}

func expectCode(t *testing.T, c *kanavatest.Client, action string, code kanava.Code) {
	t.Helper()
	got := c.Next()
	if want := `"error":{"code":"` + string(code) + `"`; !strings.Contains(got, want) || !strings.Contains(got, `"action":"`+action+`"`) {
		t.Fatalf("got %s, want %s of %s", got, want, action)
	}
}

func TestWithoutSigningIn(t *testing.T) {
	srv, _ := start(t)
	c := join(t, srv, "general")
	c.SendText(`{"message":"hi"}`)
	c.Expect(`{"message":"Echo: hi"}`)
	c.SendBinary([]byte{1, 2, 3})
	if got := string(c.NextBinary()); got != "\x03\x02\x01" {
		t.Errorf("got %x", got)
	}
	c.SendText(`{"action":"whoami"}`)
	c.Expect(`{"userId":"","role":"","action":"whoami"}`)
	for _, action := range []string{"sendMessage", "process", "broadcast", "logout"} {
		c.SendText(`{"action":"` + action + `"}`)
		expectCode(t, c, action, kanava.CodeUnauthenticated)
	}
	c.SendText(`{"action":"authenticate","token":"bad"}`)
	expectCode(t, c, "authenticate", kanava.CodeUnauthenticated)
}

func TestRoomNames(t *testing.T) {
	srv, _ := start(t)
	for _, target := range []string{"/chat", "/chat?room=", "/chat?room=a&room=b", "/chat?room=" + strings.Repeat("x", 65)} {
		if _, err := kanavatest.DialRequest(t, srv, openRequest(t, target)); err == nil {
			t.Errorf("%s was let in", target)
		}
	}
	join(t, srv, strings.Repeat("x", 64))
}

func openRequest(t *testing.T, target string) *kanava.OpenRequest {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	return &kanava.OpenRequest{URL: r.URL, Host: r.Host, Header: r.Header}
}

func TestConversation(t *testing.T) {
	srv, token := start(t)
	alice, bob, guest, elsewhere := join(t, srv, "general"), join(t, srv, "general"), join(t, srv, "general"), join(t, srv, "other")
	signIn(t, alice, token("alice", "member"))
	signIn(t, bob, token("bob", "admin"))
	alice.SendText(`{"action":"whoami"}`)
	alice.Expect(`{"userId":"alice","role":"member","action":"whoami"}`)

	before := time.Now().UnixMilli()
	alice.SendText(`{"action":"sendMessage","message":"hello"}`)
	reply := kanavatest.Into[struct {
		Action    string `json:"action"`
		Message   string `json:"message"`
		Timestamp int64  `json:"timestamp"`
	}](alice)
	if reply.Action != "sendMessage" || reply.Message != "hello" || reply.Timestamp < before {
		t.Errorf("got %+v", reply)
	}
	for _, c := range []*kanavatest.Client{bob, guest} {
		ev := kanavatest.Into[struct {
			Topic string         `json:"topic"`
			Data  chat.RoomEvent `json:"data"`
		}](c)
		want := chat.RoomEvent{ID: ev.Data.ID, Type: "message", Message: "hello", UserID: "alice", Timestamp: reply.Timestamp}
		if ev.Topic != "room:general" || ev.Data != want {
			t.Errorf("got %+v, want %+v", ev, want)
		}
	}
	alice.ExpectNone() // the sender does not get it

	for _, bad := range []string{`""`, `5`, `"` + strings.Repeat("x", 2001) + `"`} {
		alice.SendText(`{"action":"sendMessage","message":` + bad + `}`)
		expectCode(t, alice, "sendMessage", kanava.CodeInvalidArgument)
	}

	alice.SendText(`{"action":"broadcast","room":"general","message":"all"}`)
	expectCode(t, alice, "broadcast", kanava.CodePermissionDenied)
	bob.SendText(`{"action":"broadcast","room":"general","message":"all"}`)
	for _, c := range []*kanavatest.Client{alice, bob, guest} { // the whole room
		if got := c.Next(); !strings.Contains(got, `"message":"all","userId":"bob"`) {
			t.Errorf("got %s", got)
		}
	}
	bob.Expect(`{"action":"broadcast"}`)
	elsewhere.ExpectNone()

	alice.SendText(`{"action":"logout"}`)
	alice.Expect(`{"action":"logout"}`)
	alice.SendText(`{"action":"sendMessage","message":"hello"}`)
	expectCode(t, alice, "sendMessage", kanava.CodeUnauthenticated)
}

// Pages tell by the id whether they were given an event twice.
func TestEventIDs(t *testing.T) {
	srv, token := start(t)
	alice, bob, guest := join(t, srv, "general"), join(t, srv, "general"), join(t, srv, "general")
	signIn(t, alice, token("alice", "member"))
	restarted, _ := start(t)
	carol, dave := join(t, restarted, "general"), join(t, restarted, "general")
	signIn(t, carol, token("carol", "member"))

	said := func(speaker *kanavatest.Client, listeners ...*kanavatest.Client) string {
		t.Helper()
		speaker.SendText(`{"action":"sendMessage","message":"hello"}`)
		speaker.Next()
		var id string
		for _, c := range listeners {
			data := kanavatest.Into[struct {
				Data chat.RoomEvent `json:"data"`
			}](c).Data
			if data.ID == "" || id != "" && data.ID != id {
				t.Errorf("the event's id is %q, and %q for another client", data.ID, id)
			}
			id = data.ID
		}
		return id
	}
	seen := map[string]bool{said(alice, bob, guest): true, said(alice, bob, guest): true, said(carol, dave): true, said(carol, dave): true}
	if len(seen) != 4 {
		t.Errorf("4 events have the ids %v", seen)
	}
}

func TestHistoryAndWho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, token := start(t)
		alice, guest := join(t, srv, "general"), join(t, srv, "general")
		signIn(t, alice, token("alice", "member"))
		alice.SendText(`{"action":"who"}`)
		alice.Expect(`{"names":["alice"],"count":1,"action":"who"}`)
		alice.SendText(`{"action":"history"}`)
		alice.Expect(`{"events":[],"older":false,"action":"history"}`)
		for _, text := range []string{"one", "two", "three"} {
			alice.SendText(`{"action":"sendMessage","message":"` + text + `"}`)
			alice.Next()
		}
		guest.Leave()
		type history struct {
			Events []chat.RoomEvent `json:"events"`
			Older  bool             `json:"older"`
		}
		bob := join(t, srv, "general")
		bob.SendText(`{"action":"history","limit":2}`)
		if h := kanavatest.Into[history](bob); len(h.Events) != 2 || h.Events[0].Message != "two" || h.Events[1].Message != "three" || h.Events[1].UserID != "alice" || !h.Older {
			t.Errorf("history: %+v", h)
		}
		bob.SendText(`{"action":"history","limit":201}`)
		expectCode(t, bob, "history", kanava.CodeInvalidArgument)
		elsewhere := join(t, srv, "other")
		elsewhere.SendText(`{"action":"history"}`)
		elsewhere.Expect(`{"events":[],"older":false,"action":"history"}`)
		elsewhere.SendText(`{"action":"who"}`)
		elsewhere.Expect(`{"names":[],"count":0,"action":"who"}`)

		alice.SendText(`{"action":"logout"}`)
		alice.Expect(`{"action":"logout"}`)
		time.Sleep(time.Second)
		bob.SendText(`{"action":"who"}`) // who has gone for a moment is still there
		bob.Expect(`{"names":["alice"],"count":1,"action":"who"}`)
		time.Sleep(6 * time.Second)
		bob.SendText(`{"action":"who"}`)
		bob.Expect(`{"names":[],"count":0,"action":"who"}`)
		time.Sleep(time.Hour)
		bob.SendText(`{"action":"history"}`)
		bob.Expect(`{"events":[],"older":false,"action":"history"}`)
	})
}

func TestJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, token := start(t)
		c := join(t, srv, "general")
		signIn(t, c, token("alice", "member"))
		c.SendText(`{"action":"process","jobId":"j1"}`)
		c.Expect(`{"type":"processing","step":"Loading data"}`)
		c.Expect(`{"type":"processing","step":"Processing"}`)
		c.Expect(`{"type":"complete","result":{"jobId":"j1","records":6}}`)
		c.Expect(`{"action":"process"}`)
	})
}

func TestTokens(t *testing.T) {
	_, handler := newServer(chat.NewTokens("a secret", time.Hour))
	for _, target := range []string{"/token", "/token?user=", "/token?user=a&role=king", "/token?user=" + strings.Repeat("x", 65)} {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
		if rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), `"error"`) {
			t.Errorf("%s: %d %s", target, rec.Code, rec.Body)
		}
	}
	ours, theirs := chat.NewTokens("a secret", time.Hour), chat.NewTokens("", time.Hour)
	token, err := ours.Issue("alice", "admin")
	if err != nil {
		t.Fatal(err)
	}
	user, err := ours.Verify(token)
	if err != nil || user.ID != "alice" || user.Role != "admin" || time.Until(user.Until) < 59*time.Minute {
		t.Errorf("got %+v, %v", user, err)
	}
	if _, err := theirs.Verify(token); err == nil {
		t.Error("a token of another secret is accepted")
	}
	if token, err = chat.NewTokens("a secret", -time.Minute).Issue("alice", "admin"); err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Verify(token); err == nil {
		t.Error("an expired token is accepted")
	}
}

func TestOtherPathsAreNotFound(t *testing.T) {
	_, handler := newServer(chat.NewTokens("", time.Hour))
	for target, want := range map[string]int{"/": http.StatusOK, "/x": http.StatusNotFound, "/index.html": http.StatusNotFound, "/chat": http.StatusNotAcceptable} {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
		if rec.Code != want {
			t.Errorf("GET %s: %d, want %d", target, rec.Code, want)
		}
	}
}
