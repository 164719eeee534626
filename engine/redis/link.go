package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/rueidis"
)

// link is the way by which events come from one server. It has a connection of
// its own, and makes a new one when that is lost.
type link struct {
	e    *Engine
	addr string        // of the server in a cluster; "" if there is one server only
	work chan struct{} // takes one: there is something in todo
	stop context.CancelFunc

	// subs.mu of the engine guards these.
	conn *conn           // nil while there is none
	up   chan struct{}   // closed while there is one
	todo []*subscription // what is to be made or undone, apart from what is made with each connection
}

// conn is one connection of a link.
type conn struct {
	link       *link
	addr       string
	client     rueidis.DedicatedClient
	ended      <-chan error // takes one when the connection is lost
	gone       chan struct{}
	inflow     *inflow
	delivering sync.Mutex // held while the hub is given events that came by it

	probe  atomic.Pointer[string] // the channel that Probe sends by; nil if the server has no slots
	mu     sync.Mutex
	probes map[string]chan struct{} // guarded by mu; closed when what was sent comes
}

// lost tells whether a connection, which may be nil, is not its link's any more.
// The caller holds subs.mu.
func (c *conn) lost() bool { return c == nil || c.link.conn != c }

// run keeps a link connected until ctx ends.
func (l *link) run(ctx context.Context) {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		c, err := l.connect(ctx)
		if err == nil {
			l.e.trouble.Store(nil)
			l.serve(ctx, c)
			attempt = 0
		} else if ctx.Err() == nil {
			l.e.troubled(fmt.Errorf("subscriptions: %w", err))
		}
		l.e.links.look()
		if !l.e.pause(ctx, attempt) {
			return
		}
	}
}

var errNoServer = errors.New("the server is not known at present")

// node returns the server of a link.
func (l *link) node() (addr string, node rueidis.Client) {
	for addr, node := range l.e.client.Nodes() {
		if l.addr == "" || l.addr == addr {
			return addr, node
		}
	}
	return "", nil
}

// connect makes a connection.
func (l *link) connect(ctx context.Context) (*conn, error) {
	addr, node := l.node()
	if node == nil {
		return nil, errNoServer
	}
	client, _ := node.Dedicate()
	c := &conn{link: l, addr: addr, client: client, gone: make(chan struct{}), probes: make(map[string]chan struct{})}
	c.inflow = newInflow(c)
	c.ended = client.SetPubSubHooks(rueidis.PubSubHooks{
		OnMessage: c.inflow.push,
		OnSubscription: func(s rueidis.PubSubSubscription) {
			if s.Kind == "sunsubscribe" {
				c.sunsubscribed(s.Channel)
			}
		},
	})
	err := l.check(ctx, c)
	if err == nil {
		err = c.subscribeProbe(ctx)
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// check refuses a server that is too old, and warns of settings that lose data.
func (l *link) check(ctx context.Context, c *conn) error {
	info, err := c.client.Do(ctx, c.client.B().Info().Section("server", "memory").Build()).ToString()
	if err != nil {
		return err
	}
	version := infoField(info, "redis_version")
	major, _, _ := strings.Cut(version, ".")
	if n, err := strconv.Atoi(major); err == nil && n < 7 {
		return fmt.Errorf("server %s has Redis %s: 7 or newer is needed", c.addr, version)
	}
	if policy := infoField(info, "maxmemory_policy"); infoField(info, "maxmemory") != "0" && policy != "noeviction" && policy != "" {
		l.e.opts.Logger.Warn("redis: the server drops what it should keep when memory is short: topics lose their history then; set maxmemory-policy to noeviction",
			"server", c.addr, "maxmemory-policy", policy)
	}
	return nil
}

// infoField returns a field of what INFO returns.
func infoField(info, name string) string {
	_, rest, _ := strings.Cut(info, "\n"+name+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// serve uses a connection until it is lost or ctx ends.
func (l *link) serve(ctx context.Context, c *conn) {
	c.inflow.start()
	l.e.subs.mu.Lock()
	l.conn = c
	close(l.up)
	l.e.subs.mu.Unlock()
	l.e.reconcile()
	for lost := false; !lost; {
		if l.step(ctx, c) {
			select {
			case err := <-c.ended:
				lost = true
				l.ended(err)
			default:
				lost = ctx.Err() != nil
			}
			continue
		}
		select {
		case <-l.work:
			if c.probe.Load() == nil && c.subscribeProbe(ctx) != nil {
				lost = true
			}
		case err := <-c.ended:
			lost = true
			l.ended(err)
		case <-ctx.Done():
			lost = true
		}
	}
	l.e.subs.mu.Lock()
	l.conn = nil
	l.up = make(chan struct{})
	l.e.subs.mu.Unlock()
	c.close()
}

// ended notes why a connection has ended.
func (l *link) ended(err error) {
	if err == nil {
		err = errLost
	}
	l.e.troubled(fmt.Errorf("subscriptions: %w", err))
}

// close ends a connection. What has come by it is delivered before it returns,
// and nothing afterwards.
func (c *conn) close() {
	close(c.gone)
	c.inflow.end()
	c.client.Close()
}

// sunsubscribed takes what the server says when a subscription has ended.
func (c *conn) sunsubscribed(channel string) {
	if p := c.probe.Load(); p != nil && *p == channel {
		c.probe.Store(nil)
		wake(c.link.work)
		return
	}
	c.link.e.sunsubscribed(c, channel)
}

// change makes and undoes subscriptions. Errors are for each of them.
func (c *conn) change(ctx context.Context, ch change) (madeErrs, undoneErrs []error) {
	var commands rueidis.Commands
	var of [][]int // by command: those it is about
	group := func(list []*subscription, build func(channels []string) rueidis.Completed) {
		by := make(map[uint16]int) // a command is about one slot, unless there is one server
		first := len(of)
		var channels [][]string
		for i, s := range list {
			var slot uint16
			if c.link.e.cluster {
				slot = s.slot
			}
			n, ok := by[slot]
			if !ok {
				n = len(channels)
				by[slot] = n
				channels = append(channels, nil)
				of = append(of, nil)
			}
			channels[n] = append(channels[n], s.channel)
			of[first+n] = append(of[first+n], i)
		}
		for _, names := range channels {
			commands = append(commands, build(names))
		}
	}
	group(ch.undo, func(channels []string) rueidis.Completed {
		return c.client.B().Sunsubscribe().Channel(channels...).Build()
	})
	undos := len(of)
	group(ch.make, func(channels []string) rueidis.Completed {
		return c.client.B().Ssubscribe().Channel(channels...).Build()
	})
	madeErrs, undoneErrs = make([]error, len(ch.make)), make([]error, len(ch.undo))
	for n, result := range c.client.DoMulti(ctx, commands...) {
		errs := madeErrs
		if n < undos {
			errs = undoneErrs
		}
		for _, i := range of[n] {
			errs[i] = result.Error()
		}
	}
	return madeErrs, undoneErrs
}
