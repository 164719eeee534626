package enginetest

import (
	"context"
	"errors"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
)

// storeWorld is a store of package memory that several processes use, bent or not.
type storeWorld struct {
	ground *memory.Store
	bend   func(w *storeWorld, b *bentStore)
	hang   bool // a link that is cut hangs

	mu  sync.Mutex
	has map[string]any // guarded by mu: what a mutant remembers, for all processes
}

// bentStore is a store that breaks a rule, as bent is an engine: a function that is
// not nil stands for the method of this name.
type bentStore struct {
	*memory.Store

	load    func(ctx context.Context, ids []string) ([]engine.Record, error)
	save    func(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error)
	remove  func(ctx context.Context, id string) (engine.Record, error)
	join    func(ctx context.Context, group, member string, ttl time.Duration) error
	leave   func(ctx context.Context, group, member string) error
	members func(ctx context.Context, group string) iter.Seq2[string, error]
	linked  func(ctx context.Context) error // nil: link

	mu    sync.Mutex
	cut   chan struct{} // guarded by mu; closed by heal; nil while the link is whole
	hang  bool
	lose  func() // guarded by mu; what happens before the next answer is lost; nil: it is not
	again bool   // what had no answer is tried again
}

// heard tells whether an answer is not lost.
func (b *bentStore) heard() bool {
	b.mu.Lock()
	then := b.lose
	b.lose = nil
	b.mu.Unlock()
	if then != nil {
		then()
	}
	return then == nil
}

var errLinkCut = errors.New("the link is cut")

// link returns when the link is whole, or why it is not.
func (b *bentStore) link(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	cut := b.cut
	b.mu.Unlock()
	switch {
	case cut == nil:
		return nil
	case !b.hang:
		return errLinkCut
	}
	select {
	case <-cut:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *bentStore) whole(ctx context.Context) error {
	return or(&b.linked, b.link, b.linked != nil)(ctx)
}

func (b *bentStore) Load(ctx context.Context, ids []string) ([]engine.Record, error) {
	if err := b.whole(ctx); err != nil {
		return nil, err
	}
	return or(&b.load, b.Store.Load, b.load != nil)(ctx, ids)
}

func (b *bentStore) Save(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
	if err := b.whole(ctx); err != nil {
		return 0, err
	}
	saved, err := or(&b.save, b.Store.Save, b.save != nil)(ctx, id, data, version, ttl)
	switch {
	case b.heard():
		return saved, err
	case b.again:
		return b.Save(ctx, id, data, version, ttl)
	}
	return 0, errLinkCut
}

func (b *bentStore) Delete(ctx context.Context, id string) (engine.Record, error) {
	if err := b.whole(ctx); err != nil {
		return engine.Record{}, err
	}
	was, err := or(&b.remove, b.Store.Delete, b.remove != nil)(ctx, id)
	switch {
	case b.heard():
		return was, err
	case b.again:
		return b.Delete(ctx, id)
	}
	return engine.Record{}, errLinkCut
}

func (b *bentStore) Join(ctx context.Context, group, member string, ttl time.Duration) error {
	if err := b.whole(ctx); err != nil {
		return err
	}
	return or(&b.join, b.Store.Join, b.join != nil)(ctx, group, member, ttl)
}

func (b *bentStore) Leave(ctx context.Context, group, member string) error {
	if err := b.whole(ctx); err != nil {
		return err
	}
	return or(&b.leave, b.Store.Leave, b.leave != nil)(ctx, group, member)
}

func (b *bentStore) Members(ctx context.Context, group string) iter.Seq2[string, error] {
	members := or(&b.members, b.Store.Members, b.members != nil)(ctx, group)
	return func(yield func(string, error) bool) {
		if err := b.whole(ctx); err != nil {
			yield("", err)
			return
		}
		members(yield)
	}
}

// onMembers changes each list of members.
func (b *bentStore) onMembers(change func(group string, all []string) []string) {
	b.members = func(ctx context.Context, group string) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			var all []string
			for m, err := range b.Store.Members(ctx, group) {
				if err != nil {
					yield("", err)
					return
				}
				all = append(all, m)
			}
			for _, m := range change(group, all) {
				if !yield(m, nil) {
					return
				}
			}
		}
	}
}

// rename has a store use other names for ids, groups and members; back undoes it for
// members.
func (b *bentStore) rename(id, group, member, back func(string) string) {
	b.load = func(ctx context.Context, ids []string) ([]engine.Record, error) {
		var all []string
		for _, i := range ids {
			all = append(all, id(i))
		}
		return b.Store.Load(ctx, all)
	}
	b.save = func(ctx context.Context, i string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
		return b.Store.Save(ctx, id(i), data, version, ttl)
	}
	b.remove = func(ctx context.Context, i string) (engine.Record, error) { return b.Store.Delete(ctx, id(i)) }
	b.join = func(ctx context.Context, g, m string, ttl time.Duration) error {
		return b.Store.Join(ctx, group(g), member(m), ttl)
	}
	b.leave = func(ctx context.Context, g, m string) error { return b.Store.Leave(ctx, group(g), member(m)) }
	b.members = func(ctx context.Context, g string) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for m, err := range b.Store.Members(ctx, group(g)) {
				if !yield(back(m), err) {
					return
				}
			}
		}
	}
}

// lab returns one for tests of the world.
func (w *storeWorld) lab() *lab {
	w.ground, w.has = memory.NewStore(), make(map[string]any)
	return &lab{stores: StoreBackend{
		New: func(testing.TB) engine.Store {
			b := &bentStore{Store: w.ground, hang: w.hang}
			if w.bend != nil {
				w.bend(w, b)
			}
			return b
		},
		Cut: func(_ testing.TB, s engine.Store) (heal func()) {
			b := s.(*bentStore)
			b.mu.Lock()
			defer b.mu.Unlock()
			cut := make(chan struct{})
			b.cut = cut
			return sync.OnceFunc(func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.cut = nil
				close(cut)
			})
		},
		Lose: func(_ testing.TB, s engine.Store, _ string, then func()) {
			b := s.(*bentStore)
			b.mu.Lock()
			defer b.mu.Unlock()
			b.lose = then
		},
		patience: 5 * time.Second,
		checks:   100,
	}}
}

// remembered returns what the world has for a name, after it was made.
func remembered[T any](w *storeWorld, name string, value T) T {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.has[name]; !ok {
		w.has[name] = value
	}
	return w.has[name].(T)
}
