package enginetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kanava-go/kanava/engine"
)

var cutBehaviours = []behaviour{
	{name: "D4 a link that was lost comes back, and what was missed can be read or is told to be lost", run: testCut, needs: needsCut},
	{name: "methods return while the link is cut, and Probe fails", run: testCutMethods, needs: needsCut},
	{name: "D3 topics that are left while the link is cut stay left", run: testCutUnsubscribe, needs: needsCut},
	{name: "D12 the lease of a node whose link is cut lapses", run: testCutLease, needs: needsCut},
	{name: "an engine whose link is cut can be closed", run: testCutClose, needs: needsCut},
	{name: "D4 a link that is lost again and again loses nothing that is not told", run: testCuts, needs: needsCut},
}

// cut cuts the link of a node. The link is whole when the test ends, at the
// latest.
func (n *node) cut() (heal func()) {
	n.l.Helper()
	heal = n.l.b.Cut(n.l.TB, n.Engine)
	n.l.Cleanup(heal)
	return heal
}

// awaitResumed waits until Resumed has been called for topics more often than
// before says.
func (n *node) awaitResumed(before []int, topics []engine.Topic) {
	n.l.Helper()
	for i, t := range topics {
		n.l.eventually(fmt.Sprintf("Resumed is called for the topic of class %v", t.Class), func() bool { return n.resumes(t) > before[i] })
	}
}

func (n *node) allResumes(topics []engine.Topic) []int {
	out := make([]int, len(topics))
	for i, t := range topics {
		out[i] = n.resumes(t)
	}
	return out
}

func testCut(l *lab) {
	other, n := l.join(), l.joinLax()
	var topics []engine.Topic
	for _, class := range all {
		t := l.topic(class)
		topics = append(topics, t)
		n.subscribe(t)
		other.publish(t, "before")
		n.await(t, 1)
	}
	before, err := n.tryPositions(topics[1:]...)
	if err != nil {
		l.Fatal(err)
	}
	heal, resumes := n.cut(), n.allResumes(topics)
	for _, t := range topics {
		other.publish(t, "missed 1", "missed 2")
	}
	heal()
	n.awaitResumed(resumes, topics)
	for i, t := range topics {
		other.publish(t, "after")
		n.awaitText(t, "after")
		if t.Class == engine.Volatile {
			continue
		}
		was, is := before[i-1], n.position(t)
		if is.Epoch == was.Epoch && is.Offset < was.Offset+3 {
			l.Errorf("%v: three events were published, and the topic went from %v to %v", t.Class, was, is)
		}
		if t.Class == engine.Ordered {
			continue
		}
		want := []string{"missed 1", "missed 2", "after"}
		if t.Class == engine.Latest {
			want = want[2:]
		}
		events, _, lost := n.readAll(t, was, 100)
		if got := texts(events); !slices.Equal(got, want) && !lost {
			l.Errorf("%v: after the cut %q is read, want %q", t.Class, got, want)
		}
		if is.Epoch != was.Epoch && !lost {
			l.Errorf("%v: the epoch is another one, and Read does not say that anything is lost", t.Class)
		}
	}
	n.probe()
}

func testCutMethods(l *lab) {
	n := l.joinLax()
	n.probe()
	ms := methods(l, n.Engine)
	heal := n.cut()
	for _, m := range ms {
		if err := ends(l, m, 200*time.Millisecond); err == nil && !m.mayBeLost {
			l.Errorf("%s succeeds though the link is cut", m.name)
		}
	}
	heal()
	for _, m := range ms {
		l.eventually(m.name+" succeeds again", func() bool { return n.call(m.call) == nil })
	}
}

func testCutUnsubscribe(l *lab) {
	other, n := l.join(), l.joinLax()
	var left, stay []engine.Topic
	for _, class := range all {
		left, stay = append(left, l.topic(class)), append(stay, l.topic(class))
	}
	n.subscribe(left...)
	n.subscribe(stay...)
	heal, resumes := n.cut(), n.allResumes(stay)
	for i := range left {
		n.Unsubscribe(left[i])
	}
	late := l.topic(engine.Recoverable)
	ctx, cancel := context.WithTimeout(l.Context(), 200*time.Millisecond)
	defer cancel()
	_ = n.Subscribe(ctx, late) // an engine that does not know yet may say that it has: Resumed follows
	n.Unsubscribe(late)
	heal()
	n.awaitResumed(resumes, stay)
	n.silent(other, left...)
	n.subscribe(late)
	for _, t := range append(stay, late) {
		other.publish(t, "after")
		n.awaitText(t, "after")
	}
}

func testCutLease(l *lab) {
	n, other := l.joinLax(), l.join()
	owner, group := l.name(), l.name()
	n.renew(owner, shortTime)
	n.put(engine.Entry{Group: group, Member: "m", Owner: owner})
	heal := n.cut()
	l.eventually("the other node sees it end", func() bool { return !other.has(owner) && len(other.entries(group)) == 0 })
	heal()
	held := true
	l.eventually("Renew succeeds again", func() bool {
		var err error
		held, err = n.tryRenew(owner, leaseTime)
		return err == nil
	})
	// An attempt whose answer was lost may have begun it.
	if held && len(n.entries(group)) > 0 {
		l.Error("after the cut the lease is held")
	}
	if got := other.members(group); len(got) != 0 {
		l.Errorf("the members %q of a lease that has lapsed are back", got)
	}
}

func testCutClose(l *lab) {
	n, t := l.joinLax(), l.topic(engine.Ordered)
	n.subscribe(t)
	n.cut()
	ctx, cancel := context.WithTimeout(l.Context(), time.Second)
	defer cancel()
	began := time.Now()
	_ = n.Close(ctx) // it may say that something could not be sent
	if took := time.Since(began); took > time.Second+promptly {
		l.Errorf("Close took %v, and had a second", took)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.over = true
}

// testCuts publishes all the time and cuts the link now and then. What has come
// and what is read after each gap is together all that was published.
func testCuts(l *lab) {
	other, n := l.join(), l.joinLax()
	t := l.topic(engine.Recoverable)
	t.Size = 100_000
	n.subscribe(t)
	start := n.position(t)
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
			if err := other.tryPublish(t, event(fmt.Sprint(number+1))); err != nil {
				said <- err
				return
			}
			number++
			if number%50 == 0 {
				l.pass(5 * time.Millisecond)
			}
		}
	}()
	for range 4 {
		resumes, came := n.resumes(t), n.count(t)
		l.eventually("events come", func() bool { return n.count(t) > came+20 })
		heal := n.cut()
		l.pass(20 * time.Millisecond) // in which events are missed
		heal()
		n.awaitResumed([]int{resumes}, []engine.Topic{t})
	}
	close(stop)
	if err := <-said; err != nil {
		l.Fatalf("Publish at the other node: %v", err)
	}
	other.publish(t, "last")
	n.awaitText(t, "last")
	events, _, lost := n.readAll(t, start, 1000)
	if lost {
		l.Fatal("events are lost, though the other node's link was whole")
	}
	if got, want := texts(events), append(numbers(1, number), "last"); !slices.Equal(got, want) {
		l.Errorf("%d events are read, %d were published", len(got), len(want))
	}
	checkGaps(l, n.came(t), events)
}

// checkGaps fails the test unless each event that came is one of those that
// were kept, and shows by its Prev whether others are missing before it.
func checkGaps(l *lab, came, kept []engine.Event) {
	l.Helper()
	place := make(map[engine.Position]int)
	for i, ev := range kept {
		place[ev.At] = i
	}
	for _, ev := range came {
		i, ok := place[ev.At]
		if !ok || string(kept[i].Data) != string(ev.Data) {
			l.Fatalf("%s came at %v, which is not what is kept", ev.Data, ev.At)
		}
		if ev.Prev != kept[i].Prev || i > 0 && ev.Prev != kept[i-1].At.Offset {
			l.Fatalf("%v came with %d as the event before it, and is kept with %d after %v", ev.At, ev.Prev, kept[i].Prev, kept[max(i-1, 0)].At)
		}
	}
}
