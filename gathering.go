package kanava

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// gatherTime is how long changes are gathered before they are told: the
	// members of a room that come all at once cost each subscriber a frame for
	// each such time, and not one for each member.
	gatherTime = 100 * time.Millisecond
	// presencePage is how many members a page has.
	presencePage = 200
	// presenceBytes bounds what a page and a frame tell of members.
	presenceBytes = 256 << 10
)

// gathering is who is present in one topic: what the owners' leases come to,
// and the subscribers who are told. It exists while there are any of them.
type gathering struct {
	of    *presence
	topic string
	view  atomic.Pointer[presenceView] // what is told; see look

	mu      sync.Mutex
	gone    bool                 // guarded by mu: there is another one of the topic, or none
	apart   bool                 // fixed: nobody else knows it, and it does not change
	members map[string]*attendee // guarded by mu
	order   []*attendee          // guarded by mu: members by id
	bytes   int                  // guarded by mu: of members
	watches []*presenceWatch     // guarded by mu
	timer   *time.Timer          // guarded by mu: runs while changes are gathered; nil otherwise
	far     *farGathering        // guarded by mu: of a hub with an engine
}

// attendee is one member, as all owners together have it.
type attendee struct {
	leases []lease // one of each owner
	memberNow
}

// memberNow is what is told of a member.
type memberNow struct {
	id   string
	n    int
	data []byte
}

// memberCost is what a member counts in bytes besides its id and data.
const memberCost = 32

func (m *memberNow) size() int { return memberCost + len(m.id) + len(m.data) }

// enter returns the gathering of a topic with its lock held. It is made if need
// be; without create it is nil if there is none.
func (p *presence) enter(topic string, create bool) *gathering {
	for {
		p.mu.Lock()
		g := p.gatherings[topic]
		if g == nil {
			if !create {
				p.mu.Unlock()
				return nil
			}
			g = newGathering(p, topic)
			p.gatherings[topic] = g
		}
		p.mu.Unlock()
		g.mu.Lock()
		if !g.gone {
			return g
		}
		g.mu.Unlock()
		p.forget(g)
	}
}

func newGathering(p *presence, topic string) *gathering {
	g := &gathering{of: p, topic: topic, members: make(map[string]*attendee)}
	g.view.Store(&presenceView{listed: true})
	return g
}

// leave gives the lock of enter back, and forgets a gathering that nobody needs.
// One that is followed at an engine is left first.
func (g *gathering) leave() {
	if g.far != nil {
		g.rest()
		g.mu.Unlock()
		return
	}
	g.gone = len(g.members) == 0 && len(g.watches) == 0 && g.timer == nil
	gone := g.gone
	g.mu.Unlock()
	if gone {
		g.of.forget(g)
	}
}

func (p *presence) forget(g *gathering) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gatherings[g.topic] == g {
		delete(p.gatherings, g.topic)
	}
}

// told takes a change of a lease.
func (ps *presences) told(l lease, gone bool) {
	p := ps.of(l.topic)
	if p == nil {
		return
	}
	g := p.enter(l.topic, true)
	defer g.leave()
	g.take(l, gone)
	g.tellSoon()
}

// of returns the presence of a topic, nil if there is none.
func (ps *presences) of(topic string) *presence {
	name, _, ok := strings.Cut(topic, ":")
	if !ok {
		return nil
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.named[name]
}

// tellSoon has subscribers told of what has changed; mu is held.
func (g *gathering) tellSoon() {
	if g.timer == nil && (len(g.watches) > 0 || len(g.of.hub.stateless.all()) > 0) {
		g.timer = time.AfterFunc(gatherTime, g.tell)
	}
}

// take merges a lease with those of other owners; g.mu is held.
func (g *gathering) take(l lease, gone bool) {
	a := g.members[l.member]
	if a == nil {
		if gone {
			return
		}
		a = &attendee{memberNow: memberNow{id: l.member}}
		g.members[l.member] = a
		at, _ := g.find(l.member)
		g.order = slices.Insert(g.order, at, a)
	} else {
		g.bytes -= a.size()
	}
	a.leases = slices.DeleteFunc(a.leases, func(x lease) bool { return x.owner == l.owner })
	if !gone {
		a.leases = append(a.leases, l)
	}
	if len(a.leases) == 0 {
		delete(g.members, l.member)
		at, _ := g.find(l.member)
		g.order = slices.Delete(g.order, at, at+1)
		return
	}
	a.merge()
	g.bytes += a.size()
}

// merge computes what the leases come to: the data is of the latest Join, of a
// connection that is there if any is.
func (a *attendee) merge() {
	best := a.leases[0]
	a.n = 0
	for _, l := range a.leases {
		a.n += l.n
		if c := cmp.Compare(min(l.n, 1), min(best.n, 1)); c > 0 || c == 0 && l.at > best.at {
			best = l
		}
	}
	a.n, a.data = max(a.n, 1), best.data
}

func (g *gathering) find(id string) (int, bool) {
	return slices.BinarySearchFunc(g.order, id, func(a *attendee, id string) int { return strings.Compare(a.id, id) })
}

// tell makes a new view, if anything has changed, and has the subscribers told.
func (g *gathering) tell() {
	g.mu.Lock()
	defer g.leave()
	g.timer = nil
	if g.far != nil && !g.far.ready {
		return // all that is there is told when it is known
	}
	if g.of.hub.cluster == nil && len(g.of.hub.stateless.all()) > 0 {
		defer g.of.hub.presenceChanged(g.topic)
	}
	if len(g.watches) > 0 && g.look() {
		for _, w := range g.watches {
			w.turn()
		}
	}
}

// roster is who is present in a topic, for one who reads it page by page.
type roster struct {
	of      *presence
	topic   string
	apart   *gathering // where nobody follows the topic: as it was at one moment
	release func()
}

// enter returns the gathering with its lock held, nil if there is nobody.
func (r *roster) enter() *gathering {
	if r.apart != nil {
		r.apart.mu.Lock()
		return r.apart
	}
	return r.of.enter(r.topic, false)
}

// page returns the members behind one, as many as a page has, and whether there
// are more.
func (r *roster) page(after string) (page []memberNow, more bool) {
	g := r.enter()
	if g == nil {
		return nil, false
	}
	defer g.leave()
	at, found := g.find(after)
	if found {
		at++
	}
	bytes := 0
	for ; at < len(g.order); at++ {
		m := g.order[at].memberNow
		bytes += m.size()
		if len(page) == presencePage || len(page) > 0 && bytes > presenceBytes {
			return page, true
		}
		page = append(page, m)
	}
	return page, false
}

func (r *roster) count() int {
	g := r.enter()
	if g == nil {
		return 0
	}
	defer g.leave()
	return len(g.order)
}
