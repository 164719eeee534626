package enginetest

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/kanava-go/kanava/engine"
)

var recordBehaviours = []behaviour{
	{name: "a record is what was saved last, for all processes", run: testRecord},
	{name: "a Save that is not of the version that is kept conflicts, and does nothing", run: testConflict},
	{name: "no version of a record comes again", run: testVersions},
	{name: "Load returns many records in the order of their ids", run: testLoadMany},
	{name: "data of records is any bytes, up to 300 KiB and a little, and stays what it is", run: testRecordData},
	{name: "ids of records are any bytes, and are told apart", run: testRecordIDs},
}

func testRecord(l *lab) {
	one, other := l.process(), l.process()
	id, second := l.name(), l.name()
	for _, p := range []*process{one, other} {
		p.keepsNone("before the first Save", id)
	}
	first := one.save(id, "first", 0)
	one.save(second, "second", 0)
	for _, p := range []*process{one, other} {
		p.keeps("after the first Save", id, "first", first)
	}
	changed := other.save(id, "changed", first)
	for _, p := range []*process{one, other} {
		p.keeps("after a Save elsewhere", id, "changed", changed)
	}
	if r := one.delete(id); string(r.Data) != "changed" || r.Version != changed {
		l.Errorf("Delete returns %q of version %d, want that of version %d", r.Data, r.Version, changed)
	}
	for _, p := range []*process{one, other} {
		p.keepsNone("after Delete", id)
		if r := p.delete(id); r.Version != 0 || len(r.Data) > 0 {
			l.Errorf("Delete of what is not there returns %q of version %d", r.Data, r.Version)
		}
	}
	again := other.save(id, "again", 0)
	for _, p := range []*process{one, other} {
		p.keeps("after Delete and Save", id, "again", again)
		if r := p.load(second)[0]; string(r.Data) != "second" {
			l.Errorf("another record is %q", r.Data)
		}
	}
}

func testConflict(l *lab) {
	one, other := l.process(), l.process()
	id := l.name()
	others := []uint64{1, 2, 1 << 40, 1<<63 - 1, 1<<64 - 1}
	all := func(when string, versions ...uint64) {
		l.Helper()
		for i, v := range append(versions, others...) {
			[]*process{one, other}[i%2].conflicts(when, id, v)
		}
	}
	all("where there is no record")
	others = others[2:] // the first versions may be small
	first := one.save(id, "first", 0)
	all("after the first Save", 0, first+1)
	second := other.save(id, "second", first)
	all("after the second Save", 0, first, second+1)
	one.delete(id)
	all("after Delete", first, second)
	third := one.save(id, "third", 0)
	all("after Delete and Save", 0, first, second, third+1)
	one.keeps("at the end", id, "third", third)
}

func testVersions(l *lab) {
	all, id := l.processes(2), l.name()
	seen := make(map[uint64]int)
	for round := range 40 {
		p, version := all[round%2], uint64(0)
		for range 3 {
			version = p.save(id, "x", version)
			if before, ok := seen[version]; ok {
				l.Fatalf("the version %d of round %d was that of a record in round %d", version, round, before)
			}
			seen[version] = round
		}
		p.delete(id)
	}
}

func testLoadMany(l *lab) {
	one, other := l.process(), l.process()
	if got, err := one.tryLoad(); err != nil || len(got) != 0 {
		l.Errorf("Load of no ids: %v, %v", got, err)
	}
	ids := make([]string, 1024) // as many as it takes
	for i := range ids {
		ids[i] = l.name()
	}
	ids[7], ids[1000] = ids[3], ids[3] // which have records: the same
	const workers = 16
	l.together(workers, func(w int) error {
		for i := w; i < len(ids); i += workers {
			if !saved(i) {
				continue
			}
			if _, err := one.trySave(ids[i], ids[i], 0, longTime); err != nil {
				return err
			}
		}
		return nil
	})
	for i, r := range other.load(ids...) {
		want := ""
		if saved(i) || ids[i] == ids[3] {
			want = ids[i]
		}
		if string(r.Data) != want || (r.Version != 0) != (want != "") {
			l.Fatalf("record %d is %q of version %d, want %q", i, r.Data, r.Version, want)
		}
	}
}

// saved tells which of many records there are.
func saved(i int) bool { return i%3 != 0 && i != 7 && i != 1000 || i == 3 }

func testRecordData(l *lab) {
	one, other := l.process(), l.process()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	large := bytes.Repeat(every, 1216) // 304 KiB
	for _, data := range []string{"", "\x00", string(every), `{"a":"ünïcode ☃ 𝄞"}`, "\xff\xfe", " \r\n ", strings.Repeat("x", 300<<10), string(large)} {
		id := l.name()
		first := one.save(id, data, 0)
		other.keeps("after Save", id, data, first)
		second := other.save(id, data+"!", first)
		one.keeps("after another", id, data+"!", second)
		if r := one.delete(id); string(r.Data) != data+"!" {
			l.Errorf("Delete returns %d bytes %.50q, want %d", len(r.Data), r.Data, len(data)+1)
		}
	}

	mine, id := []byte("mine"), l.name()
	err := one.call(func(ctx context.Context) error {
		_, err := one.Save(ctx, id, mine, 0, longTime)
		return err
	})
	if err != nil || string(mine) != "mine" {
		l.Fatalf("Save has made %q of its data: %v", mine, err)
	}
	before := one.load(id)[0]
	one.save(id, "other", before.Version)
	one.load(id)
	if string(before.Data) != "mine" || string(mine) != "mine" {
		l.Errorf("what was loaded has become %q, and what was saved %q", before.Data, mine)
	}
}

func testRecordIDs(l *lab) {
	one, other := l.process(), l.process()
	ids := names()
	for _, id := range ids {
		one.delete(id) // from an earlier run
	}
	versions := make([]uint64, len(ids))
	for i, id := range ids {
		versions[i] = one.save(id, fmt.Sprint("of ", i), 0)
	}
	check := func(records []engine.Record) {
		l.Helper()
		for i, r := range records {
			if want := fmt.Sprint("of ", i); string(r.Data) != want || r.Version != versions[i] {
				l.Errorf("the record of %.50q is %q of version %d, want %q of version %d", ids[i], r.Data, r.Version, want, versions[i])
			}
		}
	}
	check(other.load(ids...))
	var deleted []engine.Record
	for _, id := range ids {
		deleted = append(deleted, other.delete(id))
	}
	check(deleted)
}
