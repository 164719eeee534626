package enginetest

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/kanava-go/kanava/engine"
)

var subscribeBehaviours = []behaviour{
	{name: "D3 what is published after Subscribe has returned is delivered", run: testConfirmed},
	{name: "D3 a topic can be subscribed to again", run: testAgain},
	{name: "D3 after Unsubscribe nothing more is delivered", run: testUnsubscribe},
	{name: "D3 Unsubscribe of what is not subscribed to does no harm", run: testUnsubscribeNothing},
	{name: "D4 Probe comes back", run: testProbe},
	{name: "D3 subscriptions come and go while events are published", run: testStorm},
}

func testConfirmed(l *lab) {
	publisher, n := l.join(), l.join()
	for i := range 100 {
		t := l.topic(all[i%len(all)])
		n.subscribe(t)
		publisher.publish(t, "x")
		n.await(t, 1)
	}
	// Many at once, as when a node is full of them.
	topics := make([]engine.Topic, 200)
	l.together(16, func(w int) error {
		for i := w; i < len(topics); i += 16 {
			topics[i] = l.topic(all[i%len(all)])
			if err := n.trySubscribe(topics[i]); err != nil {
				return err
			}
			if err := publisher.tryPublish(topics[i], event("x")); err != nil {
				return err
			}
		}
		return nil
	})
	for _, t := range topics {
		n.await(t, 1)
	}
}

func testAgain(l *lab) {
	publisher, n := l.join(), l.joinLax()
	for _, class := range all {
		t := l.topic(class)
		for _, i := range numbers(1, 30) {
			n.subscribe(t)
			publisher.publish(t, i)
			n.awaitText(t, i)
			n.Unsubscribe(t)
		}
	}
}

// silent waits until events of topics that are published do not come any more.
func (n *node) silent(publisher *node, topics ...engine.Topic) {
	n.l.Helper()
	const inRow = 3
	quiet := 0
	count := func() (all int) {
		for _, t := range topics {
			all += n.count(t)
		}
		return all
	}
	n.l.eventually(fmt.Sprintf("nothing is delivered of %d topics", len(topics)), func() bool {
		before := count()
		for _, t := range topics {
			publisher.publish(t, "not to come")
		}
		n.probe()
		if quiet++; count() != before {
			quiet = 0
		}
		return quiet == inRow
	})
}

func testUnsubscribe(l *lab) {
	publisher, n := l.join(), l.join()
	var left, stay []engine.Topic
	for _, class := range all {
		left, stay = append(left, l.topic(class)), append(stay, l.topic(class))
	}
	n.subscribe(left...)
	n.subscribe(stay...)
	for i := range all {
		publisher.publish(left[i], "x")
		publisher.publish(stay[i], "x")
		n.await(left[i], 1)
		n.await(stay[i], 1)
		n.Unsubscribe(left[i])
	}
	n.silent(publisher, left...)
	for _, t := range stay {
		publisher.publish(t, "y")
		if got := texts(n.await(t, 2)); !slices.Equal(got, []string{"x", "y"}) {
			l.Errorf("%v: by the other topic %q came", t.Class, got)
		}
	}
}

func testUnsubscribeNothing(l *lab) {
	n := l.join()
	for _, class := range all {
		t := l.topic(class)
		n.Unsubscribe(t)
		n.Unsubscribe(l.topic(class))
		n.subscribe(t)
		n.publish(t, "x")
		n.await(t, 1)
		n.Unsubscribe(t)
		n.Unsubscribe(t)
	}
	n.probe()
}

func testProbe(l *lab) {
	n := l.join()
	n.probe() // also without subscriptions
	t := l.topic(engine.Ordered)
	n.subscribe(t)
	l.together(8, func(i int) error {
		for j := range 10 {
			if i%2 == 0 {
				if err := n.call(n.Probe); err != nil {
					return fmt.Errorf("probe: %w", err)
				}
			} else if err := n.tryPublish(t, event(fmt.Sprint(j))); err != nil {
				return err
			}
		}
		return nil
	})
	n.await(t, 40)
}

func testStorm(l *lab) {
	nodes := []*node{l.joinLax(), l.joinLax()}
	const topics, rounds = 6, 15
	var ts []engine.Topic
	for i := range topics {
		ts = append(ts, l.topic(all[i%len(all)]))
	}
	var stop atomic.Bool
	var publishing sync.WaitGroup
	failed := make(chan error, len(nodes))
	for _, n := range nodes {
		publishing.Go(func() {
			for i := 0; !stop.Load(); i++ {
				if err := n.tryPublish(ts[i%topics], event(fmt.Sprint(i))); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	l.together(len(nodes)*topics, func(i int) error {
		n, t := nodes[i%len(nodes)], ts[i/len(nodes)]
		for range rounds {
			if err := n.trySubscribe(t); err != nil {
				return err
			}
			n.Unsubscribe(t)
		}
		return n.trySubscribe(t)
	})
	stop.Store(true)
	publishing.Wait()
	select {
	case err := <-failed:
		l.Fatal(err)
	default:
	}
	for _, t := range ts {
		nodes[0].publish(t, "last")
		for _, n := range nodes {
			n.awaitText(t, "last")
		}
	}
}
