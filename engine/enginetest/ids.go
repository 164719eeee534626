package enginetest

import (
	"fmt"
	"slices"

	"github.com/kanava-go/kanava/engine"
)

var idBehaviours = []behaviour{
	{name: "D1 an id is published once", run: testIDs},
	{name: "D1 an id is published once, also by several nodes at once", run: testIDsAtOnce},
}

func testIDs(l *lab) {
	one, other := l.join(), l.join()
	for _, class := range positioned {
		t, u := l.topic(class), l.topic(class)
		for _, n := range []*node{one, other} {
			n.subscribe(t, u)
		}
		say := func(n *node, t engine.Topic, id, text string) {
			l.Helper()
			if err := n.tryPublish(t, engine.Event{ID: id, Data: event(text).Data}); err != nil {
				l.Fatal(err)
			}
		}
		say(one, t, "1", "first")
		at := one.position(t)
		say(one, t, "1", "again")
		say(other, t, "1", "from elsewhere")
		if now := one.position(t); now != at {
			l.Errorf("%v: a publication that was known moved the topic from %v to %v", class, at, now)
		}
		say(one, t, "2", "second")
		say(one, t, "", "without")
		say(one, t, "", "without")
		say(one, u, "1", "other topic")
		want := []string{"first", "second", "without", "without"}
		for _, n := range []*node{one, other} {
			if got := texts(n.await(t, len(want))); !slices.Equal(got, want) {
				l.Errorf("%v: %q came, want %q", class, got, want)
			}
			if got := texts(n.await(u, 1)); got[0] != "other topic" {
				l.Errorf("%v: %q came", class, got)
			}
		}
	}
}

func testIDsAtOnce(l *lab) {
	nodes, t := l.joinAll(3), l.topic(engine.Recoverable)
	nodes[0].subscribe(t)
	for round := range 20 {
		id := fmt.Sprint("round ", round)
		l.together(6, func(i int) error {
			return nodes[i%3].tryPublish(t, engine.Event{ID: id, Data: event(id).Data})
		})
	}
	events, _, _ := nodes[0].readAll(t, engine.Position{}, 1000)
	var want []string
	for round := range 20 {
		want = append(want, fmt.Sprint("round ", round))
	}
	if got := texts(events); !slices.Equal(got, want) {
		l.Errorf("%q are kept", got)
	}
	if got := texts(nodes[0].await(t, 20)); !slices.Equal(got, want) {
		l.Errorf("%q came", got)
	}
}
