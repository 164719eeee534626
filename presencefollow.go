package kanava

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava/engine"
)

// This file is how a presence is followed at an engine: what the registry has is read
// first, announcements change it, and it is read again where some may be missing.

// farGathering is a gathering as one that is followed at an engine.
// gathering.mu guards it.
type farGathering struct {
	pins    int           // reads, and subscriptions in the making
	loaded  chan struct{} // closed when what the registry has is known
	ready   bool          // it is closed
	leaving *time.Timer   // runs while nobody needs it
	going   chan struct{} // closed when it has been left; nil while nobody leaves it
	known   map[ownedEntry]farSeen
}

// farSeen is a lease that is known, or was.
type farSeen struct {
	version int64
	at      time.Time // when it was heard of
	ends    *time.Timer
}

// follow has a gathering loaded, and kept up to date; g.mu is held.
func (g *gathering) follow() {
	k := g.of.hub.cluster
	if k == nil || g.far != nil && (g.far.going != nil || g.far.loaded != nil) {
		return
	}
	if g.far == nil {
		g.far = &farGathering{known: make(map[ownedEntry]farSeen)}
	}
	g.far.loaded = make(chan struct{})
	k.start()
	k.run(func() { g.load(k) })
}

// needed reports whether somebody wants to know; g.mu is held.
func (g *gathering) needed() bool { return len(g.watches) > 0 || g.far.pins > 0 }

// load begins to follow a gathering, however long the engine is away.
func (g *gathering) load(k *cluster) {
	leases := g.of.hub.presences.far()
	leases.watching.Do(func() { k.run(leases.watchOwners) })
	spec := engine.Topic{Name: presencePrefix + g.topic}
	subscribed := false
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		ctx, cancel := limited(k.ctx, 2*engineTime)
		err := error(nil)
		if !subscribed {
			if err = k.engine.Subscribe(ctx, spec); err != nil {
				k.engine.Unsubscribe(spec)
			}
			subscribed = err == nil
		}
		if err == nil {
			err = g.reconcile(ctx, k)
		}
		cancel()
		if err == nil {
			break
		}
		if !k.sleep(wait/2 + rand.N(wait)) { //nolint:gosec // spreads nodes
			return
		}
	}
	g.mu.Lock()
	g.far.ready = true
	close(g.far.loaded)
	g.look()
	for _, w := range g.watches {
		w.turn()
	}
	g.leave()
}

// reconcile takes what the registry has of the gathering.
func (g *gathering) reconcile(ctx context.Context, k *cluster) error {
	began := time.Now()
	leases := g.of.hub.presences.far()
	there := make(map[ownedEntry]bool)
	for e, err := range k.engine.Entries(ctx, presencePrefix+g.topic) {
		if err != nil {
			return err
		}
		var w wireLease
		if json.Unmarshal(e.Value, &w) != nil {
			continue // of another version of the program
		}
		l := w.lease(g.topic, e.Member, e.Owner)
		if l.lasts > 0 { // from when it was put, about which the clocks of nodes agree
			l.lasts = min(max(l.lasts-time.Since(time.Unix(0, l.version)), time.Millisecond), l.lasts)
		}
		there[ownedEntry{l.owner, l.entryOf}] = true
		if !leases.isOwn(l.owner) {
			g.of.hub.presences.toldFar(l)
		}
	}
	g.mu.Lock()
	var gone []lease
	for _, a := range g.order {
		for _, l := range a.leases {
			key := ownedEntry{l.owner, l.entryOf}
			if !there[key] && g.far.known[key].at.Before(began) && !leases.isOwn(l.owner) {
				gone = append(gone, l)
			}
		}
	}
	g.lose(gone)
	g.mu.Unlock()
	leases.mu.Lock()
	var own []farLease
	for _, o := range leases.owners {
		for of, l := range o.said {
			if of.topic == g.topic {
				own = append(own, l)
			}
		}
	}
	leases.mu.Unlock()
	for _, l := range own {
		g.of.hub.presences.toldFar(l)
	}
	return nil
}

// lose takes out leases that have ended, and tells; g.mu is held.
func (g *gathering) lose(gone []lease) {
	for _, l := range gone {
		key := ownedEntry{l.owner, l.entryOf}
		if s := g.far.known[key]; s.ends != nil {
			s.ends.Stop()
		}
		delete(g.far.known, key)
		g.take(l, true)
	}
	if len(gone) > 0 {
		g.tellSoon()
	}
}

// far returns what keeps the leases of a hub that has an engine.
func (ps *presences) far() *farLeases {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.leases.(*farLeases)
}

// toldFar takes a lease that was heard of, if somebody wants to know.
func (ps *presences) toldFar(l farLease) {
	g := ps.gathering(l.topic)
	if g == nil {
		return
	}
	defer g.leave()
	if g.far == nil {
		return
	}
	key := ownedEntry{l.owner, l.entryOf}
	s := g.far.known[key]
	if s.version > l.version {
		return
	}
	if s.version == l.version {
		s.at = time.Now()
		g.far.known[key] = s
		return
	}
	if s.ends != nil {
		s.ends.Stop()
	}
	s = farSeen{version: l.version, at: time.Now()}
	if l.lasts > 0 {
		s.ends = time.AfterFunc(l.lasts, func() { ps.ended(l) })
	}
	g.far.known[key] = s
	g.take(l.lease, false)
	g.tellSoon()
}

// ended takes out a lease whose own end has come, unless there is a later one.
func (ps *presences) ended(l farLease) {
	g := ps.gathering(l.topic)
	if g == nil {
		return
	}
	defer g.leave()
	if g.far != nil && g.far.known[ownedEntry{l.owner, l.entryOf}].version == l.version {
		g.lose([]lease{l.lease})
	}
}

// vanished takes out what an owner whose lease has ended has said.
func (ps *presences) vanished(owner string) {
	for _, g := range ps.followed() {
		g.mu.Lock()
		var gone []lease
		for _, a := range g.order {
			for _, l := range a.leases {
				if l.owner == owner && l.lasts == 0 {
					gone = append(gone, l)
				}
			}
		}
		if g.far != nil {
			g.lose(gone)
		}
		g.leave()
	}
}

// gathering returns that of a topic with its lock held, nil if there is none.
func (ps *presences) gathering(topic string) *gathering {
	p := ps.of(topic)
	if p == nil {
		return nil
	}
	return p.enter(topic, false)
}

// followed returns the gatherings that are followed.
func (ps *presences) followed() (all []*gathering) {
	ps.mu.Lock()
	named := make([]*presence, 0, len(ps.named))
	for _, p := range ps.named {
		named = append(named, p)
	}
	ps.mu.Unlock()
	for _, p := range named {
		p.mu.Lock()
		for _, g := range p.gatherings {
			all = append(all, g)
		}
		p.mu.Unlock()
	}
	return all
}

// refresh reads the registry again for what is followed: announcements may have
// been lost.
func (ps *presences) refresh(k *cluster) {
	for part := range slices.Chunk(ps.followed(), 16) {
		var all sync.WaitGroup
		for _, g := range part {
			g.mu.Lock()
			ready := g.far != nil && g.far.ready && g.far.going == nil
			g.mu.Unlock()
			if !ready {
				continue
			}
			all.Go(func() {
				ctx, cancel := limited(k.ctx, engineTime)
				defer cancel()
				_ = g.reconcile(ctx, k) // the next one tries again
			})
		}
		all.Wait()
	}
}

// open makes the members of a topic known, until release is called.
func (p *presence) open(ctx context.Context, topic string) (who roster, err error) {
	who = roster{of: p, topic: topic, release: func() {}}
	k := p.hub.cluster
	if k == nil {
		return who, nil
	}
	if p.hub.closed.isSet() {
		return who, ErrClosed
	}
	if err := checkTopic(topic); err != nil {
		return who, err
	}
	if k.guest.isSet() {
		who.apart, err = p.snapshot(ctx, topic)
		return who, err
	}
	g := p.enter(topic, true)
	for g.far != nil && g.far.going != nil {
		going := g.far.going
		g.mu.Unlock()
		<-going // soon: nobody waits for the network to leave
		g = p.enter(topic, true)
	}
	g.follow()
	far := g.far
	far.pins++
	loaded := far.loaded
	g.mu.Unlock()
	who.release = func() {
		g.mu.Lock()
		far.pins--
		g.leave()
	}
	ctx, cancel := limited(ctx, 2*engineTime)
	defer cancel()
	select {
	case <-loaded:
		return who, nil
	case <-k.ctx.Done():
		err = ErrClosed
	case <-ctx.Done():
		err = unavailable(ctx.Err(), "who is there cannot be read")
	}
	who.release()
	return who, err
}

// rest has a gathering left that nobody needs, after a while; g.mu is held.
func (g *gathering) rest() {
	far := g.far
	if far.leaving == nil && far.ready && far.going == nil && !g.needed() {
		far.leaving = time.AfterFunc(followLinger, g.goAway)
	}
}

// goAway ends the following of a gathering, unless it is needed again.
func (g *gathering) goAway() {
	g.mu.Lock()
	far, k := g.far, g.of.hub.cluster
	far.leaving = nil
	if g.needed() {
		g.mu.Unlock()
		return
	}
	far.going = make(chan struct{})
	g.mu.Unlock()
	k.engine.Unsubscribe(engine.Topic{Name: presencePrefix + g.topic})
	g.mu.Lock()
	for _, s := range far.known {
		if s.ends != nil {
			s.ends.Stop()
		}
	}
	// A gathering that is needed again begins anew: changes were missed.
	g.far, g.members, g.order, g.bytes = nil, make(map[string]*attendee), nil, 0
	if len(g.watches) > 0 {
		g.follow()
	}
	close(far.going)
	g.leave()
}
