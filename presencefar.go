package kanava

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/kanava-go/kanava/engine"
)

// This file keeps the leases of presences at an engine (docs/protocol.md D12). An
// entry goes into the engine's registry and, for those who watch, to a Volatile
// topic of its own. What an announcement fails to tell is found by reading the
// registry again.

const (
	presencePrefix = "\x01presence:" // of the topics and groups at the engine
	farWorkers     = 8               // entries that are sent at a time
	ownersTime     = 4 * time.Second // how often it is looked whose lease has ended
)

// farLeases keeps leases at an engine. Nobody waits for it: the newest lease of
// each entry is sent as soon as that can be.
type farLeases struct {
	k  *cluster
	ps *presences

	watching sync.Once // watchOwners runs

	mu      sync.Mutex
	owners  map[string]*farOwner     // guarded by mu: those of this node
	pending map[ownedEntry]*farLease // guarded by mu: what is to be sent, or being sent
	queue   fifo[ownedEntry]         // guarded by mu: of pending, what nobody sends yet
	workers int                      // guarded by mu
}

type ownedEntry struct {
	owner string
	entryOf
}

// farOwner is an owner of this node.
type farOwner struct {
	said  map[entryOf]farLease // guarded by farLeases.mu
	begun chan struct{}        // closed when the engine has its lease
}

// farLease is a lease as it is told to other nodes. A later one of the same entry
// has a higher version.
type farLease struct {
	lease
	version int64
	changed bool // of pending: since it was sent
}

// wireLease is a farLease in the registry, and in an announcement.
type wireLease struct {
	Member  string         `json:"m,omitzero"` // of announcements
	Owner   string         `json:"o,omitzero"`
	N       int            `json:"n"`
	At      int64          `json:"at"`
	Version int64          `json:"v"`
	Lasts   int64          `json:"ms,omitzero"`
	Data    jsontext.Value `json:"d"`
}

func newFarLeases(k *cluster, ps *presences) *farLeases {
	return &farLeases{k: k, ps: ps, owners: make(map[string]*farOwner), pending: make(map[ownedEntry]*farLease)}
}

// put implements leases. Who watches on this node is told at once.
func (f *farLeases) put(_ context.Context, l lease) error {
	f.k.start()
	f.mu.Lock()
	o := f.owner(l.owner)
	lease := farLease{lease: l, version: f.ps.tick(), changed: true}
	if l.n > 0 {
		o.said[l.entryOf] = lease
	} else {
		delete(o.said, l.entryOf)
	}
	f.send(lease)
	f.mu.Unlock()
	f.ps.toldFar(lease)
	return nil
}

// renew implements leases: from the first call on the lease is renewed until the
// hub is closed, and everything said again if it had ended.
func (f *farLeases) renew(_ context.Context, owner string) (held bool, err error) {
	f.k.start()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.owner(owner)
	return true, nil
}

// owner returns an owner of this node; f.mu is held.
func (f *farLeases) owner(id string) *farOwner {
	o := f.owners[id]
	if o == nil {
		o = &farOwner{said: make(map[entryOf]farLease), begun: make(chan struct{})}
		f.owners[id] = o
		f.k.run(func() { f.renewing(id, o) })
	}
	return o
}

func (f *farLeases) renewing(id string, o *farOwner) {
	doubt := false // a call that has failed may have begun another lease
	for first := true; ; {
		ctx, cancel := limited(f.k.ctx, engineTime)
		held, err := f.k.engine.Renew(ctx, id, leaseTime)
		cancel()
		wait := renewTime
		switch {
		case err != nil:
			doubt = true
			wait = time.Second/2 + rand.N(time.Second) //nolint:gosec // spreads nodes
		case first:
			first, doubt = false, false
			close(o.begun)
		case !held || doubt:
			doubt = false
			f.mu.Lock()
			for _, l := range o.said {
				f.send(l)
			}
			f.mu.Unlock()
		}
		if !f.k.sleep(wait) {
			return
		}
	}
}

// send has a lease sent, in the place of an older one that waits; f.mu is held.
func (f *farLeases) send(l farLease) {
	key := ownedEntry{l.owner, l.entryOf}
	if p := f.pending[key]; p != nil {
		*p = l
		p.changed = true
		return
	}
	l.changed = true
	f.pending[key] = &l
	f.queue.push(key)
	if f.workers < farWorkers && f.k.run(f.work) {
		f.workers++
	}
}

// work sends what waits, and ends when nothing does.
func (f *farLeases) work() {
	wait := 50 * time.Millisecond
	for {
		f.mu.Lock()
		if f.queue.len() == 0 || f.k.ctx.Err() != nil {
			f.workers--
			f.mu.Unlock()
			return
		}
		key := f.queue.pop()
		p := f.pending[key]
		p.changed = false
		l, o := *p, f.owners[key.owner]
		f.mu.Unlock()

		err := f.tell(l, o)

		f.mu.Lock()
		if err != nil || p.changed {
			p.changed = true
			f.queue.push(key)
		} else {
			delete(f.pending, key)
		}
		f.mu.Unlock()
		if err == nil {
			wait = 50 * time.Millisecond
		} else if !f.k.sleep(wait) {
			continue
		} else {
			wait = min(2*wait, 5*time.Second)
		}
	}
}

// tell puts a lease into the registry, and then announces it.
func (f *farLeases) tell(l farLease, o *farOwner) error {
	select {
	case <-o.begun: // an owner without a lease has no entries
	case <-f.k.ctx.Done():
		return f.k.ctx.Err()
	}
	ctx, cancel := limited(f.k.ctx, engineTime)
	defer cancel()
	wire := wireLease{N: l.n, At: l.at, Version: l.version, Lasts: l.lasts.Milliseconds(), Data: l.data}
	value, err := json.Marshal(wire)
	if err != nil {
		return err
	}
	group := presencePrefix + l.topic
	if err := f.k.engine.Put(ctx, engine.Entry{Group: group, Member: l.member, Owner: l.owner, Value: value, Lasts: l.lasts}); err != nil {
		return err
	}
	wire.Member, wire.Owner = l.member, l.owner
	if value, err = json.Marshal(wire); err != nil {
		return err
	}
	return f.k.engine.Publish(ctx, engine.Topic{Name: group}, engine.Event{Data: value})
}

// isOwn reports whether an owner is of this node, which knows its entries best.
func (f *farLeases) isOwn(owner string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.owners[owner] != nil
}

// watchOwners finds out whose leases have ended: those of nodes that have died.
func (f *farLeases) watchOwners() {
	var was map[string]bool
	for f.k.sleep(ownersTime) {
		ctx, cancel := limited(f.k.ctx, engineTime)
		owners, err := f.k.engine.Owners(ctx)
		cancel()
		if err != nil {
			continue
		}
		now := make(map[string]bool, len(owners))
		for _, o := range owners {
			now[o] = true
		}
		for o := range was {
			if !now[o] && !f.isOwn(o) {
				f.ps.vanished(o)
			}
		}
		was = now
	}
}

// announced reads an announcement of another node.
func announced(topic string, data []byte) (l farLease, ok bool) {
	var w wireLease
	if json.Unmarshal(data, &w) != nil || w.Member == "" || w.Owner == "" {
		return l, false
	}
	return w.lease(topic, w.Member, w.Owner), true
}

func (w *wireLease) lease(topic, member, owner string) farLease {
	return farLease{version: w.Version, lease: lease{
		entryOf: entryOf{topic, member}, owner: owner, n: w.N, at: w.At, data: w.Data, lasts: time.Duration(w.Lasts) * time.Millisecond,
	}}
}

// announced takes announcements of other nodes.
func (k *cluster) announced(topic string, events []engine.Event) {
	ps := &k.hub.presences
	leases := ps.far()
	for _, e := range events {
		if l, ok := announced(topic, e.Data); ok && !leases.isOwn(l.owner) {
			ps.toldFar(l)
		}
	}
}

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
func (p *presence) open(ctx context.Context, topic string) (release func(), err error) {
	k := p.hub.cluster
	if k == nil {
		return func() {}, nil
	}
	if p.hub.closed.isSet() {
		return nil, ErrClosed
	}
	if err := checkTopic(topic); err != nil {
		return nil, err
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
	release = func() {
		g.mu.Lock()
		far.pins--
		g.leave()
	}
	ctx, cancel := limited(ctx, 2*engineTime)
	defer cancel()
	select {
	case <-loaded:
		return release, nil
	case <-k.ctx.Done():
		err = ErrClosed
	case <-ctx.Done():
		err = unavailable(ctx.Err(), "who is there cannot be read")
	}
	release()
	return nil, err
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
