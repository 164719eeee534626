package kanavatest_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// The channel of these tests: without opening data and session.
type (
	none   = kanava.None
	line   = kanava.Channel[none, none]
	wiring = kanava.Wiring[none, none]
)

// serve makes a server with one public channel, at "/test".
func serve(opts kanava.Options[none], w wiring) *kanava.Server[none] {
	opts.Logger = slog.New(slog.DiscardHandler)
	srv := kanava.NewServer(opts)
	w.Name, w.Route, w.Public = "test", "/test", true
	srv.Wire(w)
	return srv
}

// fakeT is a testing.TB that keeps how the test failed.
type fakeT struct {
	exampleT
	mu     sync.Mutex
	failed []string // guarded by mu
}

func (f *fakeT) Errorf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = append(f.failed, fmt.Sprintf(format, args...))
}

func (f *fakeT) Fatal(args ...any) {
	f.Errorf("%s", fmt.Sprint(args...))
	runtime.Goexit()
}

func (f *fakeT) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

// run runs test to its end, as package testing does, and returns how it failed,
// "" if it did not.
func run(test func(tb testing.TB)) string {
	f := &fakeT{}
	var done sync.WaitGroup
	done.Go(func() {
		defer f.end()
		test(f)
	})
	done.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.failed, "\n")
}

// demand checks that a failure says all of texts; no texts demand success.
func demand(t *testing.T, failure string, texts ...string) {
	t.Helper()
	if len(texts) == 0 && failure != "" {
		t.Errorf("failed: %s", failure)
	}
	for _, text := range texts {
		if !strings.Contains(failure, text) {
			t.Errorf("failed with %q, want %q in it", failure, text)
		}
	}
}

// blocking returns a function that returns when release is closed, whatever
// its context says.
func blocking(release <-chan struct{}) kanava.Router[none, none] {
	return kanava.By("action", kanava.OnDo("block", func(context.Context, *line, none) error {
		<-release
		return nil
	}))
}

func TestFunctionThatDoesNotReturnFailsTheTest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		srv := serve(kanava.Options[none]{}, wiring{Messages: blocking(release)})
		var id string
		failure := run(func(tb testing.TB) {
			c := kanavatest.Dial(tb, srv, "/test?a=b")
			id = c.ID()
			c.SendText(`{"action":"block"}`)
			synctest.Wait()
		})
		demand(t, failure, "/test?a=b", id, "a function of the connection has not returned")
		close(release)
	})
}

// A connection that is full is one on which the next message waits, not the
// one that filled it.
func TestSendWaitsForRoomBeforeItSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		srv := serve(kanava.Options[none]{Limits: kanava.Limits{WaitingCalls: 1}}, wiring{Messages: blocking(release)})
		c := kanavatest.Dial(t, srv, "/test")
		start := time.Now()
		c.SendText(`{"action":"block"}`)
		if waited := time.Since(start); waited > 0 {
			t.Errorf("the first message waited %v", waited)
		}
		time.AfterFunc(time.Second, func() { close(release) })
		c.SendText(`{"action":"block"}`)
		if waited := time.Since(start); waited < time.Second {
			t.Errorf("the second message waited %v, but the first function ran for a second", waited)
		}
		c.Expect(`{"action":"block"}`)
		c.Expect(`{"action":"block"}`)
	})
}

func TestSendFailsWhenThereIsNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		srv := serve(kanava.Options[none]{Limits: kanava.Limits{WaitingCalls: 1}}, wiring{Messages: blocking(release)})
		demand(t, run(func(tb testing.TB) {
			c := kanavatest.Dial(tb, srv, "/test")
			tb.Cleanup(func() { close(release) })
			c.SendText(`{"action":"block"}`)
			c.SendText(`{"action":"block"}`)
		}), "the server took no more messages")
	})
}

// The client ends the connection for what a transport would not accept.
func TestMessagesAreCheckedAsTransportsDo(t *testing.T) {
	srv := serve(kanava.Options[none]{Limits: kanava.Limits{Message: 8}}, wiring{
		OnMessage: kanava.Func(func(_ context.Context, _ *line, in string) (string, error) { return in, nil }),
		OnBinary:  kanava.BinaryFunc(func(_ context.Context, _ *line, p []byte) ([]byte, error) { return p, nil }),
	})
	for _, tc := range []struct {
		name, send string
		binary     bool
		want       kanava.CloseCode
	}{
		{"text at the limit", `"123456"`, false, 0},
		{"text over the limit", `"1234567"`, false, kanava.CloseTooBig},
		{"bytes at the limit", "12345678", true, 0},
		{"bytes over the limit", "123456789", true, kanava.CloseTooBig},
		{"bytes that are no UTF-8", "\xff", true, 0},
		{"text that is no UTF-8", "\"\xff\"", false, kanava.CloseInvalidText},
		{"text over the limit that is no UTF-8", "\"\xff34567\xff\"", false, kanava.CloseTooBig},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := kanavatest.Dial(t, srv, "/test")
			if tc.binary {
				c.SendBinary([]byte(tc.send))
			} else {
				c.SendText(tc.send)
			}
			if tc.want != 0 {
				if reason := c.ExpectClose(tc.want); reason != tc.want.String() {
					t.Errorf("closed with reason %q, want %q", reason, tc.want)
				}
				return
			}
			if f, _ := c.NextFrame(); string(f.Data) != tc.send || f.Binary != tc.binary {
				t.Errorf("got %q, want %q", f.Data, tc.send)
			}
		})
	}
}

// serveOutgoing makes a server whose clients get the events of topic "t"
// through outgoing middleware.
func serveOutgoing(hub *kanava.EventHub, middleware func()) *kanava.Server[none] {
	return serve(kanava.Options[none]{EventHub: hub}, wiring{
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *line) (none, error) {
			return none{}, hub.Subscribe(ctx, "t", ch.ID())
		}),
		Outgoing: []kanava.Outgoing{func(next kanava.Sender) kanava.Sender {
			return func(ctx context.Context, p *kanava.Payload) error {
				if p.Kind == kanava.KindEvent {
					middleware()
				}
				return next(ctx, p)
			}
		}},
	})
}

func TestOutgoingMiddlewareMayBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := kanava.NewEventHub(kanava.HubOptions{})
		defer hub.Close()
		release := make(chan struct{})
		c := kanavatest.Dial(t, serveOutgoing(hub, func() { <-release }), "/test")
		c.ExpectNone() // subscribed
		if err := hub.Publish(t.Context(), "t", 1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		c.ExpectNone()
		c.Stall()
		close(release)
		c.Expect(`{"topic":"t","data":1}`) // was on its way
		c.Resume()
		c.ExpectNone()
	})
}

// What has left the connection's queue and is not yet with the client counts.
func TestExpectNoneSeesFramesOnTheirWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := kanava.NewEventHub(kanava.HubOptions{})
		defer hub.Close()
		srv := serveOutgoing(hub, func() { time.Sleep(20 * time.Millisecond) }) // virtual
		demand(t, run(func(tb testing.TB) {
			c := kanavatest.Dial(tb, srv, "/test")
			c.ExpectNone() // subscribed
			if err := hub.Publish(t.Context(), "t", 1); err != nil {
				t.Error(err)
			}
			c.ExpectNone()
		}), `a frame came, but none should: {"topic":"t","data":1}`)
	})
}
