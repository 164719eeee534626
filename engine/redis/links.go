package redis

import (
	"context"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/redis/rueidis"
)

// lookTime is how often engines look which servers there are, if nothing makes
// them look before.
const lookTime = 5 * time.Second

// links are the ways by which events come: one from each server that has slots.
type links struct {
	kick  chan struct{} // takes one: look now
	table atomic.Pointer[table]

	mu  sync.Mutex
	all map[string]*link // guarded by mu; by address
}

// table says which link has which slot.
type table struct {
	one  *link // there is one server only
	each [slots]*link
}

// of returns the link that has a slot, nil if it is not known.
func (ls *links) of(slot uint16) *link {
	switch t := ls.table.Load(); {
	case t == nil:
		return nil
	case t.one != nil:
		return t.one
	default:
		return t.each[slot]
	}
}

// look makes the engine look which servers there are.
func (ls *links) look() { wake(ls.kick) }

func (ls *links) list() []*link {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	list := make([]*link, 0, len(ls.all))
	for _, l := range ls.all {
		list = append(list, l)
	}
	return list
}

// await waits until it is known which links there are.
func (ls *links) await(ctx context.Context, e *Engine) error {
	for attempt := 0; ls.table.Load() == nil; attempt++ {
		if !e.pause(ctx, min(attempt, 3)) {
			if ctx.Err() == nil {
				return engine.ErrClosed
			}
			return e.because(ctx.Err())
		}
	}
	return nil
}

// watch keeps links to the servers that there are, until ctx ends.
func (e *Engine) watch(ctx context.Context) {
	if !e.cluster {
		l := e.link(ctx, "")
		e.links.table.Store(&table{one: l})
	}
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	for {
		if e.cluster {
			e.lookAtCluster(ctx)
		} else {
			e.lookAtServer()
		}
		e.reconcile()
		if !e.pause(ctx, 3) { // not all the time, whatever happens
			return
		}
		select {
		case <-tick.C:
		case <-e.links.kick:
		case <-ctx.Done():
			return
		}
	}
}

// link makes a link and starts it.
func (e *Engine) link(ctx context.Context, addr string) *link {
	l := &link{e: e, addr: addr, work: make(chan struct{}, 1), up: make(chan struct{})}
	ctx, l.stop = context.WithCancel(ctx)
	e.links.mu.Lock()
	e.links.all[addr] = l
	e.links.mu.Unlock()
	e.spawn(func() { l.run(ctx) })
	return l
}

// lookAtServer gives up a connection to a server whose place another has taken.
func (e *Engine) lookAtServer() {
	l := e.links.of(0)
	addr, _ := l.node()
	e.subs.mu.RLock()
	c := l.conn
	e.subs.mu.RUnlock()
	if c != nil && c.addr != addr {
		c.client.Close()
	}
}

// lookAtCluster asks which server has which slots.
func (e *Engine) lookAtCluster(ctx context.Context) {
	owners, err := e.slotOwners(ctx)
	if err != nil {
		if ctx.Err() == nil {
			e.troubled(err)
		}
		return
	}
	next := &table{}
	live := make(map[string]*link)
	for slot, addr := range owners {
		if addr == "" {
			continue
		}
		if live[addr] == nil {
			e.links.mu.Lock()
			live[addr] = e.links.all[addr]
			e.links.mu.Unlock()
			if live[addr] == nil {
				live[addr] = e.link(ctx, addr)
			}
		}
		next.each[slot] = live[addr]
	}
	e.links.table.Store(next)
	for _, l := range e.links.list() {
		if live[l.addr] == nil {
			e.links.mu.Lock()
			delete(e.links.all, l.addr)
			e.links.mu.Unlock()
			l.stop()
			continue
		}
		wake(l.work) // it may have slots now and need a channel to probe
	}
}

// view is what a server of a cluster says of it.
type view struct {
	owners []string // by slot: the address of the server that has it
	epoch  int      // grows with each change
	err    error
}

// slotOwners returns the address of the server that has each slot, as the server
// sees it that knows of the latest change: one that has been cut off from the
// others believes that nothing has changed.
func (e *Engine) slotOwners(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, replyTime)
	defer cancel()
	nodes := e.client.Nodes()
	views := make(chan view, len(nodes))
	for addr, node := range nodes {
		if !e.spawn(func() { views <- look(ctx, addr, node) }) {
			return nil, engine.ErrClosed
		}
	}
	best := view{err: errNoServer}
	var enough <-chan time.Time
	for range nodes {
		select {
		case v := <-views:
			if best.owners == nil || v.owners != nil && v.epoch > best.epoch {
				best = v
			}
			if best.owners != nil && enough == nil {
				enough = time.After(time.Second) // others answer as soon, or are away
			}
			continue
		case <-enough:
		case <-ctx.Done():
		}
		break
	}
	if best.owners == nil && best.err == nil {
		best.err = errNoServer
	}
	return best.owners, best.err
}

// look asks a server what it knows of its cluster.
func look(ctx context.Context, addr string, node rueidis.Client) (v view) {
	answers := node.DoMulti(ctx, node.B().ClusterInfo().Build(), node.B().ClusterSlots().Build())
	info, err := answers[0].ToString()
	if err != nil {
		return view{err: err}
	}
	ranges, err := answers[1].ToArray()
	if err != nil {
		return view{err: err}
	}
	v.epoch, _ = strconv.Atoi(infoField("\n"+info, "cluster_current_epoch"))
	v.owners = parseSlots(addr, ranges)
	return v
}

// parseSlots reads what CLUSTER SLOTS has returned at addr; nil if that knows
// no server.
func parseSlots(addr string, ranges []rueidis.RedisMessage) (owners []string) {
	own, _, _ := net.SplitHostPort(addr)
	for _, r := range ranges {
		m, _ := r.ToArray()
		if len(m) < 3 {
			continue
		}
		from, _ := m[0].AsInt64()
		to, _ := m[1].AsInt64()
		server, _ := m[2].ToArray()
		if len(server) < 2 || from < 0 || to >= slots {
			continue
		}
		host, _ := server[0].ToString()
		port, _ := server[1].AsInt64()
		switch host {
		case "":
			host = own
		case "?":
			continue
		}
		if owners == nil {
			owners = make([]string, slots)
		}
		for slot := from; slot <= to; slot++ {
			owners[slot] = net.JoinHostPort(host, strconv.FormatInt(port, 10))
		}
	}
	return owners
}
