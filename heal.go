package kanava

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/internal/form"
)

// This file is how a node gets what its engine has not delivered: once for all
// its subscribers (docs/protocol.md D4). While it does, what comes is held.

const (
	readMost  = 512 // events of one read
	checkTime = 64 * time.Second
)

// heal fetches what is missing, if nobody does already; ts.mu is held.
func (k *cluster) heal(ts *topicState) {
	fo := ts.follow
	if fo.healing != nil || !fo.live && fo.change == nil {
		return
	}
	fo.healing = make(chan struct{})
	if !k.run(func() { k.healing(ts) }) {
		close(fo.healing)
		fo.healing = nil
	}
}

// healing tries until it succeeds, or nobody follows the topic any more.
func (k *cluster) healing(ts *topicState) {
	fo := ts.follow
	ts.mu.Lock()
	again := fo.again
	ts.mu.Unlock()
	if again && !k.sleep(200*time.Millisecond) {
		return
	}
	for wait := 50 * time.Millisecond; ; {
		more, err := k.healSome(ts)
		switch {
		case err == nil && !more:
			return
		case err == nil:
			wait = 50 * time.Millisecond
			continue
		}
		ts.mu.Lock()
		over := ts.gone
		if over {
			close(fo.healing)
			fo.healing = nil
		}
		ts.mu.Unlock()
		if over || !k.sleep(wait/2+rand.N(wait)) { //nolint:gosec // spreads nodes
			return
		}
		wait = min(2*wait, 5*time.Second)
	}
}

// healSome reads once, and takes what it gets. It reports whether that was not
// all.
func (k *cluster) healSome(ts *topicState) (more bool, err error) {
	fo := ts.follow
	ts.mu.Lock()
	at := ts.log.at
	ts.mu.Unlock()
	ctx, cancel := limited(k.ctx, engineTime)
	defer cancel()
	page, err := k.engine.Read(ctx, fo.spec, engine.Position(at), readMost)
	if err != nil {
		return false, err
	}
	ts.mu.Lock()
	done := fo.healing
	grown := k.heals(ts, page)
	if !page.More {
		fo.healing = nil
		fo.dropStrange(ts.log.at, page.At)
		grown += k.takeHeld(ts) // begins another healing where something is missing still
	}
	ts.mu.Unlock()
	k.hub.retain(grown)
	if !page.More {
		close(done)
	}
	return page.More, nil
}

// dropStrange drops what would have a topic healed for ever: events of epochs that
// are not that of the engine, and those that it does not return though it knows
// of them. Once they are let through: an epoch can have begun after the reading.
func (fo *follow) dropStrange(at form.Position, read engine.Position) {
	strange := func(e engine.Event) bool {
		if e.At.Epoch != at.Epoch {
			return true
		}
		return e.At.Offset <= read.Offset && e.Prev > at.Offset
	}
	if !slices.ContainsFunc(fo.held, strange) {
		fo.again = false
		return
	}
	if fo.again {
		fo.held = slices.DeleteFunc(fo.held, strange)
	}
	fo.again = !fo.again
}

// heals takes what was read behind the end of the log; ts.mu is held.
func (k *cluster) heals(ts *topicState, page engine.Page) (grown int) {
	log := &ts.log
	if page.At.Epoch != log.at.Epoch || page.Lost {
		return k.restart(ts, page)
	}
	for _, e := range page.Events {
		if e.At.Offset <= log.at.Offset {
			continue
		}
		if log.class == latest {
			e.Prev = log.at.Offset
		}
		ev := received(ts.topic, e, ts.follow.family)
		grown += log.take(ev, ev.kept)
		ts.handAll(ev)
	}
	if log.class == latest && !page.More && page.At.Offset > log.at.Offset {
		log.at = form.Position(page.At)
	}
	return grown
}

// restart goes on where the engine can: events are lost. Subscribers are told
// where the topic stands, and what is kept there. ts.mu is held.
func (k *cluster) restart(ts *topicState, page engine.Page) (grown int) {
	fo, log := ts.follow, &ts.log
	from := log.at
	grown = -log.trim(0)
	log.at = form.Position(page.At)
	if log.class == recoverable && len(page.Events) > 0 {
		log.at.Offset = page.Events[0].Prev
	}
	if log.class == ordered {
		// As for clients: what is held already is not lost.
		for _, e := range fo.held {
			if e.At.Epoch == log.at.Epoch {
				log.at.Offset = min(log.at.Offset, e.Prev)
				if from.Epoch == log.at.Epoch {
					log.at.Offset = max(log.at.Offset, from.Offset)
				}
				break
			}
		}
	}
	for _, e := range page.Events {
		if log.class == latest {
			e.Prev = 0
		}
		ev := received(ts.topic, e, fo.family)
		grown += log.take(ev, ev.kept)
	}
	if n := len(page.Events); !page.More || n == 0 {
		if log.class != ordered && log.at.Offset < page.At.Offset {
			log.at = form.Position(page.At)
		}
	}
	if from == log.at {
		return grown
	}
	for _, sub := range ts.subs {
		sub.to.moved(sub, from)
	}
	return grown
}

// Resumed implements engine.Handler.
func (k *cluster) Resumed(topics ...string) {
	k.run(func() {
		k.hub.presences.refresh(k)
		if topics == nil {
			k.askAll(true)
			return
		}
		for part := range slices.Chunk(topics, positionsMost) {
			var known []*topicState
			for _, topic := range part {
				if ts := k.hub.known(topic); ts != nil {
					known = append(known, ts)
				}
			}
			k.ask(known, true, true)
		}
	})
}

// askAll asks where all topics stand, and heals those that are behind.
func (k *cluster) askAll(persist bool) {
	for i := range k.hub.shards {
		k.ask(k.followed(i), true, persist)
	}
}

// check asks from time to time where topics stand: an event that was lost as the
// last one of its topic is missed by nobody otherwise.
func (k *cluster) check() {
	for i := 0; ; i = (i + 1) % len(k.hub.shards) {
		if !k.sleep(checkTime / time.Duration(len(k.hub.shards))) {
			return
		}
		if i == 0 {
			k.hub.presences.refresh(k)
		}
		topics := k.followed(i)
		k.ask(topics, false, false)
		for _, ts := range topics {
			k.refreshFloors(ts)
		}
	}
}

// followed returns the topics of a shard that have positions.
func (k *cluster) followed(shard int) (all []*topicState) {
	sh := &k.hub.shards[shard]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for _, ts := range sh.topics {
		all = append(all, ts)
	}
	return all
}

const positionsMost = 512

// ask asks where topics stand, and heals those that are behind: now, or if they
// are at the next time as well, for what is on its way is not lost. To persist is
// to ask again until the engine answers.
func (k *cluster) ask(topics []*topicState, now, persist bool) {
	for part := range slices.Chunk(topics, positionsMost) {
		var asked []*topicState
		var specs []engine.Topic
		for _, ts := range part {
			ts.mu.Lock()
			if fo := ts.follow; fo != nil && fo.live && ts.log.class != volatile {
				asked, specs = append(asked, ts), append(specs, fo.spec)
			}
			ts.mu.Unlock()
		}
		if len(specs) == 0 {
			continue
		}
		for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
			ctx, cancel := limited(k.ctx, engineTime)
			at, err := k.engine.Positions(ctx, specs)
			cancel()
			if err == nil {
				for i, ts := range asked {
					k.compare(ts, at[i], now)
				}
				break
			}
			if !persist || !k.sleep(wait/2+rand.N(wait)) { //nolint:gosec // spreads nodes
				break
			}
		}
	}
}

// compare heals a topic that does not stand where its engine says.
func (k *cluster) compare(ts *topicState, at engine.Position, now bool) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	log, fo := &ts.log, ts.follow
	switch {
	case ts.gone || !fo.live:
	case at.Epoch != log.at.Epoch, now && at.Offset > log.at.Offset, fo.asked > log.at.Offset:
		fo.asked = 0
		k.heal(ts)
	default:
		fo.asked = at.Offset
	}
}

// reach makes the log of a Recoverable topic begin at a position at the latest,
// where that can be: who asks next for what followed finds it there. It fails
// only where the engine does.
func (k *cluster) reach(ctx context.Context, ts *topicState, from form.Position) error {
	fo := ts.follow
	ctx, cancel := limited(ctx, 2*engineTime)
	defer cancel()
	select {
	case fo.fetching <- struct{}{}:
		defer func() { <-fo.fetching }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ts.mu.Lock()
	at, begin := ts.log.at, ts.log.start()
	known := ts.log.class != recoverable || from.Epoch != at.Epoch || from.Offset >= begin.Offset
	var healing chan struct{}
	if known && from.Epoch == at.Epoch && from.Offset > at.Offset {
		k.heal(ts) // a client has heard more elsewhere
		healing = fo.healing
	}
	ts.mu.Unlock()
	if healing != nil {
		select {
		case <-healing:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if known {
		return nil
	}
	missing, err := k.between(ctx, fo.spec, engine.Position(from), engine.Position(begin))
	if err != nil || missing == nil {
		return err
	}
	events := make([]*event, len(missing))
	for i, e := range missing {
		events[i] = received(ts.topic, e, fo.family)
	}
	ts.mu.Lock()
	grown := ts.log.prepend(events)
	ts.mu.Unlock()
	k.hub.retain(grown)
	return nil
}

// between reads the events behind one position up to another; nil if they are
// not kept any more, or are too many for a cache.
func (k *cluster) between(ctx context.Context, spec engine.Topic, from, to engine.Position) (all []engine.Event, err error) {
	bytes := 0
	for from.Offset < to.Offset {
		page, err := k.engine.Read(ctx, spec, from, readMost)
		if err != nil {
			return nil, err
		}
		if page.Lost || page.At.Epoch != from.Epoch || len(page.Events) == 0 {
			return nil, nil
		}
		for _, e := range page.Events {
			if e.At.Offset <= to.Offset {
				all = append(all, e)
				bytes += keptCost + 3*len(e.Data)
			}
		}
		if bytes > k.hub.opts.History/8 {
			return nil, nil
		}
		from = page.Events[len(page.Events)-1].At
	}
	return all, nil
}

// fetch reads what followed a position, for one who asks for more than a cache
// should keep. It is false if that is not known.
func (k *cluster) fetch(ctx context.Context, ts *topicState, from form.Position, bytes int) (events []*event, ok bool, err error) {
	ctx, cancel := limited(ctx, engineTime)
	defer cancel()
	page, err := k.engine.Read(ctx, ts.follow.spec, engine.Position(from), readMost)
	if err != nil || page.Lost || page.At.Epoch != from.Epoch {
		return nil, false, err
	}
	for _, e := range page.Events {
		if bytes -= itemLeast + len(e.Data); bytes < 0 && len(events) > 0 {
			break
		}
		events = append(events, received(ts.topic, e, ts.follow.family))
	}
	return events, len(events) > 0, nil
}

// missed makes what followed a position known, as far as the subscriber may know
// of it: to the log or, where it is too much for that, as events that are
// returned, at most about bytes of them. ok is false if there are none, or where
// that is not known.
func (k *cluster) missed(ctx context.Context, sub *subscription, from form.Position, bytes int) (events []*event, ok bool, err error) {
	ts := sub.state
	if sub.floor != nil && from.Offset < sub.floor.from {
		return nil, false, nil
	}
	if err := k.reach(ctx, ts, from); err != nil {
		return nil, false, err
	}
	ts.mu.Lock()
	at, start := ts.log.at, ts.log.start()
	ts.mu.Unlock()
	if ts.log.class != recoverable || from.Epoch != at.Epoch || from.Offset >= start.Offset {
		return nil, false, nil
	}
	return k.fetch(ctx, ts, from, bytes)
}
