package postgres_test

import (
	"testing"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/enginetest"
	"github.com/kanava-go/kanava/engine/postgres"
)

func TestStoreSuite(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	t.Run("stores", func(t *testing.T) { enginetest.RunStore(t, stores(s)) })
	t.Run("processes", func(t *testing.T) { enginetest.RunStateless(t, backend(s), stores(s).New) })
}

// stores describes engines as stores, as backend does.
func stores(s *server) enginetest.StoreBackend {
	var all networks
	return enginetest.StoreBackend{
		New: func(tb testing.TB) engine.Store {
			e := all.engine(tb, s)
			run(tb, e)
			return e
		},
		Cut:  func(_ testing.TB, s engine.Store) (heal func()) { return all.cut(s) },
		Lose: func(_ testing.TB, s engine.Store, id string, then func()) { all.of(s).LoseAnswerAfter(id, then) },
	}
}

func BenchmarkStore(b *testing.B) {
	enginetest.BenchStore(b, join(b, postgres.Options{URL: newServer(b).url()}))
}
