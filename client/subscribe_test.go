package client_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/client"
	"github.com/kanava-go/kanava/transport/ws"
)

// followable is a real server whose clients subscribe themselves.
type followable struct {
	*kanava.Server[user]
	log    *kanava.Topic[say]
	url    string
	closed atomic.Bool  // MaySubscribe refuses
	asked  atomic.Int64 // what the server was asked: subscribe and unsubscribe
}

func serveFollowable(t *testing.T) *followable {
	t.Helper()
	f := &followable{Server: kanava.NewServer(kanava.Options[user]{
		Identify: func(u user) kanava.Identity { return kanava.Identity{UserID: u.ID} },
		Logger:   slog.New(slog.DiscardHandler),
	})}
	f.log = kanava.NewTopic[say](f.EventHub(), "log", kanava.ClientSubscribable(), kanava.Recoverable(100, time.Hour), kanava.MaySubscribe(
		func(_ context.Context, u user, key string) error {
			if u.ID == "" || f.closed.Load() || key == "secret" {
				return kanava.Errorf(kanava.CodePermissionDenied, "not for you")
			}
			return nil
		}))
	f.Wire(kanava.Wiring[kanava.None, user]{
		Name: "log", Route: "/log",
		Messages: kanava.By("action",
			kanava.OnDo("login", func(ctx context.Context, ch *kanava.Channel[kanava.None, user], in login) error {
				return ch.SetSession(ctx, user{in.Name})
			}, kanava.Public()),
			// It publishes when the connection can no longer be told.
			kanava.OnDo("drop", func(ctx context.Context, ch *kanava.Channel[kanava.None, user], in say) error {
				if err := ch.Close(ctx, 4200, ""); err != nil {
					return err
				}
				go func() {
					<-ch.Context().Done()
					_ = f.log.Publish(context.Background(), "a", in)
				}()
				return nil
			}),
		),
		Declares: []kanava.Declared{f.log},
		Middleware: []kanava.Middleware{func(next kanava.Handler) kanava.Handler {
			return func(ctx context.Context, inv *kanava.Invocation) (any, error) {
				if strings.HasSuffix(inv.Action, "subscribe") {
					f.asked.Add(1)
				}
				return next(ctx, inv)
			}
		}},
	})
	hs := httptest.NewServer(ws.Handler(f.Server, ws.Options{}))
	f.url = hs.URL
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := f.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		hs.Close()
	})
	return f
}

func (f *followable) connect(t *testing.T, setup func(c *client.Conn)) *client.Conn {
	t.Helper()
	tr := &http.Transport{}
	c, err := client.Connect(client.Spec{Path: "/log"}, f.url, nil, client.Options[*client.Conn]{
		HTTPClient: &http.Client{Transport: tr},
		Authenticate: func(ctx context.Context, c *client.Conn) error {
			return client.Do(ctx, c, "", "login", login{"ann"})
		},
		Setup: setup,
	}, func(c *client.Conn) *client.Conn { return c })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		<-c.Done()
		tr.CloseIdleConnections()
	})
	return c
}

// A subscription is made again on the next connection, behind the sign-in, and
// a recoverable topic goes on where it was.
func TestP8_SubscriptionHealsOverReconnects(t *testing.T) {
	ctx, f := within(t), serveFollowable(t)
	events, faults := make(chan say, 10), make(chan any, 10)
	c := f.connect(t, func(c *client.Conn) {
		client.OnTopic(c, "log", "a", func(v say, _ client.Topic) { events <- v })
		c.OnLost(func(l client.Lost) { faults <- l })
		c.OnError(func(err error) { faults <- err })
	})
	if _, err := client.Subscribe(ctx, c, "log:a"); err != nil {
		t.Fatal(err)
	}
	for _, message := range []string{"while away", "and again"} {
		if err := client.Do(ctx, c, "", "drop", say{message}); err != nil {
			t.Fatal(err)
		}
		if v := wait(t, events); v.Message != message {
			t.Fatalf("got %q, want %q", v.Message, message)
		}
	}
	select {
	case fault := <-faults:
		t.Errorf("told %v", fault)
	default:
	}
}

func TestP8_SubscriptionsOfOneTopicAreOne(t *testing.T) {
	ctx, f := within(t), serveFollowable(t)
	c := f.connect(t, nil)
	if err := client.Do(ctx, c, "", "login", login{"ann"}); err != nil { // the connection stands
		t.Fatal(err)
	}
	var subs [2]*client.Subscription
	for i := range subs {
		s, err := client.Subscribe(ctx, c, "log:a")
		if err != nil {
			t.Fatal(err)
		}
		subs[i] = s
	}
	events := make(chan say, 10)
	client.OnTopic(c, "log", "a", func(v say, _ client.Topic) { events <- v })
	subs[0].Stop()
	subs[0].Stop() // twice is once
	if err := client.Do(ctx, c, "", "login", login{"ann"}); err != nil {
		t.Fatal(err)
	}
	if n := f.asked.Load(); n != 2 {
		t.Errorf("the server was asked %d times, want 2: the other one lasts", n)
	}
	publish := func(message string) {
		t.Helper()
		if err := f.log.Publish(ctx, "a", say{message}); err != nil {
			t.Fatal(err)
		}
	}
	publish("one")
	if v := wait(t, events); v.Message != "one" {
		t.Error(v)
	}
	subs[1].Stop()
	if err := client.Do(ctx, c, "", "login", login{"ann"}); err != nil { // behind the unsubscribe
		t.Fatal(err)
	}
	publish("two")
	if err := client.Do(ctx, c, "", "login", login{"ann"}); err != nil {
		t.Fatal(err)
	}
	if n := f.asked.Load(); n != 3 || len(events) != 0 {
		t.Errorf("the server was asked %d times, want 3; %d events", n, len(events))
	}
}

func TestP8_RefusedSubscription(t *testing.T) {
	ctx, f := within(t), serveFollowable(t)
	errs := make(chan error, 10)
	c := f.connect(t, func(c *client.Conn) { c.OnError(func(err error) { errs <- err }) })
	if err := client.Do(ctx, c, "", "login", login{"ann"}); err != nil { // the connection stands
		t.Fatal(err)
	}
	for topic, want := range map[string]client.Code{
		"log:secret": client.CodePermissionDenied, "nothing:a": client.CodeNotFound, "": client.CodeInvalidArgument,
	} {
		if s, err := client.Subscribe(ctx, c, topic); codeOf(err) != want || s != nil {
			t.Errorf("%q: %v, %v, want %s", topic, s, err, want)
		}
	}
	if _, err := client.Subscribe(ctx, c, "log:a"); err != nil {
		t.Fatal(err)
	}
	f.closed.Store(true)
	if err := client.Do(ctx, c, "", "drop", say{"x"}); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, errs); codeOf(err) != client.CodePermissionDenied { // on the next connection
		t.Errorf("told %v", err)
	}
}
