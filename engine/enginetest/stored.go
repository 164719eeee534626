package enginetest

import (
	"fmt"
	"slices"

	"github.com/kanava-go/kanava/engine"
)

var storedBehaviours = []behaviour{
	{name: "D1 what is published can be read at once", run: testReadAfterPublish},
	{name: "D1 D4 an event that was delivered can be read where it was", run: testReadAfterDelivery},
}

func testReadAfterPublish(l *lab) {
	n, t := l.join(), l.topic(engine.Recoverable)
	since := n.position(t)
	for i := range 50 {
		n.publish(t, fmt.Sprint(i))
		p := n.read(t, since, 10)
		if got := texts(p.Events); !slices.Equal(got, []string{fmt.Sprint(i)}) || p.Lost || p.More {
			l.Fatalf("after event %d was published Read returns %q (lost %v, more %v)", i, got, p.Lost, p.More)
		}
		if at := n.position(t); at != p.At || at != p.Events[0].At {
			l.Fatalf("event %d has the position %v, the page has %v, and the topic stands at %v", i, p.Events[0].At, p.At, at)
		}
		since = p.At
	}
}

func testReadAfterDelivery(l *lab) {
	publisher, n := l.join(), l.join()
	came := make(chan delivery, 1000)
	n.onEvents = func(topic string, events []engine.Event) {
		came <- delivery{topic, len(events), events[len(events)-1].At}
	}
	topics := make(map[string]engine.Topic)
	since := make(map[string]engine.Position)
	for _, class := range positioned {
		t := l.topic(class)
		topics[t.Name] = t
		n.subscribe(t)
		since[t.Name] = n.position(t)
	}
	const number = 60
	done := make(chan error, 1)
	go func() {
		for i := range number {
			for _, t := range topics {
				if err := publisher.tryPublish(t, engine.Event{Key: "k", Data: fmt.Appendf(nil, "%d", i)}); err != nil {
					done <- err
					return
				}
			}
		}
		done <- nil
	}()
	for left := number * len(topics); left > 0; {
		c := receive(l, "the next event", came)
		left -= c.number
		t := topics[c.topic]
		if at := n.position(t); at.Epoch != c.last.Epoch || at.Offset < c.last.Offset {
			l.Fatalf("%v of a topic of class %v was delivered, but Positions returns %v", c.last, t.Class, at)
		}
		if t.Class == engine.Ordered {
			continue
		}
		p := n.read(t, since[t.Name], 1000)
		if p.At.Offset < c.last.Offset || len(p.Events) == 0 || p.Events[len(p.Events)-1].At.Offset < c.last.Offset {
			l.Fatalf("%v of a topic of class %v was delivered, but Read from %v ends with %v and has %d events", c.last, t.Class, since[t.Name], p.At, len(p.Events))
		}
		since[t.Name] = c.last
	}
	if err := <-done; err != nil {
		l.Fatal(err)
	}
}

// delivery is a call of Deliver.
type delivery struct {
	topic  string
	number int
	last   engine.Position
}
