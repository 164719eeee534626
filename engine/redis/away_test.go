package redis_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/redis"
)

// methods are all that wait for a server.
var methods = map[string]func(ctx context.Context, e *redis.Engine) error{
	"publish": func(ctx context.Context, e *redis.Engine) error {
		return e.Publish(ctx, topic(engine.Ordered), engine.Event{Data: []byte("1")})
	},
	"subscribe": func(ctx context.Context, e *redis.Engine) error { return e.Subscribe(ctx, topic(engine.Ordered)) },
	"positions": func(ctx context.Context, e *redis.Engine) error {
		_, err := e.Positions(ctx, []engine.Topic{topic(engine.Ordered)})
		return err
	},
	"read": func(ctx context.Context, e *redis.Engine) error {
		_, err := e.Read(ctx, topic(engine.Recoverable), engine.Position{}, 10)
		return err
	},
	"probe": func(ctx context.Context, e *redis.Engine) error { return e.Probe(ctx) },
	"renew": func(ctx context.Context, e *redis.Engine) error {
		_, err := e.Renew(ctx, "node", time.Minute)
		return err
	},
	"owners": func(ctx context.Context, e *redis.Engine) error {
		_, err := e.Owners(ctx)
		return err
	},
	"put": func(ctx context.Context, e *redis.Engine) error {
		return e.Put(ctx, engine.Entry{Group: "g", Member: "m", Owner: "o", Lasts: time.Minute})
	},
	"entries": func(ctx context.Context, e *redis.Engine) (err error) {
		for _, err = range e.Entries(ctx, "g") {
		}
		return err
	},
	"keep": func(ctx context.Context, e *redis.Engine) error {
		_, err := e.Keep(ctx, "k", []byte("v"), time.Minute)
		return err
	},
	"forget": func(ctx context.Context, e *redis.Engine) error { return e.Forget(ctx, "k") },
	"load": func(ctx context.Context, e *redis.Engine) error {
		_, err := e.Load(ctx, []string{"a", "b"})
		return err
	},
	"save": func(ctx context.Context, e *redis.Engine) error {
		_, err := e.Save(ctx, rand.Text(), []byte("v"), 0, time.Minute)
		return err
	},
	"delete": func(ctx context.Context, e *redis.Engine) error {
		_, err := e.Delete(ctx, "a")
		return err
	},
	"join":  func(ctx context.Context, e *redis.Engine) error { return e.Join(ctx, "g", "m", time.Millisecond) },
	"leave": func(ctx context.Context, e *redis.Engine) error { return e.Leave(ctx, "g", "m") },
	"members": func(ctx context.Context, e *redis.Engine) (err error) {
		for _, err = range e.Members(ctx, "g") {
		}
		return err
	},
}

// atOnce calls all methods at once and looks at what each returns.
func atOnce(t *testing.T, ctx context.Context, e *redis.Engine, look func(method string, err error)) {
	t.Helper()
	var group sync.WaitGroup
	for name, call := range methods {
		group.Go(func() { look(name, call(ctx, e)) })
	}
	group.Wait()
}

// TestServerAway proves that methods wait for a server that is away, not longer
// than they may, and say what they were about to do and why they could not.
func TestServerAway(t *testing.T) {
	s := newServer(t)
	for _, c := range []struct {
		name string
		away func(n *node) (back func())
	}{
		{"since the start", func(*node) func() { return s.start }},
		{"after a while", func(n *node) func() {
			atOnce(t, within(t), n.Engine, func(method string, err error) {
				if err != nil {
					t.Errorf("%s: %v", method, err)
				}
			})
			s.kill()
			return s.start
		}},
		{"it does not answer", func(*node) func() {
			s.stop()
			return s.goOn
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "since the start" {
				s.kill()
			}
			n := join(t, redis.Options{Addrs: []string{s.addr}})
			if c.name == "it does not answer" {
				if err := n.Probe(within(t)); err != nil {
					t.Fatal(err)
				}
			}
			back := c.away(n)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			began := time.Now()
			atOnce(t, ctx, n.Engine, func(method string, err error) {
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("%s: it took %v, it had 300 ms", method, took)
				}
				if err == nil || !strings.HasPrefix(err.Error(), "redis: "+method+": ") {
					t.Errorf("%s: %v", method, err)
				}
				// A connection that has just been lost may be the answer.
				if c.name != "after a while" && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %v", method, err)
				}
			})
			var group sync.WaitGroup
			group.Go(func() {
				atOnce(t, within(t), n.Engine, func(method string, err error) {
					if err != nil && c.name == "since the start" {
						t.Errorf("%s: %v", method, err)
					}
				})
			})
			back()
			group.Wait()
			// Whatever became of these: it all goes on.
			deadline := within(t)
			for _, call := range methods {
				for call(deadline, n.Engine) != nil && deadline.Err() == nil {
				}
			}
			if deadline.Err() != nil {
				t.Error("it does not go on")
			}
		})
	}
}

// TestPublicationsAreBounded proves that what waits for a server that does not
// answer is bounded.
func TestPublicationsAreBounded(t *testing.T) {
	s := newServer(t)
	n := join(t, redis.Options{Addrs: []string{s.addr}})
	top := topic(engine.Ordered)
	n.publish(top, "1")
	s.stop()
	defer s.goOn()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	full := make(chan error, 100)
	for range 100 {
		group.Go(func() { full <- n.Publish(ctx, top, engine.Event{Data: make([]byte, 1<<20)}) })
	}
	for range 100 - 64 {
		if err := <-full; !errors.Is(err, redis.ErrFull) {
			t.Fatal(err)
		}
	}
}

// TestClosed proves that an engine that is closed does nothing.
func TestClosed(t *testing.T) {
	n := join(t, redis.Options{Addrs: []string{newServer(t).addr}})
	n.subscribe(topic(engine.Ordered))
	if err := n.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	atOnce(t, within(t), n.Engine, func(method string, err error) {
		if !errors.Is(err, engine.ErrClosed) {
			t.Errorf("%s: %v", method, err)
		}
	})
	n.Unsubscribe(topic(engine.Ordered))
	if err := n.Close(within(t)); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("Close again: %v", err)
	}
	e, err := redis.New(redis.Options{Addrs: []string{"127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Publish(within(t), topic(engine.Ordered), engine.Event{}); err == nil || errors.Is(err, engine.ErrClosed) {
		t.Errorf("Publish before Start: %v", err)
	}
	if err := e.Close(within(t)); err != nil {
		t.Errorf("Close before Start: %v", err)
	}
}

// TestClosePublishes proves that Close waits until what was published is sent.
func TestClosePublishes(t *testing.T) {
	s := newServer(t)
	n, other := join(t, redis.Options{Addrs: []string{s.addr}}), join(t, redis.Options{Addrs: []string{s.addr}})
	top := topic(engine.Recoverable)
	n.position(top)
	results := make(chan error, 200)
	var begun sync.WaitGroup
	for i := range cap(results) {
		begun.Add(1)
		go func() {
			begun.Done()
			results <- n.Publish(within(t), top, engine.Event{Data: fmt.Append(nil, i)})
		}()
	}
	begun.Wait()
	if err := n.Close(within(t)); err != nil {
		t.Error(err)
	}
	published := 0
	for range cap(results) {
		switch err := <-results; {
		case err == nil:
			published++
		case !errors.Is(err, engine.ErrClosed):
			t.Error(err)
		}
	}
	if got := len(other.read(top, engine.Position{}).Events); got != published {
		t.Errorf("%d publications were confirmed, %d are there", published, got)
	}
}
