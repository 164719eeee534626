package follow

import (
	"fmt"
	"time"
)

// Check is for the end, when nobody runs any more. It demands that every event of
// the publishers came once, and those of each in order; or, where the server may
// lose what it had, that the follower was told so. No publication may have taken
// longer than its context allows.
func (f *Follower) Check(publishers []*Publisher, mayLose bool) {
	t := f.tb
	t.Helper()
	got := make(map[string]int)
	next := make(map[string]int)
	for i, text := range f.texts {
		if got[text]++; got[text] > 1 && !mayLose {
			t.Errorf("%q came %d times", text, got[text])
		}
		var name string
		var number int
		if _, err := fmt.Sscan(text, &name, &number); err != nil {
			t.Errorf("%q came, which nobody has said", text)
		}
		if number < next[name] && !mayLose {
			t.Errorf("%q came after %d, as event %d", text, next[name], i)
		}
		next[name] = number + 1
	}
	missing, all := 0, 0
	for _, p := range publishers {
		for _, text := range p.texts {
			if all++; got[text] == 0 {
				missing++
			}
		}
		if p.most > 11*time.Second {
			t.Errorf("a publication took %s", p.most)
		}
		t.Logf("%s: %d events, %d failed publications, the longest %s", p.Name, len(p.texts), p.failed, p.most)
	}
	t.Logf("lost %d times, %d events missing of %d", f.lost, missing, all)
	switch {
	case all == 0:
		t.Error("nothing was published")
	case missing > 0 && f.lost == 0:
		t.Errorf("%d events are missing, and nobody was told", missing)
	case f.lost > 0 && !mayLose:
		t.Error("something was lost")
	case mayLose && f.lost == 0:
		t.Error("the server lost all and nobody was told")
	}
}
