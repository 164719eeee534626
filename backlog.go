package kanava

import (
	"cmp"
	"context"
	"slices"
)

// This file shows an operator which clients are slow, and what that costs them.

// Dropped counts what was not sent because a client was slower than the events
// published for it.
type Dropped struct {
	Volatile    uint64 // events of [Volatile] topics that newer ones needed the room of
	Latest      uint64 // events of [Latest] topics that a newer one of their key replaced
	Recoverable uint64 // events of [Recoverable] topics that were behind; their clients are told, and ask for them
	Behind      uint64 // how often a topic came to be behind
}

func (d Dropped) plus(o Dropped) Dropped {
	return Dropped{d.Volatile + o.Volatile, d.Latest + o.Latest, d.Recoverable + o.Recoverable, d.Behind + o.Behind}
}

func (d Dropped) minus(o Dropped) Dropped {
	return Dropped{d.Volatile - o.Volatile, d.Latest - o.Latest, d.Recoverable - o.Recoverable, d.Behind - o.Behind}
}

// Backlog is what waits to be written to connections, and what was dropped.
type Backlog struct {
	Bytes   int     // that wait; each item counts 64 besides its own
	Items   int     // frames and events that wait
	Behind  int     // topics that are behind now
	Dropped Dropped // since the connection opened
}

// ConnBacklog is the backlog of one connection.
type ConnBacklog struct {
	ConnInfo
	Backlog
}

// TotalBacklog is the backlog of a server.
type TotalBacklog struct {
	Backlog        // what was dropped, by connections that have ended too
	Closed  uint64 // connections that ended with CloseSlowConsumer
}

// Backlog returns what waits for the connection with the given id, or
// CodeNotFound.
func (c *Conns) Backlog(ctx context.Context, id string) (Backlog, error) {
	found, err := c.Get(ctx, id)
	if err != nil {
		return Backlog{}, err
	}
	return found.conn().out.backlog(), nil
}

// Backlogs returns the connections for which at least the given number of bytes
// waits, those with the most first. It looks at every connection.
func (c *Conns) Backlogs(least int) []ConnBacklog {
	var list []ConnBacklog
	for x := range c.s.all() {
		if b := x.out.backlog(); b.Bytes >= least {
			list = append(list, ConnBacklog{ConnInfo{x.id.String(), x.def.name}, b})
		}
	}
	slices.SortFunc(list, func(a, b ConnBacklog) int { return cmp.Compare(b.Bytes, a.Bytes) })
	return list
}

// TotalBacklog returns what waits for all connections together. It looks at
// every connection.
func (c *Conns) TotalBacklog() TotalBacklog {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	total := c.s.past
	for i := range c.s.slots {
		for _, x := range c.s.slots[i].list {
			if x == nil {
				continue
			}
			b := x.out.backlog()
			total.Bytes += b.Bytes
			total.Items += b.Items
			total.Behind += b.Behind
			total.Dropped = total.Dropped.plus(b.Dropped)
		}
	}
	return total
}

// keepPast counts a connection that has ended; s.mu is held.
func (s *core) keepPast(c *conn) {
	s.past.Dropped = s.past.Dropped.plus(c.out.backlog().Dropped)
	if code, _ := c.closed(); code == CloseSlowConsumer {
		s.past.Closed++
	}
}

// tellDropped tells the observer what was dropped for the connection since the
// last time.
func (c *conn) tellDropped(d Dropped) {
	if d != (Dropped{}) {
		c.core.observer.Dropped(ConnInfo{c.id.String(), c.def.name}, d)
	}
}

// backlog returns what waits.
func (o *outbox) backlog() Backlog {
	o.mu.Lock()
	defer o.mu.Unlock()
	var b Backlog
	if w := o.waiting; w != nil {
		b.Bytes, b.Items = w.bytes, int(w.used)
	}
	if k := o.classes; k != nil {
		b.Behind, b.Dropped = len(k.behind), k.dropped
	}
	return b
}

// news returns what was dropped since it was called last.
func (o *outbox) news() (d Dropped) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if k := o.classes; k != nil {
		d, k.told = k.dropped.minus(k.told), k.dropped
	}
	return d
}
