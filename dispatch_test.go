package kanava_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

func echo(_ context.Context, _ *line, in text) (text, error) { return in, nil }

func TestRepliesCarryTheRoutingMember(t *testing.T) {
	reply := func(name string, v any) route {
		return kanava.On(name, func(context.Context, *line, kanava.None) (any, error) { return v, nil })
	}
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(
		kanava.On("echo", echo),
		kanava.OnDo("none", func(context.Context, *line, kanava.None) error { return nil }),
		kanava.On("number", func(context.Context, *line, kanava.None) (int, error) { return 0, nil }),
		kanava.On("string", func(context.Context, *line, kanava.None) (string, error) { return "hi", nil }),
		kanava.On("list", func(context.Context, *line, kanava.None) ([]int, error) { return []int{1, 2}, nil }),
		kanava.On("empty", func(context.Context, *line, kanava.None) (struct{}, error) { return struct{}{}, nil }),
		kanava.On("null", func(context.Context, *line, kanava.None) (*text, error) { return nil, nil }),
		reply("map", map[string]any{"action": "mine", "b": 1}),
		reply("maponly", map[string]any{"action": "mine"}),
		reply("any", nil),
	)})
	c := kanavatest.Dial(t, srv, "/test")
	for _, tc := range []struct{ send, want string }{
		{`{"action":"echo","message":"hi"}`, `{"message":"hi","action":"echo"}`},
		{`{"action":"none"}`, `{"action":"none"}`},
		{`{"action":"number"}`, `{"action":"number","result":0}`},
		{`{"action":"string"}`, `{"action":"string","result":"hi"}`},
		{`{"action":"list"}`, `{"action":"list","result":[1,2]}`},
		{`{"action":"empty"}`, `{"action":"empty"}`},
		{`{"action":"null"}`, `{"action":"null","result":null}`},
		{`{"action":"map"}`, `{"b":1,"action":"map"}`},
		{`{"action":"maponly"}`, `{"action":"maponly"}`},
		{`{"action":"any"}`, `{"action":"any","result":null}`},
	} {
		c.SendText(tc.send)
		if got := c.Next(); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.send, got, tc.want)
		}
	}
}

func TestP5_SeveralRoutingMembersAreTriedInOrder(t *testing.T) {
	say := func(what string) func(context.Context, *line, kanava.None) (text, error) {
		return func(context.Context, *line, kanava.None) (text, error) { return text{what}, nil }
	}
	srv := serve(t, kanava.Options[account]{}, wiring{
		Public:   true,
		Messages: kanava.By("first", kanava.On("a", say("first a"))).By("second", kanava.On("a", say("second a")), kanava.On("b", say("second b"))),
	})
	c := kanavatest.Dial(t, srv, "/test")
	c.SendText(`{"second":"a"}`)
	c.Expect(`{"message":"second a","second":"a"}`)
	c.SendText(`{"first":"a"}`)
	c.Expect(`{"message":"first a","first":"a"}`)
	c.SendText(`{"second":"b","first":"a"}`) // first wins; the other is an unknown member
	expectErrorAt(t, c, "first", "a", "/second")
	c.SendText(`{"second":"b","first":"x"}`) // first has no such route; it is an unknown member too
	expectErrorAt(t, c, "second", "b", "/first")
}

func expectErrorAt(t *testing.T, c *kanavatest.Client, key, action, pointer string) {
	t.Helper()
	frame := c.Next()
	if !strings.Contains(frame, `"`+key+`":"`+action+`"`) || !strings.Contains(frame, `"pointer":"`+pointer+`"`) {
		t.Fatalf("got %s, want an error of %s %s at %s", frame, key, action, pointer)
	}
}

// Each bad message gets a clear error, and the next good one its answer.
func TestBadMessages(t *testing.T) {
	w := wiring{Public: true, Messages: by(kanava.On("echo", echo))}
	for _, tc := range []struct {
		name, send, action string
		code               kanava.Code
		pointers           []string
	}{
		{"malformed", `{"action":"echo"`, "", kanava.CodeInvalidArgument, nil},
		{"trailing text", `{"action":"echo","message":"x"}x`, "", kanava.CodeInvalidArgument, nil},
		{"not an object", `[1]`, "", kanava.CodeNotFound, nil},
		{"a string", `"echo"`, "", kanava.CodeNotFound, nil},
		{"two routing members", `{"action":"echo","message":"x","action":"echo"}`, "", kanava.CodeInvalidArgument, nil},
		{"two routing members, one escaped", `{"action":"echo","message":"x","\u0061ction":"echo"}`, "", kanava.CodeInvalidArgument, nil},
		{"toString", `{"action":"toString"}`, "toString", kanava.CodeNotFound, nil},
		{"__proto__", `{"action":"__proto__"}`, "__proto__", kanava.CodeNotFound, nil},
		{"empty action", `{"action":""}`, "", kanava.CodeNotFound, nil},
		{"number as action", `{"action":1}`, "", kanava.CodeNotFound, nil},
		{"null as action", `{"action":null}`, "", kanava.CodeNotFound, nil},
		{"unknown action", `{"action":"nope"}`, "nope", kanava.CodeNotFound, nil},
		{"missing member", `{"action":"echo"}`, "echo", kanava.CodeInvalidArgument, []string{"/message"}},
		{"extra member", `{"action":"echo","message":"x","more":1}`, "echo", kanava.CodeInvalidArgument, []string{"/more"}},
		{"wrong type", `{"action":"echo","message":5}`, "echo", kanava.CodeInvalidArgument, []string{"/message"}},
		{"too long", `{"action":"echo","message":"` + strings.Repeat("x", 101) + `"}`, "echo", kanava.CodeInvalidArgument, []string{"/message"}},
		{"all faults at once", `{"action":"echo","message":5,"a":1,"b":2}`, "echo", kanava.CodeInvalidArgument, []string{"/message", "/a", "/b"}},
		{"depth 65", `{"action":"echo","message":` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `}`, "", kanava.CodeInvalidArgument, nil},
		{"depth 10,000", strings.Repeat("[", 10000) + strings.Repeat("]", 10000), "", kanava.CodeInvalidArgument, nil},
		{"lone surrogate", `{"action":"echo","message":"\ud800"}`, "", kanava.CodeInvalidArgument, nil},
		{"action with invalid escapes", `{"action":"\x"}`, "", kanava.CodeInvalidArgument, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := kanavatest.Dial(t, serve(t, kanava.Options[account]{}, w), "/test")
			c.SendText(tc.send)
			got := expectError(t, c, tc.action, tc.code)
			for _, p := range tc.pointers {
				found := false
				for _, d := range got.Error.Details {
					found = found || d.Pointer == p && d.Message != ""
				}
				if !found {
					t.Errorf("no detail at %s: %+v", p, got.Error.Details)
				}
			}
			if len(tc.pointers) != len(got.Error.Details) {
				t.Errorf("details %+v, want pointers %v", got.Error.Details, tc.pointers)
			}
			c.SendText(`{"action":"echo","message":"still here"}`)
			c.Expect(`{"message":"still here","action":"echo"}`)
		})
	}
}

func TestUnknownActionGoesToOnMessage(t *testing.T) {
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, OnMessage: kanava.Func(echo), Messages: by(kanava.On("echo", echo))})
	c := kanavatest.Dial(t, srv, "/test")
	c.SendText(`{"message":"hi"}`)
	c.Expect(`{"message":"hi"}`)
	c.SendText(`{"action":"nope","message":"hi"}`)
	got := expectError(t, c, "", kanava.CodeInvalidArgument)
	if len(got.Error.Details) != 1 || got.Error.Details[0].Pointer != "/action" || !strings.Contains(got.Error.Details[0].Message, `"nope"`) {
		t.Errorf("details %+v, want one at /action that names the action", got.Error.Details)
	}
	c.SendText("") // ignored
	c.SendText(`{"message":"again"}`)
	c.Expect(`{"message":"again"}`)
}

func TestP6_Binary(t *testing.T) {
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, OnBinary: kanava.BinaryFunc(func(_ context.Context, _ *line, p []byte) ([]byte, error) {
		if len(p) == 1 {
			return nil, nil
		}
		return append([]byte{9}, p...), nil
	})})
	c := kanavatest.Dial(t, srv, "/test")
	c.SendBinary([]byte{1, 2})
	if got := c.NextBinary(); string(got) != "\x09\x01\x02" {
		t.Errorf("got %x", got)
	}
	c.SendBinary([]byte{1}) // nil: no frame
	c.SendBinary(nil)
	if got := c.NextBinary(); string(got) != "\x09" {
		t.Errorf("got %x", got)
	}
	c.SendText(`{}`)
	expectError(t, c, "", kanava.CodeNotFound)

	none := kanavatest.Dial(t, serve(t, kanava.Options[account]{}, wiring{Public: true, OnMessage: kanava.Func(echo)}), "/test")
	none.SendBinary([]byte{1})
	expectError(t, none, "", kanava.CodeNotFound)
}

func TestErrorsOfFunctions(t *testing.T) {
	var log logBuffer
	failing := func(name string, err error) route {
		return kanava.OnDo(name, func(context.Context, *line, kanava.None) error { return err })
	}
	coded := &kanava.Error{Code: "x_mine", Message: "no luck", Details: []kanava.Detail{{Pointer: "/a", Message: "bad"}}, RetryAfter: 1500 * time.Millisecond}
	srv := serve(t, kanava.Options[account]{Logger: log.logger()}, wiring{Public: true, Messages: by(
		failing("coded", coded),
		failing("caused", kanava.Errorf(kanava.CodeNotFound, "no such room").Because(errors.New("secret cause"))),
		failing("other", errors.New("secret text")),
		kanava.OnDo("panic", func(context.Context, *line, kanava.None) error { panic("secret panic") }),
		kanava.OnDo("goexit", func(context.Context, *line, kanava.None) error { runtime.Goexit(); return nil }),
		kanava.On("encode", func(context.Context, *line, kanava.None) (any, error) { return make(chan int), nil }),
		kanava.On("echo", echo),
	)})
	c := kanavatest.Dial(t, srv, "/test")
	c.SendText(`{"action":"coded"}`)
	c.Expect(`{"action":"coded","error":{"code":"x_mine","message":"no luck","details":[{"pointer":"/a","message":"bad"}],"retryAfter":1500}}`)
	c.SendText(`{"action":"caused"}`)
	c.Expect(`{"action":"caused","error":{"code":"not_found","message":"no such room"}}`)
	for _, action := range []string{"other", "panic", "goexit", "encode"} {
		c.SendText(`{"action":"` + action + `"}`)
		c.Expect(`{"action":"` + action + `","error":{"code":"internal","message":"internal error"}}`)
	}
	c.SendText(`{"action":"echo","message":"still here"}`)
	c.Expect(`{"message":"still here","action":"echo"}`)
	for _, want := range []string{"secret text", "secret panic", "dispatch_test.go"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	}
}

func TestP12_OrderOfOneConnection(t *testing.T) {
	release := make(chan struct{})
	wait := func(context.Context, *line, kanava.None) error { <-release; return nil }
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(
		kanava.OnDo("slow", wait),
		kanava.OnDo("beside", wait, kanava.Concurrent()),
		kanava.OnStream("stream", func(ctx context.Context, _ *line, _ kanava.None, out *kanava.Stream[int]) error {
			if err := out.Send(ctx, 1); err != nil {
				return err
			}
			<-release
			return out.Send(ctx, 2)
		}),
		kanava.On("echo", echo),
	)})
	c, other := kanavatest.Dial(t, srv, "/test"), kanavatest.Dial(t, srv, "/test")

	c.SendText(`{"action":"beside"}`)
	c.SendText(`{"action":"stream"}`)
	c.Expect(`1`)
	c.SendText(`{"action":"echo","message":"passes both"}`)
	c.Expect(`{"message":"passes both","action":"echo"}`)

	c.SendText(`{"action":"slow"}`)
	c.SendText(`{"action":"echo","message":"waits"}`)
	c.ExpectNone()
	other.SendText(`{"action":"echo","message":"not delayed"}`)
	other.Expect(`{"message":"not delayed","action":"echo"}`)

	close(release)
	got := map[string]int{}
	for i := range 5 {
		got[c.Next()] = i
	}
	if got[`{"action":"slow"}`] > got[`{"message":"waits","action":"echo"}`] {
		t.Errorf("the second reply overtook the first: %v", got)
	}
	for _, want := range []string{`2`, `{"action":"stream"}`, `{"action":"beside"}`} {
		if _, ok := got[want]; !ok {
			t.Errorf("%s did not come: %v", want, got)
		}
	}
}

func TestP12_ManyMessagesKeepTheirOrder(t *testing.T) {
	n := 0
	srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{Rate: kanava.Unlimited}}, wiring{Public: true, OnMessage: kanava.Func(func(_ context.Context, _ *line, in int) (int, error) {
		n++ // no lock: one at a time
		if in != n {
			return 0, kanava.Errorf(kanava.CodeAborted, "got %d as message %d", in, n)
		}
		return in, nil
	})})
	c := kanavatest.Dial(t, srv, "/test")
	const count = 2000
	go func() {
		for i := 1; i <= count; i++ {
			c.Send(i)
		}
	}()
	for i := 1; i <= count; i++ {
		if got := kanavatest.Into[int](c); got != i {
			t.Fatalf("reply %d is %d", i, got)
		}
	}
}

func TestP14_WaitingCallsAreBounded(t *testing.T) {
	release := make(chan struct{})
	srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{WaitingCalls: 4}}, wiring{
		Public:    true,
		OnMessage: kanava.Func(func(_ context.Context, _ *line, in int) (int, error) { <-release; return in, nil }),
	})
	peer := newPeer()
	link := open(t, srv, "/test", peer)
	link.Start()
	taken := 1
	for link.Receive([]byte("1"), false) {
		taken++
	}
	if taken != 4 {
		t.Errorf("%d messages were taken before the connection was full, want 4", taken)
	}
	if !link.Full() {
		t.Error("Full is false")
	}
	close(release)
	for link.Full() {
		receive(t, peer.woken)
	}
	link.Disconnect(kanava.CloseGoingAway, "")
	receive(t, link.Done())
}

// A message that was taken to be looked at, and has no call yet, counts like
// those behind it.
func TestP14_AMessageWithoutACallCounts(t *testing.T) {
	log := &heldLog{begun: make(chan struct{}), gate: make(chan struct{})}
	srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{WaitingCalls: 2}, Logger: slog.New(log)}, wiring{Public: true, Messages: by(
		kanava.OnDo("echo", func(context.Context, *line, kanava.None) error { return nil }))})
	p := newPeer()
	link := open(t, srv, "/test", p)
	link.Start()
	if !link.Receive([]byte(`{"action":"unknown"}`), false) {
		t.Error("the first message fills the connection")
	}
	receive(t, log.begun) // it is refused, and was not answered yet
	if link.Receive([]byte(`{"action":"echo"}`), false) {
		t.Error("two messages do not fill the connection")
	}
	close(log.gate)
	for link.Full() {
		receive(t, p.woken)
	}
	link.Disconnect(kanava.CloseGoingAway, "")
	receive(t, link.Done())
}

// heldLog holds who logs that a message is refused.
type heldLog struct{ begun, gate chan struct{} }

func (l *heldLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *heldLog) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *heldLog) WithGroup(string) slog.Handler            { return l }

func (l *heldLog) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "message refused" {
		l.begun <- struct{}{}
		<-l.gate
	}
	return nil
}

func TestFunctionsSeeTheirDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{CallTime: time.Minute}}, wiring{Public: true, Messages: by(
			kanava.OnDo("wait", func(ctx context.Context, _ *line, _ kanava.None) error { <-ctx.Done(); return ctx.Err() }),
			kanava.OnDo("derived", func(ctx context.Context, _ *line, _ kanava.None) error {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				<-ctx.Done()
				return ctx.Err()
			}),
			kanava.OnDo("own", func(ctx context.Context, _ *line, _ kanava.None) error { <-ctx.Done(); return ctx.Err() }, kanava.Timeout(time.Second)),
			kanava.OnStream("stream", func(ctx context.Context, _ *line, _ kanava.None, out *kanava.Stream[bool]) error {
				_, has := ctx.Deadline()
				return out.Send(ctx, has)
			}),
		)})
		c := kanavatest.Dial(t, srv, "/test")
		for action, want := range map[string]time.Duration{"wait": time.Minute, "derived": time.Minute, "own": time.Second} {
			start := time.Now()
			c.SendText(`{"action":"` + action + `"}`)
			for range int(want/kanavatest.Wait) + 1 {
				time.Sleep(kanavatest.Wait) // virtual
			}
			expectError(t, c, action, kanava.CodeDeadlineExceeded)
			if took := time.Since(start); took < want {
				t.Errorf("%s ended after %v, want %v", action, took, want)
			}
		}
		c.SendText(`{"action":"stream"}`)
		c.Expect(`false`)
	})
}

func TestContextEndsWithTheCall(t *testing.T) {
	kept := make(chan context.Context, 1)
	stream := make(chan *kanava.Stream[int], 1)
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(
		kanava.OnDo("keep", func(ctx context.Context, _ *line, _ kanava.None) error { kept <- ctx; return nil }),
		kanava.OnStream("stream", func(_ context.Context, _ *line, _ kanava.None, out *kanava.Stream[int]) error {
			stream <- out
			return nil
		}),
	)})
	c := kanavatest.Dial(t, srv, "/test")
	do(t, c, `{"action":"keep"}`, "keep")
	ctx := receive(t, kept)
	<-ctx.Done()
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("Err is %v", ctx.Err())
	}
	do(t, c, `{"action":"stream"}`, "stream")
	if err := receive(t, stream).Send(context.Background(), 1); !errors.Is(err, kanava.ErrClosed) {
		t.Errorf("Send after the function returned: %v, want ErrClosed", err)
	}
}
