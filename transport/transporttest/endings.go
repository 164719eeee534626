package transporttest

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
)

// This file has behaviours at the end of connections.

// ending is what an OnDisconnect saw.
type ending struct {
	code    kanava.CloseCode
	reason  string
	running int32 // functions
	alive   bool  // its context
}

func testDisconnect(t *testing.T, tr Transport) {
	var running atomic.Int32
	started := make(chan struct{}, 3)
	canceled := make(chan struct{}, 3)
	gate := make(chan struct{})
	left := make(chan ending, 2)
	hold := func(ctx context.Context, _ *lab, _ none) error {
		running.Add(1)
		defer running.Add(-1)
		started <- struct{}{}
		<-ctx.Done()
		canceled <- struct{}{}
		<-gate // it returns long after the client has left
		return ctx.Err()
	}
	srv, d := serveLab(t, tr, quiet(), kanava.Wiring[none, none]{
		OnDisconnect: kanava.DisconnectFunc(func(ctx context.Context, ch *lab) error {
			code, reason := ch.Closed()
			left <- ending{code, reason, running.Load(), ctx.Err() == nil && ch.State() == kanava.StateClosed}
			return nil
		}),
		Messages: kanava.By("action",
			kanava.OnDo("hold", hold, kanava.Concurrent()),
			kanava.OnDo("ordered", hold),
			kanava.OnStream("stream", func(ctx context.Context, ch *lab, in none, _ *kanava.Stream[number]) error { return hold(ctx, ch, in) }),
		),
	})
	p := dial(t, d, "/lab")
	for _, action := range []string{"hold", "stream", "ordered"} {
		p.send(`{"action":"` + action + `"}`)
		receive(t, "the function runs", started)
	}
	if err := p.Close(4001, "bye"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		receive(t, "its context ends", canceled)
	}
	select {
	case e := <-left:
		t.Errorf("OnDisconnect ran while functions did: %+v", e)
	default:
	}
	close(gate)
	want := ending{4001, "bye", 0, true}
	if tr.NoClientCodes {
		want.code, want.reason = kanava.CloseAbnormal, ""
	}
	if e := receive(t, "OnDisconnect", left); e != want {
		t.Errorf("OnDisconnect saw %+v", e)
	}
	eventually(t, "the connection is forgotten", func() bool { return srv.Conns().Count() == 0 })
	if len(left) > 0 {
		t.Error("OnDisconnect ran twice")
	}
}

func testServerCloses(t *testing.T, tr Transport) {
	left := make(chan ending, 2)
	ids := make(chan kanava.Conn, 1)
	srv, d := serveLab(t, tr, quiet(), kanava.Wiring[none, none]{
		OnConnect: kanava.ConnectFunc(func(_ context.Context, ch *lab) (none, error) {
			ids <- ch
			return none{}, nil
		}),
		OnDisconnect: kanava.DisconnectFunc(func(_ context.Context, ch *lab) error {
			code, reason := ch.Closed()
			left <- ending{code: code, reason: reason}
			return nil
		}),
	})
	p := dial(t, d, "/lab")
	ch := receive(t, "OnConnect", ids)
	if err := ch.(*lab).Close(t.Context(), 4200, "come back"); err != nil {
		t.Fatal(err)
	}
	if err := ch.(*lab).Close(t.Context(), 4201, "twice"); err != nil {
		t.Fatal(err)
	}
	if reason := p.expectClose(4200); reason != "come back" && !(tr.enveloped && tr.NoReasons) {
		t.Errorf("the reason is %q", reason)
	}
	if e := receive(t, "OnDisconnect", left); e != (ending{code: 4200, reason: "come back"}) {
		t.Errorf("OnDisconnect saw %+v", e)
	}
	eventually(t, "the connection is forgotten", func() bool { return srv.Conns().Count() == 0 })
	if len(left) > 0 {
		t.Error("OnDisconnect ran twice")
	}
}

func testContexts(t *testing.T, tr Transport) {
	ended := make(chan error, 3)
	started := make(chan struct{}, 3)
	outlast := func(ctx context.Context, ch *lab, _ none) error {
		started <- struct{}{}
		<-ctx.Done()
		<-ch.Context().Done()
		ended <- context.Cause(ctx)
		return ctx.Err()
	}
	_, d := serveLab(t, tr, quiet(), kanava.Wiring[none, none]{
		Messages: kanava.By("action",
			kanava.OnDo("ordered", outlast),
			kanava.OnDo("beside", outlast, kanava.Concurrent()),
			kanava.OnStream("stream", func(ctx context.Context, ch *lab, in none, out *kanava.Stream[number]) error {
				err := outlast(ctx, ch, in)
				if out.Send(context.WithoutCancel(ctx), number{1}) == nil {
					t.Error("a stream sent to a client that has left")
				}
				return err
			}),
		),
	})
	p := dial(t, d, "/lab")
	for _, action := range []string{"beside", "stream", "ordered"} {
		p.send(`{"action":"` + action + `"}`)
		receive(t, "the function runs", started)
	}
	p.Cut()
	for range 3 {
		if err := receive(t, "the context ends", ended); err == nil {
			t.Error("it ended without a cause")
		}
	}
}

type brief = kanava.Channel[none, User]

func testExpiry(t *testing.T, tr Transport) {
	left := make(chan kanava.CloseCode, 1)
	srv := kanava.NewServer(kanava.Options[User]{
		Identify: identify,
		Limits:   kanava.Limits{ExpiryGrace: time.Millisecond},
		Logger:   slog.New(slog.DiscardHandler),
	})
	srv.Wire(kanava.Wiring[none, User]{
		Name: "brief", Route: "/brief",
		OnDisconnect: kanava.DisconnectFunc(func(_ context.Context, ch *brief) error {
			code, _ := ch.Closed()
			left <- code
			return nil
		}),
		Messages: kanava.By("action", kanava.OnDo("enter", func(ctx context.Context, ch *brief, in credentials) error {
			u, err := signIn(in.Token)
			if err != nil {
				return err
			}
			return ch.SetSession(ctx, u)
		}, kanava.Public())),
	})
	shutDown(t, srv.Shutdown)
	d := tr.Serve(t, srv)
	lasting, short := dial(t, d, "/brief"), dial(t, d, "/brief")
	lasting.send(`{"action":"enter","token":"alice"}`)
	lasting.expect(`{"action":"enter"}`)
	short.send(`{"action":"enter","token":"short"}`)
	short.expect(`{"action":"enter"}`)
	short.expectClose(int(kanava.CloseUnauthenticated))
	if code := receive(t, "OnDisconnect", left); code != kanava.CloseUnauthenticated {
		t.Errorf("OnDisconnect saw the code %d", code)
	}
	lasting.send(`{"action":"enter","token":"alice"}`)
	lasting.expect(`{"action":"enter"}`)
}

func testUserConns(t *testing.T, tr Transport) {
	srv := kanava.NewServer(kanava.Options[User]{
		Authenticate: authenticate,
		Identify:     identify,
		Limits:       kanava.Limits{UserConns: 2},
		Logger:       slog.New(slog.DiscardHandler),
	})
	srv.Wire(kanava.Wiring[none, User]{
		Name: "brief", Route: "/brief", Public: true,
		Messages: kanava.By("action", kanava.OnDo("ping", ping[none])),
	})
	shutDown(t, srv.Shutdown)
	d := tr.Serve(t, srv)
	alice := Request{Path: "/brief", Headers: map[string]string{"Authorization": "Bearer alice"}}
	bob := Request{Path: "/brief", Headers: map[string]string{"Authorization": "Bearer bob"}}
	var first *peer
	for _, r := range []Request{alice, alice, bob} {
		p, err := dialRequest(t, d, r)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = p
		}
	}
	dialRefused(t, d, alice, 429, "resource_exhausted")
	first.expectNone()
	first.Cut()
	eventually(t, "a place is free", func() bool {
		p, err := dialRequest(t, d, alice)
		if err != nil {
			return false
		}
		p.expectNone()
		return true
	})
}
