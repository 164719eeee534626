package kanava_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// This file holds what programs do wrong, and clients on purpose: none of it
// may end the process, leak a connection, or break a promise to others.

type nilCauseError struct{ cause error }

func (e *nilCauseError) Error() string { return e.cause.Error() }
func (e *nilCauseError) Unwrap() error { return e.cause }

type badIsError struct{}

func (badIsError) Error() string { return "bad" }
func (badIsError) Is(error) bool { panic("of Is") }

type badJSON struct{ what string }

func (b badJSON) MarshalJSON() ([]byte, error) {
	if b.what == "exit" {
		runtime.Goexit()
	}
	panic("of MarshalJSON")
}

func TestErrorsAndResultsThatPanic(t *testing.T) {
	fail := func(name string, err error) route {
		return kanava.OnDo(name, func(context.Context, *line, kanava.None) error { return err })
	}
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(
		fail("nil error of ours", (*kanava.Error)(nil)),
		fail("nil error of theirs", (*nilCauseError)(nil)),
		fail("panic in Is", badIsError{}),
		kanava.On("panic in MarshalJSON", func(context.Context, *line, kanava.None) (badJSON, error) { return badJSON{}, nil }),
		kanava.On("exit in MarshalJSON", func(context.Context, *line, kanava.None) (badJSON, error) { return badJSON{"exit"}, nil }),
		kanava.On("echo", echo))})
	c := kanavatest.Dial(t, srv, "/test")
	for _, action := range []string{"nil error of ours", "nil error of theirs", "panic in Is", "panic in MarshalJSON"} {
		c.SendText(`{"action":"` + action + `"}`)
		expectError(t, c, action, kanava.CodeInternal)
	}
	c.SendText(`{"action":"exit in MarshalJSON"}`) // ends the goroutine of the answer
	c.SendText(`{"action":"echo","message":"still here"}`)
	c.Expect(`{"message":"still here","action":"echo"}`)
}

// badObserver panics everywhere and counts the calls it sees.
type badObserver struct{ started, ended atomic.Int64 }

func (o *badObserver) ConnOpened(kanava.ConnInfo) { panic("of an observer") }
func (o *badObserver) ConnClosed(kanava.ConnInfo, kanava.CloseCode, time.Duration) {
	panic("of an observer")
}
func (o *badObserver) OpenRefused(string, *kanava.Error) { panic("of an observer") }
func (o *badObserver) Published(string, int, int)        { panic("of an observer") }
func (o *badObserver) EngineChanged(error)               { panic("of an observer") }
func (o *badObserver) Dropped(kanava.ConnInfo, kanava.Dropped) {
	panic("of an observer")
}

func (o *badObserver) CallStarted(context.Context, kanava.CallInfo) (context.Context, func(kanava.Code)) {
	if o.started.Add(1)%2 == 0 {
		o.ended.Add(1)
		panic("of an observer")
	}
	return nil, func(kanava.Code) {
		o.ended.Add(1)
		panic("of an observer")
	}
}

func TestObserverThatPanics(t *testing.T) {
	o := &badObserver{}
	srv := serve(t, kanava.Options[account]{Observer: o}, wiring{Public: true, Messages: by(kanava.On("echo", echo))})
	if _, err := kanavatest.DialRequest(t, srv, request("/nowhere")); err == nil {
		t.Error("no error")
	}
	c := kanavatest.Dial(t, srv, "/test")
	for range 4 {
		c.SendText(`{"action":"echo","message":"x"}`)
		c.Expect(`{"message":"x","action":"echo"}`)
	}
	if err := srv.EventHub().Publish(context.Background(), "x", 1); err != nil {
		t.Error(err)
	}
	c.Leave()
	receive(t, c.Done())
	if o.started.Load() != 4 || o.ended.Load() != 4 || srv.Conns().Count() != 0 {
		t.Errorf("%d calls started, %d ended; %d connections", o.started.Load(), o.ended.Load(), srv.Conns().Count())
	}
}

// Streams last as long as they like: that many are refused, and the connection
// goes on listening.
func TestP14_StreamsDoNotMakeAConnectionDeaf(t *testing.T) {
	srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{WaitingCalls: 4}}, wiring{Public: true, Messages: by(
		kanava.On("echo", echo),
		kanava.OnStream("watch", func(ctx context.Context, _ *line, _ kanava.None, out *kanava.Stream[int]) error {
			if err := out.Send(ctx, 1); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		}))})
	c := kanavatest.Dial(t, srv, "/test")
	for range 4 {
		c.SendText(`{"action":"watch"}`)
		c.Expect(`1`)
	}
	c.SendText(`{"action":"watch"}`)
	expectError(t, c, "watch", kanava.CodeResourceExhausted)
	c.SendText(`{"action":"echo","message":"still here"}`)
	c.Expect(`{"message":"still here","action":"echo"}`)
}

// A transport that stopped reading because of bytes is woken when they are
// taken.
func TestP14_RoomForBytesWakes(t *testing.T) {
	srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{WaitingBytes: 10}}, wiring{Public: true, Messages: by(
		kanava.OnStream("watch", func(ctx context.Context, _ *line, _ kanava.None, _ *kanava.Stream[int]) error {
			<-ctx.Done()
			return nil
		}))})
	p := newPeer()
	link := open(t, srv, "/test", p)
	link.Start()
	if link.Receive([]byte(`{"action":"watch"}`), false) {
		t.Error("more is taken than 10 bytes")
	}
	receive(t, p.woken)
	if link.Full() {
		t.Error("woken, but full")
	}
	link.Disconnect(kanava.CloseGoingAway, "")
	receive(t, link.Done())
}

// A transport that looks and finds the connection still full, because a call
// runs, is woken when that has returned.
func TestP14_WhoIsToldFullIsWoken(t *testing.T) {
	started, gate := make(chan struct{}), make(chan struct{})
	srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{WaitingCalls: 1}}, wiring{
		Public: true,
		OnMessage: kanava.Func(func(context.Context, *line, text) (kanava.None, error) { // sends no frame, which would wake too
			started <- struct{}{}
			<-gate
			return kanava.None{}, nil
		}),
	})
	p := newPeer()
	link := open(t, srv, "/test", p)
	link.Start()
	for range 3 {
		if link.Receive([]byte(`{"message":"x"}`), false) {
			t.Fatal("more than one call is taken")
		}
		receive(t, started)
		if !link.Full() {
			t.Fatal("not full while its one call runs")
		}
		gate <- struct{}{}
		receive(t, p.woken)
		if link.Full() {
			t.Fatal("woken, but full")
		}
	}
	link.Disconnect(kanava.CloseGoingAway, "")
	receive(t, link.Done())
}

func TestD11_SmallItemsCount(t *testing.T) {
	ch := kanavatest.NewChannel[noOpen, account](t, noOpen{}, nil)
	kanavatest.ClientOf(t, ch).Stall()
	n := 0
	for ch.SendBinary(context.Background(), nil) == nil {
		if n++; n > 1<<20 {
			t.Fatal("a million empty frames wait")
		}
	}
	hub := kanava.NewEventHub(kanava.HubOptions{})
	release := make(chan struct{})
	l := hub.Listen(func(context.Context, kanava.Event) { <-release })
	defer close(release)
	if err := hub.Subscribe(context.Background(), "x", l.ID()); err != nil {
		t.Fatal(err)
	}
	for n = 0; l.Err() == nil; n++ {
		if n > 1<<20 {
			t.Fatal("a million empty events wait")
		}
		if err := hub.Publish(context.Background(), "x", []byte{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOnConnectResultIsTheFirstFrame(t *testing.T) {
	note := kanava.NewPush[string]("note")
	var hub *kanava.EventHub
	w := wiring{
		Public: true, Declares: []kanava.Declared{note},
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *line) (text, error) {
			return text{"welcome"}, errors.Join(
				hub.Subscribe(ctx, "x", ch.ID()), hub.Publish(ctx, "x", "joined"), note.Send(ctx, ch, "pushed"), ch.SendBinary(ctx, []byte("binary")))
		}),
	}
	srv := serve(t, kanava.Options[account]{}, w)
	hub = srv.EventHub()
	c := kanavatest.Dial(t, srv, "/test")
	c.Expect(`{"message":"welcome"}`)
	c.Expect(`{"topic":"x","data":"joined"}`)
	c.Expect(`"pushed"`)
	if got := string(c.NextBinary()); got != "binary" {
		t.Errorf("got %q", got)
	}

	refuse := serve(t, kanava.Options[account]{}, wiring{
		Public: true,
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *line) (text, error) {
			return text{}, errors.Join(note.Send(ctx, ch, "pushed"), kanava.Errorf(kanava.CodePermissionDenied, "no"))
		}),
	})
	c = kanavatest.Dial(t, refuse, "/test")
	expectError(t, c, "", kanava.CodePermissionDenied)
	if f, ok := c.NextFrame(); ok {
		t.Errorf("after the error came %s", f.Data)
	}
	c.ExpectClose(kanava.CloseForbidden)
}

func TestNothingFollowsTheEndOfAStream(t *testing.T) {
	late := make(chan error, 1)
	item := strings.Repeat("x", 300)
	srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{Queue: 800}}, wiring{Public: true, Messages: by(
		kanava.OnStream("s", func(ctx context.Context, _ *line, _ kanava.None, out *kanava.Stream[string]) error {
			if err := out.Send(ctx, item); err != nil {
				return err
			}
			waits := make(chan struct{})
			go func() {
				close(waits)
				late <- out.Send(context.Background(), item) // no room: half of the queue is taken
			}()
			<-waits
			return nil
		}))})
	c := kanavatest.Dial(t, srv, "/test")
	c.Stall()
	c.SendText(`{"action":"s"}`)
	if err := receive(t, late); !errors.Is(err, kanava.ErrClosed) {
		t.Errorf("Send that waited when the function returned: %v", err)
	}
	c.Resume()
	c.Expect(`"` + item + `"`)
	c.Expect(`{"action":"s"}`)
	c.ExpectNone()
}

func TestShutdownThatGivesUp(t *testing.T) {
	started, ran := make(chan struct{}), make(chan struct{}, 1)
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(
		kanava.OnDo("wait", func(ctx context.Context, _ *line, _ kanava.None) error { close(started); <-ctx.Done(); return nil }),
		kanava.OnDo("next", func(context.Context, *line, kanava.None) error { ran <- struct{}{}; return nil }))})
	c := kanavatest.Dial(t, srv, "/test")
	c.SendText(`{"action":"wait"}`)
	c.SendText(`{"action":"next"}`)
	receive(t, started)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := srv.Shutdown(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	c.ExpectClose(kanava.CloseDraining)
	receive(t, c.Done())
	if len(ran) > 0 {
		t.Error("a message began to run after Shutdown had given up")
	}
	if err := srv.EventHub().Publish(context.Background(), "x", 1); !errors.Is(err, kanava.ErrClosed) {
		t.Errorf("the server's own hub is open: %v", err)
	}
	for range 100 {
		if err := srv.Shutdown(ended); err != nil {
			t.Fatalf("Shutdown of a server without connections: %v", err)
		}
	}
}

func TestShutdownInsideAFunction(t *testing.T) {
	var srv *server
	srv = serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(
		kanava.OnDo("stop", func(ctx context.Context, _ *line, _ kanava.None) error { return srv.Shutdown(ctx) }))})
	c := kanavatest.Dial(t, srv, "/test")
	c.SendText(`{"action":"stop"}`)
	expectError(t, c, "stop", kanava.CodeInternal)
}

func TestTopicsOfTwoHubs(t *testing.T) {
	ch := kanavatest.NewChannel[noOpen, account](t, noOpen{}, nil)
	c, ctx := kanavatest.ClientOf(t, ch), context.Background()
	a, b := kanava.NewEventHub(kanava.HubOptions{}), kanava.NewEventHub(kanava.HubOptions{})
	ta, tb := kanava.NewTopic[string](a, "room"), kanava.NewTopic[string](b, "room")
	for _, err := range []error{ta.Subscribe(ctx, ch, "x"), tb.Subscribe(ctx, ch, "x"), ta.Unsubscribe(ctx, ch, "x"), ta.Publish(ctx, "x", "a"), tb.Publish(ctx, "x", "b")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c.Expect(`{"topic":"room:x","data":"b"}`)
	c.ExpectNone()
}

func TestS5_OnDisconnectSeesAnExpiredSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan string, 1)
		srv := serve(t, kanava.Options[account]{}, wiring{
			Messages:     by(login()),
			OnDisconnect: kanava.DisconnectFunc(func(_ context.Context, ch *line) error { ended <- ch.Session().ID; return nil }, kanava.Protected()),
		})
		c := kanavatest.Dial(t, srv, "/test")
		do(t, c, `{"action":"login","id":"ann","ms":1000}`, "login")
		time.Sleep(time.Minute) // virtual
		c.ExpectClose(kanava.CloseUnauthenticated)
		if got := receive(t, ended); got != "ann" {
			t.Errorf("the session is of %q", got)
		}
	})
}
