package enginetest

import (
	"fmt"

	"github.com/kanava-go/kanava/engine"
)

var positionBehaviours = []behaviour{
	{name: "D2 a topic nobody has published to has an epoch, and keeps it", run: testNewTopic},
	{name: "D2 positions of a thousand topics come in the order they are asked for", run: testManyPositions},
	{name: "D1 events of topics with a position follow it", run: testFollow},
}

func testNewTopic(l *lab) {
	one, other := l.join(), l.join()
	for _, class := range positioned {
		t := l.topic(class)
		first := one.position(t)
		if at := other.position(t); at != first {
			l.Errorf("%v: a topic stands at %v for one node and at %v for another", class, first, at)
		}
		other.subscribe(t)
		one.publish(t, "x")
		ev := other.await(t, 1)[0]
		if ev.At.Epoch != first.Epoch || ev.At.Offset <= first.Offset || class != engine.Latest && ev.Prev > first.Offset {
			l.Errorf("%v: the first event after %v has the position %v, and %d as the one before it", class, first, ev.At, ev.Prev)
		}
		for _, n := range []*node{one, other} {
			if at := n.position(t); at != ev.At {
				l.Errorf("%v: after the event %v the topic stands at %v", class, ev.At, at)
			}
		}
		p := other.read(t, first, 10)
		if p.At != ev.At || p.Lost != (class == engine.Ordered) {
			l.Errorf("%v: Read from before the first event: At %v, Lost %v", class, p.At, p.Lost)
		}
	}
}

func testManyPositions(l *lab) {
	n := l.join()
	topics := make([]engine.Topic, 1024)
	for i := range topics {
		topics[i] = l.topic(positioned[i%len(positioned)])
	}
	before, err := n.tryPositions(topics...)
	if err != nil {
		l.Fatal(err)
	}
	l.together(8, func(w int) error {
		for i := w; i < len(topics); i += 8 {
			for range i / 8 % 4 {
				if err := n.tryPublish(topics[i], event("x")); err != nil {
					return err
				}
			}
		}
		return nil
	})
	after, err := n.tryPositions(topics...)
	if err != nil {
		l.Fatal(err)
	}
	for i, t := range topics {
		said := uint64(i / 8 % 4)
		if after[i].Epoch != before[i].Epoch || after[i].Offset < before[i].Offset+said || said == 0 && after[i] != before[i] {
			l.Errorf("topic %d, %v: after %d events it went from %v to %v", i, t.Class, said, before[i], after[i])
		}
		if i%64 == 0 {
			if at := n.position(t); at != after[i] {
				l.Errorf("topic %d: asked for among others it stands at %v, alone at %v", i, after[i], at)
			}
		}
	}
}

func testFollow(l *lab) {
	nodes := l.joinAll(2)
	for _, class := range positioned {
		t := l.topic(class)
		nodes[1].subscribe(t)
		for i := range 10 {
			nodes[i%2].publish(t, fmt.Sprint(i))
			last := nodes[1].await(t, i+1)[i]
			if at := nodes[1].position(t); at != last.At {
				l.Fatalf("%v: after %v the topic stands at %v", class, last.At, at)
			}
		}
	}
}
