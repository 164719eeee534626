package redis_test

import (
	"testing"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/enginetest"
	"github.com/kanava-go/kanava/engine/redis"
)

func TestStoreSuite(t *testing.T) {
	t.Run("one server", func(t *testing.T) {
		enginetest.RunStore(t, stores(backend(newServer(t).addr, redis.Options{})))
	})
	t.Run("cluster", func(t *testing.T) {
		enginetest.RunStore(t, stores(backend("", redis.Options{Addrs: newCluster(t, 3, false).addrs()})))
	})
}

// stores describes engines as stores.
func stores(b enginetest.Backend) enginetest.StoreBackend {
	s := enginetest.StoreBackend{New: func(tb testing.TB) engine.Store {
		e := b.New(tb).(*redis.Engine)
		begin(tb, e)
		return e
	}}
	if b.Cut != nil {
		s.Cut = func(tb testing.TB, s engine.Store) (heal func()) { return b.Cut(tb, s.(*redis.Engine)) }
	}
	return s
}

func BenchmarkStore(b *testing.B) {
	enginetest.BenchStore(b, join(b, redis.Options{Addrs: []string{newServer(b).addr}}))
}
