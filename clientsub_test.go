package kanava_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// The topics of the channel below.
type followable struct {
	open   *kanava.Topic[text] // for every client
	club   *kanava.Topic[text] // for all but bob, and those whom closed keeps out
	room   *kanava.Topic[text] // the server's to subscribe
	closed atomic.Bool
	asked  atomic.Int64 // how often MaySubscribe of club ran
}

// serveFollowable serves a channel whose clients subscribe themselves.
func serveFollowable(t *testing.T, opts kanava.Options[account], change func(*wiring)) (*server, *followable) {
	t.Helper()
	hub := kanava.NewEventHub(kanava.HubOptions{})
	t.Cleanup(hub.Close)
	opts.EventHub = hub
	f := &followable{room: kanava.NewTopic[text](hub, "room")}
	f.open = kanava.NewTopic[text](hub, "open", kanava.ClientSubscribable())
	f.club = kanava.NewTopic[text](hub, "club", kanava.ClientSubscribable(), kanava.MaySubscribe(
		func(_ context.Context, a account, _ string) error {
			f.asked.Add(1)
			if a.ID == "bob" || f.closed.Load() {
				return kanava.Errorf(kanava.CodePermissionDenied, "not in this club")
			}
			return nil
		}))
	kanava.NewTopic[text](hub, "elsewhere", kanava.ClientSubscribable())
	w := wiring{
		Declares: []kanava.Declared{f.open, f.club, f.room},
		Messages: by(login(), logout(), kanava.OnDo("join", func(ctx context.Context, ch *line, in roomIn) error {
			return f.open.Subscribe(ctx, ch, in.Room)
		}, kanava.Public()), kanava.OnDo("kick", func(ctx context.Context, ch *line, in roomIn) error {
			return f.open.Unsubscribe(ctx, ch, in.Room)
		}, kanava.Public())),
	}
	if change != nil {
		change(&w)
	}
	return serve(t, opts, w), f
}

func publish(t *testing.T, topic *kanava.Topic[text], key, message string) {
	t.Helper()
	if err := topic.Publish(context.Background(), key, text{message}); err != nil {
		t.Fatal(err)
	}
}

func TestP8_ClientSubscribes(t *testing.T) {
	srv, f := serveFollowable(t, kanava.Options[account]{}, func(w *wiring) { w.Public = true })
	c := kanavatest.Dial(t, srv, "/test")
	do(t, c, `{"action":"subscribe","topic":"open:a"}`, "subscribe")
	do(t, c, `{"action":"subscribe","topic":"open:a"}`, "subscribe") // twice is once
	publish(t, f.open, "a", "1")
	publish(t, f.open, "b", "another key")
	c.Expect(`{"topic":"open:a","data":{"message":"1"}}`)
	do(t, c, `{"action":"unsubscribe","topic":"open:a"}`, "unsubscribe")
	do(t, c, `{"action":"unsubscribe","topic":"open:a"}`, "unsubscribe") // of nothing
	publish(t, f.open, "a", "2")
	c.ExpectNone()

	v := openV1(t, srv)
	v.SendText(`{"do":"subscribe","id":1,"in":{"topic":"open:a"}}`)
	expectLike(t, v, `{"sub":"open:a","class":"ordered","e":"…","o":…}`)
	v.Expect(`{"re":1}`)
	v.SendText(`{"do":"subscribe","id":2,"in":{"topic":"open:a"}}`)
	v.Expect(`{"re":2}`)
	v.SendText(`{"do":"unsubscribe","id":3,"in":{"topic":"open:a"}}`)
	v.Expect(`{"unsub":"open:a","reason":"unsubscribed"}`)
	v.Expect(`{"re":3}`)
	v.SendText(`{"do":"unsubscribe","id":4,"in":{"topic":"open:a"}}`)
	v.Expect(`{"re":4}`)
}

// Each bad input is refused, and counts as the error that it is.
func TestP8_ClientSubscribesToWhatItMayNot(t *testing.T) {
	srv, _ := serveFollowable(t, kanava.Options[account]{}, nil)
	for _, action := range []string{"subscribe", "unsubscribe"} {
		c := kanavatest.Dial(t, srv, "/test")
		do(t, c, `{"action":"login","id":"ann"}`, "login")
		for _, tc := range []struct {
			why, members string
			code         kanava.Code
		}{
			{"no topic", ``, kanava.CodeInvalidArgument},
			{"a number", `,"topic":7`, kanava.CodeInvalidArgument},
			{"null", `,"topic":null`, kanava.CodeInvalidArgument},
			{"empty", `,"topic":""`, kanava.CodeInvalidArgument},
			{"a control character", `,"topic":"open:\u0000"`, kanava.CodeInvalidArgument},
			{"too long", `,"topic":"open:` + strings.Repeat("x", 252) + `"`, kanava.CodeInvalidArgument},
			{"more members", `,"topic":"open:a","key":"b"`, kanava.CodeInvalidArgument},
			{"of no family", `,"topic":"nothing:a"`, kanava.CodeNotFound},
			{"without a key", `,"topic":"open"`, kanava.CodeNotFound},
			{"the server's alone", `,"topic":"room:a"`, kanava.CodeNotFound},
			{"not declared here", `,"topic":"elsewhere:a"`, kanava.CodeNotFound},
		} {
			t.Log(action, tc.why)
			c.SendText(`{"action":"` + action + `"` + tc.members + `}`)
			expectError(t, c, action, tc.code)
		}
		do(t, c, `{"action":"`+action+`","topic":"open:`+strings.Repeat("x", 251)+`"}`, action)
		do(t, c, `{"action":"`+action+`","topic":"open:"}`, action) // the empty key is one
	}
}

func TestS5_ClientSubscriptionNeedsASession(t *testing.T) {
	var seen sync.Map // what middleware saw
	srv, f := serveFollowable(t, kanava.Options[account]{Middleware: []kanava.Middleware{func(next kanava.Handler) kanava.Handler {
		return func(ctx context.Context, inv *kanava.Invocation) (any, error) {
			if in, ok := inv.In.(*kanava.ClientSubscription); ok {
				seen.Store(inv.Action+" "+in.Topic, inv.Session)
			}
			return next(ctx, inv)
		}
	}}}, nil)
	c := kanavatest.Dial(t, srv, "/test")
	c.SendText(`{"action":"subscribe","topic":"open:a"}`)
	expectError(t, c, "subscribe", kanava.CodeUnauthenticated)
	do(t, c, `{"action":"subscribe","topic":"club:a"}`, "subscribe") // its MaySubscribe lets in who has none
	if _, ok := seen.Load("subscribe open:a"); ok {
		t.Error("middleware saw a call for which there is no session")
	}
	if s, ok := seen.Load("subscribe club:a"); !ok || s != nil {
		t.Errorf("middleware saw %v, %v", s, ok)
	}
	do(t, c, `{"action":"login","id":"ann"}`, "login")
	do(t, c, `{"action":"subscribe","topic":"open:a"}`, "subscribe")
	publish(t, f.open, "a", "1")
	c.Expect(`{"topic":"open:a","data":{"message":"1"}}`)
	publish(t, f.club, "a", "2")
	c.Expect(`{"topic":"club:a","data":{"message":"2"}}`)
	do(t, c, `{"action":"logout"}`, "logout")
	publish(t, f.open, "a", "3") // made by ann: it has ended with her session
	c.ExpectNone()
	do(t, c, `{"action":"login","id":"bob"}`, "login")
	c.SendText(`{"action":"subscribe","topic":"club:b"}`)
	expectError(t, c, "subscribe", kanava.CodePermissionDenied)
}

func TestS5_HooksOfClientSubscriptionsRunAgain(t *testing.T) {
	srv, f := serveFollowable(t, kanava.Options[account]{}, nil)
	c := openV1(t, srv)
	ask := func(text, answer string) {
		t.Helper()
		c.SendText(text)
		c.Expect(answer)
	}
	ask(`{"do":"login","id":1,"in":{"id":"ann"}}`, `{"re":1}`)
	c.SendText(`{"do":"subscribe","id":2,"in":{"topic":"club:a"}}`)
	expectLike(t, c, `{"sub":"club:a",…}`)
	c.Expect(`{"re":2}`)
	ask(`{"do":"login","id":3,"in":{"id":"ann"}}`, `{"re":3}`)
	if n := f.asked.Load(); n != 2 {
		t.Errorf("MaySubscribe ran %d times, want 2", n)
	}
	f.closed.Store(true)
	ask(`{"do":"login","id":4,"in":{"id":"ann"}}`, `{"unsub":"club:a","reason":"refused"}`)
	c.Expect(`{"re":4}`)
	c.SendText(`{"do":"subscribe","id":5,"in":{"topic":"club:a"}}`)
	expectLike(t, c, `{"re":5,"err":{"code":"permission_denied",…}}`)
}

// What the server has subscribed is not the client's to end, whoever came
// first; the server ends what it likes.
func TestP8_ClientLeavesTheServersSubscriptions(t *testing.T) {
	srv, f := serveFollowable(t, kanava.Options[account]{}, func(w *wiring) { w.Public = true })
	for _, order := range [][]string{
		{`{"action":"join","room":"a"}`, `{"action":"subscribe","topic":"open:a"}`},
		{`{"action":"subscribe","topic":"open:a"}`, `{"action":"join","room":"a"}`},
	} {
		c := kanavatest.Dial(t, srv, "/test")
		for _, frame := range order {
			c.SendText(frame)
			c.Next()
		}
		do(t, c, `{"action":"unsubscribe","topic":"open:a"}`, "unsubscribe")
		publish(t, f.open, "a", "1")
		c.Expect(`{"topic":"open:a","data":{"message":"1"}}`)
		do(t, c, `{"action":"kick","room":"a"}`, "kick")
		do(t, c, `{"action":"subscribe","topic":"open:a"}`, "subscribe")
		do(t, c, `{"action":"kick","room":"a"}`, "kick")
		publish(t, f.open, "a", "2")
		c.ExpectNone()
	}
}

func TestClientSubscriptionsAreCountedAndGuarded(t *testing.T) {
	var guarded atomic.Int64
	srv, _ := serveFollowable(t, kanava.Options[account]{}, func(w *wiring) {
		w.Public = true
		w.Limits.Subscriptions = 2
		w.Middleware = []kanava.Middleware{kanava.Guard(func(_ context.Context, ch *line) error {
			guarded.Add(1)
			if ch.Session().ID == "mallory" {
				return kanava.Errorf(kanava.CodePermissionDenied, "not you")
			}
			return nil
		})}
	})
	c := kanavatest.Dial(t, srv, "/test")
	do(t, c, `{"action":"subscribe","topic":"open:a"}`, "subscribe")
	do(t, c, `{"action":"subscribe","topic":"open:b"}`, "subscribe")
	c.SendText(`{"action":"subscribe","topic":"open:c"}`)
	expectError(t, c, "subscribe", kanava.CodeResourceExhausted)
	do(t, c, `{"action":"unsubscribe","topic":"open:b"}`, "unsubscribe")
	do(t, c, `{"action":"subscribe","topic":"open:c"}`, "subscribe")
	if n := guarded.Load(); n != 5 {
		t.Errorf("the guard ran %d times, want 5", n)
	}
	m := kanavatest.Dial(t, srv, "/test")
	do(t, m, `{"action":"login","id":"mallory"}`, "login")
	for _, action := range []string{"subscribe", "unsubscribe"} {
		m.SendText(`{"action":"` + action + `","topic":"open:a"}`)
		expectError(t, m, action, kanava.CodePermissionDenied)
	}
}

// Own actions win, and then the manifest does not promise the built-in ones.
func TestP8_OwnActionsOfTheseNamesWin(t *testing.T) {
	own := kanava.On("subscribe", func(context.Context, *line, kanava.None) (text, error) { return text{"mine"}, nil })
	srv, _ := serveFollowable(t, kanava.Options[account]{}, func(w *wiring) {
		w.Public, w.Messages = true, by(own)
	})
	c := kanavatest.Dial(t, srv, "/test")
	c.SendText(`{"action":"subscribe"}`)
	c.Expect(`{"message":"mine","action":"subscribe"}`)
	if topic := srv.Manifest().Channels[0].Topics[0]; topic.Subscribable {
		t.Error("the manifest says that clients may subscribe")
	}
}

func TestP8_SubscribingWhereNothingIsRouted(t *testing.T) {
	srv, f := serveFollowable(t, kanava.Options[account]{}, func(w *wiring) {
		w.Public, w.Messages = true, kanava.Router[noOpen, account]{}
		w.OnMessage = kanava.Func(func(_ context.Context, _ *line, in text) (text, error) { return in, nil })
	})
	c := kanavatest.Dial(t, srv, "/test")
	do(t, c, `{"action":"subscribe","topic":"open:a"}`, "subscribe")
	publish(t, f.open, "a", "1")
	c.Expect(`{"topic":"open:a","data":{"message":"1"}}`)
	c.SendText(`{"message":"hi"}`)
	c.Expect(`{"message":"hi"}`)
	v := openV1(t, srv)
	v.SendText(`{"do":"subscribe","id":1,"in":{"topic":"open:b"}}`)
	expectLike(t, v, `{"sub":"open:b",…}`)
	v.Expect(`{"re":1}`)
}

// A key would make the second call answer for the first, on a connection that
// was never subscribed.
func TestP18_KeysMeanNothingToSubscribe(t *testing.T) {
	srv, _ := serveFollowable(t, kanava.Options[account]{}, nil)
	for range 2 {
		c := openV1(t, srv)
		c.SendText(`{"do":"login","id":1,"in":{"id":"ann"}}`)
		c.Expect(`{"re":1}`)
		c.SendText(`{"do":"subscribe","id":2,"key":"k","in":{"topic":"open:a"}}`)
		expectLike(t, c, `{"sub":"open:a",…}`)
		c.Expect(`{"re":2}`)
	}
}

func TestSubscribableInManifest(t *testing.T) {
	srv, _ := serveFollowable(t, kanava.Options[account]{}, nil)
	m := srv.Manifest()
	got := ""
	for _, topic := range m.Channels[0].Topics {
		if topic.Subscribable {
			got += topic.Name + " "
		}
	}
	if got != "open club " || len(m.Channels[0].Actions) != 4 {
		t.Errorf("subscribable: %q; %d actions", got, len(m.Channels[0].Actions))
	}
	before := m.Hash
	m.Channels[0].Topics[0].Subscribable = false
	if err := m.SetHash(); err != nil || m.Hash == before {
		t.Errorf("the hash is the same: %v", err)
	}
}
