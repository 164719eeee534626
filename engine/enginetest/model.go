package enginetest

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/kanava-go/kanava/engine"
)

var modelBehaviours = []behaviour{
	{name: "D1 D2 D4 what is published, read and delivered is what a model says", run: testModel},
}

// fewChecks is how many sequences of steps an engine is tried with.
const fewChecks = 5

func testModel(l *lab) {
	checkModel(l, cmp.Or(l.b.checks, fewChecks), runModel)
}

// checkModel runs some sequences of steps, and more where one of them fails: to
// find a small one.
func checkModel(l *lab, most int, run func(l *lab, t *rapid.T)) {
	checks, failed := 0, false
	rapid.Check(l.TB, func(t *rapid.T) {
		if checks++; checks > most && !failed {
			return
		}
		failed = true // unless it gets to the end
		inner := *l
		inner.TB = modelTB{l.TB, t}
		run(&inner, t)
		failed = false
	})
}

// modelTB is the test of one sequence of steps.
type modelTB struct {
	testing.TB

	t *rapid.T
}

func (m modelTB) Helper()                           { m.t.Helper() }
func (m modelTB) Failed() bool                      { return m.t.Failed() }
func (m modelTB) Fail()                             { m.t.Fail() }
func (m modelTB) FailNow()                          { m.t.FailNow() }
func (m modelTB) Error(args ...any)                 { m.t.Error(args...) }
func (m modelTB) Errorf(format string, args ...any) { m.t.Errorf(format, args...) }
func (m modelTB) Fatal(args ...any)                 { m.t.Fatal(args...) }
func (m modelTB) Fatalf(format string, args ...any) { m.t.Fatalf(format, args...) }
func (m modelTB) Log(args ...any)                   { m.t.Log(args...) }
func (m modelTB) Logf(format string, args ...any)   { m.t.Logf(format, args...) }
func (m modelTB) Cleanup(f func())                  { m.t.Cleanup(f) }

// model knows what an engine must do, step by step.
type model struct {
	t      *rapid.T
	l      *lab
	nodes  []*modelNode
	topics []*modelTopic
	said   int
}

type modelNode struct {
	*node
	heal func() // nil while its link is whole
	subs map[*modelTopic]*modelSub
}

// modelSub is what has to come, at least: what was published while the link was
// whole and nothing was cut since.
type modelSub struct {
	due []string
}

type modelTopic struct {
	engine.Topic

	start engine.Position
	log   []modelEvent
	known map[string]bool // ids
}

type modelEvent struct {
	text, key string
	at        engine.Position // as it was read or delivered; zero if nobody has seen it
}

func runModel(l *lab, t *rapid.T) {
	m := &model{t: t, l: l}
	for range 2 {
		m.nodes = append(m.nodes, &modelNode{node: l.joinLax(), subs: make(map[*modelTopic]*modelSub)})
	}
	for _, class := range []engine.Class{engine.Recoverable, engine.Recoverable, engine.Latest, engine.Ordered} {
		topic := l.topic(class)
		if len(m.topics) == 1 {
			topic.Size = 3 // and possibly more
		}
		m.topics = append(m.topics, &modelTopic{Topic: topic, start: m.nodes[0].position(topic), known: make(map[string]bool)})
	}
	actions := map[string]func(*rapid.T){
		"publish":     m.publish,
		"subscribe":   m.subscribe,
		"unsubscribe": m.unsubscribe,
		"read":        m.read,
		"positions":   m.positions,
		"":            m.invariant,
	}
	if l.b.Cut != nil {
		actions["cut or heal"] = m.cutOrHeal
	}
	t.Repeat(actions)
	m.settle()
}

func (m *model) topic(t *rapid.T) *modelTopic { return rapid.SampledFrom(m.topics).Draw(t, "topic") }

// whole returns a node whose link is whole. Where there is none the step is
// left out before anything is drawn: rapid soon ends a sequence of others.
func (m *model) whole(t *rapid.T) *modelNode {
	var whole []*modelNode
	for _, n := range m.nodes {
		if n.heal == nil {
			whole = append(whole, n)
		}
	}
	if len(whole) == 0 {
		t.Skip("all links are cut")
	}
	return rapid.SampledFrom(whole).Draw(t, "node")
}

// modelPair is a topic at a node.
type modelPair struct {
	n     *modelNode
	topic *modelTopic
}

// pair returns a node and a topic that it is subscribed to, or one that it is not
// subscribed to and can be: its link is whole.
func (m *model) pair(t *rapid.T, subscribed bool) (*modelNode, *modelTopic) {
	var pairs []modelPair
	for _, n := range m.nodes {
		for _, topic := range m.topics {
			if (n.subs[topic] != nil) == subscribed && (subscribed || n.heal == nil) {
				pairs = append(pairs, modelPair{n, topic})
			}
		}
	}
	if len(pairs) == 0 {
		t.Skip("there is none")
	}
	p := pairs[rapid.IntRange(0, len(pairs)-1).Draw(t, "node and topic")]
	return p.n, p.topic
}

func (m *model) publish(t *rapid.T) {
	n, topic := m.whole(t), m.topic(t)
	for range rapid.IntRange(1, 4).Draw(t, "number") {
		ev := engine.Event{}
		if rapid.Bool().Draw(t, "with an id") {
			ev.ID = rapid.SampledFrom([]string{"i", "j", "k"}).Draw(t, "id")
		}
		if topic.Class == engine.Latest {
			ev.Key = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "key")
		}
		text := fmt.Sprint(m.said)
		m.said++
		ev.Data = event(text).Data
		if err := n.tryPublish(topic.Topic, ev); err != nil {
			t.Fatalf("Publish: %v", err)
		}
		if ev.ID != "" && topic.known[ev.ID] {
			continue
		}
		topic.known[ev.ID] = true
		topic.log = append(topic.log, modelEvent{text: text, key: ev.Key})
		for _, other := range m.nodes {
			if sub := other.subs[topic]; sub != nil && other.heal == nil {
				sub.due = append(sub.due, text)
			}
		}
	}
}

func (m *model) subscribe(t *rapid.T) {
	n, topic := m.pair(t, false)
	if err := n.trySubscribe(topic.Topic); err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
	n.subs[topic] = &modelSub{}
}

func (m *model) unsubscribe(t *rapid.T) {
	n, topic := m.pair(t, true)
	m.awaitDue(t, n, topic)
	delete(n.subs, topic)
	n.Unsubscribe(topic.Topic)
}

// awaitDue waits until what had to come has come.
func (m *model) awaitDue(t *rapid.T, n *modelNode, topic *modelTopic) {
	sub := n.subs[topic]
	if len(sub.due) == 0 || n.heal != nil {
		return
	}
	n.awaitText(topic.Topic, sub.due[len(sub.due)-1])
	came := texts(n.came(topic.Topic))
	for _, text := range sub.due {
		if !slices.Contains(came, text) {
			t.Fatalf("%q of the topic of class %v has not come, only %q", text, topic.Class, came)
		}
	}
	sub.due = nil
}

// kept returns the indices of the events that must be kept, in order.
func (topic *modelTopic) kept() (kept []int) {
	switch topic.Class {
	case engine.Recoverable:
		for i := max(0, len(topic.log)-topic.Size); i < len(topic.log); i++ {
			kept = append(kept, i)
		}
	case engine.Latest:
		for i, ev := range topic.log {
			if !slices.ContainsFunc(topic.log[i+1:], func(later modelEvent) bool { return later.key == ev.key }) {
				kept = append(kept, i)
			}
		}
	}
	return kept
}

// read reads from a position that somebody has seen, and compares all pages.
func (m *model) read(t *rapid.T) {
	n, topic := m.whole(t), m.topic(t)
	limit := rapid.IntRange(1, 6).Draw(t, "limit")
	since, from := topic.start, 0 // the index of the first event after since
	zero := rapid.Bool().Draw(t, "from the zero Position")
	if zero {
		since = engine.Position{}
	} else if seen := topic.seen(); len(seen) > 0 {
		from = rapid.SampledFrom(seen).Draw(t, "from") + 1
		since = topic.log[from-1].at
	}
	events, at, lost := n.readAll(topic.Topic, since, limit)
	got := texts(events)
	if at.Epoch != topic.start.Epoch {
		t.Fatalf("the epoch of %v was %v", at, topic.start)
	}
	kept := topic.kept()
	switch topic.Class {
	case engine.Ordered:
		moved := zero || from < len(topic.log)
		if len(got) > 0 || lost != moved {
			t.Fatalf("Read of an Ordered topic: %q, lost %v, want lost %v", got, lost, moved)
		}
	case engine.Latest:
		var want []string
		for _, i := range kept {
			if i >= from {
				want = append(want, topic.log[i].text)
			}
		}
		if !slices.Equal(got, want) || lost {
			t.Fatalf("Read of a Latest topic: %q, lost %v, want %q", got, lost, want)
		}
	case engine.Recoverable:
		// More may be kept than has to be.
		first := len(topic.log) - len(got)
		if first < from || !slices.Equal(got, topic.textsFrom(first)) {
			t.Fatalf("Read of a Recoverable topic after event %d: %q, the last of %q", from-1, got, topic.textsFrom(0))
		}
		if must := min(len(kept), len(topic.log)-from); len(got) < must {
			t.Fatalf("Read of a Recoverable topic: %q, but %d must be kept", got, must)
		}
		if want := !zero && first > from; lost != want {
			t.Fatalf("Read of a Recoverable topic after event %d: %q, lost %v, want %v", from-1, got, lost, want)
		}
	}
	for _, ev := range events {
		topic.see(t, ev)
	}
	if last := topic.seen(); len(last) > 0 && topic.log[last[len(last)-1]].at.Offset > at.Offset {
		t.Fatalf("Read says that the topic stands at %v, but %v was seen", at, topic.log[last[len(last)-1]].at)
	}
}

// seen returns the indices of the events whose positions are known.
func (topic *modelTopic) seen() (seen []int) {
	for i, ev := range topic.log {
		if ev.at.Offset > 0 {
			seen = append(seen, i)
		}
	}
	return seen
}

func (topic *modelTopic) textsFrom(i int) (out []string) {
	for _, ev := range topic.log[i:] {
		out = append(out, ev.text)
	}
	return out
}

// see compares an event with the model, and learns its position.
func (topic *modelTopic) see(t *rapid.T, ev engine.Event) {
	text := texts([]engine.Event{ev})[0]
	i := slices.IndexFunc(topic.log, func(e modelEvent) bool { return e.text == text })
	if i < 0 {
		t.Fatalf("%q of the topic of class %v was never published", text, topic.Class)
	}
	known := &topic.log[i]
	if known.at.Offset > 0 && known.at != ev.At || known.key != ev.Key {
		t.Fatalf("event %d of the topic of class %v has the position %v and the key %q; it had %v and %q", i, topic.Class, ev.At, ev.Key, known.at, known.key)
	}
	if ev.At.Epoch != topic.start.Epoch || ev.At.Offset <= topic.start.Offset {
		t.Fatalf("event %d has the position %v, and the topic was at %v", i, ev.At, topic.start)
	}
	known.at = ev.At
	if topic.Class == engine.Latest {
		return
	}
	if i == 0 && ev.Prev > topic.start.Offset || i > 0 && topic.log[i-1].at.Offset > 0 && ev.Prev != topic.log[i-1].at.Offset {
		t.Fatalf("event %d names %d as the event before it", i, ev.Prev)
	}
}

func (m *model) positions(t *rapid.T) {
	n := m.whole(t)
	var topics []engine.Topic
	for _, topic := range m.topics {
		topics = append(topics, topic.Topic)
	}
	at, err := n.tryPositions(topics...)
	if err != nil {
		t.Fatalf("Positions: %v", err)
	}
	for i, topic := range m.topics {
		if len(topic.log) == 0 {
			if at[i] != topic.start {
				t.Fatalf("without an event the topic of class %v went from %v to %v", topic.Class, topic.start, at[i])
			}
			continue
		}
		last := &topic.log[len(topic.log)-1]
		if at[i].Epoch != topic.start.Epoch || last.at.Offset > 0 && at[i] != last.at {
			t.Fatalf("the topic of class %v stands at %v, its last event at %v", topic.Class, at[i], last.at)
		}
		for _, ev := range topic.log[:len(topic.log)-1] {
			if ev.at.Offset >= at[i].Offset {
				t.Fatalf("the topic of class %v stands at %v, and an event before its last at %v", topic.Class, at[i], ev.at)
			}
		}
		last.at = at[i]
	}
}

func (m *model) cutOrHeal(t *rapid.T) {
	n := rapid.SampledFrom(m.nodes).Draw(t, "node")
	if n.heal == nil {
		n.heal = n.cut()
		for _, sub := range n.subs {
			sub.due = nil // what was on its way may be lost
		}
		return
	}
	m.mend(n)
}

// mend heals the link of a node, and waits until the engine says so.
func (m *model) mend(n *modelNode) {
	var topics []engine.Topic
	for topic := range n.subs {
		topics = append(topics, topic.Topic)
	}
	resumes := n.allResumes(topics)
	n.heal()
	n.heal = nil
	n.awaitResumed(resumes, topics)
	m.l.eventually("methods succeed again", func() bool {
		_, err := n.tryPositions(m.topics[0].Topic)
		return err == nil && n.call(n.Probe) == nil
	})
}

// invariant compares what has come with what was published.
func (m *model) invariant(t *rapid.T) {
	for _, n := range m.nodes {
		n.mu.Lock()
		wrong := n.wrong
		n.mu.Unlock()
		if len(wrong) > 0 {
			t.Fatal(wrong[0])
		}
		for _, topic := range m.topics {
			for _, ev := range n.came(topic.Topic) {
				topic.see(t, ev)
			}
		}
	}
}

// settle waits for all that has to come, and looks at everything once more.
func (m *model) settle() {
	for _, n := range m.nodes {
		if n.heal != nil {
			m.mend(n)
		}
	}
	for _, n := range m.nodes {
		for _, topic := range m.topics {
			if n.subs[topic] != nil {
				m.awaitDue(m.t, n, topic)
			}
		}
	}
	m.invariant(m.t)
	m.positions(m.t)
}
