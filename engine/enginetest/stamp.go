package enginetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// These are about engines that are an [engine.Stamper]; of others nothing is asked.
var stampBehaviours = []behaviour{
	{name: "PublishStamped returns an event as it is delivered", run: testStamp},
	{name: "PublishStamped of an id that is known publishes nothing, and says so", run: testStampID},
	{name: "PublishStamped of many at once returns what each of them is delivered as", run: testStampAtOnce},
}

// stamps tells whether there is something to try.
func (n *node) stamps() bool {
	_, ok := n.Engine.(engine.Stamper)
	if !ok {
		n.l.Log("the engine is no Stamper")
	}
	return ok
}

func (n *node) tryStamp(t engine.Topic, ev engine.Event) (stamped engine.Event, published bool, err error) {
	err = n.call(func(ctx context.Context) (err error) {
		stamped, published, err = n.Engine.(engine.Stamper).PublishStamped(ctx, t, ev)
		return err
	})
	return stamped, published, err
}

// stamp publishes an event that has not been published.
func (n *node) stamp(t engine.Topic, ev engine.Event) engine.Event {
	n.l.Helper()
	stamped, published, err := n.tryStamp(t, ev)
	if err != nil || !published {
		n.l.Fatalf("PublishStamped: published %v, %v", published, err)
	}
	return stamped
}

// otherwise says in what an event was stamped otherwise than it was delivered.
func otherwise(class engine.Class, stamped, delivered engine.Event) string {
	switch {
	case differ(delivered, stamped) != "":
		return differ(delivered, stamped)
	case stamped.At != delivered.At:
		return fmt.Sprintf("the position %v, want %v", stamped.At, delivered.At)
	case class != engine.Latest && stamped.Prev != delivered.Prev:
		return fmt.Sprintf("%d as the event before it, want %d", stamped.Prev, delivered.Prev)
	case stamped.Time.Sub(delivered.Time).Abs() > time.Millisecond:
		return fmt.Sprintf("the time %v, want %v", stamped.Time, delivered.Time)
	}
	return ""
}

func testStamp(l *lab) {
	one, other := l.join(), l.join()
	if !one.stamps() {
		return
	}
	for _, class := range all {
		t := l.topic(class)
		for _, n := range []*node{one, other} {
			n.subscribe(t)
		}
		var stamped []engine.Event
		for i, ev := range payloads(class) {
			n := []*node{one, other}[i%2]
			if class == engine.Volatile {
				n = one // whose events keep their order
			}
			s := n.stamp(t, ev)
			if d := differ(ev, s); d != "" {
				l.Errorf("%v: payload %d is stamped with %s", class, i, d)
			}
			stamped = append(stamped, s)
			if i%3 == 0 { // what others publish is in the chain, too
				text := fmt.Sprint("between ", i)
				between := event(text)
				between.Key = text[:min(len(text), 9)]
				if err := n.tryPublish(t, between); err != nil {
					l.Fatalf("Publish: %v", err)
				}
				stamped = append(stamped, engine.Event{})
			}
		}
		for _, n := range []*node{one, other} {
			got := n.await(t, len(stamped))
			for i, s := range stamped {
				if s.Data == nil && !s.Binary {
					continue // between others
				}
				if d := otherwise(class, s, got[i]); d != "" {
					l.Errorf("%v: an event is stamped with %s", class, d)
				}
				if class == engine.Volatile && (s.At != engine.Position{} || s.Prev != 0) {
					l.Errorf("an event of a Volatile topic is stamped with %v, %d", s.At, s.Prev)
				}
			}
		}
	}
}

func testStampID(l *lab) {
	one, other := l.join(), l.join()
	if !one.stamps() {
		return
	}
	for _, class := range positioned {
		t := l.topic(class)
		one.subscribe(t)
		say := func(n *node, id, text string, want bool) engine.Event {
			l.Helper()
			stamped, published, err := n.tryStamp(t, engine.Event{ID: id, Data: event(text).Data})
			if err != nil || published != want {
				l.Fatalf("%v: PublishStamped of %s with the id %q: published %v, %v", class, text, id, published, err)
			}
			return stamped
		}
		first := say(one, "1", "first", true)
		say(one, "1", "again", false)
		say(other, "1", "from elsewhere", false)
		if err := one.tryPublish(t, engine.Event{ID: "2", Data: event("second").Data}); err != nil {
			l.Fatal(err)
		}
		say(one, "2", "second again", false)
		third := say(other, "3", "third", true)
		say(one, "", "without", true)
		say(one, "", "without", true)
		got := one.await(t, 5)
		if want := []string{"first", "second", "third", "without", "without"}; !slices.Equal(texts(got), want) {
			l.Errorf("%v: %q came, want %q", class, texts(got), want)
		}
		for i, stamped := range map[int]engine.Event{0: first, 2: third} {
			if d := otherwise(class, stamped, got[i]); d != "" {
				l.Errorf("%v: %s is stamped with %s", class, stamped.Data, d)
			}
		}
	}
}

func testStampAtOnce(l *lab) {
	nodes := l.joinAll(2)
	if !nodes[0].stamps() {
		return
	}
	for _, class := range []engine.Class{engine.Ordered, engine.Recoverable} {
		t := l.topic(class)
		nodes[0].subscribe(t)
		stamped := make([][]engine.Event, publishers)
		l.together(publishers, func(i int) error {
			for j := range saidByEach {
				ev := event(fmt.Sprintf("%d %d", i, j))
				if j%2 == 0 {
					ev.ID = fmt.Sprintf("%d %d", i, j/4) // of two with one id the second is not published
				}
				s, published, err := nodes[i%2].tryStamp(t, ev)
				if want := j%4 != 2; err != nil || published != want {
					return fmt.Errorf("PublishStamped %d: published %v, %w", j, published, err)
				}
				if published {
					stamped[i] = append(stamped[i], s)
				}
			}
			return nil
		})
		delivered := make(map[string]engine.Event)
		for _, ev := range nodes[0].await(t, publishers*saidByEach*3/4) {
			delivered[string(ev.Data)] = ev
		}
		for _, s := range slices.Concat(stamped...) {
			if d := otherwise(class, s, delivered[string(s.Data)]); d != "" {
				l.Fatalf("%v: %s is stamped with %s", class, s.Data, d)
			}
		}
	}
}
