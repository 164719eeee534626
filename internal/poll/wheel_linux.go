package poll

import "time"

// wheel says when members are due: a ring of buckets, each of which stands for
// a short time. A member that is put off stays where it is, and is moved on
// when its bucket comes: to change a time that lies far ahead costs nothing.
type wheel struct {
	began   time.Time
	now     tick // all up to it have been collected
	waiting int  // entries in buckets
	buckets [ringSize][]entry
}

// A tick is the time that one bucket stands for, as a number since the wheel
// began. The ring is longer than the usual time between two heartbeats.
type tick uint32

const (
	tickTime = 32 * time.Millisecond
	ringSize = 1024
)

// timing is what the wheel knows of one member. The zero value is never due.
type timing struct {
	due   tick // 0: never
	bound tick // where its entry lies; 0: nowhere
}

// entry is a member in a bucket. It counts only while the member's timing says
// that it lies there.
type entry struct{ slot uint32 }

// passed returns the last tick that is not after t.
func (w *wheel) passed(t time.Time) tick { return tick(max(0, t.Sub(w.began)) / tickTime) }

// set makes a member due after d, and not when it was before; never if d is
// negative.
func (w *wheel) set(m *timing, slot uint32, now time.Time, d time.Duration) {
	if d < 0 {
		m.due = 0
		return
	}
	m.due = max(w.passed(now.Add(d+tickTime-1)), w.now+1) // not before that
	if m.bound == 0 || m.bound > m.due {
		w.put(m, slot)
	}
}

func (w *wheel) put(m *timing, slot uint32) {
	m.bound = min(m.due, w.now+ringSize-1)
	b := &w.buckets[m.bound%ringSize]
	*b = append(*b, entry{slot})
	w.waiting++
}

// collect calls due for each member whose time has come, which is then never
// due again unless it is set. timing returns what is known of a member, nil if
// there is none.
func (w *wheel) collect(now time.Time, timing func(slot uint32) *timing, due func(slot uint32)) {
	end := w.passed(now)
	for w.now < end {
		if w.waiting == 0 {
			w.now = end
			return
		}
		w.now++
		b := &w.buckets[w.now%ringSize]
		for _, e := range *b {
			w.waiting--
			m := timing(e.slot)
			if m == nil || m.bound != w.now {
				continue // it has left, or lies elsewhere too
			}
			m.bound = 0
			switch {
			case m.due == 0:
			case m.due <= w.now:
				m.due = 0
				due(e.slot)
			default:
				w.put(m, e.slot)
			}
		}
		if cap(*b) > 64 {
			*b = nil // its memory
		}
		*b = (*b)[:0]
	}
}

// next returns when there is something to collect; false if there is nothing.
func (w *wheel) next() (time.Time, bool) {
	if w.waiting == 0 {
		return time.Time{}, false
	}
	for t := w.now + 1; ; t++ {
		if len(w.buckets[t%ringSize]) > 0 {
			return w.began.Add(time.Duration(t) * tickTime), true
		}
	}
}
