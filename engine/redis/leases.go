package redis

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// leases is what an engine knows of the leases that it has renewed, and of the
// entries that last as long.
type leases struct {
	mu      sync.Mutex
	names   map[string]string     // guarded by mu; of the lease, by owner
	entries map[entryKey]struct{} // guarded by mu; those that are to last
}

// entryKey is what tells an entry from others.
type entryKey struct{ group, member, owner string }

func (l *leases) init() {
	l.names = make(map[string]string)
	l.entries = make(map[entryKey]struct{})
}

// leaseLen is the length of the name of a lease.
const leaseLen = 8

// Renew implements [engine.Registry].
func (e *Engine) Renew(ctx context.Context, owner string, ttl time.Duration) (held bool, err error) {
	m, err := e.evalOne(ctx, renewScript, []string{e.opts.ownersKey()}, owner, millis(ttl), rand.Text()[:leaseLen])
	if err != nil {
		return false, fmt.Errorf("redis: renew: %w", err)
	}
	answer, err := m.ToArray()
	if err == nil && len(answer) < 2 {
		err = errShort
	}
	var name string
	if err == nil {
		held, err = answer[0].AsBool()
	}
	if err == nil {
		name, err = answer[1].ToString()
	}
	if err != nil {
		return false, fmt.Errorf("redis: renew: %w", err)
	}
	e.said.renewed(owner, name)
	return held, nil
}

// renewed notes the name of a lease. The entries of another one have ended.
func (l *leases) renewed(owner, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.names[owner] == name {
		return
	}
	for k := range l.entries {
		if k.owner == owner {
			delete(l.entries, k)
		}
	}
	l.names[owner] = name
}

// Owners implements [engine.Registry].
func (e *Engine) Owners(ctx context.Context) ([]string, error) {
	m, err := e.evalOne(ctx, ownersScript, []string{e.opts.ownersKey()})
	if err != nil {
		return nil, fmt.Errorf("redis: owners: %w", err)
	}
	pairs, err := m.AsStrSlice()
	if err != nil {
		return nil, fmt.Errorf("redis: owners: %w", err)
	}
	owners := make([]string, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		owners = append(owners, pairs[i])
	}
	return owners, nil
}

// leasesOf returns the names of the leases of owners, "" for those without one.
func (e *Engine) leasesOf(ctx context.Context, owners []string) (map[string]string, error) {
	names := make(map[string]string, len(owners))
	if len(owners) == 0 {
		return names, nil
	}
	m, err := e.evalOne(ctx, ownersScript, []string{e.opts.ownersKey()}, owners...)
	if err != nil {
		return nil, err
	}
	all, err := m.AsStrSlice()
	if err == nil && len(all) != len(owners) {
		err = errShort
	}
	if err != nil {
		return nil, err
	}
	for i, owner := range owners {
		names[owner] = all[i]
	}
	return names, nil
}

// leaseOf returns the name of the lease of an owner, "" if there is none: that
// which was renewed here, for who has it renews it.
func (e *Engine) leaseOf(ctx context.Context, owner string) (string, error) {
	e.said.mu.Lock()
	name := e.said.names[owner]
	e.said.mu.Unlock()
	if name != "" {
		return name, nil
	}
	names, err := e.leasesOf(ctx, []string{owner})
	return names[owner], err
}

// put notes an entry, as long as it lasts with its owner.
func (l *leases) put(en *engine.Entry, lasts bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := entryKey{en.Group, en.Member, en.Owner}
	if lasts {
		l.entries[k] = struct{}{}
	} else {
		delete(l.entries, k)
	}
}

// groups returns those that have entries which are to last.
func (l *leases) groups() map[string]struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	groups := make(map[string]struct{})
	for k := range l.entries {
		groups[k.group] = struct{}{}
	}
	return groups
}
