package memory

import (
	"bytes"
	"context"
	"iter"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// registry is what nodes say of themselves. The backend's mu guards it.
type registry struct {
	leases map[string]time.Time // by owner: when it ends
	groups map[string]map[said]entry
	values map[string]value
}

// said is who has said what of whom.
type said struct{ member, owner string }

type entry struct {
	engine.Entry

	until time.Time // zero if it lasts as long as the owner's lease
}

type value struct {
	bytes []byte
	until time.Time
}

func newRegistry() registry {
	return registry{leases: make(map[string]time.Time), groups: make(map[string]map[said]entry), values: make(map[string]value)}
}

func (r *registry) empty() bool { return len(r.leases)+len(r.groups)+len(r.values) == 0 }

// holds tells whether an owner has a lease.
func (r *registry) holds(owner string, now time.Time) bool { return now.Before(r.leases[owner]) }

func (r *registry) ended(e entry, now time.Time) bool {
	if e.until.IsZero() {
		return !r.holds(e.Owner, now)
	}
	return !now.Before(e.until)
}

// expire lets go of what has ended.
func (r *registry) expire(now time.Time) {
	for group, entries := range r.groups {
		for of, e := range entries {
			if r.ended(e, now) {
				delete(entries, of)
			}
		}
		if len(entries) == 0 {
			delete(r.groups, group)
		}
	}
	for owner := range r.leases {
		if !r.holds(owner, now) {
			delete(r.leases, owner)
		}
	}
	for key, v := range r.values {
		if !now.Before(v.until) {
			delete(r.values, key)
		}
	}
}

// Renew implements [engine.Registry].
func (e *Engine) Renew(ctx context.Context, owner string, ttl time.Duration) (held bool, err error) {
	err = e.call(ctx, "Renew", func() error {
		r, now := &e.b.reg, time.Now()
		held = r.holds(owner, now)
		if !held {
			r.expire(now) // the entries of a lease that has ended do not come back
		}
		r.leases[owner] = now.Add(ttl)
		e.b.sweepLater()
		return nil
	})
	return held, err
}

// Owners implements [engine.Registry].
func (e *Engine) Owners(ctx context.Context) (owners []string, err error) {
	err = e.call(ctx, "Owners", func() error {
		now := time.Now()
		for owner := range e.b.reg.leases {
			if e.b.reg.holds(owner, now) {
				owners = append(owners, owner)
			}
		}
		return nil
	})
	return owners, err
}

// Put implements [engine.Registry].
func (e *Engine) Put(ctx context.Context, en engine.Entry) error {
	return e.call(ctx, "Put", func() error {
		r := &e.b.reg
		put := entry{Entry: en}
		put.Value = bytes.Clone(en.Value)
		if en.Lasts > 0 {
			put.until = time.Now().Add(en.Lasts)
		}
		if r.groups[en.Group] == nil {
			r.groups[en.Group] = make(map[said]entry)
		}
		r.groups[en.Group][said{en.Member, en.Owner}] = put
		e.b.sweepLater()
		return nil
	})
}

// Entries implements [engine.Registry].
func (e *Engine) Entries(ctx context.Context, group string) iter.Seq2[engine.Entry, error] {
	return func(yield func(engine.Entry, error) bool) {
		var all []engine.Entry
		err := e.call(ctx, "Entries", func() error {
			now := time.Now()
			for _, en := range e.b.reg.groups[group] {
				if !e.b.reg.ended(en, now) {
					en.Value = bytes.Clone(en.Value)
					all = append(all, en.Entry)
				}
			}
			return nil
		})
		if err != nil {
			yield(engine.Entry{}, err)
			return
		}
		for _, en := range all {
			if !yield(en, nil) {
				return
			}
		}
	}
}

// Keep implements [engine.Registry].
func (e *Engine) Keep(ctx context.Context, key string, data []byte, ttl time.Duration) (kept []byte, err error) {
	err = e.call(ctx, "Keep", func() error {
		now := time.Now()
		v, ok := e.b.reg.values[key]
		if !ok || !now.Before(v.until) {
			v.bytes = bytes.Clone(data)
		}
		v.until = now.Add(ttl)
		e.b.reg.values[key] = v
		kept = bytes.Clone(v.bytes)
		e.b.sweepLater()
		return nil
	})
	return kept, err
}

// Forget implements [engine.Registry].
func (e *Engine) Forget(ctx context.Context, key string) error {
	return e.call(ctx, "Forget", func() error {
		delete(e.b.reg.values, key)
		return nil
	})
}
