package postgres_test

import (
	"testing"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/enginetest"
	"github.com/kanava-go/kanava/engine/postgres"
)

func TestStoreSuite(t *testing.T) {
	b := backend(newServer(t, "-c", "fsync=off"))
	t.Run("stores", func(t *testing.T) { enginetest.RunStore(t, stores(b)) })
	t.Run("processes", func(t *testing.T) { enginetest.RunStateless(t, b, stores(b).New) })
}

// stores describes engines as stores.
func stores(b enginetest.Backend) enginetest.StoreBackend {
	return enginetest.StoreBackend{
		New: func(tb testing.TB) engine.Store {
			e := b.New(tb).(*postgres.Engine)
			run(tb, e)
			return e
		},
		Cut: func(tb testing.TB, s engine.Store) (heal func()) { return b.Cut(tb, s.(*postgres.Engine)) },
	}
}

func BenchmarkStore(b *testing.B) {
	enginetest.BenchStore(b, join(b, postgres.Options{URL: newServer(b).url()}))
}
