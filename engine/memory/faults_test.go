package memory_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
)

func TestLose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New()
		one, other := join(t, b), join(t, b)
		one.subscribe(room("a"))
		one.subscribe(room("b"))
		other.subscribe(room("a"))
		one.Lose("a", 2)
		other.publish(room("a"), "x", "y", "z")
		other.publish(room("b"), "x")
		one.expect("the third of a, and all of b", "a 3 z", "b 1 x")
		other.expect("the other engine loses nothing", "a 1 x", "a 2 y", "a 3 z")
		one.expectResumed("nobody is told")
	})
}

func TestDuplicate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := join(t, memory.New())
		one.Duplicate("a", 1)
		one.subscribe(room("a"))
		one.publish(room("a"), "x", "y")
		one.expect("the first twice", "a 1 x", "a 1 x", "a 2 y")
	})
}

func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := join(t, memory.New())
		one.subscribe(room("a"))
		one.subscribe(room("b"))
		one.publish(room("a"), "w")
		one.Hold("a")
		one.publish(room("a"), "x", "y")
		one.publish(room("b"), "x")
		one.Release("b")
		one.expect("b only", "b 1 x")
		one.Release("a")
		one.expect("what was held, in order", "a 1 w", "a 2 x", "a 3 y")
		one.publish(room("a"), "z")
		one.expect("nothing is held any more", "a 4 z")
	})
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := join(t, memory.New())
		one.subscribe(room("a"))
		one.Delay(time.Second)
		one.publish(room("a"), "x")
		time.Sleep(500 * time.Millisecond)
		one.publish(room("a"), "y")
		time.Sleep(499 * time.Millisecond)
		one.expect("nothing before its time")
		time.Sleep(time.Millisecond)
		one.expect("the first in time", "a 1 x")
		time.Sleep(500 * time.Millisecond)
		one.expect("the second in time", "a 2 y")
		one.publish(room("a"), "z")
		one.Delay(0)
		if err := one.Close(t.Context()); err != nil {
			t.Error(err)
		}
		one.expect("nothing after Close")
	})
}

func TestCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New()
		one, other := join(t, b), join(t, b)
		one.subscribe(room("a"))
		at := one.position(room("a"))
		one.publish(room("a"), "x")
		one.expect("before the cut", "a 1 x")
		one.Cut()
		other.publish(room("a"), "y")
		one.expect("nothing comes")
		if err := one.Publish(t.Context(), room("a"), engine.Event{}); !errors.Is(err, memory.ErrCut) {
			t.Errorf("Publish: %v", err)
		}
		one.expectResumed("not yet")
		one.Heal()
		one.expectResumed("when it is healed", "")
		other.publish(room("a"), "z")
		one.expect("the subscription stands", "a 3 z")
		p, err := one.Read(t.Context(), room("a"), at, 10)
		if err != nil || len(p.Events) != 3 || p.Lost {
			t.Errorf("Read: %+v, %v", p, err)
		}
	})
}

func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := join(t, memory.New())
		one.subscribe(room("a"))
		one.Hang()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		err := one.Publish(ctx, room("a"), engine.Event{})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 10*time.Second {
			t.Errorf("Publish: %v after %v", err, time.Since(began))
		}
		done := make(chan error)
		go func() { done <- one.Publish(t.Context(), room("a"), engine.Event{Data: []byte("x")}) }()
		synctest.Wait()
		one.Heal()
		if err := <-done; err != nil {
			t.Errorf("Publish: %v", err)
		}
		one.expect("what waited is done", "a 1 x")
		one.Hang()
		go func() { done <- one.Publish(t.Context(), room("a"), engine.Event{}) }()
		synctest.Wait()
		_ = one.Close(t.Context())
		if err := <-done; !errors.Is(err, engine.ErrClosed) {
			t.Errorf("Publish: %v", err)
		}
	})
}

func TestDeafen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := join(t, memory.New())
		one.subscribe(room("a"))
		if err := one.Probe(t.Context()); err != nil {
			t.Error(err)
		}
		one.Deafen()
		one.publish(room("a"), "x")
		one.expect("nothing comes, and Publish has worked")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := one.Probe(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Probe: %v", err)
		}
		one.Undeafen()
		one.expectResumed("when it hears again", "")
		one.publish(room("a"), "y")
		one.expect("the next", "a 2 y")
		if err := one.Probe(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := join(t, memory.New())
		one.subscribe(room("a"))
		one.FailAfter("Publish", 1)
		one.Fail("Publish", 1)
		for range 2 {
			if err := one.Publish(t.Context(), room("a"), engine.Event{ID: "1", Data: []byte("x")}); !errors.Is(err, memory.ErrInjected) {
				t.Errorf("Publish: %v", err)
			}
		}
		one.expect("the second has been done", "a 1 x")
		one.publish(room("a"), "y")
		one.expect("no more fail", "a 2 y")
		one.Fail("Entries", 1)
		for en, err := range one.Entries(t.Context(), "g") {
			if !errors.Is(err, memory.ErrInjected) {
				t.Errorf("Entries: %v, %v", en, err)
			}
		}
		defer func() {
			if p, _ := recover().(string); !strings.Contains(p, `"Unsubscribe"`) {
				t.Errorf("Fail of a method that cannot panics with %q", p)
			}
		}()
		one.Fail("Unsubscribe", 1)
	})
}

func TestWipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New()
		one := join(t, b)
		one.subscribe(room("a"))
		one.publish(room("a"), "x", "y")
		before := one.position(room("a"))
		if held, err := one.Renew(t.Context(), "o", time.Hour); held || err != nil {
			t.Errorf("Renew: %v, %v", held, err)
		}
		b.Wipe()
		one.publish(room("a"), "z")
		one.expect("the subscription stands", "a 1 x", "a 2 y", "a 1 z")
		after := one.position(room("a"))
		if after.Epoch == before.Epoch || after.Offset != 1 {
			t.Errorf("the position was %v and is %v", before, after)
		}
		if held, err := one.Renew(t.Context(), "o", time.Hour); held || err != nil {
			t.Errorf("Renew: %v, %v", held, err)
		}
		one.expectResumed("nobody is told")
	})
}

// What waits for a hub that does not take it is bounded, and the hub is told
// what it has missed.
func TestBoundedWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := join(t, memory.New())
		big := engine.Topic{Name: "a", Class: engine.Ordered}
		one.subscribe(big)
		one.subscribe(room("b"))
		one.Hold("a")
		text := strings.Repeat("x", 1<<20)
		for range 64 {
			one.publish(big, text)
		}
		one.publish(room("b"), "y")
		one.expect("b comes", "b 1 y")
		one.Release("a")
		one.expect("what did not fit has not come")
		one.expectResumed("and the hub is told", "a")
		one.publish(big, "z")
		one.expect("and what follows comes", "a 65 z")
	})
}

// What the hub does with the data of an event is its own business.
func TestOwnData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New()
		one := join(t, b)
		data := []byte("abc")
		if err := one.Publish(t.Context(), room("a"), engine.Event{Data: data}); err != nil {
			t.Fatal(err)
		}
		clear(data)
		for range 2 {
			p, err := one.Read(t.Context(), room("a"), engine.Position{}, 1)
			if err != nil || !slices.Equal(p.Events[0].Data, []byte("abc")) {
				t.Fatalf("Read: %v, %v", p, err)
			}
			clear(p.Events[0].Data)
		}
	})
}
