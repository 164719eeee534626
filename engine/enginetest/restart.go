package enginetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kanava-go/kanava/engine"
)

var restartBehaviours = []behaviour{
	{name: "D1 D2 a restart with the data loses nothing, or says so", run: testRestart, needs: needsRestart},
	{name: "D2 a restart without the data begins other epochs", run: func(l *lab) {
		testForget(l, true, func() { l.b.Restart(l.TB, false) })
	}, needs: needsRestart},
	{name: "D2 a ground that forgets begins other epochs", run: func(l *lab) {
		testForget(l, false, func() { l.b.Wipe(l.TB) })
	}, needs: needsWipe},
}

// insist publishes an event with an id until that succeeds.
func (n *node) insist(t engine.Topic, text string) error {
	ev := event(text)
	ev.ID = text
	deadline := time.Now().Add(n.l.patience())
	for {
		ctx, cancel := context.WithTimeout(n.l.Context(), time.Second)
		err := n.Publish(ctx, t, ev)
		cancel()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: Publish succeeds: %w", n.l.patience(), err)
		}
		n.l.pass(5 * time.Millisecond)
	}
}

func testRestart(l *lab) {
	n, other := l.joinLax(), l.joinLax()
	var topics []engine.Topic
	for _, class := range all {
		t := l.topic(class)
		t.Size *= 100 // much is published
		topics = append(topics, t)
		n.subscribe(t)
		other.publish(t, "before")
		n.await(t, 1)
	}
	before, err := n.tryPositions(topics[1:]...)
	if err != nil {
		l.Fatal(err)
	}
	rec, start := topics[3], before[2]
	resumes := n.allResumes(topics)
	// Somebody publishes all the time.
	stop, said := make(chan struct{}), make(chan error, 1)
	number := 0
	go func() {
		for {
			select {
			case <-stop:
				said <- nil
				return
			default:
			}
			if err := other.insist(rec, fmt.Sprint(number+1)); err != nil {
				said <- err
				return
			}
			if number++; number%20 == 0 {
				l.pass(5 * time.Millisecond)
			}
		}
	}()
	n.await(rec, 20)
	l.b.Restart(l.TB, true)
	n.awaitResumed(resumes, topics)
	came := n.count(rec)
	l.eventually("events come again", func() bool { return n.count(rec) > came+20 })
	close(stop)
	if err := <-said; err != nil {
		l.Fatal(err)
	}
	events, _, lost := n.readAll(rec, start, 100)
	if got, want := texts(events), numbers(1, number); !lost && !slices.Equal(got, want) {
		l.Errorf("%d events are kept, want the %d that were published: %s", len(got), len(want), firstDifference(got, want))
	}
	for i, t := range topics {
		if err := other.insist(t, "after"); err != nil {
			l.Fatalf("%v: %v", t.Class, err)
		}
		n.awaitText(t, "after")
		if i == 0 {
			continue
		}
		was, is := before[i-1], n.position(t)
		if is.Epoch == was.Epoch && is.Offset <= was.Offset {
			l.Errorf("%v: after the restart the topic went from %v to %v", t.Class, was, is)
		}
	}
	n.check()
}

func firstDifference(got, want []string) string {
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			return fmt.Sprintf("%q in place of %q", got[min(i, len(got)):min(i+1, len(got))], want[i])
		}
	}
	return fmt.Sprintf("%q are too many", got[len(want):])
}

// testForget lets the ground forget what it keeps, three times.
func testForget(l *lab, resumed bool, forget func()) {
	n, other := l.joinLax(), l.joinLax()
	var topics []engine.Topic
	for _, class := range positioned {
		topics = append(topics, l.topic(class), l.topic(class)) // the second of each stays new
	}
	n.subscribe(topics...)
	owner, group, key := l.name(), l.name(), l.name()
	former := make([][]engine.Position, len(topics))
	for round := range 3 {
		mark := fmt.Sprint("round ", round)
		for i := 0; i < len(topics); i += 2 {
			for range 3 {
				l.eventually("Publish succeeds", func() bool { return other.tryPublish(topics[i], event(mark)) == nil })
			}
			n.awaitText(topics[i], mark)
		}
		var at []engine.Position
		l.eventually("Positions succeeds", func() bool {
			var err error
			at, err = n.tryPositions(topics...)
			return err == nil
		})
		for i, t := range topics {
			for _, f := range former[i] {
				if f.Epoch == at[i].Epoch {
					l.Errorf("%v: after the ground has forgotten all the topic stands at %v, and has stood at %v", t.Class, at[i], f)
				}
				if p := n.read(t, f, 10); !p.Lost {
					l.Errorf("%v: after the ground has forgotten all Read from %v says that nothing is lost: %+v", t.Class, f, p)
				}
			}
			former[i] = append(former[i], at[i])
		}
		held, err := n.tryRenew(owner, leaseTime)
		if err != nil || held {
			l.Errorf("Renew of a lease that is forgotten: held %v, %v", held, err)
		}
		if got := n.entries(group); len(got) != 0 {
			l.Errorf("the ground has not forgotten %v", got)
		}
		n.put(engine.Entry{Group: group, Member: "m", Owner: owner})
		if got := n.keep(key, mark, longTime); got != mark {
			l.Errorf("the ground has not forgotten %q", got)
		}
		resumes := n.allResumes(topics)
		forget()
		if resumed {
			n.awaitResumed(resumes, topics)
			l.eventually("the other node is there again", func() bool { return other.call(other.Probe) == nil })
		}
	}
	n.check()
}
