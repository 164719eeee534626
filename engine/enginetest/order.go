package enginetest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kanava-go/kanava/engine"
)

var orderBehaviours = []behaviour{
	{name: "D1 all nodes see one order of many publishers to an Ordered topic", run: func(l *lab) { testOneOrder(l, engine.Ordered) }},
	{name: "D1 all nodes see one order of many publishers to a Recoverable topic", run: func(l *lab) { testOneOrder(l, engine.Recoverable) }},
	{name: "D1 all nodes see one order of many publishers to a Latest topic", run: func(l *lab) { testOneOrder(l, engine.Latest) }},
	{name: "§4 Volatile events of one publisher come in order, and once", run: testVolatileOrder},
	{name: "D1 topics that are published to at once stay apart", run: testApart},
}

// publishers and said are how many there are in these tests, and how much each
// publishes.
const (
	publishers = 6
	saidByEach = 40
)

// publishAll lets publishers publish at once, each by one of the nodes in turn.
func publishAll(l *lab, nodes []*node, t engine.Topic) {
	l.Helper()
	l.together(publishers, func(i int) error {
		for j := range saidByEach {
			if err := nodes[i%len(nodes)].tryPublish(t, event(fmt.Sprintf("%d %d", i, j))); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkPublishers fails the test unless events have what each publisher has
// said, in order.
func checkPublishers(l *lab, events []engine.Event) {
	l.Helper()
	next := make([]int, publishers)
	for _, text := range texts(events) {
		var i, j int
		if _, err := fmt.Sscanf(text, "%d %d", &i, &j); err != nil || i >= publishers {
			l.Fatalf("%q came", text)
		}
		if j != next[i] {
			l.Fatalf("publisher %d: its event %d came in place of %d", i, j, next[i])
		}
		next[i]++
	}
	for i, n := range next {
		if n != saidByEach {
			l.Errorf("publisher %d: %d events came, want %d", i, n, saidByEach)
		}
	}
}

func testOneOrder(l *lab, class engine.Class) {
	nodes, t := l.joinAll(3), l.topic(class)
	for _, n := range nodes {
		n.subscribe(t)
	}
	publishAll(l, nodes, t)
	orders := make([]string, len(nodes))
	for i, n := range nodes {
		events := n.await(t, publishers*saidByEach)
		checkPublishers(l, events)
		var order strings.Builder
		for _, ev := range events {
			fmt.Fprintf(&order, "%v %s\n", ev.At, ev.Data)
		}
		orders[i] = order.String()
	}
	if len(slices.Compact(orders)) > 1 {
		l.Error("nodes have seen different orders")
	}
}

func testVolatileOrder(l *lab) {
	nodes, t := l.joinAll(3), l.topic(engine.Volatile)
	for _, n := range nodes {
		n.subscribe(t)
	}
	publishAll(l, nodes, t)
	for _, n := range nodes {
		n.await(t, publishers*saidByEach)
		n.probe()
		checkPublishers(l, n.came(t))
	}
}

func testApart(l *lab) {
	nodes := l.joinAll(2)
	var topics []engine.Topic
	for range 3 {
		for _, class := range all {
			topics = append(topics, l.topic(class))
		}
	}
	for _, n := range nodes {
		n.subscribe(topics...)
	}
	l.together(len(topics), func(i int) error {
		for j := range 20 {
			if err := nodes[j%2].tryPublish(topics[i], event(fmt.Sprint(i))); err != nil {
				return err
			}
		}
		return nil
	})
	for _, n := range nodes {
		for i, t := range topics {
			for _, text := range texts(n.await(t, 20)) {
				if text != fmt.Sprint(i) {
					l.Fatalf("%q of topic %s came by topic %d", text, text, i)
				}
			}
		}
	}
}
