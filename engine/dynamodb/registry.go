package dynamodb

import (
	"context"
	"crypto/rand"
	"iter"
	"maps"
	"sync"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// The attributes of leases, entries and what is kept.
const (
	leaseUntil = "u" // ms
	leaseTerm  = "t" // tells a lease from a former one of its owner
	keptValue  = "v"
	keptUntil  = "u" // ms; 0: as long as the lease
	entryOf    = "m" // the member
	entryBy    = "w" // the owner
)

// slack is how much later than it ends something is removed.
const slack = time.Minute

func millis(t time.Time) int64 { return t.UnixMilli() }

// Renew implements [engine.Registry].
func (e *Engine) Renew(ctx context.Context, owner string, ttl time.Duration) (held bool, err error) {
	err = e.call(ctx, "renew", func(ctx context.Context) (err error) {
		if err := checkNames(owner); err != nil {
			return err
		}
		held, err = e.renew(ctx, owner, max(bounded(ttl), time.Millisecond))
		return err
	})
	return held, err
}

func (e *Engine) renew(ctx context.Context, owner string, ttl time.Duration) (bool, error) {
	term := rand.Text()[:16] // of the lease, if this call begins it
	k := key(kindLeases, owner)
	for {
		now := time.Now()
		until, ends := numberOf(millis(now.Add(ttl))), numberOf(endOf(now.Add(ttl+slack)))
		out, err := e.table.update(ctx, k, "SET u = :u, ends = :ends", condition{
			"u > :now", item{":now": numberOf(millis(now)), ":u": until, ":ends": ends},
		})
		if err != nil {
			return false, err
		}
		if out.done {
			return string(bytesIn(out.item, leaseTerm)) != term, nil
		}
		it := maps.Clone(k)
		it[leaseUntil], it[ending], it[leaseTerm] = until, ends, binaryOf([]byte(term))
		out, err = e.table.put(ctx, it, condition{"attribute_not_exists(pk) OR u <= :now", item{":now": numberOf(millis(now))}})
		if out.done || err != nil {
			return false, err
		}
	}
}

// Owners implements [engine.Registry].
func (e *Engine) Owners(ctx context.Context) (owners []string, err error) {
	err = e.call(ctx, "owners", func(ctx context.Context) error {
		for it, err := range e.table.query(ctx, kindLeases, nil, 0) {
			if err != nil {
				return err
			}
			if numberIn(it, leaseUntil) > millis(time.Now()) {
				owners = append(owners, string(bytesIn(it, sorting)))
			}
		}
		return nil
	})
	return owners, err
}

// termOf returns what a lease is called, "" if it is none or has ended.
func termOf(it item, now time.Time) string {
	if numberIn(it, leaseUntil) <= millis(now) {
		return ""
	}
	return string(bytesIn(it, leaseTerm))
}

// lasting is an entry of an owner here that lasts as long as its lease: it has to be
// told now and then that it does.
type lasting struct {
	key   item
	owner string
	term  string
}

// said is the entries of owners here.
type said struct {
	mu      sync.Mutex
	entries map[string]lasting // guarded by mu; by key
}

const (
	lastingTime = 36 * time.Hour // an entry stays without being told that it lasts
	prolongTime = 6 * time.Hour
)

// Put implements [engine.Registry].
func (e *Engine) Put(ctx context.Context, en engine.Entry) error {
	return e.call(ctx, "put", func(ctx context.Context) error {
		if err := checkNames(en.Group, en.Member, en.Owner); err != nil {
			return err
		}
		return e.putEntry(ctx, en)
	})
}

func (e *Engine) putEntry(ctx context.Context, en engine.Entry) error {
	sort := string(digest(en.Member, en.Owner)) // both together may be too long
	k := key(kindEntry+en.Group, sort)
	it := maps.Clone(k)
	it[entryOf], it[entryBy] = binaryOf([]byte(en.Member)), binaryOf([]byte(en.Owner))
	if len(en.Value) > 0 {
		it[keptValue] = binaryOf(en.Value)
	}
	e.said.forget(en.Group+sort, "")
	if en.Lasts > 0 {
		ends := time.Now().Add(bounded(en.Lasts))
		it[keptUntil], it[ending] = numberOf(millis(ends)), numberOf(endOf(ends.Add(slack)))
		_, err := e.table.put(ctx, it, condition{})
		return err
	}
	lease, err := e.table.get(ctx, key(kindLeases, en.Owner))
	if err != nil {
		return err
	}
	now := time.Now()
	term := termOf(lease, now)
	if term == "" {
		_, err := e.table.remove(ctx, k)
		return err
	}
	it[leaseTerm], it[ending] = binaryOf([]byte(term)), numberOf(endOf(now.Add(lastingTime)))
	if _, err = e.table.put(ctx, it, condition{}); err != nil {
		return err
	}
	e.said.mu.Lock()
	defer e.said.mu.Unlock()
	e.said.entries[en.Group+sort] = lasting{k, en.Owner, term}
	return nil
}

// forget forgets an entry of a lease, of any if term is "".
func (s *said) forget(entry, term string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if term == "" || s.entries[entry].term == term {
		delete(s.entries, entry)
	}
}

// prolongAll lets entries last that have to, until ctx ends.
func (e *Engine) prolongAll(ctx context.Context) {
	for pause(ctx, prolongTime) == nil {
		e.prolong(ctx)
	}
}

// prolong lets the entries of leases last that are held. It forgets the others. What
// fails is tried again the next time, before anything is removed.
func (e *Engine) prolong(ctx context.Context) {
	e.said.mu.Lock()
	entries := maps.Clone(e.said.entries)
	e.said.mu.Unlock()
	terms := make(map[string]string)
	for name, en := range entries {
		term, known := terms[en.owner]
		if !known {
			lease, err := e.table.get(ctx, key(kindLeases, en.owner))
			if err != nil {
				return
			}
			term = termOf(lease, time.Now())
			terms[en.owner] = term
		}
		done := false
		if term == en.term {
			out, err := e.table.update(ctx, en.key, "SET ends = :ends", condition{
				"t = :t", item{":t": binaryOf([]byte(term)), ":ends": numberOf(endOf(time.Now().Add(lastingTime)))},
			})
			if err != nil {
				return
			}
			done = out.done
		}
		if !done { // the lease is another one, or another entry has taken its place
			e.said.forget(name, en.term)
		}
	}
}

// Entries implements [engine.Registry].
func (e *Engine) Entries(ctx context.Context, group string) iter.Seq2[engine.Entry, error] {
	return func(yield func(engine.Entry, error) bool) {
		stopped := false
		err := e.call(ctx, "entries", func(ctx context.Context) error {
			if err := checkNames(group); err != nil {
				return err
			}
			leases := make(map[string]string) // the terms of owners
			var page []item
			hand := func() (err error) {
				stopped, err = e.handEntries(ctx, group, page, leases, yield)
				page = page[:0]
				return err
			}
			for it, err := range e.table.query(ctx, kindEntry+group, nil, 0) {
				if err != nil {
					return err
				}
				if page = append(page, it); len(page) == batchKeys {
					if err := hand(); err != nil || stopped {
						return err
					}
				}
			}
			return hand()
		})
		if err != nil && !stopped {
			yield(engine.Entry{}, err)
		}
	}
}

// handEntries hands over those entries of a page that have not ended. It looks up
// leases that it does not know, and is true if that is enough.
func (e *Engine) handEntries(ctx context.Context, group string, page []item, terms map[string]string, yield func(engine.Entry, error) bool) (stopped bool, err error) {
	var unknown []item
	for _, it := range page {
		owner := string(bytesIn(it, entryBy))
		if _, known := terms[owner]; !known && numberIn(it, keptUntil) == 0 {
			terms[owner] = ""
			unknown = append(unknown, key(kindLeases, owner))
		}
	}
	now := time.Now()
	var mu sync.Mutex // guards terms
	err = e.table.getAll(ctx, unknown, func(it item) error {
		mu.Lock()
		defer mu.Unlock()
		terms[string(bytesIn(it, sorting))] = termOf(it, now)
		return nil
	})
	if err != nil {
		return false, err
	}
	for _, it := range page {
		en := engine.Entry{
			Group: group, Member: string(bytesIn(it, entryOf)), Owner: string(bytesIn(it, entryBy)), Value: bytesIn(it, keptValue),
		}
		if until := numberIn(it, keptUntil); until > 0 && until <= millis(now) {
			continue
		} else if until == 0 {
			if term := terms[en.Owner]; term == "" || term != string(bytesIn(it, leaseTerm)) {
				continue
			}
		} else {
			en.Lasts = time.Duration(until-millis(now)) * time.Millisecond
		}
		if !yield(en, nil) {
			return true, nil
		}
	}
	return false, nil
}

// Keep implements [engine.Registry].
func (e *Engine) Keep(ctx context.Context, name string, value []byte, ttl time.Duration) (kept []byte, err error) {
	err = e.call(ctx, "keep", func(ctx context.Context) (err error) {
		if err := checkNames(name); err != nil {
			return err
		}
		kept, err = e.keep(ctx, name, value, max(bounded(ttl), time.Millisecond))
		return err
	})
	return kept, err
}

func (e *Engine) keep(ctx context.Context, name string, value []byte, ttl time.Duration) ([]byte, error) {
	k := key(kindKept+name, alone)
	for {
		now := time.Now()
		until, ends := numberOf(millis(now.Add(ttl))), numberOf(endOf(now.Add(ttl+slack)))
		it := maps.Clone(k)
		it[keptValue], it[keptUntil], it[ending] = binaryOf(append([]byte{}, value...)), until, ends
		out, err := e.table.put(ctx, it, condition{"attribute_not_exists(pk) OR u <= :now", item{":now": numberOf(millis(now))}})
		if err != nil {
			return nil, err
		}
		if out.done {
			return bytesIn(it, keptValue), nil
		}
		out, err = e.table.update(ctx, k, "SET u = :u, ends = :ends", condition{
			"u > :now", item{":now": numberOf(millis(now)), ":u": until, ":ends": ends},
		})
		if err != nil {
			return nil, err
		}
		if out.done {
			return bytesIn(out.item, keptValue), nil
		}
	}
}

// Forget implements [engine.Registry].
func (e *Engine) Forget(ctx context.Context, name string) error {
	return e.call(ctx, "forget", func(ctx context.Context) error {
		if err := checkNames(name); err != nil {
			return err
		}
		_, err := e.table.remove(ctx, key(kindKept+name, alone))
		return err
	})
}
