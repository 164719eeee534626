package kanava

import "context"

// Vanish cuts a server off from the leases of its presences, as a node that was
// killed: neither renewals nor the ends of its connections come through. What it
// returns undoes that, as for a process that was stopped for a while.
func Vanish[Session any](s *Server[Session]) (back func()) {
	was := map[*presenceOwner]leases{}
	s.c.owners.Range(func(_, o any) bool {
		owner := o.(*presenceOwner)
		owner.mu.Lock()
		defer owner.mu.Unlock()
		was[owner], owner.leases = owner.leases, deaf{}
		return true
	})
	return func() {
		for owner, leases := range was {
			owner.mu.Lock()
			owner.leases = leases
			owner.mu.Unlock()
		}
	}
}

type deaf struct{}

func (deaf) put(context.Context, lease) error            { return nil }
func (deaf) renew(context.Context, string) (bool, error) { return true, nil }

// Gatherings returns how many topics of a presence are kept.
func Gatherings[M any](p *Presence[M]) int {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	return len(p.of.gatherings)
}

// TellNow has the subscribers of a topic told what has changed, without waiting
// for more. One who is nobody comes or goes before that.
func TellNow[M any](p *Presence[M], key string, nobody int) {
	topic := p.of.topic(key)
	p.of.hub.presences.told(lease{entryOf: entryOf{topic, "nobody"}, owner: "test", n: 1, data: []byte(`{}`)}, nobody == 0)
	g := p.of.enter(topic, true)
	g.timer.Stop()
	g.leave()
	g.tell()
}
