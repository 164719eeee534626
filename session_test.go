package kanava_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

func TestFunctionsNeedASession(t *testing.T) {
	ok := func(context.Context, *line, kanava.None) error { return nil }
	routes := by(login(), logout(), whoami(),
		kanava.OnDo("default", ok), kanava.OnDo("public", ok, kanava.Public()), kanava.OnDo("protected", ok, kanava.Protected()),
		kanava.OnDo("admin", ok, kanava.Allow("admin")), kanava.OnDo("any", ok, kanava.Allow("admin", "editor")),
		kanava.OnDo("both", ok, kanava.Allow("admin"), kanava.Allow("editor")))
	const un, denied = kanava.CodeUnauthenticated, kanava.CodePermissionDenied
	for _, tc := range []struct {
		name   string
		public bool
		login  string
		want   map[string]kanava.Code // "" is success
	}{
		{"nobody on a channel", false, "", map[string]kanava.Code{"default": un, "public": "", "protected": un, "admin": un}},
		{"nobody on a public channel", true, "", map[string]kanava.Code{"default": "", "public": "", "protected": un, "admin": un}},
		{"a user", false, `[]`, map[string]kanava.Code{"default": "", "public": "", "protected": "", "admin": denied, "any": denied}},
		{"an admin", false, `["admin"]`, map[string]kanava.Code{"admin": "", "any": "", "both": denied}},
		{"an editor", false, `["editor"]`, map[string]kanava.Code{"admin": denied, "any": "", "both": denied}},
		{"both", false, `["editor","admin"]`, map[string]kanava.Code{"admin": "", "any": "", "both": ""}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := kanavatest.Dial(t, serve(t, kanava.Options[account]{}, wiring{Public: tc.public, Messages: routes}), "/test")
			if tc.login != "" {
				do(t, c, `{"action":"login","id":"ann","roles":`+tc.login+`}`, "login")
			}
			for action, code := range tc.want {
				c.SendText(`{"action":"` + action + `"}`)
				if code == "" {
					c.Expect(`{"action":"` + action + `"}`)
				} else {
					expectError(t, c, action, code)
				}
			}
		})
	}
}

// A malformed message is told so whoever asks; a bad input only to those who
// may call.
func TestSessionIsCheckedBetweenScanAndDecode(t *testing.T) {
	c := kanavatest.Dial(t, serve(t, kanava.Options[account]{}, wiring{Messages: by(kanava.On("echo", echo))}), "/test")
	c.SendText(`{"action":"echo","message":1`)
	expectError(t, c, "", kanava.CodeInvalidArgument)
	c.SendText(`{"action":"echo","message":1}`)
	expectError(t, c, "echo", kanava.CodeUnauthenticated)
}

func TestP16_SessionChangesAtOnce(t *testing.T) {
	c := kanavatest.Dial(t, serve(t, kanava.Options[account]{}, wiring{Messages: by(login(), logout(), whoami())}), "/test")
	c.SendText(`{"action":"whoami"}`)
	c.Expect(`{"message":"","action":"whoami"}`)
	do(t, c, `{"action":"login","id":"ann"}`, "login")
	c.SendText(`{"action":"whoami"}`)
	c.Expect(`{"message":"ann","action":"whoami"}`)
	do(t, c, `{"action":"login","id":"ann","roles":["admin"]}`, "login") // the same user again
	c.SendText(`{"action":"login","id":"bob"}`)
	expectError(t, c, "login", kanava.CodePermissionDenied)
	c.SendText(`{"action":"whoami"}`)
	c.Expect(`{"message":"ann","action":"whoami"}`)
	do(t, c, `{"action":"logout"}`, "logout")
	do(t, c, `{"action":"logout"}`, "logout")
	do(t, c, `{"action":"login","id":"bob"}`, "login")
	c.SendText(`{"action":"whoami"}`)
	c.Expect(`{"message":"bob","action":"whoami"}`)
}

func TestP16_UserChangeEndsTheFormerUsersCalls(t *testing.T) {
	started := make(chan struct{}, 1)
	ended := make(chan error, 1)
	srv := serve(t, kanava.Options[account]{AllowUserChange: true}, wiring{Messages: by(login(), whoami(),
		kanava.OnDo("wait", func(ctx context.Context, _ *line, _ kanava.None) error {
			started <- struct{}{}
			<-ctx.Done()
			ended <- ctx.Err()
			return nil
		}, kanava.Concurrent()))})
	c := kanavatest.Dial(t, srv, "/test")
	do(t, c, `{"action":"login","id":"ann"}`, "login")
	c.SendText(`{"action":"wait"}`)
	receive(t, started)
	do(t, c, `{"action":"login","id":"ann","roles":["x"]}`, "login")
	c.ExpectNone()
	c.SendText(`{"action":"login","id":"bob"}`)
	frames := []string{c.Next(), c.Next()}
	if frames[0] != `{"action":"login"}` {
		frames[0], frames[1] = frames[1], frames[0]
	}
	if frames[0] != `{"action":"login"}` || !kanavatest.SameJSON(frames[1], `{"action":"wait","error":{"code":"aborted","message":"another user signed in, or the user signed out"}}`) {
		t.Errorf("got %v", frames)
	}
	if err := receive(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("the former user's call ended with %v", err)
	}
}

func TestAdmitDecidesAtOpeningAndSetSession(t *testing.T) {
	srv := serve(t, kanava.Options[account]{
		Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*account, error) {
			switch r.Token {
			case "":
				return nil, nil
			case "bad":
				return nil, errors.New("secret")
			}
			return &account{ID: r.Token}, nil
		},
	}, wiring{
		Messages: by(login(), whoami()),
		Admit: func(_ context.Context, _ noOpen, a account) error {
			if a.ID == "banned" {
				return kanava.Errorf(kanava.CodePermissionDenied, "banned")
			}
			return nil
		},
	})
	c := kanavatest.Dial(t, srv, "/test")
	c.SendText(`{"action":"login","id":"banned"}`)
	expectError(t, c, "login", kanava.CodePermissionDenied)
	c.SendText(`{"action":"whoami"}`)
	c.Expect(`{"message":"","action":"whoami"}`)

	for token, want := range map[string]kanava.Code{"bad": kanava.CodeUnauthenticated, "banned": kanava.CodePermissionDenied} {
		req := request("/test")
		req.Token = token
		_, err := kanavatest.DialRequest(t, srv, req)
		var e *kanava.Error
		if !errors.As(err, &e) || e.Code != want || e.Message == "secret" {
			t.Errorf("token %q: %v, want %s", token, err, want)
		}
	}
	req := request("/test")
	req.Token = "ann"
	d, err := kanavatest.DialRequest(t, srv, req)
	if err != nil {
		t.Fatal(err)
	}
	d.SendText(`{"action":"whoami"}`)
	d.Expect(`{"message":"ann","action":"whoami"}`)
}

func TestS5_SessionExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, kanava.Options[account]{}, wiring{Messages: by(login(), whoami(),
			kanava.OnDo("secret", func(context.Context, *line, kanava.None) error { return nil }))})
		c := kanavatest.Dial(t, srv, "/test")
		do(t, c, `{"action":"login","id":"ann","ms":60000}`, "login")
		time.Sleep(59 * time.Second) // virtual
		do(t, c, `{"action":"secret"}`, "secret")
		do(t, c, `{"action":"login","id":"ann","ms":60000}`, "login") // renewed
		time.Sleep(59 * time.Second)
		do(t, c, `{"action":"secret"}`, "secret")
		time.Sleep(2 * time.Second)
		c.SendText(`{"action":"secret"}`)
		if got := expectError(t, c, "secret", kanava.CodeUnauthenticated); got.Error.Message != "the session has expired" {
			t.Errorf("message %q", got.Error.Message)
		}
		c.SendText(`{"action":"whoami"}`)
		c.Expect(`{"message":"","action":"whoami"}`)
		do(t, c, `{"action":"login","id":"ann","ms":1000}`, "login") // renewed within the grace
		time.Sleep(25500 * time.Millisecond)
		do(t, c, `{"action":"login","id":"ann","ms":1000}`, "login")
		start := time.Now()
		time.Sleep(27 * time.Second)
		c.ExpectClose(kanava.CloseUnauthenticated)
		if time.Since(start) < 26*time.Second {
			t.Error("closed before the grace was over")
		}
		d := kanavatest.Dial(t, srv, "/test")
		d.SendText(`{"action":"login","id":"ann","ms":1}`)
		d.Next()
		time.Sleep(time.Second)
	})
}

func TestExpiredSessionIsRefused(t *testing.T) {
	ch := kanavatest.NewChannel[noOpen, account](t, noOpen{}, nil)
	if err := ch.SetSession(context.Background(), account{ID: "ann"}); err != nil {
		t.Fatal(err)
	}
	srv := serve(t, kanava.Options[account]{}, wiring{Messages: by(kanava.OnDo("old", func(ctx context.Context, ch *line, _ kanava.None) error {
		return ch.SetSession(ctx, account{ID: "ann", Until: time.Now().Add(-time.Second)})
	}, kanava.Public()))})
	c := kanavatest.Dial(t, srv, "/test")
	c.SendText(`{"action":"old"}`)
	expectError(t, c, "old", kanava.CodeUnauthenticated)
}

func TestConnectionsOfAUser(t *testing.T) {
	srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{UserConns: 2}}, wiring{Messages: by(login(), logout())})
	a, b, c := kanavatest.Dial(t, srv, "/test"), kanavatest.Dial(t, srv, "/test"), kanavatest.Dial(t, srv, "/test")
	do(t, a, `{"action":"login","id":"ann"}`, "login")
	do(t, a, `{"action":"login","id":"ann"}`, "login")
	do(t, b, `{"action":"login","id":"ann"}`, "login")
	c.SendText(`{"action":"login","id":"ann"}`)
	expectError(t, c, "login", kanava.CodeResourceExhausted)
	do(t, b, `{"action":"logout"}`, "logout")
	do(t, c, `{"action":"login","id":"ann"}`, "login")

	ctx := context.Background()
	if n := srv.Conns().Count(); n != 3 {
		t.Errorf("Count is %d", n)
	}
	if conns, err := srv.Conns().OfUser(ctx, "ann"); err != nil || len(conns) != 2 {
		t.Errorf("OfUser: %v, %v", conns, err)
	}
	if conn, err := srv.Conns().Get(ctx, a.ID()); err != nil || conn.ID() != a.ID() {
		t.Errorf("Get: %v, %v", conn, err)
	}
	var e *kanava.Error
	if _, err := srv.Conns().Get(ctx, "nobody"); !errors.As(err, &e) || e.Code != kanava.CodeNotFound {
		t.Errorf("Get of nobody: %v", err)
	}
	if err := srv.Conns().CloseUser(ctx, "ann", kanava.CloseForbidden, "kicked"); err != nil {
		t.Fatal(err)
	}
	a.ExpectClose(kanava.CloseForbidden)
	c.ExpectClose(kanava.CloseForbidden)
	receive(t, a.Done())
	b.ExpectNone()
	if conns, _ := srv.Conns().OfUser(ctx, "ann"); len(conns) != 0 {
		t.Errorf("OfUser after CloseUser: %v", conns)
	}
}

// Admit and MaySubscribe cannot change what they decide about.
func TestHooksCannotChangeTheSession(t *testing.T) {
	var errs [3]error
	var ch *line
	srv := serve(t, kanava.Options[account]{}, wiring{
		Public:    true,
		OnConnect: kanava.ConnectFunc(func(_ context.Context, c *line) (kanava.None, error) { ch = c; return kanava.None{}, nil }),
		Messages:  by(login(), whoami()),
		Admit: func(ctx context.Context, _ noOpen, _ account) error {
			errs[0] = ch.SetSession(ctx, account{ID: "root"})
			return nil
		},
	})
	hub := srv.EventHub()
	topic := kanava.NewTopic[text](hub, "t", kanava.MaySubscribe(func(ctx context.Context, _ account, _ string) error {
		errs[1], errs[2] = ch.ClearSession(ctx), hub.Subscribe(ctx, "other", ch.ID())
		return nil
	}))
	c := kanavatest.Dial(t, srv, "/test")
	do(t, c, `{"action":"login","id":"ann"}`, "login")
	if err := topic.Subscribe(context.Background(), ch, "x"); err != nil {
		t.Fatal(err)
	}
	for i, err := range errs {
		if err == nil {
			t.Errorf("hook call %d was let through", i)
		}
	}
	c.SendText(`{"action":"whoami"}`)
	c.Expect(`{"message":"ann","action":"whoami"}`)
}

// SetSession and Subscribe race with everything else on a connection. However
// they fall, each call ends without an error that is not theirs, and a user
// whom MaySubscribe refuses is not subscribed in the end.
func TestSessionsUnderLoad(t *testing.T) {
	srv := serve(t, kanava.Options[account]{AllowUserChange: true}, wiring{Public: true})
	topic := kanava.NewTopic[text](srv.EventHub(), "load", kanava.MaySubscribe(func(_ context.Context, a account, _ string) error {
		if a.ID == "b" {
			return kanava.Errorf(kanava.CodePermissionDenied, "no")
		}
		return nil
	}))
	ch := kanavatest.NewChannelOn[noOpen, account](t, srv.EventHub(), noOpen{}, nil)
	ctx := context.Background()
	done := make(chan struct{})
	for _, f := range []func(i int) error{
		func(i int) error { return ch.SetSession(ctx, account{ID: string(rune('a' + i%2))}) },
		func(int) error { _ = topic.Subscribe(ctx, ch, "x"); return nil },
		func(int) error { return topic.Unsubscribe(ctx, ch, "x") },
		func(int) error { return topic.Publish(ctx, "x", text{"hi"}) },
		func(int) error { return ch.ClearSession(ctx) },
	} {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 300 {
				if err := f(i); err != nil && !errors.Is(err, kanava.ErrClosed) {
					t.Error(err)
				}
			}
		}()
	}
	for range 5 {
		receive(t, done)
	}
	for _, step := range []error{
		ch.SetSession(ctx, account{ID: "a"}),
		topic.Subscribe(ctx, ch, "x"),
		ch.SetSession(ctx, account{ID: "b"}),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	var e *kanava.Error
	if err := topic.Subscribe(ctx, ch, "x"); !errors.As(err, &e) || e.Code != kanava.CodePermissionDenied {
		t.Errorf("Subscribe as the refused user: %v", err) // nil: the subscription of a has outlived a
	}
}
