package kanava

import (
	"container/list"
	"hash/maphash"
	"strconv"
	"sync"
	"time"
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
	idle   list.List              // guarded by mu: of *topicState without subscribers; the one in which nothing has happened for longest is the first
}

// topicState is one topic.
type topicState struct {
	topic string
	idle  *list.Element // in the shard's idle; guarded by its mu, as is since
	since time.Time

	mu   sync.Mutex      // held while an event is handed to all: the one order of a topic
	subs []*subscription // guarded by mu
	log  topicLog        // guarded by mu
	runs runs            // guarded by mu
	gone bool            // guarded by mu: the hub has forgotten it

	apart  bool    // fixed: known to one subscription only, and not to the hub
	follow *follow // nil where the hub has no engine

	floors floors // guarded by mu: of a Private topic
}

// add registers a subscription; events published from now on reach it.
func (h *EventHub) add(sub *subscription) { h.retain(h.register(sub)) }

// register is add. It returns how many bytes more are kept.
func (h *EventHub) register(sub *subscription) (grown int) {
	sh := h.shard(sub.topic)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ts := sh.topics[sub.topic]
	switch {
	case ts == nil:
		ts = h.newTopicState(sh, sub.topic, sub.family)
	case ts.idle != nil:
		sh.idle.Remove(ts.idle)
		ts.idle = nil
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	sub.topic = ts.topic // the same bytes for all
	sub.state, sub.class, sub.index = ts, ts.log.class, int32(len(ts.subs))
	ts.subs = append(ts.subs, sub)
	if sub.family != nil && sub.family.private {
		sub.floor, grown = ts.floors.join(sub.user, ts.log.at.Offset, time.Now())
	}
	sub.to.subscribed(sub, ts.log.at)
	return grown
}

// newTopicState makes a topic of which nobody knows yet; sh.mu is held.
func (h *EventHub) newTopicState(sh *hubShard, topic string, f *family) *topicState {
	ts := &topicState{topic: topic, log: newTopicLog(f, h.newEpoch())}
	ts.floors.ttl = ts.log.ttl
	sh.topics[topic] = ts
	return ts
}

// newEpoch returns what no topic of any hub has had as an epoch.
func (h *EventHub) newEpoch() string {
	return h.epoch + strconv.FormatUint(h.epochs.Add(1), 36)
}

// drop takes a subscription out. For good means that it was undone, and not
// only lost with its connection or session.
func (sub *subscription) drop(forGood bool) {
	now := time.Now()
	sub.ended.set()
	if sub.state.apart {
		return
	}
	if sub.watch != nil {
		sub.watch.stop()
	}
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
	if sub.floor != nil {
		ts.floors.leave(sub.floor, now)
		if ts.follow != nil && sub.floor.subs == 0 { // the engine has it
			sub.hub.kept.bytes.Add(-int64(ts.floors.forget(sub.floor)))
		}
		if forGood {
			sub.hub.kept.bytes.Add(-int64(ts.floors.forget(sub.floor)))
			if k := sub.hub.cluster; k != nil {
				k.forgetFloor(ts, sub.floor.user)
			}
		}
	}
	if last == 0 && ts.follow != nil {
		sub.hub.cluster.rest(ts)
	}
	ts.mu.Unlock()
	if last == 0 && ts.follow == nil {
		sub.hub.rest(sh, ts, now)
	}
}

// rest puts a topic without subscribers among those that are idle, and forgets
// those in which nothing has happened for too long, or that are too many; sh.mu
// is held.
func (h *EventHub) rest(sh *hubShard, ts *topicState, now time.Time) {
	ts.since, ts.idle = now, sh.idle.PushBack(ts)
	h.forgetIdle(sh, now)
}

func (h *EventHub) forgetIdle(sh *hubShard, now time.Time) {
	for sh.idle.Len() > 0 {
		oldest := sh.idle.Front().Value.(*topicState)
		if sh.idle.Len() <= idleMost && now.Sub(oldest.since) < idleTime+oldest.log.ttl {
			return
		}
		sh.idle.Remove(oldest.idle)
		delete(sh.topics, oldest.topic)
		oldest.mu.Lock()
		oldest.gone = true
		h.kept.bytes.Add(-int64(oldest.clear()))
		oldest.mu.Unlock()
	}
}

// clear lets go of all that is kept; ts.mu is held. It returns how many bytes
// that were.
func (ts *topicState) clear() (freed int) {
	freed = ts.log.trim(0) + floorCost*len(ts.floors.byUser)
	ts.floors.byUser = nil
	return freed
}

// expire lets go of what is too old; ts.mu is held. It returns how many bytes
// that were.
func (ts *topicState) expire(now time.Time) (freed int) {
	return ts.log.expire(now) + ts.floors.expire(now)
}

// hold returns a topic with its mu held. Of one that nobody knows of it is nil,
// unless it is told to make it.
func (h *EventHub) hold(topic string, f *family, makeIt bool) *topicState {
	for {
		ts := h.lookup(topic, f, makeIt)
		if ts == nil {
			return nil
		}
		ts.mu.Lock()
		if !ts.gone {
			return ts
		}
		ts.mu.Unlock() // forgotten since: the next one has another epoch
	}
}

// lookup finds a topic for what happens in it, or makes it; see hold.
func (h *EventHub) lookup(topic string, f *family, makeIt bool) *topicState {
	sh := h.shard(topic)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ts := sh.topics[topic]
	switch {
	case ts == nil && makeIt:
		ts = h.newTopicState(sh, topic, f)
		if h.cluster == nil {
			h.rest(sh, ts, time.Now())
		}
	case ts != nil && ts.idle != nil:
		ts.since = time.Now()
		sh.idle.MoveToBack(ts.idle)
	}
	return ts
}

var hubSeed = maphash.MakeSeed()

func (h *EventHub) shard(topic string) *hubShard {
	return &h.shards[maphash.String(hubSeed, topic)%uint64(len(h.shards))]
}
