package kanava

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// lease is the entry of a member by one owner. It lasts as long as the owner
// renews its own lease, or for the time that it says.
type lease struct {
	entryOf
	owner string
	n     int           // connections; 0 if they have gone and the member lingers
	data  []byte        // of the latest Join of them
	at    int64         // when that was
	lasts time.Duration // 0: as long as the owner's lease
}

// leases is where the entries of a hub's presences are kept for all owners,
// which can be on several nodes. Whoever makes one gives it a function that is
// told of each change, in the order of the changes of an entry; it does not
// call back.
type leases interface {
	// put keeps the entry in the place of the former one by the same owner.
	put(ctx context.Context, l lease) error
	// renew makes the owner's lease end leaseTime from now. It reports false if
	// it has ended before: its entries are gone then. The first call begins it.
	renew(ctx context.Context, owner string) (held bool, err error)
}

// memoryLeases keeps leases in this process. One timer waits for the next end.
type memoryLeases struct {
	told func(l lease, gone bool)

	mu     sync.Mutex
	owners map[string]*leaseHolder // guarded by mu
	ends   leaseEnds               // guarded by mu: the entries that have an end of their own
	timer  *time.Timer             // guarded by mu; nil until needed
}

// leaseHolder is an owner. One whose lease has lapsed, or has not begun, is kept
// as long as it has entries, which then have an end of their own.
type leaseHolder struct {
	until   time.Time
	lapsed  bool
	entries map[entryOf]*heldLease
}

type heldLease struct {
	lease
	until time.Time // zero if it lasts as long as the owner's
	index int       // in ends
}

func newMemoryLeases(told func(l lease, gone bool)) *memoryLeases {
	return &memoryLeases{told: told, owners: make(map[string]*leaseHolder)}
}

func (m *memoryLeases) put(_ context.Context, l lease) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.holder(l.owner)
	if former := o.entries[l.entryOf]; former != nil && !former.until.IsZero() {
		heap.Remove(&m.ends, former.index)
	}
	h := &heldLease{lease: l}
	o.entries[l.entryOf] = h
	if o.lapsed && l.lasts == 0 {
		l.lasts = leaseTime // until it is renewed, and put again
	}
	if l.lasts > 0 {
		h.until = time.Now().Add(l.lasts)
		heap.Push(&m.ends, h)
		m.wait()
	}
	m.told(l, false)
	return nil
}

func (m *memoryLeases) renew(_ context.Context, owner string) (held bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.holder(owner)
	held = !o.lapsed
	o.until, o.lapsed = time.Now().Add(leaseTime), false
	m.wait()
	return held, nil
}

func (m *memoryLeases) holder(owner string) *leaseHolder {
	o := m.owners[owner]
	if o == nil {
		o = &leaseHolder{lapsed: true, entries: make(map[entryOf]*heldLease)}
		m.owners[owner] = o
	}
	return o
}

// wait sets the timer to the next end; m.mu is held.
func (m *memoryLeases) wait() {
	var next time.Time
	if len(m.ends) > 0 {
		next = m.ends[0].until
	}
	for _, o := range m.owners {
		if !o.lapsed && (next.IsZero() || o.until.Before(next)) {
			next = o.until
		}
	}
	switch {
	case next.IsZero():
	case m.timer == nil:
		m.timer = time.AfterFunc(time.Until(next), m.sweep)
	default:
		m.timer.Reset(time.Until(next))
	}
}

// sweep takes out what has ended.
func (m *memoryLeases) sweep() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for len(m.ends) > 0 && !m.ends[0].until.After(now) {
		h := heap.Pop(&m.ends).(*heldLease)
		delete(m.owners[h.owner].entries, h.entryOf)
		m.told(h.lease, true)
	}
	for id, o := range m.owners {
		if !o.lapsed && !o.until.After(now) {
			o.lapsed = true
			for of, h := range o.entries {
				if h.until.IsZero() {
					delete(o.entries, of)
					m.told(h.lease, true)
				}
			}
		}
		if o.lapsed && len(o.entries) == 0 {
			delete(m.owners, id)
		}
	}
	m.wait()
}

// leaseEnds is a heap: the first ends first.
type leaseEnds []*heldLease

func (e *leaseEnds) Len() int           { return len(*e) }
func (e *leaseEnds) Less(i, j int) bool { return (*e)[i].until.Before((*e)[j].until) }
func (e *leaseEnds) Swap(i, j int) {
	h := *e
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (e *leaseEnds) Push(x any) {
	h := x.(*heldLease)
	h.index = len(*e)
	*e = append(*e, h)
}

// Pop implements heap.Interface.
func (e *leaseEnds) Pop() any {
	last := len(*e) - 1
	h := (*e)[last]
	(*e)[last] = nil
	*e = (*e)[:last]
	return h
}
