package nats_test

import (
	"sync"
	"testing"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/enginetest"
	"github.com/kanava-go/kanava/engine/nats"
	"github.com/kanava-go/kanava/internal/badnet"
)

// TestSuite is what every engine passes, on one server.
func TestSuite(t *testing.T) {
	g := newSuiteGround(t, 1)
	enginetest.Run(t, enginetest.Backend{New: g.join, Cut: g.cut, Restart: g.restart, Wipe: g.wipe})
}

// TestSuiteCluster is the same on a cluster of three servers, each of which has a
// copy of everything. Engines are clients of one after the other.
func TestSuiteCluster(t *testing.T) {
	g := newSuiteGround(t, 3)
	enginetest.Run(t, enginetest.Backend{New: g.join, Cut: g.cut})
}

// TestHubs is that hubs keep their promises on one server, and on a cluster.
func TestHubs(t *testing.T) {
	g := newSuiteGround(t, 1)
	enginetest.RunHubs(t, enginetest.Backend{New: g.join, Cut: g.cut, Restart: g.restart})
}

func TestHubsCluster(t *testing.T) {
	g := newSuiteGround(t, 3)
	enginetest.RunHubs(t, enginetest.Backend{New: g.join, Cut: g.cut})
}

// suiteGround is servers, with a network to each engine.
type suiteGround struct {
	servers []*process

	mu       sync.Mutex // guards what follows
	engines  int
	networks map[engine.Engine]*badnet.Network
}

func newSuiteGround(t *testing.T, servers int) *suiteGround {
	return &suiteGround{servers: startServers(t, servers, ""), networks: make(map[engine.Engine]*badnet.Network)}
}

func (g *suiteGround) join(tb testing.TB) engine.Engine {
	tb.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	p := badnet.To(tb, g.servers[g.engines%len(g.servers)].address)
	g.engines++
	e, err := nats.New(nats.Options{URLs: []string{"nats://" + p.Addr()}, Keep: nats.Keeping{Replicas: len(g.servers)}, Logger: logger(tb)})
	if err != nil {
		tb.Fatal(err)
	}
	g.networks[e] = p
	return e
}

func (g *suiteGround) cut(_ testing.TB, e engine.Engine) (heal func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.networks[e]
	p.Fail(badnet.Fault{Cut: true})
	return p.Heal
}

func (g *suiteGround) restart(tb testing.TB, keepData bool) {
	tb.Helper()
	for _, s := range g.servers {
		s.tb = tb
		s.restart(keepData)
		s.wait()
	}
}

func (g *suiteGround) wipe(tb testing.TB) {
	tb.Helper()
	wipe(tb, g.servers[0])
}
