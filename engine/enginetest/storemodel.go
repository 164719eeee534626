package enginetest

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/kanava-go/kanava/engine"
)

var storeModelBehaviours = []behaviour{
	{name: "records and members are what a model says", run: testStoreModel},
}

func testStoreModel(l *lab) {
	checkModel(l, cmp.Or(l.stores.checks, fewChecks), func(inner *lab, t *rapid.T) {
		m := &storeModel{t: t, processes: inner.processes(2), records: make(map[string]engine.Record), old: make(map[string][]uint64), groups: make(map[string]map[string]bool)}
		for range 3 {
			m.ids = append(m.ids, l.name())
			m.names = append(m.names, l.name())
		}
		t.Repeat(map[string]func(*rapid.T){
			"save":    m.save,
			"load":    m.load,
			"delete":  m.delete,
			"join":    m.join,
			"leave":   m.leave,
			"members": m.members,
		})
	})
}

// storeModel knows what a store must do, step by step.
type storeModel struct {
	t         *rapid.T
	processes []*process
	ids       []string
	records   map[string]engine.Record
	old       map[string][]uint64 // versions that records had
	names     []string            // of groups and members
	groups    map[string]map[string]bool
}

func (m *storeModel) process(t *rapid.T) *process {
	return m.processes[rapid.IntRange(0, len(m.processes)-1).Draw(t, "process")]
}

func (m *storeModel) id(t *rapid.T) string { return rapid.SampledFrom(m.ids).Draw(t, "id") }

func (m *storeModel) save(t *rapid.T) {
	p, id := m.process(t), m.id(t)
	data := rapid.StringN(0, 20, -1).Draw(t, "data")
	now := m.records[id].Version
	version := rapid.SampledFrom(append([]uint64{0, now, now, now}, m.old[id]...)).Draw(t, "version")
	saved, err := p.trySave(id, data, version, longTime)
	if version != now {
		if !errors.Is(err, engine.ErrConflict) {
			t.Fatalf("Save in the place of version %d, where there is %d: %v", version, now, err)
		}
		return
	}
	if err != nil {
		t.Fatalf("Save in the place of version %d: %v", version, err)
	}
	if slices.Contains(m.old[id], saved) || saved == now {
		t.Fatalf("the version %d comes again", saved)
	}
	if now != 0 {
		m.old[id] = append(m.old[id], now)
	}
	m.records[id] = engine.Record{Data: []byte(data), Version: saved}
}

func (m *storeModel) check(t *rapid.T, what string, got, want engine.Record) {
	if string(got.Data) != string(want.Data) || got.Version != want.Version {
		t.Fatalf("%s returns %q of version %d, want %q of version %d", what, got.Data, got.Version, want.Data, want.Version)
	}
}

func (m *storeModel) load(t *rapid.T) {
	ids := rapid.SliceOfN(rapid.SampledFrom(m.ids), 0, 5).Draw(t, "ids")
	records, err := m.process(t).tryLoad(ids...)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	for i, id := range ids {
		m.check(t, "Load", records[i], m.records[id])
	}
}

func (m *storeModel) delete(t *rapid.T) {
	p, id := m.process(t), m.id(t)
	got, err := p.tryDelete(id)
	if err != nil {
		t.Fatalf("Delete: %v", err)
	}
	m.check(t, "Delete", got, m.records[id])
	if got.Version != 0 {
		m.old[id] = append(m.old[id], got.Version)
	}
	delete(m.records, id)
}

func (m *storeModel) name(t *rapid.T, label string) string {
	return rapid.SampledFrom(m.names).Draw(t, label)
}

func (m *storeModel) join(t *rapid.T) {
	p, group, member := m.process(t), m.name(t, "group"), m.name(t, "member")
	if err := p.tryJoin(group, member, longTime); err != nil {
		t.Fatalf("Join: %v", err)
	}
	if m.groups[group] == nil {
		m.groups[group] = make(map[string]bool)
	}
	m.groups[group][member] = true
}

func (m *storeModel) leave(t *rapid.T) {
	p, group, member := m.process(t), m.name(t, "group"), m.name(t, "member")
	if err := p.tryLeave(group, member); err != nil {
		t.Fatalf("Leave: %v", err)
	}
	delete(m.groups[group], member)
}

func (m *storeModel) members(t *rapid.T) {
	p, group := m.process(t), m.name(t, "group")
	want := slices.Sorted(maps.Keys(m.groups[group]))
	if got := p.members(group); !slices.Equal(got, want) {
		t.Fatalf("the members are %q, want %q", got, want)
	}
}
