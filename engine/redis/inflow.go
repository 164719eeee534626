package redis

import (
	"sync"

	"github.com/kanava-go/kanava/engine"
	"github.com/redis/rueidis"
)

// inflow is what has come by a connection and has not been delivered yet. A
// goroutine delivers all that waits at once, topic by topic.
type inflow struct {
	c       *conn
	mu      sync.Mutex
	changed sync.Cond
	waiting []rueidis.PubSubMessage // guarded by mu
	bytes   int                     // guarded by mu
	ended   bool                    // guarded by mu
	running sync.WaitGroup
}

const (
	inflowMost = 8 << 20 // bytes that wait; then the connection is not read until some are delivered
	inflowCost = 256     // what a message costs there besides its bytes
)

func newInflow(c *conn) *inflow {
	f := &inflow{c: c}
	f.changed.L = &f.mu
	return f
}

// start begins to deliver.
func (f *inflow) start() { f.running.Go(f.deliver) }

// end takes no more, and returns when all is delivered.
func (f *inflow) end() {
	f.mu.Lock()
	f.ended = true
	f.changed.Broadcast()
	f.mu.Unlock()
	f.running.Wait()
}

// push takes a message. The connection is not read meanwhile.
func (f *inflow) push(m rueidis.PubSubMessage) {
	if p := f.c.probe.Load(); p != nil && *p == m.Channel {
		f.c.probed(m.Message)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.bytes > inflowMost && !f.ended {
		f.changed.Wait()
	}
	if f.ended {
		return
	}
	f.bytes += inflowCost + len(m.Message)
	if f.waiting = append(f.waiting, m); len(f.waiting) == 1 {
		f.changed.Broadcast()
	}
}

// take waits for messages and returns all there are; nothing when it has ended.
// What the caller had before is used again.
func (f *inflow) take(before []rueidis.PubSubMessage) []rueidis.PubSubMessage {
	clear(before)
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.waiting) == 0 && !f.ended {
		f.changed.Wait()
	}
	taken := f.waiting
	if f.waiting = before[:0]; cap(before) > 4096 {
		f.waiting = nil // a burst is over
	}
	if f.bytes > inflowMost {
		f.changed.Broadcast()
	}
	f.bytes = 0
	return taken
}

// parcel is what is delivered of one topic.
type parcel struct {
	topic  string
	events []engine.Event
}

func (f *inflow) deliver() {
	var messages []rueidis.PubSubMessage
	var parcels []parcel
	of := make(map[*subscription]int)
	for {
		if messages = f.take(messages); len(messages) == 0 {
			return
		}
		f.c.delivering.Lock()
		parcels = f.sort(messages, parcels[:0], of)
		for i := range parcels {
			f.c.link.e.handler.Deliver(parcels[i].topic, parcels[i].events)
		}
		f.c.delivering.Unlock()
		clear(parcels)
		clear(of)
	}
}

// sort makes parcels of messages: of the topics that are subscribed to by this
// connection. Others are on their way to elsewhere.
func (f *inflow) sort(messages []rueidis.PubSubMessage, parcels []parcel, of map[*subscription]int) []parcel {
	subs := &f.c.link.e.subs
	subs.mu.RLock()
	defer subs.mu.RUnlock()
	for _, m := range messages {
		s := subs.by[m.Channel]
		if s == nil || s.on != f.c || !s.wanted {
			continue
		}
		ev, ok := parseMessage(m.Message)
		if !ok {
			continue
		}
		i, ok := of[s]
		if !ok {
			i = len(parcels)
			of[s] = i
			parcels = append(parcels, parcel{topic: s.topic})
		}
		parcels[i].events = append(parcels[i].events, ev)
	}
	return parcels
}
