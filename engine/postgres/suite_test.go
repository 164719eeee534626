package postgres_test

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/enginetest"
	"github.com/kanava-go/kanava/engine/postgres"
	"github.com/kanava-go/kanava/internal/badnet"
)

func TestSuite(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	b := backend(s)
	b.Restart = func(_ testing.TB, keepData bool) { s.restart(keepData) }
	wipes := 0
	b.Wipe = func(tb testing.TB) {
		if wipes++; wipes%2 == 1 {
			s.wipe(tb, "DROP SCHEMA kanava CASCADE")
		} else {
			s.wipe(tb, "TRUNCATE kanava.ground, kanava.topics, kanava.events, kanava.latest, kanava.ids, kanava.owners, kanava.graves, kanava.entries, kanava.kept, kanava.tending")
		}
	}
	enginetest.Run(t, b)
}

// wipe runs a statement that locks all tables, one after the other. So does an
// engine that is at work. If each waits for what the other has, the server breaks
// one of them off, and that one tries again: an engine by itself, and whoever wipes.
func (s *server) wipe(tb testing.TB, statement string) {
	tb.Helper()
	const deadlock, tries = "40P01", 10
	for try := 1; ; try++ {
		_, err := s.try(statement)
		if err == nil {
			return
		}
		if failed, ok := errors.AsType[*pgconn.PgError](err); !ok || failed.Code != deadlock || try == tries {
			tb.Fatalf("%s: %v", statement, err)
		}
	}
}

// TestHubs is that hubs keep their promises.
func TestHubs(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	b := backend(s)
	b.Restart = func(_ testing.TB, keepData bool) { s.restart(keepData) }
	enginetest.RunHubs(t, b)
}

// networks are those of engines that come to a server through one each.
type networks struct {
	by     sync.Map
	number atomic.Int64
}

func (ns *networks) of(e any) *badnet.Network {
	network, _ := ns.by.Load(e)
	return network.(*badnet.Network)
}

// engine returns one that comes to the server through a network of its own.
func (ns *networks) engine(tb testing.TB, s *server) *postgres.Engine {
	tb.Helper()
	network := badnet.To(tb, s.addr)
	opts := postgres.Options{URL: urlAt(network.Addr()), Logger: slog.New(slog.DiscardHandler)}
	switch ns.number.Add(1) % 3 {
	case 1:
		opts.ListenURL = opts.URL // as behind a pooler
	case 2:
		opts.URL += "&default_query_exec_mode=exec" // as some ask for behind one
	}
	e, err := postgres.New(opts)
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

// backend describes engines to the suite.
func backend(s *server) enginetest.Backend {
	var all networks
	return enginetest.Backend{
		New: func(tb testing.TB) engine.Engine { return all.engine(tb, s) },
		Cut: func(_ testing.TB, e engine.Engine) (heal func()) { return all.cut(e) },
	}
}
