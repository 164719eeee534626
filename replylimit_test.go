package kanava_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// howLong is how many bytes of text a function is to send.
type howLong struct {
	N int `json:"n"`
}

func (h howLong) text() string { return strings.Repeat("x", h.N) }

// longServer has a function for each way to one client.
func longServer(t *testing.T, log *logBuffer, limit int, failed chan error) *server {
	t.Helper()
	push := kanava.NewPush[string]("p")
	ask := kanava.NewClientFunc[string, kanava.None]("f")
	return serve(t, kanava.Options[account]{Logger: log.logger(), Limits: kanava.Limits{Reply: limit}}, wiring{
		Public: true, Declares: []kanava.Declared{push, ask},
		OnMessage: kanava.Func(func(_ context.Context, _ *line, in howLong) (string, error) { return in.text(), nil }),
		OnBinary: kanava.BinaryFunc(func(_ context.Context, _ *line, in []byte) ([]byte, error) {
			return []byte(strings.Repeat("x", int(in[0]))), nil
		}),
		Messages: by(
			kanava.On("reply", func(_ context.Context, _ *line, in howLong) (string, error) { return in.text(), nil }),
			kanava.OnStream("stream", func(ctx context.Context, _ *line, in howLong, out *kanava.Stream[string]) error {
				failed <- out.Send(ctx, in.text())
				return out.Send(ctx, "last")
			}),
			kanava.OnStream("end", func(ctx context.Context, _ *line, in howLong, out *kanava.Stream[string]) error {
				return out.Send(ctx, in.text())
			}),
			kanava.OnDo("push", func(ctx context.Context, ch *line, in howLong) error {
				failed <- push.Send(ctx, ch, in.text())
				return nil
			}),
			kanava.OnDo("binary", func(ctx context.Context, ch *line, in howLong) error {
				failed <- ch.SendBinary(ctx, []byte(in.text()))
				return nil
			}),
			kanava.OnDo("ask", func(ctx context.Context, ch *line, in howLong) error {
				_, err := ask.Call(ctx, ch, in.text())
				failed <- err
				return nil
			}, kanava.Concurrent()),
		),
	})
}

// What is over Limits.Reply goes to no client, in no way and in no form; the
// connection stays, the one who called is told, and so is the developer.
func TestReplyLimit(t *testing.T) {
	tooLarge := func(err error) bool {
		var e *kanava.Error
		return errors.As(err, &e) && e.Code == kanava.CodeTooLarge
	}
	for _, tc := range []struct {
		form, send string
		want       []string
		failed     bool // the function was told
		logged     bool
	}{
		{"plain", `{"action":"reply","n":170}`, []string{`{"action":"reply","result":"xx…"}`}, false, false},
		{"plain", `{"action":"reply","n":171}`, []string{`{"action":"reply","error":{"code":"too_large",…}}`}, false, true},
		{"plain", `{"n":198}`, []string{`"xx…"`}, false, false},
		{"plain", `{"n":203}`, []string{`{"error":{"code":"too_large","message":"the message to the client has 205 bytes; the limit is 200"}}`}, false, true},
		{"plain", `{"action":"stream","n":199}`, []string{`"last"`, `{"action":"stream"}`}, true, false},
		{"plain", `{"action":"end","n":199}`, []string{`{"action":"end","error":{"code":"too_large",…}}`}, false, true},
		{"plain", `{"action":"push","n":199}`, []string{`{"action":"push"}`}, true, false},
		{"plain", `{"action":"binary","n":201}`, []string{`{"action":"binary"}`}, true, false},
		{"kanava.v1", `{"do":"reply","id":1,"in":{"n":183}}`, []string{`{"re":1,"out":"xx…"}`}, false, false},
		{"kanava.v1", `{"do":"reply","id":1,"in":{"n":184}}`, []string{`{"re":1,"err":{"code":"too_large",…}}`}, false, true},
		{"kanava.v1", `{"do":"stream","id":1,"in":{"n":199}}`, []string{`{"re":1,"item":"last"}`, `{"re":1}`}, true, false},
		{"kanava.v1", `{"do":"end","id":1,"in":{"n":199}}`, []string{`{"re":1,"err":{"code":"too_large",…}}`}, false, true},
		{"kanava.v1", `{"do":"push","id":1,"in":{"n":199}}`, []string{`{"re":1}`}, true, false},
		{"kanava.v1", `{"do":"ask","id":1,"in":{"n":199}}`, []string{`{"re":1}`}, true, false},
	} {
		t.Run(tc.form+" "+tc.send, func(t *testing.T) {
			log, failed := &logBuffer{}, make(chan error, 1)
			srv := longServer(t, log, 200, failed)
			c := kanavatest.Dial(t, srv, "/test")
			if tc.form == "kanava.v1" {
				c = openV1(t, srv)
			}
			c.SendText(tc.send)
			for _, want := range tc.want {
				expectLike(t, c, want)
			}
			c.ExpectNone()
			if tc.failed && !tooLarge(receive(t, failed)) {
				t.Error("the function was not told")
			}
			if logged := strings.Contains(log.String(), "over Limits.Reply"); logged != tc.logged {
				t.Errorf("it was logged: %v, want %v: %s", logged, tc.logged, log)
			}
		})
	}
	t.Run("binary replies", func(t *testing.T) {
		c := kanavatest.Dial(t, longServer(t, &logBuffer{}, 200, nil), "/test")
		c.SendBinary([]byte{200})
		if f, _ := c.NextFrame(); len(f.Data) != 200 || !f.Binary {
			t.Error(f)
		}
		c.SendBinary([]byte{201})
		expectError(t, c, "", kanava.CodeTooLarge)
	})
	t.Run("by default", func(t *testing.T) {
		c := kanavatest.Dial(t, longServer(t, &logBuffer{}, 0, nil), "/test")
		for n, want := range map[int]string{1<<20 - 2: `"xx…"`, 1<<20 - 1: `{"error":{"code":"too_large",…}}`} {
			c.SendText(fmt.Sprintf(`{"n":%d}`, n))
			expectLike(t, c, want)
		}
	})
	t.Run("OnConnect", func(t *testing.T) {
		srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{Reply: 200}}, wiring{
			Public:    true,
			OnConnect: kanava.ConnectFunc(func(context.Context, *line) (string, error) { return howLong{199}.text(), nil }),
		})
		c := kanavatest.Dial(t, srv, "/test")
		expectError(t, c, "", kanava.CodeTooLarge)
		c.ExpectClose(kanava.CloseBadRequest)
	})
	t.Run("what middleware makes of an event", func(t *testing.T) {
		log := &logBuffer{}
		grow := func(next kanava.Sender) kanava.Sender {
			return func(ctx context.Context, p *kanava.Payload) error {
				if p.Kind == kanava.KindEvent {
					p.Value = howLong{200}.text()
				}
				return next(ctx, p)
			}
		}
		hub := kanava.NewEventHub(kanava.HubOptions{})
		t.Cleanup(hub.Close)
		srv := serve(t, kanava.Options[account]{EventHub: hub, Logger: log.logger(), Limits: kanava.Limits{Reply: 200}}, wiring{Public: true, Outgoing: []kanava.Outgoing{grow}})
		c := openV1(t, srv)
		if err := errors.Join(hub.Subscribe(t.Context(), "t", c.ID()), hub.Publish(t.Context(), "t", 1)); err != nil {
			t.Fatal(err)
		}
		expectLike(t, c, `{"sub":"t",…}`)
		expectLike(t, c, `{"on":"t","e":"…","o":1}`)
		if !strings.Contains(log.String(), "over Limits.Reply") {
			t.Error("it was not logged")
		}
	})
}
