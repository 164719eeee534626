package enginetest

import (
	"context"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
)

// world is a ground of package memory on which engines are bent, or not.
type world struct {
	ground *memory.Backend
	bend   func(w *world, b *bent)
	hang   bool // a link that is cut hangs

	mu  sync.Mutex
	all []*bent        // guarded by mu
	has map[string]any // guarded by mu: what a mutant remembers, for all engines
}

// once returns what the world has for a name, after it was made.
func once[T any](w *world, name string, value T) T {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.has[name]; !ok {
		w.has[name] = value
	}
	return w.has[name].(T)
}

// first tells whether it is called for a name for the first time.
func (w *world) first(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.has[name]
	w.has[name] = true
	return !ok
}

// bent is an engine of package memory that breaks a rule: a function that is
// not nil stands for the method of this name.
type bent struct {
	*memory.Engine

	handler     engine.Handler
	deliver     func(topic string, events []engine.Event)
	resumed     func(topics ...string)
	publish     func(ctx context.Context, t engine.Topic, ev engine.Event) error
	stamp       func(ctx context.Context, t engine.Topic, ev engine.Event) (engine.Event, bool, error)
	subscribe   func(ctx context.Context, t engine.Topic) error
	unsubscribe func(t engine.Topic)
	positions   func(ctx context.Context, topics []engine.Topic) ([]engine.Position, error)
	read        func(ctx context.Context, t engine.Topic, since engine.Position, limit int) (engine.Page, error)
	probe       func(ctx context.Context) error
	end         func(ctx context.Context) error
	renew       func(ctx context.Context, owner string, ttl time.Duration) (bool, error)
	owners      func(ctx context.Context) ([]string, error)
	put         func(ctx context.Context, e engine.Entry) error
	entries     func(ctx context.Context, group string) iter.Seq2[engine.Entry, error]
	keep        func(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, error)
	forget      func(ctx context.Context, key string) error
}

func (b *bent) Start(h engine.Handler) {
	b.handler = h
	b.Engine.Start(bentHandler{b})
}

type bentHandler struct{ b *bent }

func (h bentHandler) Deliver(topic string, events []engine.Event) {
	if h.b.deliver != nil {
		h.b.deliver(topic, events)
		return
	}
	h.b.handler.Deliver(topic, events)
}

func (h bentHandler) Resumed(topics ...string) {
	if h.b.resumed != nil {
		h.b.resumed(topics...)
		return
	}
	h.b.handler.Resumed(topics...)
}

func or[F any](bent *F, straight F, is bool) F {
	if is {
		return *bent
	}
	return straight
}

func (b *bent) Publish(ctx context.Context, t engine.Topic, ev engine.Event) error {
	return or(&b.publish, b.Engine.Publish, b.publish != nil)(ctx, t, ev)
}

func (b *bent) PublishStamped(ctx context.Context, t engine.Topic, ev engine.Event) (engine.Event, bool, error) {
	return or(&b.stamp, b.Engine.PublishStamped, b.stamp != nil)(ctx, t, ev)
}

func (b *bent) Subscribe(ctx context.Context, t engine.Topic) error {
	return or(&b.subscribe, b.Engine.Subscribe, b.subscribe != nil)(ctx, t)
}

func (b *bent) Unsubscribe(t engine.Topic) {
	or(&b.unsubscribe, b.Engine.Unsubscribe, b.unsubscribe != nil)(t)
}

func (b *bent) Positions(ctx context.Context, topics []engine.Topic) ([]engine.Position, error) {
	return or(&b.positions, b.Engine.Positions, b.positions != nil)(ctx, topics)
}

func (b *bent) Read(ctx context.Context, t engine.Topic, since engine.Position, limit int) (engine.Page, error) {
	return or(&b.read, b.Engine.Read, b.read != nil)(ctx, t, since, limit)
}

func (b *bent) Probe(ctx context.Context) error {
	return or(&b.probe, b.Engine.Probe, b.probe != nil)(ctx)
}

func (b *bent) Close(ctx context.Context) error {
	return or(&b.end, b.Engine.Close, b.end != nil)(ctx)
}

func (b *bent) Renew(ctx context.Context, owner string, ttl time.Duration) (bool, error) {
	return or(&b.renew, b.Engine.Renew, b.renew != nil)(ctx, owner, ttl)
}

func (b *bent) Owners(ctx context.Context) ([]string, error) {
	return or(&b.owners, b.Engine.Owners, b.owners != nil)(ctx)
}

func (b *bent) Put(ctx context.Context, e engine.Entry) error {
	return or(&b.put, b.Engine.Put, b.put != nil)(ctx, e)
}

func (b *bent) Entries(ctx context.Context, group string) iter.Seq2[engine.Entry, error] {
	return or(&b.entries, b.Engine.Entries, b.entries != nil)(ctx, group)
}

func (b *bent) Keep(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, error) {
	return or(&b.keep, b.Engine.Keep, b.keep != nil)(ctx, key, value, ttl)
}

func (b *bent) Forget(ctx context.Context, key string) error {
	return or(&b.forget, b.Engine.Forget, b.forget != nil)(ctx, key)
}

// lab returns one for tests of the world.
func (w *world) lab() *lab { return &lab{b: w.backend()} }

// backend returns the world as the suite sees it.
func (w *world) backend() Backend {
	w.ground, w.has = memory.New(), make(map[string]any)
	engines := func() []*bent {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.all
	}
	return Backend{
		New: func(testing.TB) engine.Engine {
			b := &bent{Engine: w.ground.Engine()}
			if w.bend != nil {
				w.bend(w, b)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			w.all = append(w.all, b)
			return b
		},
		Cut: func(_ testing.TB, e engine.Engine) (heal func()) {
			b := e.(*bent)
			if w.hang {
				b.Hang()
			} else {
				b.Cut()
			}
			return b.Heal
		},
		Restart: func(_ testing.TB, keepData bool) {
			for _, b := range engines() {
				b.Cut()
			}
			if !keepData {
				w.ground.Wipe()
			}
			for _, b := range engines() {
				b.Heal()
			}
		},
		Wipe:     func(testing.TB) { w.ground.Wipe() },
		patience: 5 * time.Second,
		checks:   300,
	}
}
