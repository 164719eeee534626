package kanava

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"
)

// This file is what one server says of its connections: it keeps one entry for
// each member, counts the connections in it, and renews its lease.

const (
	lingerTime = 5 * time.Second  // from the last connection of a member to its leaving
	leaseTime  = 60 * time.Second // how long entries last whose owner has vanished
	renewTime  = 20 * time.Second // how often an owner renews its lease
)

// presenceOwner is a server as the owner of entries on one hub.
type presenceOwner struct {
	id     string
	leases leases
	tick   func() int64

	mu      sync.Mutex
	said    map[entryOf]*ownEntry // guarded by mu
	renewal *time.Timer           // guarded by mu; nil while nothing is said
}

type entryOf struct{ topic, member string }

// ownEntry is what stands for one member: its connections, the latest Join last.
type ownEntry struct{ conns []entryConn }

type entryConn struct {
	c    *conn
	data []byte
	at   int64
}

// presenceOwner returns the server as an owner on a hub that has presences.
func (s *core) presenceOwner(h *EventHub) *presenceOwner {
	if o, ok := s.owners.Load(h); ok {
		return o.(*presenceOwner)
	}
	h.presences.mu.Lock()
	leases := h.presences.leases
	h.presences.mu.Unlock()
	o, _ := s.owners.LoadOrStore(h, &presenceOwner{id: rand.Text(), leases: leases, tick: h.presences.tick, said: make(map[entryOf]*ownEntry)})
	return o.(*presenceOwner)
}

// tick returns the time of a Join, by which the data of a member's connections
// are ordered: later than all before it in this process, and about the same on
// all nodes.
func (ps *presences) tick() int64 {
	for {
		last := ps.last.Load()
		now := max(time.Now().UnixNano(), last+1)
		if ps.last.CompareAndSwap(last, now) {
			return now
		}
	}
}

// join says that a connection of the member is there.
func (o *presenceOwner) join(ctx context.Context, topic, member string, c *conn, data []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	of := entryOf{topic, member}
	s := o.said[of]
	if s == nil {
		s = &ownEntry{}
		o.said[of] = s
	}
	s.remove(c)
	s.conns = append(s.conns, entryConn{c, data, o.tick()})
	if o.renewal == nil {
		if _, err := o.leases.renew(ctx, o.id); err != nil {
			return err
		}
		o.renewal = time.AfterFunc(renewTime, o.renew)
	}
	return o.leases.put(ctx, s.lease(o.id, of))
}

// part unsays join. The member stays for linger if that was the last one.
func (o *presenceOwner) part(topic, member string, c *conn, linger time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	of := entryOf{topic, member}
	s := o.said[of]
	if s == nil {
		return
	}
	l := s.lease(o.id, of)
	s.remove(c)
	if len(s.conns) > 0 {
		l = s.lease(o.id, of)
	} else {
		l.n, l.lasts = 0, linger
		delete(o.said, of)
	}
	_ = o.leases.put(context.Background(), l) // if it fails the lease ends all the same
	if len(o.said) == 0 && o.renewal != nil {
		o.renewal.Stop()
		o.renewal = nil
	}
}

// renew prolongs the owner's lease, or says everything again if that has ended
// meanwhile: the process may have been stopped.
func (o *presenceOwner) renew() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.renewal == nil {
		return
	}
	ctx := context.Background()
	if held, err := o.leases.renew(ctx, o.id); err == nil && !held {
		for of, s := range o.said {
			_ = o.leases.put(ctx, s.lease(o.id, of)) // the next renewal tries again
		}
	}
	o.renewal.Reset(renewTime)
}

func (s *ownEntry) remove(c *conn) {
	s.conns = slices.DeleteFunc(s.conns, func(x entryConn) bool { return x.c == c })
}

func (s *ownEntry) lease(owner string, of entryOf) lease {
	last := s.conns[len(s.conns)-1]
	return lease{entryOf: of, owner: owner, n: len(s.conns), data: last.data, at: last.at}
}
