package enginetest

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// callTime is how long a hub waits for a method of its engine at most.
const callTime = 10 * time.Second

// node is a hub that does nothing but listen, on an engine of its own.
type node struct {
	engine.Engine

	l      *lab
	number int  // among those of the test
	lax    bool // there are faults: events may come twice, or not at all

	mu       sync.Mutex
	heard    map[string]*heard
	resumed  map[string]int // how often, by topic; "" is all of them
	wrong    []string       // what the engine must not do
	over     bool           // Close has returned
	onEvents func(topic string, events []engine.Event)
	left     []leftData
}

// leftData is the data of an event as it was delivered, which the engine must
// leave alone.
type leftData struct {
	topic      string
	data, copy []byte
}

// mostLeft is how much of that a node keeps.
const mostLeft = 300

// heard is what has come of a topic.
type heard struct {
	class  engine.Class
	events []engine.Event
	busy   bool
	last   engine.Position
	former map[string]bool          // epochs before that of last
	known  map[engine.Position]bool // of events
}

// join starts another node, which leaves when the test ends.
func (l *lab) join() *node { return l.joinAs(false) }

// joinLax is join for tests with faults.
func (l *lab) joinLax() *node { return l.joinAs(true) }

func (l *lab) joinAs(lax bool) *node {
	l.Helper()
	return l.start(l.b.New(l.TB), lax)
}

// start starts an engine, which is closed when the test ends.
func (l *lab) start(e engine.Engine, lax bool) *node {
	n := &node{Engine: e, l: l, number: len(l.nodes), lax: lax, heard: make(map[string]*heard), resumed: make(map[string]int)}
	if l.nodes = append(l.nodes, n); n.number == 0 {
		l.Cleanup(l.checkLeft) // when all have left
	}
	n.Start(n)
	l.Cleanup(func() {
		n.leave()
		n.check()
	})
	return n
}

// leave closes the engine, once.
func (n *node) leave() {
	n.l.Helper()
	n.mu.Lock()
	over := n.over
	n.mu.Unlock()
	if over {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		n.l.Errorf("Close: %v", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.over = true
}

// joinAll starts some nodes.
func (l *lab) joinAll(number int) []*node {
	l.Helper()
	all := make([]*node, number)
	for i := range all {
		all[i] = l.join()
	}
	return all
}

// Deliver implements [engine.Handler].
func (n *node) Deliver(topic string, events []engine.Event) {
	n.mu.Lock()
	h := n.of(topic)
	if h.busy {
		n.failf("Deliver was called for %q while it was running for it", topic)
	}
	h.busy = true
	if n.over {
		n.failf("Deliver was called for %q after Close had returned", topic)
	}
	if len(events) == 0 {
		n.failf("Deliver was called for %q without events", topic)
	}
	copies := make([]engine.Event, len(events))
	for i, ev := range events {
		n.examine(topic, h, ev)
		copies[i] = ev
		copies[i].Data = bytes.Clone(ev.Data)
	}
	h.events = append(h.events, copies...)
	on := n.onEvents
	n.mu.Unlock()
	if on != nil {
		on(topic, copies)
	}
	runtime.Gosched() // for another call, which must not be
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, ev := range events {
		// What one node leaves alone another overwrites.
		if (n.number+i)%2 == 0 && len(n.left) < mostLeft {
			n.left = append(n.left, leftData{topic, ev.Data, copies[i].Data})
		} else {
			scribble(ev.Data)
		}
	}
	clear(events)
	h.busy = false
}

// scribble makes data useless: it belongs to the hub.
func scribble(data []byte) {
	for i := range data {
		data[i] = '#'
	}
}

// examine looks at an event by itself, and at its place among the others.
func (n *node) examine(topic string, h *heard, ev engine.Event) {
	if h.class == engine.Volatile {
		if (ev.At != engine.Position{}) {
			n.failf("an event of the Volatile topic %q has the position %v", topic, ev.At)
		}
		return
	}
	if wrong := wrongEvent(h.class, ev); wrong != "" {
		n.failf("%s, in %q", wrong, topic)
	}
	switch {
	case h.last == engine.Position{}:
	case ev.At.Epoch != h.last.Epoch:
		if h.former[ev.At.Epoch] {
			n.failf("%q returned to the epoch %s", topic, ev.At.Epoch)
		}
		if !n.lax {
			n.failf("%q went from %v to %v though nothing was lost", topic, h.last, ev.At)
		}
		h.former[h.last.Epoch] = true
	case n.lax && h.known[ev.At]: // it may come twice
		return
	case ev.At.Offset <= h.last.Offset:
		n.failf("%q: %v came after %v", topic, ev.At, h.last)
		return
	case !n.lax && h.class != engine.Latest && ev.Prev != h.last.Offset:
		n.failf("%q: %v names %d as the event before it, but %v came", topic, ev.At, ev.Prev, h.last)
	}
	h.last = ev.At
	h.known[ev.At] = true
}

// wrongEvent returns what is wrong with the position of an event, "" for
// nothing.
func wrongEvent(class engine.Class, ev engine.Event) string {
	switch {
	case !goodEpoch(ev.At.Epoch):
		return fmt.Sprintf("the epoch of %v is not 1 to 16 letters and digits", ev.At)
	case ev.At.Offset == 0 || ev.At.Offset >= 1<<53:
		return fmt.Sprintf("the offset of %v is not between 0 and 2^53", ev.At)
	case class != engine.Latest && ev.Prev >= ev.At.Offset:
		return fmt.Sprintf("%v names %d as the event before it", ev.At, ev.Prev)
	case ev.Time.IsZero():
		return fmt.Sprintf("%v has no time", ev.At)
	}
	return ""
}

func goodEpoch(epoch string) bool {
	for _, c := range []byte(epoch) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return len(epoch) >= 1 && len(epoch) <= 16
}

// Resumed implements [engine.Handler].
func (n *node) Resumed(topics ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.over {
		n.failf("Resumed was called after Close had returned")
	}
	if len(topics) == 0 {
		n.resumed[""]++
	}
	for _, t := range topics {
		n.resumed[t]++
	}
}

// resumes returns how often Resumed was called for a topic.
func (n *node) resumes(t engine.Topic) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.resumed[""] + n.resumed[t.Name]
}

// of returns what has come of a topic; n.mu is held.
func (n *node) of(topic string) *heard {
	h := n.heard[topic]
	if h == nil {
		n.failf("Deliver was called for %q, which the node was never subscribed to", topic)
		h = &heard{former: make(map[string]bool), known: make(map[engine.Position]bool)}
		n.heard[topic] = h
	}
	return h
}

// failf says what the engine must not do; n.mu is held.
func (n *node) failf(format string, args ...any) {
	if len(n.wrong) < 10 {
		n.wrong = append(n.wrong, fmt.Sprintf(format, args...))
	}
}

// check fails the test if the engine has done what it must not.
func (n *node) check() {
	n.l.Helper()
	n.mu.Lock()
	wrong := n.wrong
	n.wrong = nil
	n.mu.Unlock()
	for _, w := range wrong {
		n.l.Error(w)
	}
}

// checkLeft fails the test if data has changed after it was delivered. Engines
// are closed by then.
func (l *lab) checkLeft() {
	l.Helper()
	for _, n := range l.nodes {
		n.mu.Lock()
		for _, d := range n.left {
			if !bytes.Equal(d.data, d.copy) {
				l.Errorf("the data of an event of %q has changed after it was delivered: %.50q, was %.50q", d.topic, d.data, d.copy)
				break
			}
		}
		n.mu.Unlock()
	}
}

// call runs f with the context that a hub gives.
func (n *node) call(f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(n.l.Context(), callTime)
	defer cancel()
	return f(ctx)
}

func (n *node) trySubscribe(t engine.Topic) error {
	n.mu.Lock()
	if n.heard[t.Name] == nil {
		n.heard[t.Name] = &heard{class: t.Class, former: make(map[string]bool), known: make(map[engine.Position]bool)}
	}
	n.mu.Unlock()
	return n.call(func(ctx context.Context) error { return n.Subscribe(ctx, t) })
}

func (n *node) subscribe(topics ...engine.Topic) {
	n.l.Helper()
	for _, t := range topics {
		if err := n.trySubscribe(t); err != nil {
			n.l.Fatalf("Subscribe: %v", err)
		}
	}
}

func (n *node) tryPublish(t engine.Topic, ev engine.Event) error {
	return n.call(func(ctx context.Context) error { return n.Publish(ctx, t, ev) })
}

// publish publishes texts as JSON strings.
func (n *node) publish(t engine.Topic, texts ...string) {
	n.l.Helper()
	for _, text := range texts {
		if err := n.tryPublish(t, event(text)); err != nil {
			n.l.Fatalf("Publish: %v", err)
		}
	}
}

func event(text string) engine.Event { return engine.Event{Data: []byte(`"` + text + `"`)} }

// texts returns what publish has made of events.
func texts(events []engine.Event) []string {
	out := make([]string, len(events))
	for i, ev := range events {
		out[i] = string(bytes.Trim(ev.Data, `"`))
	}
	return out
}

func numbers(from, to int) []string {
	var out []string
	for i := from; i <= to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func (n *node) tryPositions(topics ...engine.Topic) (at []engine.Position, err error) {
	err = n.call(func(ctx context.Context) (err error) {
		at, err = n.Positions(ctx, topics)
		return err
	})
	if err == nil && len(at) != len(topics) {
		err = fmt.Errorf("%d positions of %d topics", len(at), len(topics))
	}
	for _, p := range at {
		if err == nil && (!goodEpoch(p.Epoch) || p.Offset >= 1<<53) {
			err = fmt.Errorf("the position %v", p)
		}
	}
	return at, err
}

func (n *node) position(t engine.Topic) engine.Position {
	n.l.Helper()
	at, err := n.tryPositions(t)
	if err != nil {
		n.l.Fatalf("Positions: %v", err)
	}
	return at[0]
}

// tryRead reads a page and looks at it: whether its events are in order and
// follow since, have the chain that they need, and end by At.
func (n *node) tryRead(t engine.Topic, since engine.Position, limit int) (p engine.Page, err error) {
	err = n.call(func(ctx context.Context) (err error) {
		p, err = n.Read(ctx, t, since, limit)
		return err
	})
	if err != nil {
		return p, err
	}
	if len(p.Events) > limit {
		return p, fmt.Errorf("%d events, for a limit of %d", len(p.Events), limit)
	}
	if !goodEpoch(p.At.Epoch) || p.At.Offset >= 1<<53 {
		return p, fmt.Errorf("the page's At is %v", p.At)
	}
	if p.More && len(p.Events) == 0 {
		return p, fmt.Errorf("there are more events than none, for a limit of %d", limit)
	}
	after := uint64(0)
	if since.Epoch == p.At.Epoch && !p.Lost {
		after = since.Offset
	}
	for i, ev := range p.Events {
		switch {
		case wrongEvent(t.Class, ev) != "":
			return p, fmt.Errorf("%s", wrongEvent(t.Class, ev))
		case ev.At.Epoch != p.At.Epoch:
			return p, fmt.Errorf("%v is in a page that ends with %v", ev.At, p.At)
		case ev.At.Offset <= after || ev.At.Offset > p.At.Offset:
			return p, fmt.Errorf("%v stands after %d in a page that ends with %v", ev.At, after, p.At)
		case t.Class == engine.Recoverable && i > 0 && ev.Prev != after:
			return p, fmt.Errorf("%v names %d as the event before it, but stands after %d", ev.At, ev.Prev, after)
		case t.Class == engine.Recoverable && i == 0 && after > 0 && ev.Prev > after:
			return p, fmt.Errorf("what follows %v begins with %v, which names %d as the event before it", since, ev.At, ev.Prev)
		}
		after = ev.At.Offset
	}
	return p, nil
}

func (n *node) read(t engine.Topic, since engine.Position, limit int) engine.Page {
	n.l.Helper()
	p, err := n.tryRead(t, since, limit)
	if err != nil {
		n.l.Fatalf("Read from %v: %v", since, err)
	}
	return p
}

// readAll reads all pages; lost is that of the first.
func (n *node) readAll(t engine.Topic, since engine.Position, limit int) (events []engine.Event, at engine.Position, lost bool) {
	n.l.Helper()
	for first := true; ; first = false {
		p := n.read(t, since, limit)
		if first {
			lost = p.Lost
		} else if p.Lost {
			n.l.Fatalf("Read from %v, the end of another page: events are lost", since)
		}
		events = append(events, p.Events...)
		if !p.More {
			return events, p.At, lost
		}
		since = p.Events[len(p.Events)-1].At
	}
}

// came returns what has come of a topic.
func (n *node) came(t engine.Topic) []engine.Event {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.heard[t.Name]; h != nil {
		return slices.Clone(h.events)
	}
	return nil
}

// count returns how many events of a topic have come.
func (n *node) count(t engine.Topic) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.heard[t.Name]; h != nil {
		return len(h.events)
	}
	return 0
}

// await waits until so many events of a topic have come, and returns them.
func (n *node) await(t engine.Topic, number int) []engine.Event {
	n.l.Helper()
	n.l.eventually(fmt.Sprintf("%d events of %q come", number, t.Name), func() bool {
		n.check()
		if n.l.Failed() {
			n.l.FailNow()
		}
		return n.count(t) >= number
	})
	return n.came(t)
}

// awaitText waits until an event with this text has come.
func (n *node) awaitText(t engine.Topic, text string) {
	n.l.Helper()
	n.l.eventually(fmt.Sprintf("the event %q of %q comes", text, t.Name), func() bool {
		return slices.Contains(texts(n.came(t)), text)
	})
}

// probe waits until all that was on its way to the node has come.
func (n *node) probe() {
	n.l.Helper()
	if err := n.call(n.Probe); err != nil {
		n.l.Fatalf("Probe: %v", err)
	}
}
