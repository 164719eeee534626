package kanava_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

func TestOnConnectComesFirst(t *testing.T) {
	release := make(chan struct{})
	srv := serve(t, kanava.Options[account]{}, wiring{
		Public: true,
		OnConnect: kanava.ConnectFunc(func(_ context.Context, ch *line) (text, error) {
			<-release
			return text{"welcome, " + ch.State().String()}, nil
		}),
		OnMessage: kanava.Func(func(_ context.Context, ch *line, _ text) (text, error) { return text{ch.State().String()}, nil }),
	})
	c := kanavatest.Dial(t, srv, "/test")
	c.SendText(`{"message":"early"}`)
	c.ExpectNone()
	close(release)
	c.Expect(`{"message":"welcome, initial"}`)
	c.Expect(`{"message":"open"}`)
}

func TestOnConnectRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		err   error
		code  kanava.Code
		close kanava.CloseCode
	}{
		{"unauthenticated", kanava.Errorf(kanava.CodeUnauthenticated, "no"), kanava.CodeUnauthenticated, kanava.CloseUnauthenticated},
		{"permission denied", kanava.Errorf(kanava.CodePermissionDenied, "no"), kanava.CodePermissionDenied, kanava.CloseForbidden},
		{"not found", kanava.Errorf(kanava.CodeNotFound, "no"), kanava.CodeNotFound, kanava.CloseBadRequest},
		{"exhausted", kanava.Errorf(kanava.CodeResourceExhausted, "no"), kanava.CodeResourceExhausted, kanava.CloseRateLimited},
		{"unavailable", kanava.Errorf(kanava.CodeUnavailable, "no"), kanava.CodeUnavailable, kanava.CloseDraining},
		{"internal", errors.New("secret"), kanava.CodeInternal, kanava.CloseInternal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ended := make(chan kanava.CloseCode, 1)
			srv := serve(t, kanava.Options[account]{}, wiring{
				Public:    true,
				OnConnect: kanava.ConnectFunc(func(context.Context, *line) (kanava.None, error) { return kanava.None{}, tc.err }),
				OnDisconnect: kanava.DisconnectFunc(func(_ context.Context, ch *line) error {
					code, _ := ch.Closed()
					ended <- code
					return nil
				}),
				OnMessage: kanava.Func(func(context.Context, *line, text) (text, error) {
					t.Error("a message was taken")
					return text{}, nil
				}),
			})
			c := kanavatest.Dial(t, srv, "/test")
			c.SendText(`{"message":"x"}`)
			expectError(t, c, "", tc.code)
			c.ExpectClose(tc.close)
			if got := receive(t, ended); got != tc.close {
				t.Errorf("OnDisconnect saw code %d, want %d", got, tc.close)
			}
		})
	}
}

func TestOnDisconnectRunsOnceAfterEverythingElse(t *testing.T) {
	var running int // no lock: OnDisconnect runs after the others
	type end struct {
		code    kanava.CloseCode
		reason  string
		running int
		err     error
		session string
		state   kanava.State
	}
	ended := make(chan end, 2)
	started := make(chan struct{}, 2)
	wait := func(ctx context.Context, _ *line, _ kanava.None) error {
		started <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	srv := serve(t, kanava.Options[account]{}, wiring{
		Public: true,
		Messages: by(login(),
			kanava.OnDo("wait", func(ctx context.Context, ch *line, in kanava.None) error {
				running++
				defer func() { running-- }()
				return wait(ctx, ch, in)
			}),
			kanava.OnDo("beside", wait, kanava.Concurrent())),
		OnDisconnect: kanava.DisconnectFunc(func(ctx context.Context, ch *line) error {
			code, reason := ch.Closed()
			ended <- end{code, reason, running, ctx.Err(), ch.Session().ID, ch.State()}
			return nil
		}),
	})
	c := kanavatest.Dial(t, srv, "/test")
	do(t, c, `{"action":"login","id":"ann"}`, "login")
	c.SendText(`{"action":"beside"}`)
	c.SendText(`{"action":"wait"}`)
	receive(t, started)
	receive(t, started)
	c.Leave()
	c.Leave()
	receive(t, c.Done())
	want := end{kanava.CloseGoingAway, "", 0, nil, "ann", kanava.StateClosed}
	if got := receive(t, ended); got != want {
		t.Errorf("OnDisconnect saw %+v, want %+v", got, want)
	}
	if len(ended) > 0 {
		t.Error("OnDisconnect ran twice")
	}
}

func TestOnDisconnectBelongsToAStartedConnection(t *testing.T) {
	srv := serve(t, kanava.Options[account]{}, wiring{
		Public: true,
		OnDisconnect: kanava.DisconnectFunc(func(context.Context, *line) error {
			t.Error("OnDisconnect ran for a connection that never started")
			return nil
		}),
	})
	link := open(t, srv, "/test", newPeer())
	link.Disconnect(kanava.CloseAbnormal, "")
	receive(t, link.Done())
}

func TestCloseFlushesTheReply(t *testing.T) {
	var other kanava.Conn
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(
		kanava.On("bye", func(ctx context.Context, ch *line, _ kanava.None) (text, error) {
			err := ch.Close(ctx, 4001, "bye")
			_ = ch.Close(ctx, 4002, "too late")
			return text{"last words, " + ch.State().String()}, err
		}),
		kanava.OnDo("wait", func(ctx context.Context, _ *line, _ kanava.None) error { <-ctx.Done(); return nil }, kanava.Concurrent()),
		kanava.OnDo("remember", func(_ context.Context, ch *line, _ kanava.None) error { other = ch; return nil }),
	)})
	c := kanavatest.Dial(t, srv, "/test")
	c.SendText(`{"action":"wait"}`)
	c.SendText(`{"action":"bye"}`)
	c.SendText(`{"action":"bye"}`) // dropped
	seen := map[string]bool{c.Next(): true}
	if f, ok := c.NextFrame(); ok { // the reply of wait may come before the close
		seen[string(f.Data)] = true
	}
	if !seen[`{"message":"last words, closed","action":"bye"}`] {
		t.Errorf("the reply was not flushed: %v", seen)
	}
	if reason := c.ExpectClose(4001); reason != "bye" {
		t.Errorf("reason %q", reason)
	}

	d := kanavatest.Dial(t, srv, "/test")
	do(t, d, `{"action":"remember"}`, "remember")
	ch := other.(*line)
	if err := ch.Close(context.Background(), kanava.CloseNormal, ""); err != nil {
		t.Fatal(err)
	}
	d.ExpectClose(kanava.CloseNormal)
	if err := ch.SetSession(context.Background(), account{}); !errors.Is(err, kanava.ErrClosed) {
		t.Errorf("SetSession on a closed connection: %v", err)
	}
	if err := ch.SendBinary(context.Background(), nil); !errors.Is(err, kanava.ErrClosed) {
		t.Errorf("SendBinary on a closed connection: %v", err)
	}
	receive(t, ch.Context().Done())
	if ch.Context().Err() == nil {
		t.Error("the connection's context has not ended")
	}
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		channel := make(chan *line, 1)
		srv := serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(
			kanava.OnDo("stuck", func(_ context.Context, ch *line, _ kanava.None) error { channel <- ch; <-release; return nil }))})
		c := kanavatest.Dial(t, srv, "/test")
		c.SendText(`{"action":"stuck"}`)
		ch := <-channel
		start := time.Now()
		if err := ch.Close(context.Background(), kanava.CloseForbidden, ""); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Minute, func() { close(release) })
		for {
			synctest.Wait()
			if code, _ := ch.Closed(); code != 0 {
				break
			}
			time.Sleep(time.Second) // virtual
		}
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("the close took %v", took)
		}
		<-release
	})
}

func TestCloseRefusesBadCodes(t *testing.T) {
	ch := kanavatest.NewChannel[noOpen, account](t, noOpen{}, nil)
	for _, code := range []kanava.CloseCode{0, 999, 1005, 1006, 3000, 4400 + 99, 5000} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("code %d: no panic", code)
				}
			}()
			_ = ch.Close(context.Background(), code, "")
		}()
	}
}

func TestCloseReasonFits(t *testing.T) {
	for _, tc := range []struct{ reason, want string }{
		{strings.Repeat("x", 124), strings.Repeat("x", 123)},
		{strings.Repeat("x", 122) + "\u00e4", strings.Repeat("x", 122)},
		{"a\xffb", "a\ufffdb"},
	} {
		ch := kanavatest.NewChannel[noOpen, account](t, noOpen{}, nil)
		if err := ch.Close(context.Background(), 4000, tc.reason); err != nil {
			t.Fatal(err)
		}
		if got := kanavatest.ClientOf(t, ch).ExpectClose(4000); got != tc.want {
			t.Errorf("%q became %q, want %q", tc.reason, got, tc.want)
		}
	}
}

func TestShutdownDrains(t *testing.T) {
	release, started := make(chan struct{}), make(chan struct{}, 1)
	srv := serve(t, kanava.Options[account]{DrainSpread: 3 * time.Second}, wiring{Public: true, Messages: by(
		kanava.On("echo", echo),
		kanava.On("slow", func(context.Context, *line, kanava.None) (text, error) {
			started <- struct{}{}
			<-release
			return text{"done"}, nil
		}))})
	busy, idle := kanavatest.Dial(t, srv, "/test"), kanavatest.Dial(t, srv, "/test")
	busy.SendText(`{"action":"slow"}`)
	busy.SendText(`{"action":"echo","message":"already taken"}`)
	receive(t, started)
	finished := make(chan error, 1)
	go func() { finished <- srv.Shutdown(context.Background()) }()
	if reason := idle.ExpectClose(kanava.CloseDraining); reason != "draining 0-3000" {
		t.Errorf("reason %q", reason)
	}
	busy.SendText(`{"action":"echo","message":"too late"}`)
	expectError(t, busy, "", kanava.CodeUnavailable)
	_, err := kanavatest.DialRequest(t, srv, request("/test"))
	var e *kanava.Error
	if !errors.As(err, &e) || e.Code != kanava.CodeUnavailable || e.HTTPStatus() != 503 || e.RetryAfter != 3*time.Second {
		t.Errorf("opening while draining: %v", err)
	}
	select {
	case err := <-finished:
		t.Fatalf("Shutdown returned %v while a function ran", err)
	default:
	}
	close(release)
	busy.Expect(`{"message":"done","action":"slow"}`)
	busy.Expect(`{"message":"already taken","action":"echo"}`)
	busy.ExpectClose(kanava.CloseDraining)
	if err := receive(t, finished); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestShutdownHasADeadline(t *testing.T) {
	started, ended := make(chan struct{}, 1), make(chan struct{})
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(
		kanava.OnStream("stream", func(ctx context.Context, _ *line, _ kanava.None, _ *kanava.Stream[int]) error {
			started <- struct{}{}
			<-ctx.Done()
			close(ended)
			return ctx.Err()
		}))})
	c := kanavatest.Dial(t, srv, "/test")
	c.SendText(`{"action":"stream"}`)
	receive(t, started)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	receive(t, ended)
	c.ExpectClose(kanava.CloseDraining)
}
