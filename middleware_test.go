package kanava_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

func TestMiddlewareStandsAroundEveryFunction(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	note := func(name string) kanava.Middleware {
		return func(next kanava.Handler) kanava.Handler {
			return func(ctx context.Context, inv *kanava.Invocation) (any, error) {
				mu.Lock()
				seen = append(seen, name+" "+inv.Kind.String()+" "+inv.Action)
				mu.Unlock()
				return next(ctx, inv)
			}
		}
	}
	shout := func(next kanava.Handler) kanava.Handler {
		return func(ctx context.Context, inv *kanava.Invocation) (any, error) {
			in := inv.In.(*text)
			in.Message = strings.ToUpper(in.Message)
			out, err := next(ctx, inv)
			if err != nil {
				return nil, err
			}
			return text{out.(text).Message + "!"}, nil
		}
	}
	srv := serve(t, kanava.Options[account]{Middleware: []kanava.Middleware{note("server")}}, wiring{
		Public:       true,
		Middleware:   []kanava.Middleware{note("channel")},
		OnConnect:    kanava.ConnectFunc(func(context.Context, *line) (kanava.None, error) { return kanava.None{}, nil }),
		OnDisconnect: kanava.DisconnectFunc(func(context.Context, *line) error { return nil }),
		OnBinary:     kanava.BinaryFunc(func(_ context.Context, _ *line, p []byte) ([]byte, error) { return p, nil }),
		Messages: by(kanava.On("echo", echo, kanava.With(note("function"), shout)),
			kanava.OnStream("stream", func(ctx context.Context, _ *line, _ kanava.None, out *kanava.Stream[int]) error {
				return out.Send(ctx, 1)
			})),
	})
	c := kanavatest.Dial(t, srv, "/test")
	c.SendText(`{"action":"echo","message":"hi"}`)
	c.Expect(`{"message":"HI!","action":"echo"}`)
	c.SendBinary([]byte{1})
	c.NextBinary()
	c.SendText(`{"action":"stream"}`)
	c.Expect(`1`)
	c.Expect(`{"action":"stream"}`)
	c.Leave()
	receive(t, c.Done())
	want := "server connect |channel connect |server message echo|channel message echo|function message echo|" +
		"server binary |channel binary |server message stream|channel message stream|server disconnect |channel disconnect "
	if got := strings.Join(seen, "|"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestGuard(t *testing.T) {
	guard := kanava.Guard(func(_ context.Context, ch *line) error {
		if ch.Session().ID != "ann" {
			return kanava.Errorf(kanava.CodePermissionDenied, "ann only")
		}
		return nil
	})
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(login(), kanava.On("echo", echo, kanava.With(guard)))})
	c := kanavatest.Dial(t, srv, "/test")
	c.SendText(`{"action":"echo","message":"hi"}`)
	expectError(t, c, "echo", kanava.CodePermissionDenied)
	do(t, c, `{"action":"login","id":"ann"}`, "login")
	c.SendText(`{"action":"echo","message":"hi"}`)
	c.Expect(`{"message":"hi","action":"echo"}`)
}

func TestInvocationTellsWhoAndWhat(t *testing.T) {
	got := make(chan kanava.Invocation, 1)
	spy := func(next kanava.Handler) kanava.Handler {
		return func(ctx context.Context, inv *kanava.Invocation) (any, error) {
			got <- *inv
			return next(ctx, inv)
		}
	}
	srv := serve(t, kanava.Options[account]{}, wiring{Tags: []string{"a"}, Messages: by(login(), kanava.On("echo", echo, kanava.With(spy), kanava.Doc("Echo", "b")))})
	c := kanavatest.Dial(t, srv, "/test")
	do(t, c, `{"action":"login","id":"ann"}`, "login")
	c.SendText(`{"action":"echo","message":"hi"}`)
	c.Next()
	inv := receive(t, got)
	if inv.Conn.ID() != c.ID() || inv.Channel != "test" || inv.Action != "echo" || strings.Join(inv.Tags, "") != "ab" ||
		inv.In.(*text).Message != "hi" || inv.Session.(account).ID != "ann" || *inv.Opening.(*noOpen) != (noOpen{}) {
		t.Errorf("got %+v", inv)
	}
}

func TestOutgoingSeesEveryPayload(t *testing.T) {
	var mu sync.Mutex
	kinds := map[string]int{}
	count := func(next kanava.Sender) kanava.Sender {
		return func(ctx context.Context, p *kanava.Payload) error {
			mu.Lock()
			kinds[p.Kind.String()+" "+p.Channel+" "+p.Action+p.Topic]++
			mu.Unlock()
			return next(ctx, p)
		}
	}
	redact := func(next kanava.Sender) kanava.Sender {
		return func(ctx context.Context, p *kanava.Payload) error {
			if v, ok := p.Value.(text); ok {
				switch v.Message {
				case "drop":
					return nil
				case "fail":
					return errors.New("outgoing failed")
				case "panic":
					panic("outgoing panicked")
				}
				p.Value = text{strings.ReplaceAll(v.Message, "secret", "***")}
			}
			_ = next(ctx, p)
			return next(ctx, p) // twice is once
		}
	}
	push := kanava.NewPush[text]("note")
	var topic *kanava.Topic[text]
	hub := kanava.NewEventHub(kanava.HubOptions{})
	defer hub.Close()
	topic = kanava.NewTopic[text](hub, "room")
	srv := serve(t, kanava.Options[account]{EventHub: hub, Outgoing: []kanava.Outgoing{count}}, wiring{
		Public:   true,
		Outgoing: []kanava.Outgoing{redact}, Declares: []kanava.Declared{topic, push},
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *line) (text, error) {
			return text{"secret welcome"}, topic.Subscribe(ctx, ch, "x")
		}),
		OnBinary: kanava.BinaryFunc(func(ctx context.Context, ch *line, p []byte) ([]byte, error) {
			return p, ch.SendBinary(ctx, []byte("pushed"))
		}),
		Messages: by(kanava.On("echo", echo),
			kanava.OnDo("push", func(ctx context.Context, ch *line, in text) error { return push.Send(ctx, ch, in) }),
			kanava.OnDo("publish", func(ctx context.Context, _ *line, in text) error { return topic.Publish(ctx, "x", in) }),
			kanava.OnStream("stream", func(ctx context.Context, _ *line, in text, out *kanava.Stream[text]) error { return out.Send(ctx, in) })),
	})
	c := kanavatest.Dial(t, srv, "/test")
	c.Expect(`{"message":"*** welcome"}`)
	for _, tc := range []struct{ send, want string }{
		{`{"action":"echo","message":"a secret"}`, `{"message":"a ***","action":"echo"}`},
		{`{"action":"push","message":"a secret"}`, `{"message":"a ***"} {"action":"push"}`},
		{`{"action":"publish","message":"a secret"}`, `{"topic":"room:x","data":{"message":"a ***"}} {"action":"publish"}`},
		{`{"action":"stream","message":"a secret"}`, `{"message":"a ***"} {"action":"stream"}`},
		{`{"action":"push","message":"drop"}`, `{"action":"push"}`},
		{`{"action":"publish","message":"drop"}`, `{"action":"publish"}`},
		{`{"action":"publish","message":"fail"}`, `{"action":"publish"}`},
		{`{"action":"publish","message":"panic"}`, `{"action":"publish"}`},
		{`{"action":"stream","message":"drop"}`, `{"action":"stream"}`},
		{`{"action":"echo","message":"fail"}`, `{"action":"echo","error":{"code":"internal","message":"internal error"}}`},
		{`{"action":"echo","message":"panic"}`, `{"action":"echo","error":{"code":"internal","message":"internal error"}}`},
	} {
		c.SendText(tc.send)
		for want := range strings.SplitSeq(tc.want, " {\"") {
			if !strings.HasPrefix(want, "{") {
				want = `{"` + want
			}
			if got := c.Next(); got != want {
				t.Errorf("%s: got %s, want %s", tc.send, got, want)
			}
		}
	}
	c.SendText(`{"action":"echo","message":"drop"}`)
	c.ExpectNone()
	c.SendBinary([]byte("p"))
	if a, b := string(c.NextBinary()), string(c.NextBinary()); a != "pushed" || b != "p" {
		t.Errorf("got %q, %q", a, b)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{"connect test ", "message test echo", "push test note", "event test room:x", "item test stream", "binary test ", "push test "} {
		if kinds[want] == 0 {
			t.Errorf("no payload %q was seen: %v", want, kinds)
		}
	}
}

func TestPlainFunctions(t *testing.T) {
	p := kanava.PlainFunc(func(ctx context.Context, in text) (text, error) {
		a, ok := kanava.SessionFrom[account](ctx)
		if _, wrong := kanava.SessionFrom[text](ctx); wrong || !ok {
			return text{}, errors.New("no session")
		}
		return text{in.Message + " from " + a.ID}, nil
	})
	do1 := kanava.PlainDo(func(context.Context, text) error { return nil }, kanava.Allow("admin"))
	count := kanava.PlainStream(func(ctx context.Context, _ kanava.None, out *kanava.Stream[int]) error { return out.Send(ctx, 1) }, kanava.Public())
	srv := serve(t, kanava.Options[account]{}, wiring{Messages: by(login()).Plain("say", p).Plain("do", do1).Plain("count", count)})
	srv.Wire(wiring{Name: "second", Route: "/second", Messages: by(login()).Plain("say", p)})
	for _, target := range []string{"/test", "/second"} {
		c := kanavatest.Dial(t, srv, target)
		c.SendText(`{"action":"say","message":"hi"}`)
		expectError(t, c, "say", kanava.CodeUnauthenticated)
		do(t, c, `{"action":"login","id":"ann"}`, "login")
		c.SendText(`{"action":"say","message":"hi"}`)
		c.Expect(`{"message":"hi from ann","action":"say"}`)
	}
	c := kanavatest.Dial(t, srv, "/test")
	c.SendText(`{"action":"count"}`)
	c.Expect(`1`)
	c.Expect(`{"action":"count"}`)
	do(t, c, `{"action":"login","id":"ann"}`, "login")
	c.SendText(`{"action":"do","message":"x"}`)
	expectError(t, c, "do", kanava.CodePermissionDenied)
	if _, ok := kanava.SessionFrom[account](context.Background()); ok {
		t.Error("a session outside of any call")
	}
}
