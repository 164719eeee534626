package postgres

import (
	"fmt"
	"testing"

	"github.com/kanava-go/kanava/engine"
)

// TestBacklogIsSortedInParts is that what has come is not made events all at once,
// and that nothing of it is left out or out of order.
func TestBacklogIsSortedInParts(t *testing.T) {
	e := &Engine{}
	e.subs.by = make(map[string]*subscription)
	e.link.init(e)
	top := engine.Topic{Name: "topic", Class: engine.Ordered}
	e.subs.by[topicName(head(top))] = &subscription{topic: top.Name}
	const each = 3
	text := text64.EncodeToString(newBody(&engine.Event{Data: []byte("1")}))
	var all []string
	for i := range 10_000 {
		all = append(all, fmt.Sprintf("%s ABCDEFGHabcdefgh 1700000000000000 %d - %s,%s,%s", head(top), 1+i*each, text, text, text))
	}
	f := newInflow(&conn{link: &e.link})
	next := uint64(1)
	for rest := all; len(rest) > 0; {
		var parcels []parcel
		parcels, rest = f.sort(rest)
		count := 0
		for _, p := range parcels {
			for _, a := range p.events {
				if a.At.Offset != next {
					t.Fatalf("event %d comes as event %d", a.At.Offset, next)
				}
				next++
				count++
			}
		}
		if count == 0 || count > sortMost+each {
			t.Fatalf("%d events at once", count)
		}
	}
	if next != 1+10_000*each {
		t.Errorf("%d events came", next-1)
	}
}
