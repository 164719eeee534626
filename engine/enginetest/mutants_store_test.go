package enginetest

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// storeMutant is a store that breaks one rule.
type storeMutant struct {
	name  string
	bend  func(w *storeWorld, b *bentStore)
	found []string // behaviours that must fail, each by what its name contains
	hang  bool     // links that are cut hang
}

var storeMutants = slices.Concat(recordMutants, groupMutants, storeTimeMutants, storeEndMutants)

// The suite of stores fails with each mutant, where it should.
func TestStoreSuiteFindsMutants(t *testing.T) {
	quietRapid(t)
	for _, m := range storeMutants {
		t.Run(m.name, func(t *testing.T) {
			fails(t, storeBehaviours, m.found, (&storeWorld{bend: m.bend, hang: m.hang}).lab)
		})
	}
}

func TestStoreSuiteFindsNothingWrong(t *testing.T) {
	quietRapid(t)
	for _, bh := range storeBehaviours {
		t.Run(bh.name, func(t *testing.T) {
			for _, hang := range []bool{false, true} {
				for _, f := range try(t, bh, (&storeWorld{hang: hang}).lab) {
					t.Errorf("links that hang %v: %s", hang, f)
				}
			}
		})
	}
}

func TestEachStoreBehaviourFindsAMutant(t *testing.T) {
	var found []string
	for _, m := range storeMutants {
		found = append(found, m.found...)
	}
	allFind(t, storeBehaviours, found)
}

const (
	lastSaved      = "a record is what was saved last"
	conflict       = "is not of the version that is kept conflicts"
	versions       = "no version of a record comes again"
	loadMany       = "Load returns many records"
	recordData     = "data of records"
	recordIDs      = "ids of records"
	oneSaves       = "of many who save"
	counter        = "a number that many raise"
	oneDeletes     = "of many who delete"
	saveDelete     = "of Save and Delete at once"
	storeModelName = "what a model says"
)

// onLoad changes what Load returns.
func onLoad(change func(ids []string, all []engine.Record) []engine.Record) func(*storeWorld, *bentStore) {
	return func(_ *storeWorld, b *bentStore) {
		b.load = func(ctx context.Context, ids []string) ([]engine.Record, error) {
			all, err := b.Store.Load(ctx, ids)
			if err != nil {
				return nil, err
			}
			return change(ids, all), nil
		}
	}
}

// onData changes what is saved.
func onData(change func(data []byte) []byte) func(*storeWorld, *bentStore) {
	return func(_ *storeWorld, b *bentStore) {
		b.save = func(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
			return b.Store.Save(ctx, id, change(data), version, ttl)
		}
	}
}

// force saves whatever is there.
func (b *bentStore) force(ctx context.Context, id string, data []byte, ttl time.Duration) (uint64, error) {
	for {
		now, err := b.Store.Load(ctx, []string{id})
		if err != nil {
			return 0, err
		}
		saved, err := b.Store.Save(ctx, id, data, now[0].Version, ttl)
		if !errors.Is(err, engine.ErrConflict) {
			return saved, err
		}
	}
}

// Mutants that keep records wrongly.
var recordMutants = []storeMutant{
	{name: "Save does not look at the version", found: []string{conflict, oneSaves, storeModelName}, bend: func(_ *storeWorld, b *bentStore) {
		b.save = func(ctx context.Context, id string, data []byte, _ uint64, ttl time.Duration) (uint64, error) {
			return b.force(ctx, id, data, ttl)
		}
	}},
	{name: "the version is looked at before the writing", found: []string{oneSaves, counter, saveDelete}, bend: func(_ *storeWorld, b *bentStore) {
		b.save = func(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
			now, err := b.Store.Load(ctx, []string{id})
			if err == nil && now[0].Version != version {
				err = engine.ErrConflict
			}
			if err != nil {
				return 0, err
			}
			time.Sleep(time.Nanosecond) // others do the same
			return b.force(ctx, id, data, ttl)
		}
	}},
	{name: "a record can be saved that is not there any more", found: []string{conflict, "a record lasts as long", storeModelName}, bend: func(_ *storeWorld, b *bentStore) {
		b.save = func(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
			now, err := b.Store.Load(ctx, []string{id})
			if err == nil && now[0].Version == 0 {
				version = 0
			}
			return b.Store.Save(ctx, id, data, version, ttl)
		}
	}},
	{name: "0 is any version", found: []string{conflict, storeModelName}, bend: func(_ *storeWorld, b *bentStore) {
		b.save = func(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
			if version == 0 {
				return b.force(ctx, id, data, ttl)
			}
			return b.Store.Save(ctx, id, data, version, ttl)
		}
	}},
	{name: "a conflict is another error", found: []string{conflict, oneSaves, storeModelName}, bend: func(_ *storeWorld, b *bentStore) {
		b.save = func(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
			saved, err := b.Store.Save(ctx, id, data, version, ttl)
			if errors.Is(err, engine.ErrConflict) {
				err = errors.New("conflict")
			}
			return saved, err
		}
	}},
	{name: "the versions of each record begin with 1", found: []string{conflict, versions, "a record lasts as long", storeModelName}, bend: bendVersions},
	{name: "Save returns the version that there was", found: []string{lastSaved, versions, oneSaves}, bend: func(_ *storeWorld, b *bentStore) {
		b.save = func(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
			saved, err := b.Store.Save(ctx, id, data, version, ttl)
			if version != 0 {
				saved = version
			}
			return saved, err
		}
	}},
	{name: "each process remembers what it has loaded", found: []string{lastSaved, oneSaves}, bend: func(_ *storeWorld, b *bentStore) {
		known := make(map[string]engine.Record)
		b.load = func(ctx context.Context, ids []string) ([]engine.Record, error) {
			all, err := b.Store.Load(ctx, ids)
			b.mu.Lock()
			defer b.mu.Unlock()
			for i := range all {
				if r, ok := known[ids[i]]; ok {
					all[i] = r
				}
				known[ids[i]] = all[i]
			}
			return all, err
		}
	}},
	{name: "Delete returns nothing", found: []string{lastSaved, recordData, recordIDs, oneDeletes, saveDelete, storeModelName}, bend: func(_ *storeWorld, b *bentStore) {
		b.remove = func(ctx context.Context, id string) (engine.Record, error) {
			_, err := b.Store.Delete(ctx, id)
			return engine.Record{}, err
		}
	}},
	{name: "Delete does nothing", found: []string{lastSaved, conflict, oneDeletes, saveDelete, storeModelName}, bend: func(_ *storeWorld, b *bentStore) {
		b.remove = func(ctx context.Context, id string) (engine.Record, error) {
			all, err := b.Store.Load(ctx, []string{id})
			if err != nil {
				return engine.Record{}, err
			}
			return all[0], nil
		}
	}},
	{name: "Delete reads before it deletes", found: []string{oneDeletes, saveDelete}, bend: func(_ *storeWorld, b *bentStore) {
		b.remove = func(ctx context.Context, id string) (engine.Record, error) {
			all, err := b.Store.Load(ctx, []string{id})
			if err != nil {
				return engine.Record{}, err
			}
			time.Sleep(time.Nanosecond)
			_, err = b.Store.Delete(ctx, id)
			return all[0], err
		}
	}},
	{name: "Load leaves out what is not there", found: []string{lastSaved, loadMany}, bend: onLoad(func(_ []string, all []engine.Record) []engine.Record {
		return slices.DeleteFunc(all, func(r engine.Record) bool { return r.Version == 0 })
	})},
	{name: "Load returns records in an order of its own", found: []string{loadMany, recordIDs, storeModelName}, bend: onLoad(func(_ []string, all []engine.Record) []engine.Record {
		slices.SortFunc(all, func(a, b engine.Record) int { return bytes.Compare(b.Data, a.Data) })
		return all
	})},
	{name: "Load returns a hundred records at most", found: []string{loadMany}, bend: onLoad(func(_ []string, all []engine.Record) []engine.Record {
		clear(all[min(len(all), 100):])
		return all
	})},
	{name: "Load returns a record once", found: []string{loadMany, storeModelName}, bend: onLoad(func(ids []string, all []engine.Record) []engine.Record {
		for i := range all {
			if slices.Contains(ids[:i], ids[i]) {
				all[i] = engine.Record{}
			}
		}
		return all
	})},
	{name: "Load uses one buffer", found: []string{recordData}, bend: func(_ *storeWorld, b *bentStore) {
		buffer := make([]byte, 1<<20)
		onLoad(func(_ []string, all []engine.Record) []engine.Record {
			rest := buffer
			for i := range all {
				n := copy(rest, all[i].Data)
				all[i].Data, rest = rest[:n], rest[n:]
			}
			return all
		})(nil, b)
	}},
	{name: "Load forgets versions", found: []string{lastSaved, counter}, bend: onLoad(func(_ []string, all []engine.Record) []engine.Record {
		for i := range all {
			all[i].Version = min(all[i].Version, 1)
		}
		return all
	})},
	{name: "data is text", found: []string{recordData}, bend: onData(func(data []byte) []byte { return bytes.ToValidUTF8(data, []byte("?")) })},
	{name: "data ends with a zero byte", found: []string{recordData}, bend: onData(func(data []byte) []byte {
		data, _, _ = bytes.Cut(data, []byte{0})
		return data
	})},
	{name: "spaces around data are dropped", found: []string{recordData}, bend: onData(bytes.TrimSpace)},
	{name: "data has 256 KiB at most", found: []string{recordData}, bend: onData(func(data []byte) []byte { return data[:min(len(data), 256<<10)] })},
	{name: "Save changes its data", found: []string{recordData}, bend: onData(func(data []byte) []byte {
		defer scribble(data)
		return bytes.Clone(data)
	})},
	{name: "a record without data is none", found: []string{recordData}, bend: onLoad(func(_ []string, all []engine.Record) []engine.Record {
		for i := range all {
			if len(all[i].Data) == 0 {
				all[i] = engine.Record{}
			}
		}
		return all
	})},
}

// bendVersions has a store count the versions of each record from 1.
func bendVersions(w *storeWorld, b *bentStore) {
	type version struct{ said, kept uint64 }
	of := remembered(w, "versions", make(map[string]version))
	b.save = func(ctx context.Context, id string, data []byte, said uint64, ttl time.Duration) (uint64, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		kept := uint64(0)
		if said != 0 {
			kept = 1 << 62 // nobody has it
			if of[id].said == said {
				kept = of[id].kept
			}
		}
		kept, err := b.Store.Save(ctx, id, data, kept, ttl)
		if err != nil {
			return 0, err
		}
		of[id] = version{said + 1, kept}
		return said + 1, nil
	}
	said := func(id string, r *engine.Record) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if r.Version != 0 {
			r.Version = of[id].said
		}
	}
	b.load = func(ctx context.Context, ids []string) ([]engine.Record, error) {
		all, err := b.Store.Load(ctx, ids)
		for i := range all {
			said(ids[i], &all[i])
		}
		return all, err
	}
	b.remove = func(ctx context.Context, id string) (engine.Record, error) {
		r, err := b.Store.Delete(ctx, id)
		said(id, &r)
		return r, err
	}
}

// Mutants that end things wrongly.
var storeTimeMutants = []storeMutant{
	{name: "records do not end", found: []string{"a record lasts as long"}, bend: onRecordTime(func(time.Duration) time.Duration { return longTime })},
	{name: "records end early", found: []string{"a record lasts as long", "a record that is saved again"}, bend: onRecordTime(func(ttl time.Duration) time.Duration { return ttl / 10 })},
	{name: "records end at the end of a first time", found: []string{"a record that is saved again"}, bend: func(w *storeWorld, b *bentStore) {
		ends := remembered(w, "ends", make(map[string]time.Time))
		b.save = func(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if version == 0 {
				ends[id] = time.Now().Add(ttl)
			}
			return b.Store.Save(ctx, id, data, version, time.Until(ends[id]))
		}
	}},
	{name: "Delete returns what has ended", found: []string{"a record lasts as long"}, bend: func(w *storeWorld, b *bentStore) {
		known := remembered(w, "known", make(map[string]engine.Record))
		b.save = func(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
			saved, err := b.Store.Save(ctx, id, data, version, ttl)
			known[id] = engine.Record{Data: data, Version: saved}
			return saved, err
		}
		b.remove = func(ctx context.Context, id string) (engine.Record, error) {
			r := known[id]
			delete(known, id)
			_, err := b.Store.Delete(ctx, id)
			return r, err
		}
	}},
	{name: "members do not end", found: []string{"a member ends"}, bend: onMemberTime(func(time.Duration) time.Duration { return longTime })},
	{name: "members end early", found: []string{"a member ends"}, bend: onMemberTime(func(ttl time.Duration) time.Duration { return ttl / 10 })},
	{name: "Join makes it shorter", found: []string{"a member ends"}, bend: func(_ *storeWorld, b *bentStore) {
		b.join = func(ctx context.Context, group, member string, ttl time.Duration) error {
			_ = b.Store.Leave(ctx, group, member)
			return b.Store.Join(ctx, group, member, ttl)
		}
	}},
	{name: "Join does not make it longer", found: []string{"a member ends"}, bend: func(_ *storeWorld, b *bentStore) {
		b.join = func(ctx context.Context, group, member string, ttl time.Duration) error {
			for m := range b.Store.Members(ctx, group) {
				if m == member {
					return nil
				}
			}
			return b.Store.Join(ctx, group, member, ttl)
		}
	}},
}

func onRecordTime(change func(time.Duration) time.Duration) func(*storeWorld, *bentStore) {
	return func(_ *storeWorld, b *bentStore) {
		b.save = func(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
			return b.Store.Save(ctx, id, data, version, change(ttl))
		}
	}
}

func onMemberTime(change func(time.Duration) time.Duration) func(*storeWorld, *bentStore) {
	return func(_ *storeWorld, b *bentStore) {
		b.join = func(ctx context.Context, group, member string, ttl time.Duration) error {
			return b.Store.Join(ctx, group, member, change(ttl))
		}
	}
}

// Mutants that end methods wrongly, or take a link that is cut wrongly.
var storeEndMutants = []storeMutant{
	{name: "Load does not look at its context", found: []string{"methods of a store return when"}, bend: func(_ *storeWorld, b *bentStore) {
		b.linked = func(ctx context.Context) error { return b.link(context.WithoutCancel(ctx)) }
		b.load = func(ctx context.Context, ids []string) ([]engine.Record, error) {
			return b.Store.Load(context.WithoutCancel(ctx), ids)
		}
	}},
	{name: "methods wait for a link longer than their context", hang: true, found: []string{"methods of a store return while"}, bend: func(_ *storeWorld, b *bentStore) {
		b.linked = func(ctx context.Context) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return b.link(context.WithoutCancel(ctx))
		}
	}},
	{name: "a store is of no use when something was broken off", found: []string{"methods of a store return when"}, bend: func(_ *storeWorld, b *bentStore) {
		broken := false
		b.linked = func(ctx context.Context) error {
			if broken = broken || ctx.Err() != nil; broken {
				return context.Canceled
			}
			return b.link(ctx)
		}
	}},
	{name: "a store is of no use when its link was cut", found: []string{"methods of a store return while"}, bend: func(_ *storeWorld, b *bentStore) {
		broken := false
		b.linked = func(ctx context.Context) error {
			err := b.link(ctx)
			if broken = broken || err != nil; broken {
				return errLinkCut
			}
			return nil
		}
	}},
	{name: "a link that is cut is a conflict", found: []string{"methods of a store return while"}, bend: func(_ *storeWorld, b *bentStore) {
		b.linked = func(ctx context.Context) error {
			if err := b.link(ctx); err != nil {
				return engine.ErrConflict
			}
			return nil
		}
	}},
	{name: "what is saved while the link is cut is saved later, whatever is there", found: []string{"no Save is lost or done twice"}, bend: func(w *storeWorld, b *bentStore) {
		b.linked = func(context.Context) error { return nil }
		b.save = func(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
			if err := b.link(ctx); err != nil {
				time.AfterFunc(5*time.Millisecond, func() { _, _ = b.force(context.Background(), id, data, ttl) })
				return 0, err
			}
			return b.Store.Save(ctx, id, data, version, ttl)
		}
	}},
	{name: "what is saved while the link is cut is lost", found: []string{"methods of a store return while", "no Save is lost or done twice"}, bend: func(_ *storeWorld, b *bentStore) {
		b.linked = func(context.Context) error { return nil }
		b.save = func(ctx context.Context, id string, data []byte, version uint64, ttl time.Duration) (uint64, error) {
			if err := b.link(ctx); err != nil {
				return 1 << 60, nil
			}
			return b.Store.Save(ctx, id, data, version, ttl)
		}
	}},
	{name: "what had no answer is tried again as if for the first time", found: []string{"a Save whose answer is lost", "a Delete whose answer is lost"}, bend: func(_ *storeWorld, b *bentStore) {
		b.again = true
	}},
	{name: "Members goes on after an error", found: []string{"methods of a store return when", "methods of a store return while"}, bend: func(_ *storeWorld, b *bentStore) {
		b.linked = func(context.Context) error { return nil }
		b.members = func(ctx context.Context, group string) iter.Seq2[string, error] {
			return func(yield func(string, error) bool) {
				if err := b.link(ctx); err != nil && !yield("", err) {
					return
				}
				yield("", ctx.Err())
			}
		}
	}},
}
