package kanava_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What most tests need: a channel without opening data, a session with an id.
type (
	noOpen  struct{}
	account struct {
		ID    string    `json:"id"`
		Roles []string  `json:"roles"`
		Until time.Time `json:"until"`
	}
	line   = kanava.Channel[noOpen, account]
	wiring = kanava.Wiring[noOpen, account]
	route  = kanava.Route[noOpen, account]
	server = kanava.Server[account]
	text   struct {
		Message string `json:"message" maxLength:"100"`
	}
	signIn struct {
		ID    string   `json:"id"`
		Roles []string `json:"roles,omitempty"`
		MS    int      `json:"ms,omitempty"` // time to expiry; 0 is for ever
	}
)

// The forms, as a client asks for them.
const plainForm, envelope = "", "kanava.v1"

// codeOf returns the code of an *Error, "" for any other.
func codeOf(err error) kanava.Code {
	if e, ok := errors.AsType[*kanava.Error](err); ok {
		return e.Code
	}
	return ""
}

func identify(a account) kanava.Identity {
	return kanava.Identity{UserID: a.ID, Expires: a.Until, Permissions: a.Roles}
}

// serve wires w on a new server that is shut down with the test.
func serve(tb testing.TB, opts kanava.Options[account], w wiring) *server {
	tb.Helper()
	if opts.Identify == nil {
		opts.Identify = identify
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	srv := kanava.NewServer(opts)
	if w.Name == "" {
		w.Name, w.Route = "test", "/test"
	}
	srv.Wire(w)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			tb.Errorf("Shutdown: %v", err)
		}
	})
	return srv
}

// by routes by "action".
func by(routes ...route) kanava.Router[noOpen, account] { return kanava.By("action", routes...) }

// login is an action that signs in as it is told.
func login() route {
	return kanava.OnDo("login", func(ctx context.Context, ch *line, in signIn) error {
		a := account{ID: in.ID, Roles: in.Roles}
		if in.MS > 0 {
			a.Until = time.Now().Add(time.Duration(in.MS) * time.Millisecond)
		}
		return ch.SetSession(ctx, a)
	}, kanava.Public())
}

func logout() route {
	return kanava.OnDo("logout", func(ctx context.Context, ch *line, _ kanava.None) error {
		return ch.ClearSession(ctx)
	}, kanava.Public())
}

func whoami() route {
	return kanava.On("whoami", func(_ context.Context, ch *line, _ kanava.None) (text, error) {
		return text{ch.Session().ID}, nil
	}, kanava.Public())
}

// do sends an action and expects its empty reply.
func do(t *testing.T, c *kanavatest.Client, frame, action string) {
	t.Helper()
	c.SendText(frame)
	c.Expect(`{"action":"` + action + `"}`)
}

// expectError demands that the next frame is an error with code.
func expectError(t *testing.T, c *kanavatest.Client, action string, code kanava.Code) errorFrame {
	t.Helper()
	got := kanavatest.Into[errorFrame](c)
	if got.Error.Code != code || got.Action != action {
		t.Fatalf("got error %+v of action %q, want %s of %q", got.Error, got.Action, code, action)
	}
	return got
}

type errorFrame struct {
	Action string `json:"action"`
	Error  struct {
		Code       kanava.Code     `json:"code"`
		Message    string          `json:"message"`
		Details    []kanava.Detail `json:"details"`
		RetryAfter int             `json:"retryAfter"`
	} `json:"error"`
}

// logBuffer is where a test reads what was logged.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// receive waits for a value.
func receive[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(kanavatest.Wait):
		t.Fatal("nothing came in time")
		panic("unreachable")
	}
}
