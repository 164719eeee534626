package enginetest

import (
	"slices"
	"time"
)

var storeTimeBehaviours = []behaviour{
	{name: "a record lasts as long as was said, and has gone then", run: testRecordEnds, waits: true},
	{name: "a record that is saved again lasts longer", run: testRecordLasts, waits: true},
	{name: "a member ends, unless it joins again", run: testMemberEnds, waits: true},
}

// untilGone waits until something is not there that has begun to last shortTime.
func (l *lab) untilGone(what string, began time.Time, there func() bool) {
	l.Helper()
	for there() {
		if time.Since(began) > shortTime+lateTime {
			l.Fatalf("%s is there %v after it was to last %v", what, time.Since(began), shortTime)
		}
		l.pass(shortTime / 20)
	}
	if took := time.Since(began); took < shortTime {
		l.Fatalf("%s has gone after %v, and was to last %v", what, took, shortTime)
	}
}

func testRecordEnds(l *lab) {
	one, other := l.process(), l.process()
	id, second, long := l.name(), l.name(), l.name()
	kept := one.save(long, "long", 0)
	began := time.Now()
	version, err := one.trySave(id, "short", 0, shortTime)
	if err == nil {
		_, err = one.trySave(second, "short", 0, shortTime)
	}
	if err != nil {
		l.Fatalf("Save: %v", err)
	}
	l.untilGone("a record", began, func() bool { return other.load(id)[0].Version != 0 })
	l.untilGone("a record", began, func() bool { return other.load(second)[0].Version != 0 })
	one.conflicts("after the record has ended", id, version)
	if r := one.delete(second); r.Version != 0 {
		l.Errorf("Delete returns a record that has ended: %q", r.Data)
	}
	again := other.save(id, "again", 0)
	if again == version {
		l.Errorf("the version %d comes again after the record has ended", version)
	}
	one.keeps("after the record has ended", id, "again", again)
	one.keeps("one that was to last longer", long, "long", kept)
}

func testRecordLasts(l *lab) {
	one, other := l.process(), l.process()
	id := l.name()
	began, version := time.Now(), uint64(0)
	for i := 0; time.Since(began) < 2*shortTime; i++ {
		before := time.Now()
		var err error
		if version, err = []*process{one, other}[i%2].trySave(id, "x", version, shortTime); err != nil {
			l.Fatalf("Save %d, which comes in time: %v", i, err)
		}
		l.pass(shortTime / 8)
		if r := other.load(id)[0]; r.Version != version && time.Since(before) < shortTime {
			l.Fatalf("%v after Save %d the version is %d, want %d", time.Since(before), i, r.Version, version)
		}
	}
	longer, err := one.trySave(id, "x", version, longTime)
	if err != nil {
		l.Fatalf("Save: %v", err)
	}
	l.pass(shortTime + shortTime/4)
	other.keeps("after a Save for longer", id, "x", longer)
}

func testMemberEnds(l *lab) {
	one, other, group := l.process(), l.process(), l.name()
	joins := func(member string, ttl time.Duration) {
		l.Helper()
		if err := one.tryJoin(group, member, ttl); err != nil {
			l.Fatalf("Join: %v", err)
		}
	}
	has := func(member string) bool {
		l.Helper()
		return slices.Contains(other.members(group), member)
	}
	joins("long", longTime)
	joins("long", shortTime) // which does not make it shorter
	joins("longer", shortTime)
	joins("longer", longTime)
	began := time.Now()
	joins("short", shortTime)
	last := time.Now()
	joins("again", shortTime)
	for time.Since(began) < 2*shortTime {
		l.pass(shortTime / 8)
		if !has("again") && time.Since(last) < shortTime {
			l.Fatalf("who has joined again and again is not there %v after the last time", time.Since(last))
		}
		last = time.Now()
		joins("again", shortTime)
	}
	l.untilGone("a member", began, func() bool { return has("short") })
	l.untilGone("one who has joined again", last, func() bool { return has("again") })
	other.hasMembers("when those who were to have ended", group, "long", "longer")
	joins("short", longTime)
	other.hasMembers("when one has joined again", group, "long", "longer", "short")
}
