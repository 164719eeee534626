package enginetest

import (
	"slices"
	"strings"

	"github.com/kanava-go/kanava/engine"
)

var readBehaviours = []behaviour{
	{name: "D4 pages join without a gap", run: testPages},
	{name: "D4 a page has about a megabyte at most, and one event at least", run: testPageBytes},
	{name: "D2 D4 Read says what is lost", run: testLost},
}

func testPages(l *lab) {
	n, other, t := l.join(), l.join(), l.topic(engine.Recoverable)
	first := n.position(t)
	n.publish(t, numbers(1, 40)...)
	all, end, _ := n.readAll(t, engine.Position{}, 1000)
	if got := texts(all); !slices.Equal(got, numbers(1, 40)) {
		l.Fatalf("Read of all: %q", got)
	}
	for _, limit := range []int{1, 7, 10, 39, 40, 41} {
		for _, from := range []int{0, 1, 13, 39, 40} {
			since := first
			if from > 0 {
				since = all[from-1].At
			}
			events, at, lost := other.readAll(t, since, limit)
			if got := texts(events); !slices.Equal(got, numbers(from+1, 40)) || lost || at != end {
				l.Errorf("Read after event %d, %d at a time: %q, lost %v, At %v, want the end %v", from, limit, got, lost, at, end)
			}
		}
	}
}

func testPageBytes(l *lab) {
	n, t := l.join(), l.topic(engine.Recoverable)
	since := n.position(t)
	long := strings.Repeat("x", 300<<10)
	for _, i := range numbers(1, 8) {
		n.publish(t, i+long)
	}
	n.publish(t, "9"+strings.Repeat("x", 1<<20-3))
	var came []string
	for more := true; more; {
		p := n.read(t, since, 1000)
		bytes := 0
		for _, ev := range p.Events {
			bytes += len(ev.Data)
			since = ev.At
			came = append(came, texts([]engine.Event{ev})[0][:1])
		}
		if bytes > 2<<20 {
			l.Errorf("a page has %d bytes", bytes)
		}
		more = p.More
	}
	if !slices.Equal(came, numbers(1, 9)) {
		l.Errorf("pages with %q came", came)
	}
}

func testLost(l *lab) {
	n := l.join()
	t, first := overflow(l, n)
	kept, end, _ := n.readAll(t, engine.Position{}, 1000)
	oldest, middle := kept[0], kept[len(kept)-5]
	for _, c := range []struct {
		what  string
		since engine.Position
		lost  bool
		from  int // the first event, of those that are kept
	}{
		{"the zero Position", engine.Position{}, false, 0},
		{"before the oldest that is kept", engine.Position{Epoch: end.Epoch, Offset: oldest.Prev}, false, 0},
		{"the oldest that is kept", oldest.At, false, 1},
		{"one in the middle", middle.At, false, len(kept) - 4},
		{"the last", end, false, len(kept)},
		{"before the first event, which is gone", first, true, 0},
		{"an event that is gone", engine.Position{Epoch: end.Epoch, Offset: oldest.Prev - 1}, true, 0},
		{"an event that has not been", engine.Position{Epoch: end.Epoch, Offset: end.Offset + 1}, true, 0},
		{"an event far from what has been", engine.Position{Epoch: end.Epoch, Offset: 1<<53 - 1}, true, 0},
		{"the last offset in another epoch", engine.Position{Epoch: "other", Offset: end.Offset}, true, 0},
		{"the beginning of another epoch", engine.Position{Epoch: "other"}, true, 0},
		{"a later offset in another epoch", engine.Position{Epoch: "other", Offset: end.Offset + 5}, true, 0},
	} {
		for _, limit := range []int{3, 1000} {
			events, at, lost := n.readAll(t, c.since, limit)
			if lost != c.lost || at != end || !slices.Equal(texts(events), texts(kept[c.from:])) {
				l.Errorf("Read from %s, %d at a time: lost %v, At %v, %q; want lost %v, At %v, %q", c.what, limit, lost, at, texts(events), c.lost, end, texts(kept[c.from:]))
			}
		}
	}
}
