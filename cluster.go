package kanava

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/internal/form"
)

// This file is a hub that is joined with those of other nodes by an engine. What
// is published goes to the engine, and to subscribers when the engine delivers
// it, here as anywhere: one order for all. The log of a topic is a cache of its
// end then, which begins where somebody has subscribed here first.

const (
	engineTime  = 5 * time.Second // how long an engine may take for one thing
	probeTime   = 5 * time.Second // how often its connections are tried
	publishTime = 10 * time.Second
)

// cluster is what a hub with an engine has besides.
type cluster struct {
	hub    *EventHub
	engine engine.Engine
	node   string // names this process among those of the engine
	relay  *relay

	guest atomicFlag // the process may stand still at any time: it is no node, and only uses what the engine keeps
	turns turns      // of who publishes where events are also sent to Stores' connections
	begin sync.Once
	ctx   context.Context //nolint:containedctx // ends with the hub
	stop  context.CancelFunc

	mu      sync.Mutex
	running sync.WaitGroup           // Add is guarded by mu
	ended   bool                     // guarded by mu: nothing more is begun
	health  error                    // guarded by mu: of the last probe
	known   bool                     // guarded by mu: there was one
	forgets map[string]chan struct{} // guarded by mu: keys of floors that are being forgotten
}

func newCluster(h *EventHub, e engine.Engine) *cluster {
	ctx, stop := context.WithCancel(context.Background())
	k := &cluster{turns: newTurns(), hub: h, engine: e, node: rand.Text()[:10], ctx: ctx, stop: stop, forgets: make(map[string]chan struct{})}
	k.relay = newRelay(k)
	return k
}

// start connects when something is wanted of the engine for the first time:
// programs that only show their wiring touch no network.
func (k *cluster) start() {
	k.begin.Do(func() {
		k.engine.Start(k)
		if k.guest.isSet() {
			return
		}
		k.run(k.probe)
		k.run(k.check)
		k.relay.join()
	})
}

// run calls f on a goroutine that close waits for. It reports false if the hub
// is closed.
func (k *cluster) run(f func()) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ended {
		return false
	}
	k.running.Go(f)
	return true
}

// close ends the engine, and all that uses it.
func (k *cluster) close() {
	k.mu.Lock()
	k.ended = true
	k.mu.Unlock()
	k.stop()
	ctx, cancel := context.WithTimeout(context.Background(), engineTime)
	defer cancel()
	k.relay.leave(ctx)
	if err := k.engine.Close(ctx); err != nil && !errors.Is(err, engine.ErrClosed) {
		k.hub.opts.Logger.Warn("the engine was not closed in good order", "error", err)
	}
	k.running.Wait()
}

// sleep waits, and reports false if the hub is closed first.
func (k *cluster) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-k.ctx.Done():
		return false
	}
}

// limited bounds what an engine may take of the caller's time.
func limited(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, most)
}

// unavailable is the error for who wanted something that needs the engine.
func unavailable(err error, what string) error {
	if errors.Is(err, engine.ErrClosed) {
		return ErrClosed
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	e := Errorf(CodeUnavailable, "%s: the engine that joins the nodes does not answer", what)
	e.RetryAfter = time.Second
	return e.Because(err)
}

// publish hands an event to the engine. It comes back by Deliver.
func (k *cluster) publish(ctx context.Context, ev *event, f *family) error {
	k.start()
	ctx, cancel := limited(ctx, publishTime)
	defer cancel()
	if err := k.hand(ctx, ev, f); err != nil {
		return unavailable(err, "the event may not have been published")
	}
	k.hub.opts.Observer.Published(ev.topic, ev.size(), k.hub.subscribers(ev.topic))
	return nil
}

// hand gives an event to the engine and, where connections are kept in Stores, to
// those.
func (k *cluster) hand(ctx context.Context, ev *event, f *family) error {
	stateless := k.hub.stateless.reserve(ctx)
	if stateless == nil {
		return k.engine.Publish(ctx, specOf(ev.topic, f), ev.forEngine())
	}
	turn := k.turns.of(ev.topic)
	select {
	case turn <- struct{}{}: // whoever is first at the engine is first on the way
		defer func() { <-turn }()
	case <-ctx.Done():
		for _, rt := range stateless {
			rt.unreserve()
		}
		return ctx.Err()
	}
	stamped, published, err := k.engine.(engine.Stamper).PublishStamped(ctx, specOf(ev.topic, f), ev.forEngine())
	if err != nil || !published {
		for _, rt := range stateless {
			rt.unreserve()
		}
		return err
	}
	ev.at, ev.prev, ev.kept = form.Position(stamped.At), stamped.Prev, stamped.Time
	if f != nil && f.view != nil {
		ev.view, ev.views = f.view, f.view.cache()
	}
	for _, rt := range stateless {
		rt.publish(ctx, ev)
	}
	return nil
}

// specOf is a topic as the engine knows it; f is nil for one that no Topic has
// made.
func specOf(topic string, f *family) engine.Topic {
	t := engine.Topic{Name: topic}
	switch f.classOf() {
	case volatile:
		t.Class = engine.Volatile
	case latest:
		t.Class = engine.Latest
	case ordered:
		t.Class = engine.Ordered
	case recoverable:
		t.Class, t.Size, t.TTL = engine.Recoverable, f.size, f.ttl
	}
	return t
}

// forEngine returns an event as the engine gets it.
func (ev *event) forEngine() engine.Event {
	return engine.Event{ID: ev.id, Key: ev.key, Except: ev.except, Data: ev.data, Binary: ev.binary}
}

// received makes an event of what the engine has delivered.
func received(topic string, e engine.Event, f *family) *event {
	ev := &event{
		topic: topic, except: e.Except, key: e.Key, data: e.Data, binary: e.Binary,
		at: form.Position(e.At), prev: e.Prev, kept: e.Time, far: &farPayload{family: f},
	}
	if f != nil && f.view != nil {
		ev.view, ev.views = f.view, f.view.cache()
	}
	return ev
}

// probe sees to it that a connection which has fallen silent is noticed.
func (k *cluster) probe() {
	for {
		ctx, cancel := limited(k.ctx, engineTime)
		err := k.engine.Probe(ctx)
		cancel()
		if k.ctx.Err() != nil {
			return
		}
		if k.report(err); err != nil {
			k.askAll(false) // what has not come meanwhile is fetched
		}
		if !k.sleep(probeTime) {
			return
		}
	}
}

// report notes how the engine is, and tells it where that has changed.
func (k *cluster) report(err error) {
	k.mu.Lock()
	changed := !k.known || (k.health == nil) != (err == nil)
	first := !k.known
	k.health, k.known = err, true
	k.mu.Unlock()
	if !changed {
		return
	}
	switch {
	case err != nil:
		k.hub.opts.Logger.Error("the engine does not answer", "error", err)
	case !first:
		k.hub.opts.Logger.Info("the engine answers again")
	}
	k.hub.opts.Observer.EngineChanged(err)
}

// Ready returns nil if the hub can carry events: at once where it has no engine,
// else if the engine's connections were tried in the last seconds with success,
// and its error if not. It begins to connect, and waits for the first try until
// ctx ends. It is what a program answers a load balancer that asks whether the
// node is ready.
func (h *EventHub) Ready(ctx context.Context) error {
	if h.closed.isSet() {
		return ErrClosed
	}
	k := h.cluster
	if k == nil {
		return nil
	}
	k.start()
	for {
		k.mu.Lock()
		known, err := k.known, k.health
		k.mu.Unlock()
		if known {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-k.ctx.Done():
			return ErrClosed
		case <-time.After(10 * time.Millisecond):
		}
	}
}
