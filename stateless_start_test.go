package kanava_test

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/transport/transporttest"
)

// startedEngine is an engine that is the Store, too, and does nothing before it is started.
type startedEngine struct {
	*memory.Engine
	engine.Store
	started atomic.Bool
}

var errNotStarted = errors.New("not started")

func (e *startedEngine) Start(h engine.Handler) {
	e.started.Store(true)
	e.Engine.Start(h)
}

func (e *startedEngine) Load(ctx context.Context, ids []string) ([]engine.Record, error) {
	if !e.started.Load() {
		return nil, errNotStarted
	}
	return e.Store.Load(ctx, ids)
}

func (e *startedEngine) Save(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
	if !e.started.Load() {
		return 0, errNotStarted
	}
	return e.Store.Save(ctx, id, data, version, ttl)
}

func (e *startedEngine) Delete(ctx context.Context, id string) (engine.Record, error) {
	if !e.started.Load() {
		return engine.Record{}, errNotStarted
	}
	return e.Store.Delete(ctx, id)
}

// The first event of a process, of whatever kind, starts an engine that is the Store.
func TestStatelessStartsTheEngine(t *testing.T) {
	ground, store := memory.New(), memory.NewStore()
	process := func() *kanava.Stateless {
		e := &startedEngine{Engine: ground.Engine(), Store: store}
		hub := kanava.NewEventHub(kanava.HubOptions{Engine: e, Logger: slog.New(slog.DiscardHandler)})
		t.Cleanup(hub.Close)
		srv := kanava.NewServer(kanava.Options[kanava.None]{EventHub: hub})
		srv.Wire(kanava.Wiring[kanava.None, kanava.None]{Name: "test", Route: "/test", Public: true})
		rt := srv.Stateless(kanava.StatelessOptions{Store: e, Platform: transporttest.NewGateway(t, false), TellsConnected: true})
		if e.started.Load() {
			t.Error("it is started before it is needed")
		}
		return rt
	}
	ctx := t.Context()
	if _, err := process().Connect(ctx, "c", &kanava.OpenRequest{URL: &url.URL{Path: "/test"}}); err != nil {
		t.Errorf("Connect: %v", err)
	}
	for name, err := range map[string]error{
		"Connected":  process().Connected(ctx, "c"),
		"Message":    process().Message(ctx, "c", []byte("{}"), false, nil),
		"Disconnect": process().Disconnect(ctx, "c", kanava.CloseNormal, ""),
	} {
		if errors.Is(err, errNotStarted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
