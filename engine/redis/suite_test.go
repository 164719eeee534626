package redis_test

import (
	"log/slog"
	"sync"
	"testing"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/enginetest"
	"github.com/kanava-go/kanava/engine/redis"
	"github.com/kanava-go/kanava/internal/badnet"
)

func TestSuite(t *testing.T) {
	t.Run("one server", func(t *testing.T) {
		s := newServer(t, "--appendonly", "yes", "--appendfsync", "always")
		b := backend(s.addr, redis.Options{})
		b.Restart = func(_ testing.TB, keepData bool) { s.restart(keepData) }
		b.Wipe = func(testing.TB) { s.do("FLUSHALL") }
		enginetest.Run(t, b)
	})
	t.Run("durable server", func(t *testing.T) {
		s := newServer(t, "--appendonly", "yes", "--appendfsync", "always")
		b := backend(s.addr, redis.Options{Durable: true})
		b.Restart = func(_ testing.TB, keepData bool) { s.restart(keepData) }
		enginetest.Run(t, b)
	})
	t.Run("cluster", func(t *testing.T) {
		c := newCluster(t, 3, false)
		b := backend("", redis.Options{Addrs: c.addrs()})
		b.Wipe = func(testing.TB) {
			for _, s := range c.masters {
				s.do("FLUSHALL")
			}
		}
		enginetest.Run(t, b)
	})
}

// TestHubs is that hubs keep their promises.
func TestHubs(t *testing.T) {
	t.Run("one server", func(t *testing.T) {
		s := newServer(t, "--appendonly", "yes", "--appendfsync", "always")
		b := backend(s.addr, redis.Options{})
		b.Restart = func(_ testing.TB, keepData bool) { s.restart(keepData) }
		enginetest.RunHubs(t, b)
	})
	t.Run("cluster", func(t *testing.T) {
		enginetest.RunHubs(t, backend("", redis.Options{Addrs: newCluster(t, 3, false).addrs()}))
	})
}

// networks are those of engines that come to a server through one each.
type networks struct{ by sync.Map }

func (ns *networks) of(e any) *badnet.Network {
	network, _ := ns.by.Load(e)
	return network.(*badnet.Network)
}

// engine returns one that comes to the server at addr through a network of its own,
// unless that is "".
func (ns *networks) engine(tb testing.TB, addr string, opts redis.Options) *redis.Engine {
	tb.Helper()
	opts.Logger = slog.New(slog.DiscardHandler)
	var network *badnet.Network
	if addr != "" {
		network = badnet.To(tb, addr)
		opts.Addrs = []string{network.Addr()}
	}
	e, err := redis.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	ns.by.Store(e, network)
	return e
}

// cut cuts the network of an engine.
func (ns *networks) cut(e any) (heal func()) {
	network := ns.of(e)
	network.Fail(badnet.Fault{Cut: true})
	return network.Heal
}

// backend describes engines to the suite, which come to the server at addr through
// networks, unless that is "".
func backend(addr string, opts redis.Options) enginetest.Backend {
	var all networks
	b := enginetest.Backend{New: func(tb testing.TB) engine.Engine { return all.engine(tb, addr, opts) }}
	if addr != "" {
		b.Cut = func(_ testing.TB, e engine.Engine) (heal func()) { return all.cut(e) }
	}
	return b
}
