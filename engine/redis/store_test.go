package redis_test

import (
	"testing"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/enginetest"
	"github.com/kanava-go/kanava/engine/redis"
)

func TestStoreSuite(t *testing.T) {
	t.Run("one server", func(t *testing.T) {
		enginetest.RunStore(t, stores(newServer(t).addr, redis.Options{}))
	})
	t.Run("cluster", func(t *testing.T) {
		enginetest.RunStore(t, stores("", redis.Options{Addrs: newCluster(t, 3, false).addrs()}))
	})
}

// stores describes engines as stores, as backend does.
func stores(addr string, opts redis.Options) enginetest.StoreBackend {
	var all networks
	b := enginetest.StoreBackend{New: func(tb testing.TB) engine.Store {
		e := all.engine(tb, addr, opts)
		begin(tb, e)
		return e
	}}
	if addr != "" {
		b.Cut = func(_ testing.TB, s engine.Store) (heal func()) { return all.cut(s) }
		b.Lose = func(_ testing.TB, s engine.Store, id string, then func()) { all.of(s).LoseAnswerAfter(id, then) }
	}
	return b
}

func BenchmarkStore(b *testing.B) {
	enginetest.BenchStore(b, join(b, redis.Options{Addrs: []string{newServer(b).addr}}))
}
