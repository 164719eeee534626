package enginetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// StoreBackend is what the suite knows of a store of connections: how to get one,
// and how to break what they stand on. What is nil is not tried.
type StoreBackend struct {
	// New returns another store, that of another process, on the ground that all
	// stores of the backend share. It is ready, and ends with the test. The ground
	// may have been used before, by an earlier run for example.
	New func(tb testing.TB) engine.Store

	// Cut breaks all connections of a store that New has returned, and lets it make
	// no new ones until heal is called. The other stores notice nothing. heal may be
	// called twice.
	Cut func(tb testing.TB, s engine.Store) (heal func())

	// Lose ends a connection of a store that New has returned, once, in the place of
	// the answer to its next request that has id in it. The ground has done what was
	// asked for then; the function is called before the connection ends.
	Lose func(tb testing.TB, s engine.Store, id string, then func())

	patience time.Duration // as those of Backend
	checks   int
}

// RunStore runs the suite of stores: what [engine.Store] promises. Each behaviour
// is a subtest. Some wait until something has ended, some seconds at the same time.
func RunStore(t *testing.T, b StoreBackend) {
	runAll(t, storeBehaviours, &lab{stores: b})
}

var storeBehaviours = join(
	recordBehaviours,
	recordRaceBehaviours,
	groupBehaviours,
	storeTimeBehaviours,
	storeEndBehaviours,
	storeLostBehaviours,
	storeModelBehaviours,
)

// process is one that uses a store.
type process struct {
	engine.Store

	l *lab
}

func (l *lab) process() *process {
	l.Helper()
	return &process{l.stores.New(l.TB), l}
}

func (l *lab) processes(number int) []*process {
	l.Helper()
	all := make([]*process, number)
	for i := range all {
		all[i] = l.process()
	}
	return all
}

// call runs f with a context as hubs give it.
func (p *process) call(f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(p.l.Context(), callTime)
	defer cancel()
	return f(ctx)
}

func (p *process) tryLoad(ids ...string) (records []engine.Record, err error) {
	err = p.call(func(ctx context.Context) (err error) {
		records, err = p.Load(ctx, ids)
		return err
	})
	if err == nil && len(records) != len(ids) {
		err = fmt.Errorf("%d records of %d ids", len(records), len(ids))
	}
	for _, r := range records {
		if err == nil && r.Version == 0 && len(r.Data) > 0 {
			err = errors.New("data of a record that is not there")
		}
	}
	return records, err
}

func (p *process) load(ids ...string) []engine.Record {
	p.l.Helper()
	records, err := p.tryLoad(ids...)
	if err != nil {
		p.l.Fatalf("Load: %v", err)
	}
	return records
}

func (p *process) trySave(id, data string, version uint64, ttl time.Duration) (saved uint64, err error) {
	err = p.call(func(ctx context.Context) (err error) {
		saved, err = p.Save(ctx, id, []byte(data), version, ttl)
		return err
	})
	if err == nil && saved == 0 {
		err = errors.New("the version 0")
	}
	return saved, err
}

// save saves a record that does not end.
func (p *process) save(id, data string, version uint64) (saved uint64) {
	p.l.Helper()
	saved, err := p.trySave(id, data, version, longTime)
	if err != nil {
		p.l.Fatalf("Save: %v", err)
	}
	return saved
}

func (p *process) tryDelete(id string) (r engine.Record, err error) {
	err = p.call(func(ctx context.Context) (err error) {
		r, err = p.Delete(ctx, id)
		return err
	})
	if err == nil && r.Version == 0 && len(r.Data) > 0 {
		err = errors.New("data of a record that is not there")
	}
	return r, err
}

func (p *process) delete(id string) engine.Record {
	p.l.Helper()
	r, err := p.tryDelete(id)
	if err != nil {
		p.l.Fatalf("Delete: %v", err)
	}
	return r
}

func (p *process) tryJoin(group, member string, ttl time.Duration) error {
	return p.call(func(ctx context.Context) error { return p.Join(ctx, group, member, ttl) })
}

// join puts members into a group for a time that does not end.
func (p *process) join(group string, members ...string) {
	p.l.Helper()
	for _, member := range members {
		if err := p.tryJoin(group, member, longTime); err != nil {
			p.l.Fatalf("Join: %v", err)
		}
	}
}

func (p *process) tryLeave(group, member string) error {
	return p.call(func(ctx context.Context) error { return p.Leave(ctx, group, member) })
}

func (p *process) leave(group string, members ...string) {
	p.l.Helper()
	for _, member := range members {
		if err := p.tryLeave(group, member); err != nil {
			p.l.Fatalf("Leave: %v", err)
		}
	}
}

// members returns those of a group, sorted.
func (p *process) members(group string) []string {
	p.l.Helper()
	var all []string
	err := p.call(func(ctx context.Context) error {
		for member, err := range p.Members(ctx, group) {
			if err != nil {
				return err
			}
			all = append(all, member)
		}
		return nil
	})
	if err != nil {
		p.l.Fatalf("Members: %v", err)
	}
	slices.Sort(all)
	if len(slices.Compact(slices.Clone(all))) != len(all) {
		p.l.Fatalf("Members returns a member twice: %.200q", all)
	}
	return all
}

// keeps fails the test unless a record is this one.
func (p *process) keeps(when, id, data string, version uint64) {
	p.l.Helper()
	if r := p.load(id)[0]; string(r.Data) != data || r.Version != version {
		p.l.Errorf("%s: %.50q of version %d is kept, want %.50q of version %d", when, r.Data, r.Version, data, version)
	}
}

// keepsNone fails the test if there is a record.
func (p *process) keepsNone(when, id string) {
	p.l.Helper()
	p.keeps(when, id, "", 0)
}

// conflicts fails the test unless Save of this version does nothing, and says so.
func (p *process) conflicts(when, id string, version uint64) {
	p.l.Helper()
	before := p.load(id)[0]
	if saved, err := p.trySave(id, "conflict", version, longTime); !errors.Is(err, engine.ErrConflict) {
		p.l.Errorf("%s: Save in the place of version %d, where version %d is kept, returns %d and %v", when, version, before.Version, saved, err)
	}
	p.keeps(when+", after a Save in the place of another version", id, string(before.Data), before.Version)
}

// hasMembers fails the test unless a group has these.
func (p *process) hasMembers(when, group string, want ...string) {
	p.l.Helper()
	slices.Sort(want)
	if got := p.members(group); !slices.Equal(got, want) {
		p.l.Errorf("%s: the members are %.500q, want %.500q", when, got, want)
	}
}
