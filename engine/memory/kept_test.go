package memory_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
)

// The position of a topic outlives its events and a day without use, and is
// another one when it has been forgotten.
func TestD2_PositionLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New()
		one := join(t, b)
		long := engine.Topic{Name: "long", Class: engine.Recoverable, Size: 10, TTL: 72 * time.Hour}
		one.publish(room("a"), "x")
		one.publish(long, "x")
		a, l := one.position(room("a")), one.position(long)
		time.Sleep(25*time.Hour - time.Second)
		if at := one.position(room("a")); at != a {
			t.Errorf("after a day: %v, want %v", at, a)
		}
		if p, err := one.Read(t.Context(), room("a"), engine.Position{Epoch: a.Epoch}, 10); err != nil || !p.Lost || len(p.Events) != 0 || p.At != a {
			t.Errorf("after a day the event is lost, not %+v, %v", p, err)
		}
		time.Sleep(26 * time.Hour)
		if at := one.position(room("a")); at.Epoch == a.Epoch || at.Offset != 0 {
			t.Errorf("after another day: %v, which was %v", at, a)
		}
		time.Sleep(20 * time.Hour)
		if p, err := one.Read(t.Context(), long, engine.Position{}, 10); err != nil || p.Lost || len(p.Events) != 1 || p.At != l {
			t.Errorf("within its TTL an event is kept: %+v, %v", p, err)
		}
	})
}

// Events end in order: what a program that keeps them longer has published
// ends with what follows it, so that nothing is given out that has a gap.
func TestD1_EventsEndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := join(t, memory.New())
		long, short := room("a"), room("a")
		long.TTL, short.TTL = time.Hour, time.Minute
		kept := func(when string, want int) {
			t.Helper()
			if p, err := one.Read(t.Context(), long, engine.Position{}, 10); err != nil || len(p.Events) != want {
				t.Errorf("%s: %+v, %v; want %d events", when, p, err, want)
			}
		}
		for _, topic := range []engine.Topic{long, long, short, long} {
			one.publish(topic, "x")
		}
		time.Sleep(time.Minute - time.Nanosecond)
		kept("before the short one ends", 4)
		time.Sleep(time.Nanosecond)
		kept("when it has ended", 1)
		time.Sleep(59 * time.Minute)
		kept("after an hour", 0)
	})
}

// An id is known for two minutes, and no longer.
func TestD1_IDEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := join(t, memory.New())
		one.subscribe(room("a"))
		say := func(text string) {
			t.Helper()
			if err := one.Publish(t.Context(), room("a"), engine.Event{ID: "1", Data: []byte(text)}); err != nil {
				t.Fatal(err)
			}
		}
		say("x")
		time.Sleep(2*time.Minute - time.Nanosecond)
		say("y")
		one.expect("once", "a 1 x")
		time.Sleep(time.Nanosecond)
		say("z")
		one.expect("and again after two minutes", "a 2 z")
	})
}

// The newest event of a key is kept for a day.
func TestD1_LatestEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := join(t, memory.New())
		prices := engine.Topic{Name: "a", Class: engine.Latest}
		one.publish(prices, "x")
		time.Sleep(24*time.Hour - time.Nanosecond)
		if p, err := one.Read(t.Context(), prices, engine.Position{}, 10); err != nil || len(p.Events) != 1 {
			t.Errorf("before a day: %+v, %v", p, err)
		}
		time.Sleep(time.Nanosecond)
		if p, err := one.Read(t.Context(), prices, engine.Position{}, 10); err != nil || len(p.Events) != 0 || p.Lost {
			t.Errorf("after a day: %+v, %v", p, err)
		}
	})
}

// A program that is replaced by one with other classes says both for a while:
// nothing that has a gap is given out as whole.
func TestD1_ClassChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := join(t, memory.New())
		ordered := engine.Topic{Name: "a", Class: engine.Ordered}
		start := one.position(ordered)
		one.publish(room("a"), "x")
		one.publish(ordered, "y")
		one.publish(room("a"), "z")
		p, err := one.Read(t.Context(), room("a"), start, 10)
		if err != nil || !p.Lost || len(p.Events) != 1 || string(p.Events[0].Data) != "z" || p.Events[0].Prev != 2 {
			t.Errorf("Read: %+v, %v", p, err)
		}
	})
}

// Nothing that has ended stays in memory, and nothing runs when all have left.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := memory.New()
		one := join(t, b)
		one.publish(room("a"), "x")
		for _, owner := range []string{"o", "p"} {
			if _, err := one.Renew(t.Context(), owner, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		put := func(e engine.Entry) {
			t.Helper()
			if err := one.Put(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		put(engine.Entry{Group: "g", Member: "m", Owner: "o"})
		put(engine.Entry{Group: "g", Member: "n", Owner: "o", Lasts: time.Minute})
		if _, err := one.Keep(t.Context(), "k", nil, time.Minute); err != nil {
			t.Fatal(err)
		}
		if n := b.Kept(); n != 7 { // position, event, two leases, two entries, value
			t.Errorf("%d things are kept, want 7", n)
		}
		time.Sleep(3 * time.Minute)
		if n := b.Kept(); n != 1 {
			t.Errorf("%d things are kept, want the position only", n)
		}
		time.Sleep(26 * time.Hour)
		if n := b.Kept(); n != 0 {
			t.Errorf("%d things are kept, want none", n)
		}
		if b.Sweeping() {
			t.Error("the sweeper comes though nothing is kept")
		}
		one.publish(room("a"), "x")
		if !b.Sweeping() {
			t.Error("the sweeper does not come")
		}
		if err := one.Close(t.Context()); err != nil || b.Sweeping() {
			t.Errorf("after Close: %v; the sweeper comes: %v", err, b.Sweeping())
		}
	})
}
