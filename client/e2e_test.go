package client_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/kanava-go/kanava/client"
)

// The client and a real server, over loopback.

func TestCallsEventsAndPushes(t *testing.T) {
	ctx := within(t)
	url := serve(t, nil)
	events, notices, states := make(chan say, 10), make(chan say, 10), make(chan client.State, 10)
	c := dial(t, url, opening{"general"}, options{
		Authenticate: signIn,
		Setup: func(c *chat) {
			c.OnRoom("general", func(v say) { events <- v })
			client.OnPush(c.Conn, "notice", func(v say) { notices <- v })
			c.OnState(func(s client.State) { states <- s })
		},
	})
	w, err := client.Opened[welcome](ctx, c.Conn)
	if err != nil || w.Welcome != "Welcome to general" {
		t.Fatal(w, err)
	}
	for _, want := range []client.Phase{client.Connecting, client.Greeting, client.Open} {
		if s := wait(t, states); s.Phase != want {
			t.Fatalf("%+v, want %s", s, want)
		}
	}
	got, err := c.Say(ctx, say{"hi"})
	if err != nil || got.Message != "ann: hi" {
		t.Fatal(got, err)
	}
	if ev := wait(t, events); ev != got {
		t.Errorf("event %v", ev)
	}
	if err := client.Do(ctx, c.Conn, "", "note", say{"psst"}); err != nil {
		t.Fatal(err)
	}
	if v := wait(t, notices); v.Message != "psst" {
		t.Errorf("push %v", v)
	}
	if v, err := client.Call[say](ctx, c.Conn, "", "", say{"echo"}); err != nil || v.Message != "echo" {
		t.Errorf("OnMessage: %v %v", v, err)
	}
}

func TestErrors(t *testing.T) {
	ctx := within(t)
	c := dial(t, serve(t, nil), opening{"general"}, options{Authenticate: signIn})
	_, err := c.Say(ctx, say{string(bytes.Repeat([]byte("x"), 101))})
	var e *client.Error
	if !errors.As(err, &e) || e.Code != client.CodeInvalidArgument || len(e.Details) != 1 || e.Details[0].Pointer != "/message" {
		t.Errorf("too long: %+v", e)
	}
	if err := client.Do(ctx, c.Conn, "", "nothing", nil); codeOf(err) == "" {
		t.Errorf("an action that there is not: %v", err)
	}
	canceled, cancel := context.WithCancel(ctx)
	go cancel()
	err = client.Do(canceled, c.Conn, "", "wait", nil)
	if codeOf(err) != client.CodeCanceled || !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestStream(t *testing.T) {
	ctx := within(t)
	c := dial(t, serve(t, nil), opening{"general"}, options{})
	n := 0
	for v, err := range c.Count(ctx, count{100}) {
		if n++; err != nil || v.N != n {
			t.Fatal(v, err)
		}
	}
	if n != 100 {
		t.Errorf("%d items", n)
	}
	for v, err := range c.Count(ctx, count{1 << 30}) { // leaving it cancels
		if err != nil {
			t.Fatal(err)
		}
		if v.N == 10 {
			break
		}
	}
	if _, err := client.Call[say](ctx, c.Conn, "", "", say{"still there"}); err != nil {
		t.Error(err)
	}
}

func TestServersCall(t *testing.T) {
	ctx := within(t)
	c := dial(t, serve(t, nil), opening{"general"}, options{})
	client.Handle(c.Conn, "sure", func(_ context.Context, q question) (count, error) {
		if q.Text == "" {
			return count{}, &client.Error{Code: client.CodeFailedPrecondition, Message: "ask something"}
		}
		return count{len(q.Text)}, nil
	})
	if v, err := client.Call[count](ctx, c.Conn, "", "ask", question{"why?"}); err != nil || v.N != 4 {
		t.Error(v, err)
	}
	if _, err := client.Call[count](ctx, c.Conn, "", "ask", question{}); codeOf(err) != client.CodeFailedPrecondition {
		t.Error(err)
	}
}

func TestBinary(t *testing.T) {
	ctx := within(t)
	c := dial(t, serve(t, nil), opening{"general"}, options{})
	got := make(chan []byte, 1)
	c.OnBinary(func(p []byte) { got <- p })
	if _, err := client.Opened[welcome](ctx, c.Conn); err != nil {
		t.Fatal(err)
	}
	if err := c.SendBinary(ctx, []byte{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if p := wait(t, got); !bytes.Equal(p, []byte{3, 2, 1}) {
		t.Errorf("% x", p)
	}
}

// A refused sign-in is tried on a second connection and then never again.
func TestRefusedForGood(t *testing.T) {
	ctx := within(t)
	c := dial(t, serve(t, nil), opening{"general"}, options{
		Authenticate: func(ctx context.Context, c *chat) error { return c.Login(ctx, login{"nobody"}) },
	})
	wait(t, c.Done())
	if s := c.State(); s.Phase != client.Closed || s.Code != client.CloseUnauthenticated {
		t.Errorf("%+v", s)
	}
	if _, err := c.Say(ctx, say{"hi"}); codeOf(err) != client.CodeUnavailable {
		t.Error(err)
	}
}
