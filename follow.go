package kanava

import (
	"context"
	"strings"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/internal/form"
)

// This file is how a hub follows a topic at its engine: from the first local
// subscriber to some time after the last one. First the engine has confirmed the
// subscription, then the position is read, then the subscriber is told (docs/protocol.md D3).

// followLinger is how long a topic is followed after its last subscriber: a page
// that is loaded again does not cost the engine anything.
const followLinger = 5 * time.Second

const (
	heldMost  = 1024    // events that wait for earlier ones
	heldBytes = 4 << 20 // and their bytes
)

// follow is a topic as one that is followed. The topic's mu guards it.
type follow struct {
	spec    engine.Topic
	family  *family
	pins    int           // subscriptions in the making
	live    bool          // the engine delivers
	change  chan struct{} // closed when joining or leaving has ended; nil while neither goes on
	err     error         // why joining has failed
	leaving *time.Timer   // runs while nobody needs it; nil otherwise
	asked   uint64        // the offset at which the topic stood when it was last asked for; see check

	healing chan struct{}  // closed when what is missing has come; nil while nothing is
	again   bool           // what was missing has been fetched, and something strange is there still
	held    []engine.Event // what came meanwhile, or while joining
	bytes   int            // of held

	fetching chan struct{} // holds one while somebody reads what came before the log; see reach
}

// pin makes the hub follow a topic, until release is called at the earliest and
// as long as it has subscribers.
func (k *cluster) pin(ctx context.Context, topic string, f *family) (ts *topicState, err error) {
	k.start()
	ctx, cancel := limited(ctx, 2*engineTime)
	defer cancel()
	for {
		ts := k.hub.hold(topic, f, true)
		if ts.follow == nil {
			ts.follow = &follow{spec: specOf(topic, f), family: f, fetching: make(chan struct{}, 1)}
		}
		fo := ts.follow
		if fo.live {
			fo.pins++
			ts.mu.Unlock()
			return ts, nil
		}
		if fo.change == nil {
			fo.change = make(chan struct{})
			if !k.run(func() { k.join(ts) }) {
				ts.mu.Unlock()
				return nil, ErrClosed
			}
		}
		change := fo.change
		ts.mu.Unlock()
		select {
		case <-change:
		case <-ctx.Done():
			return nil, unavailable(ctx.Err(), "the subscription cannot be made")
		}
		ts.mu.Lock()
		err := fo.err
		ts.mu.Unlock()
		if err != nil {
			return nil, unavailable(err, "the subscription cannot be made")
		}
	}
}

// unpin undoes pin.
func (k *cluster) unpin(ts *topicState) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.follow.pins--
	k.rest(ts)
}

// rest has a topic left that nobody needs, after a while; ts.mu is held.
func (k *cluster) rest(ts *topicState) {
	fo := ts.follow
	if fo.pins > 0 || len(ts.subs) > 0 || !fo.live || fo.leaving != nil {
		return
	}
	fo.leaving = time.AfterFunc(followLinger, func() { k.leave(ts) })
}

// leave ends the following of a topic, unless it is needed again.
func (k *cluster) leave(ts *topicState) {
	ts.mu.Lock()
	fo := ts.follow
	fo.leaving = nil
	if fo.pins > 0 || len(ts.subs) > 0 {
		ts.mu.Unlock()
		return
	}
	fo.live, fo.change = false, make(chan struct{})
	ts.mu.Unlock()
	k.engine.Unsubscribe(fo.spec)
	k.hub.forget(ts)
	close(fo.change)
}

// forget takes a topic out of the hub.
func (h *EventHub) forget(ts *topicState) {
	sh := h.shard(ts.topic)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if sh.topics[ts.topic] == ts {
		delete(sh.topics, ts.topic)
	}
	ts.gone = true
	h.kept.bytes.Add(-int64(ts.clear()))
}

// join begins to follow a topic.
func (k *cluster) join(ts *topicState) {
	fo := ts.follow
	ctx, cancel := limited(k.ctx, 2*engineTime)
	defer cancel()
	at, kept, err := k.enter(ctx, fo.spec)
	if err != nil {
		k.engine.Unsubscribe(fo.spec)
		ts.mu.Lock()
		fo.err = err
		ts.mu.Unlock()
		k.hub.forget(ts)
		close(fo.change)
		return
	}
	ts.mu.Lock()
	ts.log.at = form.Position{Epoch: at.Epoch}
	grown := 0
	for _, e := range kept { // of a Latest topic
		e.Prev = ts.log.at.Offset
		grown += k.take(ts, e)
	}
	ts.log.at = at
	done := fo.change
	fo.live, fo.change = true, nil
	grown += k.takeHeld(ts)
	k.rest(ts) // who wanted it may have given up
	ts.mu.Unlock()
	k.hub.retain(grown)
	close(done)
}

// enter subscribes and reads where the topic stands, with what a Latest one
// keeps.
func (k *cluster) enter(ctx context.Context, spec engine.Topic) (at form.Position, kept []engine.Event, err error) {
	if err := k.engine.Subscribe(ctx, spec); err != nil || spec.Class == engine.Volatile {
		return at, nil, err
	}
	if spec.Class == engine.Latest {
		page, err := k.readAll(ctx, spec)
		return form.Position(page.At), page.Events, err
	}
	positions, err := k.engine.Positions(ctx, []engine.Topic{spec})
	if err != nil {
		return at, nil, err
	}
	return form.Position(positions[0]), nil, nil
}

// readAll reads all that is kept of a topic, which is what a Latest one may
// keep.
func (k *cluster) readAll(ctx context.Context, spec engine.Topic) (all engine.Page, err error) {
	var since engine.Position
	for {
		page, err := k.engine.Read(ctx, spec, since, readMost)
		if err != nil {
			return all, err
		}
		if since.Epoch != "" && page.At.Epoch != since.Epoch {
			all = engine.Page{} // everything before is void
			since = engine.Position{}
			continue
		}
		all.Events, all.At = append(all.Events, page.Events...), page.At
		if !page.More || len(page.Events) == 0 {
			return all, nil
		}
		since = page.Events[len(page.Events)-1].At
	}
}

// Deliver implements engine.Handler.
func (k *cluster) Deliver(topic string, events []engine.Event) {
	if of, ok := strings.CutPrefix(topic, presencePrefix); ok {
		k.announced(of, events)
		return
	}
	if k.relay.deliver(topic, events) {
		return
	}
	ts := k.hub.known(topic)
	if ts == nil {
		return
	}
	ts.mu.Lock()
	fo, grown := ts.follow, 0
	if fo != nil && !ts.gone {
		for _, e := range events {
			if fo.change != nil || fo.healing != nil {
				fo.hold(e)
			} else {
				grown += k.take(ts, e)
			}
		}
	}
	ts.mu.Unlock()
	k.hub.retain(grown)
}

// known returns a topic that the hub has, nil if it has not.
func (h *EventHub) known(topic string) *topicState {
	sh := h.shard(topic)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.topics[topic]
}

// subscribers returns how many a topic has here.
func (h *EventHub) subscribers(topic string) int {
	ts := h.known(topic)
	if ts == nil {
		return 0
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return len(ts.subs)
}

// hold keeps an event that has to wait. The oldest are dropped for it: they are
// read again.
func (fo *follow) hold(e engine.Event) {
	fo.held = append(fo.held, e)
	fo.bytes += len(e.Data)
	for len(fo.held) > heldMost || fo.bytes > heldBytes && len(fo.held) > 1 {
		fo.bytes -= len(fo.held[0].Data)
		fo.held[0] = engine.Event{}
		fo.held = fo.held[1:]
	}
}

// takeHeld takes what had to wait, as far as it can be; ts.mu is held.
func (k *cluster) takeHeld(ts *topicState) (grown int) {
	fo := ts.follow
	held := fo.held
	fo.held, fo.bytes = nil, 0
	for _, e := range held {
		if fo.healing != nil {
			fo.hold(e)
		} else {
			grown += k.take(ts, e)
		}
	}
	return grown
}

// take hands an event to the subscribers if it is the next (docs/protocol.md D4): one
// that they have had is dropped, and for one before which others are missing
// those are fetched first. ts.mu is held.
func (k *cluster) take(ts *topicState, e engine.Event) (grown int) {
	fo, log := ts.follow, &ts.log
	if log.class != volatile {
		switch {
		case e.At.Epoch == log.at.Epoch && e.At.Offset <= log.at.Offset:
			return 0
		case e.At.Epoch != log.at.Epoch || e.Prev > log.at.Offset:
			k.heal(ts)
			fo.hold(e)
			return 0
		}
		if log.class == latest {
			e.Prev = log.at.Offset
		}
	}
	ev := received(ts.topic, e, fo.family)
	if log.class != volatile {
		grown = log.take(ev, ev.kept)
	}
	ts.handAll(ev)
	return grown
}
