package kanava

import "weak"

// eventRun is events that were published in a topic one behind the other. An
// outbox holds those of a run as one item, however many have gathered, and all
// subscribers share the run: to queue one more event is to count it.
type eventRun struct {
	// events[:n] have been published. What an outbox refers to does not change.
	events [runMost]*event
	n      int // guarded by topicState.mu, as is bytes
	bytes  int
}

const (
	runMost  = 32
	runBytes = 16 << 10 // of payloads; a run is taken as one
	// runSubscribers is from how many subscribers on a run is worth its memory.
	runSubscribers = 8
)

// runs is the run of a topic that goes on. It lives no longer than somebody
// has its events to write.
type runs struct{ last weak.Pointer[eventRun] }

// add makes the event the next of a run. The topic's mu is held.
func (r *runs) add(ev *event) {
	run := r.last.Value()
	if run == nil || run.n == runMost || run.bytes+ev.size() > runBytes {
		run = &eventRun{}
		r.last = weak.Make(run)
	}
	run.events[run.n] = ev
	ev.run, ev.runAt = run, uint8(run.n)
	run.n++
	run.bytes += ev.size()
}

// follows reports whether the event comes right behind the n events of a run
// that begin with first.
func (ev *event) follows(first *event, n uint8) bool {
	return ev.run != nil && ev.run == first.run && ev.runAt == first.runAt+n
}

// addRun is add of an event that is sent as it is, in a frame of size bytes.
func (o *outbox) addRun(ev *event, sub *subscription, size, limit int) (full, closed bool) {
	size += itemCost
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closing != nil:
		return false, true
	case !o.makeRoom(size, limit, nil):
		return true, false
	}
	if w := o.waiting; w != nil && !o.holding {
		if last := &w.at(w.queue.last).outItem; last.run > 0 && last.sub == sub && ev.follows(last.ev, last.run) {
			last.run++
			last.runSize += int32(size)
			w.bytes += size
			return false, false
		}
	}
	o.push(&outItem{ev: ev, sub: sub, run: 1, runSize: int32(size)}, true)
	return false, false
}

// appendRun appends the frames of an item of addRun.
func (c *conn) appendRun(batch []Frame, it *outItem) []Frame {
	if it.run == 1 {
		return append(batch, it.ev.frame(c.form))
	}
	for _, ev := range it.ev.run.events[it.ev.runAt:][:it.run] {
		batch = append(batch, ev.frame(c.form))
	}
	return batch
}
