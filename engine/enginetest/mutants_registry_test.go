package enginetest

import (
	"context"
	"crypto/rand"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/kanava-go/kanava/engine"
)

const (
	leases     = "D12 a lease is held as long as it is renewed"
	lapses     = "D12 the entries of a lease that has lapsed"
	ownersOf   = "D12 the leases of owners are apart"
	replaces   = "D12 an entry takes the place"
	entryLasts = "D12 an entry that Lasts ends"
	listing    = "D12 all entries of a group"
	values     = "D12 values of entries"
	keeps      = "Keep keeps the first value"
	keepsAtOne = "Keep of many nodes at once"
	keepEnds   = "what Keep keeps ends"
)

// onEntry changes each entry that is put.
func onEntry(change func(e *engine.Entry)) func(*world, *bent) {
	return func(_ *world, b *bent) {
		b.put = func(ctx context.Context, e engine.Entry) error {
			change(&e)
			return b.Engine.Put(ctx, e)
		}
	}
}

// onList changes each list of entries.
func (b *bent) onList(change func([]engine.Entry) []engine.Entry) {
	b.entries = func(ctx context.Context, group string) iter.Seq2[engine.Entry, error] {
		return func(yield func(engine.Entry, error) bool) {
			var all []engine.Entry
			for e, err := range b.Engine.Entries(ctx, group) {
				if err != nil {
					yield(e, err)
					return
				}
				all = append(all, e)
			}
			for _, e := range change(all) {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// onRenew changes what Renew does.
func onRenew(f func(w *world, b *bent, ctx context.Context, owner string, ttl time.Duration) (bool, error)) func(*world, *bent) {
	return func(w *world, b *bent) {
		b.renew = func(ctx context.Context, owner string, ttl time.Duration) (bool, error) {
			return f(w, b, ctx, owner, ttl)
		}
	}
}

// Mutants that keep what nodes say wrongly.
var registryMutants = []mutant{
	{name: "a lapse is not noticed", found: []string{leases, lapses}, bend: onRenew(func(w *world, b *bent, ctx context.Context, owner string, ttl time.Duration) (bool, error) {
		_, err := b.Engine.Renew(ctx, owner, ttl)
		return !w.first(owner), err
	})},
	{name: "the first lease is held", found: []string{leases}, bend: onRenew(func(_ *world, b *bent, ctx context.Context, owner string, ttl time.Duration) (bool, error) {
		_, err := b.Engine.Renew(ctx, owner, ttl)
		return true, err
	})},
	{name: "no lease is held", found: []string{leases}, bend: onRenew(func(_ *world, b *bent, ctx context.Context, owner string, ttl time.Duration) (bool, error) {
		_, err := b.Engine.Renew(ctx, owner, ttl)
		return false, err
	})},
	{name: "a lease is not renewed", found: []string{leases}, bend: onRenew(func(w *world, b *bent, ctx context.Context, owner string, ttl time.Duration) (bool, error) {
		owners, err := b.Engine.Owners(ctx)
		if err == nil && slices.Contains(owners, owner) {
			return true, nil
		}
		return b.Engine.Renew(ctx, owner, ttl)
	})},
	{name: "a lease lasts a minute at least", found: []string{leases, lapses, ownersOf}, bend: onRenew(func(_ *world, b *bent, ctx context.Context, owner string, ttl time.Duration) (bool, error) {
		return b.Engine.Renew(ctx, owner, max(ttl, time.Minute))
	})},
	{name: "Owners lists those whose lease has ended", found: []string{leases, lapses}, bend: func(w *world, b *bent) {
		known := once(w, "owners", make(map[string]bool))
		b.owners = func(ctx context.Context) ([]string, error) {
			owners, err := b.Engine.Owners(ctx)
			for _, o := range owners {
				known[o] = true
			}
			owners = nil
			for o := range known {
				owners = append(owners, o)
			}
			return owners, err
		}
	}},
	{name: "Owners lists an owner twice", found: []string{leases}, bend: func(_ *world, b *bent) {
		b.owners = func(ctx context.Context) ([]string, error) {
			owners, err := b.Engine.Owners(ctx)
			return append(owners, owners...), err
		}
	}},
	{name: "entries do not end with the lease", found: []string{lapses, ownersOf}, bend: onEntry(func(e *engine.Entry) {
		if e.Lasts == 0 {
			e.Lasts = time.Hour
		}
	})},
	{name: "entries that last end with the lease", found: []string{lapses}, bend: onEntry(func(e *engine.Entry) {
		if e.Lasts > shortTime {
			e.Lasts = 0
		}
	})},
	{name: "entries come back with the lease", found: []string{lapses}, bend: func(_ *world, b *bent) {
		said := make(map[string][]engine.Entry)
		b.put = func(ctx context.Context, e engine.Entry) error {
			said[e.Owner] = append(said[e.Owner], e)
			return b.Engine.Put(ctx, e)
		}
		b.renew = func(ctx context.Context, owner string, ttl time.Duration) (bool, error) {
			held, err := b.Engine.Renew(ctx, owner, ttl)
			for _, e := range said[owner] {
				_ = b.Engine.Put(ctx, e)
			}
			return held, err
		}
	}},
	{name: "one owner's end is that of all", found: []string{ownersOf, entryLasts}, bend: onEntry(func(e *engine.Entry) { e.Lasts = shortTime })},
	{name: "the owner of an entry does not count", found: []string{replaces, ownersOf, listing}, bend: func(w *world, b *bent) {
		first := once(w, "first", make(map[string]string))
		b.put = func(ctx context.Context, e engine.Entry) error {
			w.mu.Lock()
			of := e.Group + "\x00" + e.Member
			if first[of] == "" {
				first[of] = e.Owner
			}
			e.Owner = first[of]
			w.mu.Unlock()
			return b.Engine.Put(ctx, e)
		}
	}},
	{name: "an entry does not replace the former", found: []string{replaces}, bend: func(_ *world, b *bent) {
		b.put = func(ctx context.Context, e engine.Entry) error {
			e.Member += "\x00" + rand.Text()
			return b.Engine.Put(ctx, e)
		}
		b.onList(func(all []engine.Entry) []engine.Entry {
			for i := range all {
				all[i].Member, _, _ = strings.Cut(all[i].Member, "\x00")
			}
			return all
		})
	}},
	{name: "an entry is never replaced", found: []string{replaces, entryLasts}, bend: func(w *world, b *bent) {
		b.put = func(ctx context.Context, e engine.Entry) error {
			if !w.first(e.Group + "\x00" + e.Member + "\x00" + e.Owner) {
				return nil
			}
			return b.Engine.Put(ctx, e)
		}
	}},
	{name: "groups are one", found: []string{replaces}, bend: func(_ *world, b *bent) {
		b.renameRegistry(func(name string) string {
			if strings.HasPrefix(name, "suite:") {
				return "suite"
			}
			return name
		})
	}},
	{name: "an entry that lasts does not end", found: []string{entryLasts}, bend: onEntry(func(e *engine.Entry) { e.Lasts = 0 })},
	{name: "an end stays with the entry that replaces", found: []string{entryLasts}, bend: func(w *world, b *bent) {
		ends := once(w, "ends", make(map[string]time.Time))
		b.put = func(ctx context.Context, e engine.Entry) error {
			of := e.Group + "\x00" + e.Member
			if e.Lasts > 0 && ends[of].IsZero() {
				ends[of] = time.Now().Add(e.Lasts)
			}
			if !ends[of].IsZero() {
				e.Lasts = max(time.Until(ends[of]), 1)
			}
			return b.Engine.Put(ctx, e)
		}
	}},
	{name: "a hundred entries are listed", found: []string{listing}, bend: func(_ *world, b *bent) {
		b.onList(func(all []engine.Entry) []engine.Entry { return all[:min(len(all), 100)] })
	}},
	{name: "a page of entries is listed twice", found: []string{listing, replaces}, bend: func(_ *world, b *bent) {
		b.onList(func(all []engine.Entry) []engine.Entry { return append(all, all[:min(len(all), 10)]...) })
	}},
	{name: "values have 64 KiB at most", found: []string{values}, bend: onEntry(func(e *engine.Entry) { e.Value = e.Value[:min(len(e.Value), 64<<10)] })},
	{name: "values are text", found: []string{values}, bend: onEntry(func(e *engine.Entry) { e.Value = []byte(strings.ToValidUTF8(string(e.Value), "?")) })},
	{name: "an entry without a value is not listed", found: []string{values}, bend: func(_ *world, b *bent) {
		b.onList(func(all []engine.Entry) []engine.Entry {
			return slices.DeleteFunc(all, func(e engine.Entry) bool { return len(e.Value) == 0 })
		})
	}},
	{name: "the last value is kept", found: []string{keeps, keepsAtOne}, bend: func(_ *world, b *bent) {
		b.keep = func(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, error) {
			_ = b.Engine.Forget(ctx, key)
			return b.Engine.Keep(ctx, key, value, ttl)
		}
	}},
	{name: "each node keeps a value of its own", found: []string{keeps, keepsAtOne}, bend: func(_ *world, b *bent) {
		mine := rand.Text()
		b.keep = func(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, error) {
			return b.Engine.Keep(ctx, key+mine, value, ttl)
		}
	}},
	{name: "an empty value is none", found: []string{keeps}, bend: func(_ *world, b *bent) {
		b.keep = func(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, error) {
			kept, err := b.Engine.Keep(ctx, key, value, ttl)
			if err == nil && len(kept) == 0 {
				_ = b.Engine.Forget(ctx, key)
				return b.Engine.Keep(ctx, key, value, ttl)
			}
			return kept, err
		}
	}},
	{name: "Forget does nothing", found: []string{keeps}, bend: func(_ *world, b *bent) {
		b.forget = func(context.Context, string) error { return nil }
	}},
	{name: "Forget of nothing is an error", found: []string{keeps}, bend: func(w *world, b *bent) {
		kept := once(w, "kept", make(map[string]bool))
		b.keep = func(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			kept[key] = true
			return b.Engine.Keep(ctx, key, value, ttl)
		}
		b.forget = func(ctx context.Context, key string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if !kept[key] {
				return context.Canceled
			}
			delete(kept, key)
			return b.Engine.Forget(ctx, key)
		}
	}},
	{name: "what is kept does not end", found: []string{keepEnds}, bend: func(_ *world, b *bent) {
		b.keep = func(ctx context.Context, key string, value []byte, _ time.Duration) ([]byte, error) {
			return b.Engine.Keep(ctx, key, value, longTime)
		}
	}},
	{name: "Keep does not make it last", found: []string{keepEnds}, bend: func(w *world, b *bent) {
		until := once(w, "until", make(map[string]time.Time))
		b.keep = func(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, error) {
			if left := time.Until(until[key]); left > 0 {
				return b.Engine.Keep(ctx, key, value, left)
			}
			until[key] = time.Now().Add(ttl)
			return b.Engine.Keep(ctx, key, value, ttl)
		}
	}},
}
