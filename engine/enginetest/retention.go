package enginetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/kanava-go/kanava/engine"
)

var retentionBehaviours = []behaviour{
	{name: "§4 a Recoverable topic keeps its last events, and not all", run: testSize},
	{name: "§4 events of a Recoverable topic end, and its position stays", run: testTTL, waits: true},
	{name: "§4 a Latest topic keeps the newest event of each key", run: testNewest},
	{name: "§4 a Latest topic keeps 1,024 keys", run: testKeys},
	{name: "§4 an Ordered topic keeps its position only", run: testOrderedKeepsNothing},
}

// tooMany events are published to topics that keep ten.
const tooMany = 400

// overflow publishes so much to a topic that it cannot keep all.
func overflow(l *lab, n *node) (t engine.Topic, first engine.Position) {
	t = l.topic(engine.Recoverable)
	t.Size = 10
	first = n.position(t)
	n.publish(t, numbers(1, tooMany)...)
	return t, first
}

func testSize(l *lab) {
	n := l.join()
	t, _ := overflow(l, n)
	events, at, lost := n.readAll(t, engine.Position{}, 1000)
	if len(events) < 10 || len(events) == tooMany {
		l.Fatalf("%d of %d events are kept, want 10 or a few more", len(events), tooMany)
	}
	if got, want := texts(events), numbers(tooMany-len(events)+1, tooMany); !slices.Equal(got, want) {
		l.Errorf("%q are kept, want %q", got, want)
	}
	if lost || at != n.position(t) {
		l.Errorf("Read of all that is kept: lost %v, At %v, but the topic stands at %v", lost, at, n.position(t))
	}
}

func testTTL(l *lab) {
	n, t := l.join(), l.topic(engine.Recoverable)
	t.TTL = 3 * time.Second
	first := n.position(t)
	began := time.Now()
	n.publish(t, "1", "2")
	if p := n.read(t, engine.Position{}, 10); len(p.Events) != 2 && time.Since(began) < t.TTL {
		l.Fatalf("before the time to live has passed %d events are kept, want 2", len(p.Events))
	}
	at := n.position(t)
	l.eventually("the events end", func() bool { return len(n.read(t, engine.Position{}, 10).Events) == 0 })
	if took := time.Since(began); took < t.TTL-100*time.Millisecond {
		l.Errorf("the events ended after %v", took)
	}
	if now := n.position(t); now != at {
		l.Errorf("when its events ended the topic went from %v to %v", at, now)
	}
	for _, c := range []struct {
		what  string
		since engine.Position
		lost  bool
	}{
		{"from before events that have ended", first, true},
		{"from where the topic stands", at, false},
		{"from the zero Position", engine.Position{}, false},
	} {
		if p := n.read(t, c.since, 10); p.Lost != c.lost || p.At != at || len(p.Events) != 0 {
			l.Errorf("Read %s: %+v, want lost %v", c.what, p, c.lost)
		}
	}
	n.publish(t, "3")
	p := n.read(t, at, 10)
	if got := texts(p.Events); !slices.Equal(got, []string{"3"}) || p.Lost || p.Events[0].Prev > at.Offset {
		l.Errorf("after events have ended the next is read as %+v", p)
	}
}

func testNewest(l *lab) {
	n, t := l.join(), l.topic(engine.Latest)
	say := func(key, text string) engine.Position {
		l.Helper()
		if err := n.tryPublish(t, engine.Event{Key: key, Data: event(text).Data}); err != nil {
			l.Fatal(err)
		}
		return n.position(t)
	}
	first := n.position(t)
	say("a", "a1")
	afterB := say("b", "b1")
	say("a", "a2")
	say("", "none1")
	afterA := say("a", "a3")
	end := say("c", "c1")
	for _, c := range []struct {
		what  string
		since engine.Position
		want  []string
	}{
		{"from the zero Position", engine.Position{}, []string{"b1", "none1", "a3", "c1"}},
		{"from before the first event", first, []string{"b1", "none1", "a3", "c1"}},
		{"from the event of b", afterB, []string{"none1", "a3", "c1"}},
		{"from the last event of a", afterA, []string{"c1"}},
		{"from the end", end, []string{}},
	} {
		for _, limit := range []int{1, 2, 100} {
			events, at, lost := n.readAll(t, c.since, limit)
			if got := texts(events); !slices.Equal(got, c.want) || lost || at != end {
				l.Errorf("Read %s, %d at a time: %q, lost %v, At %v; want %q at %v", c.what, limit, got, lost, at, c.want, end)
			}
		}
	}
	if events, _, lost := n.readAll(t, engine.Position{Epoch: "other", Offset: end.Offset}, 100); !lost || len(events) != 4 {
		l.Errorf("Read from another epoch: %q, lost %v; want all, and lost", texts(events), lost)
	}
	for _, ev := range n.read(t, first, 100).Events {
		if want := map[string]string{"b1": "b", "none1": "", "a3": "a", "c1": "c"}[texts([]engine.Event{ev})[0]]; ev.Key != want {
			l.Errorf("%s is kept with the key %q, want %q", ev.Data, ev.Key, want)
		}
	}
}

func testKeys(l *lab) {
	n, t := l.join(), l.topic(engine.Latest)
	const keys = 1024
	for _, round := range []string{"old", "new"} {
		l.together(8, func(w int) error {
			for i := w; i < keys; i += 8 {
				if err := n.tryPublish(t, engine.Event{Key: fmt.Sprint("key", i), Data: event(round).Data}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	events, _, lost := n.readAll(t, engine.Position{}, 100)
	seen := make(map[string]bool)
	for _, ev := range events {
		if seen[ev.Key] || string(ev.Data) != `"new"` {
			l.Fatalf("the key %q is kept as %s, or twice", ev.Key, ev.Data)
		}
		seen[ev.Key] = true
	}
	if len(seen) != keys || lost {
		l.Errorf("%d keys are kept, want %d; lost %v", len(seen), keys, lost)
	}
}

func testOrderedKeepsNothing(l *lab) {
	n, t := l.join(), l.topic(engine.Ordered)
	first := n.position(t)
	if p := n.read(t, first, 10); p.Lost || p.At != first || len(p.Events) != 0 {
		l.Errorf("Read of a new topic from where it stands: %+v", p)
	}
	n.publish(t, "1", "2")
	end := n.position(t)
	for _, c := range []struct {
		what  string
		since engine.Position
		lost  bool
	}{
		{"from where the topic stands", end, false},
		{"from before", first, true},
		{"from after", engine.Position{Epoch: end.Epoch, Offset: end.Offset + 1}, true},
		{"from another epoch", engine.Position{Epoch: "other", Offset: end.Offset}, true},
		{"from the zero Position", engine.Position{}, true},
	} {
		if p := n.read(t, c.since, 10); p.Lost != c.lost || p.At != end || len(p.Events) != 0 || p.More {
			l.Errorf("Read %s: %+v, want lost %v and no events", c.what, p, c.lost)
		}
	}
}
