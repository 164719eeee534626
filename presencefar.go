package kanava

import (
	"context"
	"math/rand/v2"
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

// tell has a lease kept whose owner is of this node.
func (f *farLeases) tell(l farLease, o *farOwner) error {
	select {
	case <-o.begun: // an owner without a lease has no entries
	case <-f.k.ctx.Done():
		return f.k.ctx.Err()
	}
	ctx, cancel := limited(f.k.ctx, engineTime)
	defer cancel()
	if err := f.k.keepLease(ctx, l); err != nil {
		return err
	}
	f.k.hub.presenceChanged(l.topic)
	return nil
}

// keepLease puts a lease into the registry, and then announces it.
func (k *cluster) keepLease(ctx context.Context, l farLease) error {
	wire := wireLease{N: l.n, At: l.at, Version: l.version, Lasts: l.lasts.Milliseconds(), Data: l.data}
	value, err := json.Marshal(wire)
	if err != nil {
		return err
	}
	group := presencePrefix + l.topic
	if err := k.engine.Put(ctx, engine.Entry{Group: group, Member: l.member, Owner: l.owner, Value: value, Lasts: l.lasts}); err != nil {
		return err
	}
	wire.Member, wire.Owner = l.member, l.owner
	if value, err = json.Marshal(wire); err != nil {
		return err
	}
	return k.engine.Publish(ctx, engine.Topic{Name: group}, engine.Event{Data: value})
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
