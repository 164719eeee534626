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

// backend describes engines to the suite: each comes to the server at addr through
// a network of its own, unless that is "".
func backend(addr string, opts redis.Options) enginetest.Backend {
	opts.Logger = slog.New(slog.DiscardHandler)
	var networks sync.Map
	b := enginetest.Backend{New: func(tb testing.TB) engine.Engine {
		opts := opts
		var network *badnet.Network
		if addr != "" {
			network = badnet.To(tb, addr)
			opts.Addrs = []string{network.Addr()}
		}
		e, err := redis.New(opts)
		if err != nil {
			tb.Fatal(err)
		}
		networks.Store(engine.Engine(e), network)
		return e
	}}
	if addr != "" {
		b.Cut = func(tb testing.TB, e engine.Engine) (heal func()) {
			network, _ := networks.Load(e)
			p := network.(*badnet.Network)
			p.Fail(badnet.Fault{Cut: true})
			return p.Heal
		}
	}
	return b
}
