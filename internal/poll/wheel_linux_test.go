package poll

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A wheel tells of each member once, not before its time and at most one tick
// after it, whatever it was set to before: as a map of times does.
func TestWheelIsAMapOfTimes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		began := time.Unix(0, 0)
		w := &wheel{began: began}
		members := make([]timing, 8)
		want := map[uint32]time.Time{}
		now := began
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				slot := rapid.Uint32Range(0, uint32(len(members)-1)).Draw(t, "slot")
				d := time.Duration(rapid.Int64Range(-1, int64(100*time.Second)).Draw(t, "after"))
				w.set(&members[slot], slot, now, d)
				if delete(want, slot); d >= 0 {
					want[slot] = now.Add(d)
				}
			},
			"leave": func(t *rapid.T) { // and another comes in the same slot
				slot := rapid.Uint32Range(0, uint32(len(members)-1)).Draw(t, "slot")
				members[slot] = timing{}
				delete(want, slot)
			},
			"collect": func(t *rapid.T) {
				step := rapid.SampledFrom([]time.Duration{time.Nanosecond, tickTime, time.Second, time.Minute}).Draw(t, "step")
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(step)).Draw(t, "passes")))
				if next, ok := w.next(); len(want) > 0 {
					first := slices.MinFunc(slices.Collect(maps.Values(want)), time.Time.Compare)
					if !ok || next.After(first.Add(tickTime)) {
						t.Fatalf("the loop would sleep until %v, %v, but a member is due at %v", next, ok, first)
					}
				}
				w.collect(now, func(slot uint32) *timing { return &members[slot] }, func(slot uint32) {
					at, ok := want[slot]
					if !ok || at.After(now) {
						t.Fatalf("at %v member %d is due, which was set to %v, %v", now, slot, at, ok)
					}
					delete(want, slot)
				})
				for slot, at := range want {
					if !at.Add(tickTime).After(now) {
						t.Fatalf("at %v member %d is not due, which was set to %v", now, slot, at)
					}
				}
			},
		})
	})
}

// A member that is put off again and again, as a heartbeat is, costs the ring
// no more entries than one that is not.
func TestWheelHasOneEntryForAMemberThatIsPutOff(t *testing.T) {
	w := &wheel{}
	var m timing
	now := w.began
	for range 100_000 {
		w.set(&m, 0, now, 25*time.Second)
		now = now.Add(time.Millisecond)
		w.collect(now, func(uint32) *timing { return &m }, func(uint32) { t.Fatal("due") })
	}
	if w.waiting != 1 {
		t.Errorf("%d entries wait, want 1", w.waiting)
	}
}
