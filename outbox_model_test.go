package kanava

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kanava-go/kanava/internal/form"
)

// boxModel plays an outbox beside its oracle. Its transport does no more than
// Peer asks for: it takes only when it was woken, until it gets nothing.
type boxModel struct {
	t      *rapid.T
	box    outbox
	want   boxOracle
	topics []*boxTopic
	made   int
	wakes  int
	asleep bool
}

var (
	boxLimits = []int{1500, 4000, 9000}
	boxTakes  = []int{1, 500, 1 << 20}
)

func atFrame(t *boxTopic, o uint64) string {
	return fmt.Sprintf(`{"at":%q,"e":"e","o":%d}`, t.sub.topic, o)
}

func atSize(t *boxTopic) int { return itemCost + len(atFrame(t, t.o)) }

// Wake implements Peer.
func (m *boxModel) Wake() {
	m.wakes++
	if !m.asleep {
		m.t.Fatal("wake: one came though the transport is awake")
	}
	m.asleep = false
}

func newBoxModel(t *rapid.T) *boxModel {
	m := &boxModel{t: t, asleep: true}
	m.box.peer = m
	m.want.limit = rapid.SampledFrom(boxLimits).Draw(t, "limit")
	m.want.chosen = func(t *boxTopic) int {
		if i := slices.Index(m.box.class().behind, t.sub.out); t.sub.out != nil && i >= 0 {
			return i
		}
		return len(m.topics)
	}
	for _, c := range []class{ordered, volatile, volatile, latest, latest, latest, recoverable, recoverable, recoverable, recoverable} {
		m.subscribe(c)
	}
	if rapid.Bool().Draw(t, "hold") {
		m.box.hold()
		m.want.holding = true
	}
	return m
}

func (m *boxModel) subscribe(c class) {
	m.made++
	topic := &boxTopic{newest: make(map[string]string)}
	topic.sub = &subscription{hubTopic: hubTopic{topic: fmt.Sprintf("%v:%d", c, m.made)}, class: c}
	m.topics = append(m.topics, topic)
}

func (m *boxModel) size() int {
	return rapid.SampledFrom([]int{10, 30, 60, 100, 200, 400, 800, 1700, 5000}).Draw(m.t, "size")
}

// frame offers what is no event. What would close the connection comes rarely.
func (m *boxModel) frame(what string, mayHold bool, size int) {
	if m.isTooMuch(ordered, size) {
		m.t.Skip("it would not fit")
	}
	m.made++
	it := offer{name: fmt.Sprint(what, m.made), size: itemCost + size}
	m.offer(it, outItem{}, mayHold)
}

func (m *boxModel) isTooMuch(c class, size int) bool {
	never := m.want.bytes(func(it offer) bool { return it.class == ordered || it.class == latest })
	return (c == ordered || c == latest) && never > 0 && never+itemCost+size > m.want.limit && rapid.IntRange(0, 50).Draw(m.t, "rarely") > 0
}

// offer offers an item to both.
func (m *boxModel) offer(it offer, item outItem, mayHold bool) {
	item.frame.Data = []byte(it.name + strings.Repeat(".", max(0, it.size-itemCost-len(it.name))))
	it.size = item.size()
	full, closed := m.box.put(&item, m.want.limit, mayHold)
	if closed != m.want.closed {
		m.t.Fatalf("closing: closed is %t", closed)
	}
	if closed {
		return
	}
	if goesOn := m.want.add(it, mayHold); full == goesOn {
		m.t.Fatalf("4409: full is %t", full)
	}
	if full {
		m.close(true)
	}
}

func (m *boxModel) event(topic *boxTopic) {
	m.made++
	o, size := topic.o+1, m.size()
	if m.isTooMuch(topic.sub.class, size) {
		m.t.Skip("it would not fit")
	}
	it := offer{name: fmt.Sprintf("%s/%d", topic.sub.topic, m.made), size: itemCost + size, class: topic.sub.class, topic: topic, o: o}
	item := outItem{sub: topic.sub, class: topic.sub.class}
	switch it.class {
	case latest:
		it.key = rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e"}).Draw(m.t, "key")
		item.ev = &event{key: it.key}
	case recoverable:
		item.ev = &event{at: form.Position{Epoch: "e", Offset: o}}
	}
	before := m.box.bytes()
	m.offer(it, item, true)
	if m.box.bytes() > max(before, m.want.limit) && len(m.want.items) > 1 {
		m.t.Fatalf("bytes: %d of %d wait", m.box.bytes(), m.want.limit)
	}
}

func (m *boxModel) close(discard bool) {
	m.box.close(Closing{Code: CloseSlowConsumer}, discard)
	m.want.closed = true
	if discard {
		m.want.items, m.want.behind = nil, nil
	}
}

func (m *boxModel) take(most int) {
	var got []outItem
	_, closing, news := m.box.take(&got, most, m.want.limit)
	want := m.want.take(most)
	if len(got) == 0 {
		m.asleep = true
	}
	if (closing != nil) != (m.want.closed && len(want) == 0) {
		m.t.Fatalf("closing: %v after %d items", closing, len(want))
	}
	if d := m.want.drops; (m.box.news() != Dropped{}) != news ||
		m.box.backlog().Dropped != (Dropped{d[volatile], d[latest], d[recoverable], m.want.falls}) {
		m.t.Fatalf("dropped: %+v, not %v, news %t", m.box.backlog().Dropped, d, news)
	}
	if len(got) != len(want) {
		m.t.Fatalf("order: %d items were taken, not %d", len(got), len(want))
	}
	for i, w := range want {
		text := string(got[i].frame.Data)
		switch {
		case w.at:
			if text != atFrame(w.topic, w.o) || got[i].sub != w.topic.sub {
				m.t.Fatalf("at: got %q, want %q", text, atFrame(w.topic, w.o))
			}
			if w.o <= w.topic.told {
				m.t.Fatalf("at: %s stands at %d, but the client knows of %d", w.topic.sub.topic, w.o, w.topic.told)
			}
			w.topic.told = w.o
		case strings.TrimRight(text, ".") != w.name:
			m.t.Fatalf("order: got %q, want %q", text, w.name)
		case w.class == recoverable:
			if w.o != w.topic.told+1 {
				m.t.Fatalf("order: %d of %s follows %d", w.o, w.topic.sub.topic, w.topic.told)
			}
			w.topic.told = w.o
		case w.class == latest && w.topic.newest[w.key] == w.name:
			delete(w.topic.newest, w.key)
		}
	}
}

// check compares what can be seen from outside at any time.
func (m *boxModel) check() {
	if n := m.want.bytes(anyItem); n != m.box.bytes() || m.box.backlog().Items != len(m.want.items) {
		m.t.Fatalf("bytes: %d in %d items, not %d in %d", m.box.bytes(), m.box.backlog().Items, n, len(m.want.items))
	}
	if m.box.isEmpty() != (len(m.want.items) == 0 || m.want.items[0].held) {
		m.t.Fatal("order: the first item")
	}
	if (m.box.closingNow() != nil) != (m.want.closed && m.box.isEmpty()) {
		m.t.Fatal("closing: closingNow")
	}
}

// end lets the transport do what it was woken for, and looks at what the client
// knows then.
func (m *boxModel) end() {
	if m.want.holding {
		m.release(true)
	}
	for !m.asleep {
		m.take(rapid.SampledFrom(boxTakes).Draw(m.t, "most"))
	}
	if len(m.want.items) > 0 {
		m.t.Fatalf("wake: %d items wait, but the transport sleeps", len(m.want.items))
	}
	if m.want.closed {
		return
	}
	for _, topic := range m.topics {
		switch name := topic.sub.topic; {
		case topic.sub.class == recoverable && topic.told != topic.o:
			m.t.Fatalf("at: %s stands at %d, but all that the client will ever know of is %d", name, topic.o, topic.told)
		case len(topic.newest) > 0:
			m.t.Fatalf("newest: the last of keys of %s have not come: %v", name, topic.newest)
		}
	}
	if m.box.waiting != nil {
		m.t.Fatalf("memory: an empty box keeps %d places", cap(m.box.waiting.all))
	}
}

func (m *boxModel) release(wanted bool) {
	m.box.release(nil, wanted)
	m.want.release(wanted)
}

// Bytes, order, what is never dropped, the newest of a key, at after behind,
// wakes, and closing.
func TestD11_OutboxByClass(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		for range 20 {
			newBoxModel(rt).play()
		}
	})
}

func (m *boxModel) play() {
	step := func(do func()) func(*rapid.T) {
		return func(rt *rapid.T) { m.t = rt; do() }
	}
	publish := step(func() {
		topic := rapid.SampledFrom(m.topics).Draw(m.t, "topic")
		for range rapid.IntRange(1, 6).Draw(m.t, "burst") {
			m.event(topic)
		}
	})
	t := m.t
	t.Repeat(map[string]func(*rapid.T){
		"publish":   publish,
		"publish 2": publish,
		"publish 3": publish,
		"frame":     step(func() { m.frame("re", true, m.size()) }),
		"frame now": step(func() { m.frame("pong", false, m.size()) }),
		"take": step(func() {
			if m.asleep {
				m.t.Skip("it was not woken")
			}
			m.take(rapid.SampledFrom(boxTakes).Draw(m.t, "most"))
		}),
		"release": step(func() {
			if !m.want.holding || len(m.want.items) == 0 {
				m.t.Skip("nothing is held")
			}
			m.release(true)
		}),
		"subscribe again": step(func() {
			i := rapid.IntRange(0, len(m.topics)-1).Draw(m.t, "topic")
			old := m.topics[i]
			old.sub.ended.set()
			m.topics = append(m.topics[:i:i], m.topics[i+1:]...)
			m.subscribe(old.sub.class)
			m.frame("unsub", true, 10)
		}),
		"limit": step(func() { m.want.limit = rapid.SampledFrom(boxLimits).Draw(m.t, "limit") }),
		"close": step(func() {
			if rapid.IntRange(0, 30).Draw(m.t, "rarely") > 0 {
				m.t.Skip("it goes on")
			}
			if m.want.holding && rapid.Bool().Draw(m.t, "refused") {
				m.release(false)
			}
			m.close(rapid.Bool().Draw(m.t, "discard"))
		}),
		"": step(m.check),
	})
	m.t = t
	m.end()
}
