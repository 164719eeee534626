package dynamodb_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/dynamodb"
	"github.com/kanava-go/kanava/engine/enginetest"
)

func TestSuite(t *testing.T) {
	s := newServer(t)
	b := backend(s)
	b.Restart = func(_ testing.TB, keepData bool) { s.restart(keepData) }
	b.Wipe = func(testing.TB) { s.wipe() }
	enginetest.Run(t, b)
}

// TestHubs is that hubs keep their promises.
func TestHubs(t *testing.T) {
	s := newServer(t)
	b := backend(s)
	b.Restart = func(_ testing.TB, keepData bool) { s.restart(keepData) }
	enginetest.RunHubs(t, b)
}

// TestStateless is that processes without connections and a node hear of each other.
func TestStateless(t *testing.T) {
	s := newServer(t)
	enginetest.RunStateless(t, backend(s), func(tb testing.TB) engine.Store { return storeBy(tb, clientBy(newNetwork(tb), s.addr)) })
}

func TestStoreSuite(t *testing.T) {
	s := newServer(t)
	var mu sync.Mutex // guards networks
	networks := make(map[engine.Store]*network)
	enginetest.RunStore(t, enginetest.StoreBackend{
		New: func(tb testing.TB) engine.Store {
			n := newNetwork(tb)
			st := storeBy(tb, clientBy(n, s.addr))
			mu.Lock()
			defer mu.Unlock()
			networks[st] = n
			return st
		},
		Cut: func(_ testing.TB, st engine.Store) (heal func()) {
			mu.Lock()
			defer mu.Unlock()
			return networks[st].cut()
		},
		Lose: func(_ testing.TB, st engine.Store, id string, then func()) {
			mu.Lock()
			defer mu.Unlock()
			networks[st].losesOf("r#"+id, then)
		},
	})
}

// node is an engine with a network of its own.
type node struct {
	*dynamodb.Engine

	network *network
}

func newNode(tb testing.TB, s *server, poll time.Duration) *node {
	tb.Helper()
	n := newNetwork(tb)
	e, err := dynamodb.New(dynamodb.Options{
		Client: clientBy(n, s.addr), Table: tableName, Poll: poll, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return &node{e, n}
}

// Close also closes the connections of the client, as a program would.
func (n *node) Close(ctx context.Context) error {
	defer n.network.to.CloseIdleConnections()
	return n.Engine.Close(ctx)
}

// backend describes engines to the suite.
func backend(s *server) enginetest.Backend {
	return enginetest.Backend{
		New: func(tb testing.TB) engine.Engine { return newNode(tb, s, 10*time.Millisecond) },
		Cut: func(_ testing.TB, e engine.Engine) (heal func()) { return e.(*node).network.cut() },
	}
}
