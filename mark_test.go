package kanava

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/kanava-go/kanava/internal/form"
)

// Whatever a client says it has kept, the server makes nothing of it but
// positions of topics that there may be, and of its own marks the same as it had.
func FuzzMark(f *testing.F) {
	for _, seed := range []string{
		"", "C", "C&a=e.1", "C.D&room%3Aa=abc.12&b=x.0", "C&a=e.1&a=e.2", "C&a=.1", "C&=e.1", "C&a=e.9007199254740992", "C&a=e.-1",
		"C&a=e", "&a=e.1", ".&a=e.1", "C.D.E.F&a=e.1", "C&%00=e.1", "C&%ff=e.1", "C&a=12345678901234567.1", "C&a=e.1&", " &0=0.0", "C\r\n&a=e.1",
		"C&" + strings.Repeat("a", 257) + "=e.1", strings.Repeat("C", 1025),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		was, at := parseMark(text)
		if len(was) > markWas+1 || len(at) == 0 && len(was) > 0 || slices.Contains(was, "") {
			t.Fatalf("%q is %q, %v", text, was, at)
		}
		for topic, p := range at {
			if checkTopic(topic) != nil || p.Epoch == "" || len(p.Epoch) > 16 || p.Offset > maxID {
				t.Fatalf("%q has the topic %q at %v", text, topic, p)
			}
		}
		if len(at) == 0 {
			return
		}
		m := newMarks(text)
		m.id = "ID"
		if !slices.Equal(m.former, was) {
			t.Fatalf("%q was %q", text, m.former)
		}
		own := m.text()
		if strings.ContainsAny(own, "\r\n\x00 ") || len(own) > markMost {
			t.Fatalf("the mark %q", own)
		}
		if own == "" { // with another id in front it is too long
			return
		}
		was2, at2 := parseMark(own)
		if !maps.Equal(at, at2) || was2[0] != "ID" || !slices.Equal(was2[1:], was[:min(len(was), markWas)]) {
			t.Fatalf("%q became %q: %q, %v", text, own, was2, at2)
		}
	})
}

// A mark that would be too long is left out, and takes back the one before; of
// topics that the connection is not subscribed to that comes later.
func TestP19_MarksAreBounded(t *testing.T) {
	at := func(n uint64) form.Position { return form.Position{Epoch: "epoch", Offset: n} }
	name := func(c string) string { return strings.Repeat(c, 200) }
	m := newMarks("OLD&" + name("z") + "=epoch.1")
	m.id = "ID"
	tell := func(topic string, n uint64) (mark *Mark, more bool) {
		t.Helper()
		var f Frame
		more = m.mark(&f, &outItem{move: &move{topic: topic, to: at(n)}}, true)
		return f.Mark, more
	}
	for i, c := range []string{"a", "b", "c", "d"} {
		mark, _ := tell(name(c), 7)
		if mark == nil || strings.Count(mark.ID, "&") != i+2-boolInt(i == 3) || len(mark.ID) > 1024 {
			t.Fatalf("%d topics: %+v", i+1, mark)
		}
		if strings.Contains(mark.ID, "zzz") != (i < 3) {
			t.Errorf("%d topics: the one that is not subscribed to: %s", i+1, mark.ID)
		}
	}
	if mark, more := tell(name("e"), 7); mark == nil || mark.ID != "" || !more {
		t.Errorf("too many topics: %+v", mark)
	}
	if mark, more := tell(name("e"), 8); mark != nil || more {
		t.Errorf("once is enough: %+v", mark)
	}
	var f Frame
	if !m.mark(&f, &outItem{move: &move{topic: name("e"), gone: true}}, true) || strings.Count(f.Mark.ID, "&") != 4 {
		t.Errorf("few enough again: %+v", f.Mark)
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
