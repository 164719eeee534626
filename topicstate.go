package kanava

import (
	"container/list"
	"hash/maphash"
	"strconv"
	"sync"
	"time"

	"github.com/kanava-go/kanava/internal/form"
)

// This file keeps the topics of a hub: who is subscribed to them, and where
// they stand (docs/protocol.md D1, D2). A topic without subscribers is kept for
// a while, so that a client that comes back learns whether it has missed
// something.

const (
	idleTime = 24 * time.Hour
	idleMost = 1024 // topics of one shard
)

// hubShard is a part of a hub's topics.
type hubShard struct {
	mu     sync.Mutex
	topics map[string]*topicState // guarded by mu
	idle   list.List              // guarded by mu: of *topicState without subscribers; the one that is so for longest is the first
}

// topicState is one topic.
type topicState struct {
	topic string
	idle  *list.Element // in the shard's idle; guarded by its mu, as is since
	since time.Time

	mu   sync.Mutex      // held while an event is handed to all: the one order of a topic
	subs []*subscription // guarded by mu
	at   form.Position   // guarded by mu: of the last event
}

// add registers a subscription; events published from now on reach it.
func (h *EventHub) add(sub *subscription) {
	sh := h.shard(sub.topic)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ts := sh.topics[sub.topic]
	switch {
	case ts == nil:
		ts = &topicState{topic: sub.topic, at: form.Position{Epoch: h.newEpoch()}}
		sh.topics[sub.topic] = ts
	case ts.idle != nil:
		sh.idle.Remove(ts.idle)
		ts.idle = nil
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	sub.state, sub.index = ts, len(ts.subs)
	ts.subs = append(ts.subs, sub)
	sub.to.subscribed(sub, ts.at)
}

// newEpoch returns what no topic of any hub has had as an epoch.
func (h *EventHub) newEpoch() string {
	return h.epoch + strconv.FormatUint(h.epochs.Add(1), 36)
}

// drop takes a subscription out.
func (sub *subscription) drop() {
	sub.ended.set()
	sh := sub.hub.shard(sub.topic)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ts := sub.state
	ts.mu.Lock()
	last := len(ts.subs) - 1
	ts.subs[sub.index] = ts.subs[last]
	ts.subs[sub.index].index = sub.index
	ts.subs[last] = nil
	ts.subs = ts.subs[:last]
	if last == 0 {
		ts.subs = nil // its memory
	}
	ts.mu.Unlock()
	if last == 0 {
		sh.rest(ts, time.Now())
	}
}

// rest puts a topic that has lost its last subscriber among those that are
// idle, and forgets those that are so for too long or are too many.
func (sh *hubShard) rest(ts *topicState, now time.Time) {
	ts.since, ts.idle = now, sh.idle.PushBack(ts)
	for {
		oldest := sh.idle.Front().Value.(*topicState)
		if sh.idle.Len() <= idleMost && now.Sub(oldest.since) < idleTime {
			return
		}
		sh.idle.Remove(oldest.idle)
		delete(sh.topics, oldest.topic)
	}
}

func (h *EventHub) lookup(topic string) *topicState {
	sh := h.shard(topic)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.topics[topic]
}

var hubSeed = maphash.MakeSeed()

func (h *EventHub) shard(topic string) *hubShard {
	return &h.shards[maphash.String(hubSeed, topic)%uint64(len(h.shards))]
}
