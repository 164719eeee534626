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

type verdict struct {
	Yes  bool   `json:"yes"`
	Note string `json:"note,omitempty" maxLength:"5"`
}

// asking serves one function that asks the client "confirm" and tells what came
// of it on the channel.
func asking(t *testing.T, opts ...kanava.FuncOption) (*server, <-chan error) {
	t.Helper()
	confirm := kanava.NewClientFunc[text, verdict]("confirm")
	over := make(chan error, 64)
	return serve(t, kanava.Options[account]{}, wiring{
		Public:   true,
		Declares: []kanava.Declared{confirm},
		Messages: by(echoRoute(), kanava.On("ask", func(ctx context.Context, ch *line, in text) (verdict, error) {
			v, err := confirm.Call(ctx, ch, in)
			over <- err
			return v, err
		}, opts...)),
	}), over
}

func TestClientFunc_AnswersAndErrors(t *testing.T) {
	srv, over := asking(t, kanava.Concurrent())
	for answer, want := range map[string]string{
		`{"re":1,"out":{"yes":true}}`:                   `{"re":7,"out":{"yes":true}}`,
		`{"re":1,"out":{"yes":1}}`:                      `{"re":7,"err":{"code":"invalid_argument","message":"the client's answer is invalid","details":[{"pointer":"/yes",…}]}}`,
		`{"re":1,"out":{"yes":true,"note":"too long"}}`: `{"re":7,"err":{"code":"invalid_argument",…}}`,
		`{"re":1}`: `{"re":7,"err":{"code":"invalid_argument",…}}`,
		`{"re":1,"err":{"code":"not_found","message":"m"}}`:    `{"re":7,"err":{"code":"not_found","message":"m"}}`,
		`{"re":1,"err":{"code":"x_mine","message":"m"}}`:       `{"re":7,"err":{"code":"x_mine","message":"m"}}`,
		`{"re":1,"err":{"code":"internal","message":"m"}}`:     `{"re":7,"err":{"code":"aborted","message":"m"}}`,
		`{"re":1,"err":{"code":"<script>","message":"m"}}`:     `{"re":7,"err":{"code":"aborted","message":"m"}}`,
		`{"re":1,"err":{"code":"not_found","message":"m"} }  `: `{"re":7,"err":{"code":"not_found","message":"m"}}`,
	} {
		c := openV1(t, srv)
		c.SendText(`{"do":"ask","id":7,"in":{"message":"sure?"}}`)
		expectLike(t, c, `{"call":"confirm","id":1,"in":{"message":"sure?"},"ms":…}`)
		c.SendText(`{"re":99,"out":1}`) // nobody asked
		c.SendText(answer)
		expectLike(t, c, want)
		receive(t, over)
		c.SendText(answer) // nobody waits any more
		c.SendText(`{"ping":true,"id":8}`)
		c.Expect(`{"re":8}`)
	}
}

func TestClientFunc_AMisuseIsAnErrorAtOnce(t *testing.T) {
	srv, over := asking(t)
	c := openV1(t, srv)
	c.SendText(`{"do":"ask","id":7,"in":{"message":"x"}}`)
	expectLike(t, c, `{"re":7,"err":{"code":"internal",…}}`)
	if err := receive(t, over); !strings.Contains(err.Error(), "Concurrent") {
		t.Error(err)
	}
	srv, over = asking(t, kanava.Concurrent())
	plain := kanavatest.Dial(t, srv, "/test")
	plain.SendText(`{"action":"ask","message":"x"}`)
	expectError(t, plain, "ask", kanava.CodeUnimplemented)
	receive(t, over)
}

func TestClientFunc_TimeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, over := asking(t, kanava.Concurrent(), kanava.Timeout(time.Hour))
		c := openV1(t, srv)
		ask := func() {
			t.Helper()
			c.SendText(`{"do":"ask","id":7,"in":{"message":"x"}}`)
			expectLike(t, c, `{"call":"confirm","id":…,"ms":30000}`)
		}
		ask()
		time.Sleep(31 * time.Second)
		c.Expect(`{"cancel":1}`)
		expectLike(t, c, `{"re":7,"err":{"code":"deadline_exceeded",…}}`)
		ask()
		c.SendText(`{"re":2,"wait":true}`)
		time.Sleep(9 * time.Minute)
		c.SendText(`{"re":2,"out":{"yes":false}}`)
		c.Expect(`{"re":7,"out":{"yes":false}}`)
		ask()
		c.SendText(`{"cancel":7}`)
		c.Expect(`{"cancel":3}`)
		expectLike(t, c, `{"re":7,"err":{"code":"canceled",…}}`)
		ask()
		c.Leave()
		for range 3 {
			<-over
		}
		if err := <-over; !errors.Is(err, kanava.ErrClosed) && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// While a function waits for the client's answer the reader goes on, and calls
// that have no room are refused instead (P14).
func TestP14_AnAnswerBehindManyCallsArrives(t *testing.T) {
	gate := make(chan struct{})
	confirm := kanava.NewClientFunc[text, verdict]("confirm")
	srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{WaitingCalls: 2}}, wiring{
		Public: true,
		Messages: by(
			kanava.On("ask", func(ctx context.Context, ch *line, in text) (verdict, error) { return confirm.Call(ctx, ch, in) }, kanava.Concurrent()),
			kanava.OnDo("wait", func(context.Context, *line, kanava.None) error { <-gate; return nil }),
		),
	})
	c := dialV1(t, srv, "/test")
	c.SendText(`{"hello":{}}`)
	c.Next()
	c.Next()
	c.SendText(`{"do":"ask","id":1,"in":{"message":"x"}}`)
	c.Next()
	c.SendText(`{"do":"wait","id":2}`)
	c.SendText(`{"do":"wait","id":3}`)
	c.SendText(`{"do":"wait","id":4}`)
	expectLike(t, c, `{"re":4,"err":{"code":"resource_exhausted",…}}`)
	c.SendText(`{"re":1,"out":{"yes":true}}`)
	c.Expect(`{"re":1,"out":{"yes":true}}`)
	close(gate)
	c.Expect(`{"re":2}`)
	c.Expect(`{"re":3}`)
}

// A client asks for more time once.
func TestClientFunc_WaitIsForTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, over := asking(t, kanava.Concurrent(), kanava.Timeout(time.Hour))
		c := openV1(t, srv)
		c.SendText(`{"do":"ask","id":7,"in":{"message":"x"}}`)
		c.Next()
		for range 2 {
			c.SendText(`{"re":1,"wait":true}`)
			time.Sleep(9 * time.Minute)
		}
		c.Expect(`{"cancel":1}`)
		expectLike(t, c, `{"re":7,"err":{"code":"deadline_exceeded",…}}`)
		receive(t, over)
	})
}

// The next user does not answer what the former was asked, whoever asks.
func TestP16_TheNextUserDoesNotAnswerForTheFormer(t *testing.T) {
	confirm := kanava.NewClientFunc[text, verdict]("confirm")
	srv := serve(t, kanava.Options[account]{}, wiring{Messages: by(login(), logout())})
	c := openV1(t, srv)
	c.SendText(`{"do":"login","id":1,"in":{"id":"ada"}}`)
	c.Expect(`{"re":1}`)
	ch, err := srv.Conns().Get(t.Context(), c.ID())
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() {
		_, err := confirm.Call(context.Background(), ch, text{"sure?"})
		over <- err
	}()
	expectLike(t, c, `{"call":"confirm","id":1,…}`)
	c.SendText(`{"do":"logout","id":2}`)
	c.Expect(`{"cancel":1}`)
	c.Expect(`{"re":2}`)
	c.SendText(`{"re":1,"out":{"yes":true}}`)
	var e *kanava.Error
	if err := receive(t, over); !errors.As(err, &e) || e.Code != kanava.CodeAborted {
		t.Errorf("the call returns %v", err)
	}
}

// A call that runs when the server begins to shut down may still ask; one that
// waits for an answer ends with the connection.
func TestClientFunc_WhileTheServerShutsDown(t *testing.T) {
	srv, over := asking(t, kanava.Concurrent())
	c := openV1(t, srv)
	c.SendText(`{"do":"ask","id":7,"in":{"message":"x"}}`)
	expectLike(t, c, `{"call":"confirm","id":1,…}`)
	down := make(chan error, 1)
	go func() { down <- srv.Shutdown(context.Background()) }()
	c.Expect(`{"away":{"code":4503,"in":[0,5000]}}`)
	c.SendText(`{"re":1,"out":{"yes":true}}`)
	c.Expect(`{"re":7,"out":{"yes":true}}`)
	c.ExpectClose(kanava.CloseDraining)
	if err := receive(t, over); err != nil {
		t.Error(err)
	}
	receive(t, down)

	srv, over = asking(t, kanava.Concurrent())
	c = openV1(t, srv)
	c.SendText(`{"do":"ask","id":7,"in":{"message":"x"}}`)
	expectLike(t, c, `{"call":"confirm","id":1,…}`)
	_ = srv.Shutdown(ended())
	if err := receive(t, over); err == nil {
		t.Error("an answer came from a client that is gone")
	}
}
