package kanava

import (
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// This file bounds what the topics of a hub keep: by age, also where nothing is
// published any more, and by memory over all topics.

// retention is the books of a hub about that.
type retention struct {
	bytes    atomic.Int64 // the sum over all logs
	sweeping atomic.Bool  // a sweep is to come
	room     sync.Mutex   // held while room is made
	told     sync.Once    // that events were let go of for their number
}

// sweepTime is how often what is too old is let go of. Reads never return it.
const sweepTime = 15 * time.Second

// retain books what a log has grown by, and makes room if that is too much.
func (h *EventHub) retain(grown int) {
	if grown == 0 {
		return
	}
	if h.kept.bytes.Add(int64(grown)) > int64(h.opts.History) {
		h.makeRoom()
	}
	if !h.kept.sweeping.Load() {
		h.sweepLater()
	}
}

func (h *EventHub) sweepLater() {
	if h.kept.sweeping.CompareAndSwap(false, true) {
		time.AfterFunc(sweepTime, h.sweep)
	}
}

// sweep lets go of what is too old, and comes again while something is kept.
func (h *EventHub) sweep() {
	now := time.Now()
	h.pages.forget()
	h.eachTopic(func(ts *topicState) (freed int) { return ts.expire(now) })
	for i := range h.shards {
		sh := &h.shards[i]
		sh.mu.Lock()
		h.forgetIdle(sh, now)
		sh.mu.Unlock()
	}
	h.kept.sweeping.Store(false)
	if h.closed.isSet() {
		h.forgetEvents()
	}
	if h.kept.bytes.Load() > 0 {
		h.sweepLater()
	}
}

// forgetEvents lets go of all that is kept.
func (h *EventHub) forgetEvents() {
	h.eachTopic((*topicState).clear)
	h.pages.forget()
}

// makeRoom lets go of an eighth of what may be kept: of the oldest events of
// those topics that keep the most. Its cost is that of what was published since
// the last time.
func (h *EventHub) makeRoom() {
	h.kept.room.Lock()
	defer h.kept.room.Unlock()
	limit := h.opts.History
	if h.kept.bytes.Load() <= int64(limit) {
		return // somebody else has
	}
	h.kept.told.Do(func() {
		h.opts.Logger.Warn("topics keep more than HubOptions.History: their oldest events are let go of", slog.Int("bytes", limit))
	})
	var sizes []int
	now := time.Now()
	h.eachTopic(func(ts *topicState) (freed int) {
		freed = ts.expire(now)
		if n := ts.log.bytes; n > 0 {
			sizes = append(sizes, n)
		}
		return freed
	})
	share := fairShare(sizes, limit-limit/8)
	h.eachTopic(func(ts *topicState) (freed int) { return ts.log.trim(share) })
}

// fairShare returns the most that each of sizes can have if those that want
// less get what they want, and all together at most total.
func fairShare(sizes []int, total int) int {
	slices.Sort(sizes)
	for i, size := range sizes {
		if share := total / (len(sizes) - i); size > share {
			return share
		}
		total -= size
	}
	return math.MaxInt
}

// eachTopic calls visit for each topic, with its mu held, and books what that
// has freed.
func (h *EventHub) eachTopic(visit func(ts *topicState) (freed int)) {
	for i := range h.shards {
		sh := &h.shards[i]
		sh.mu.Lock()
		all := slices.Collect(maps.Values(sh.topics))
		sh.mu.Unlock()
		for _, ts := range all {
			ts.mu.Lock()
			freed := visit(ts)
			ts.mu.Unlock()
			if freed > 0 {
				h.kept.bytes.Add(-int64(freed))
			}
		}
	}
}
