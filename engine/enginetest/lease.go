package enginetest

import (
	"context"
	"slices"
	"time"

	"github.com/kanava-go/kanava/engine"
)

var leaseBehaviours = []behaviour{
	{name: "D12 a lease is held as long as it is renewed", run: testLease, waits: true},
	{name: "D12 the entries of a lease that has lapsed have ended, and do not come back", run: testLapse, waits: true},
	{name: "D12 the leases of owners are apart", run: testOwners, waits: true},
}

const (
	shortTime = 2 * time.Second  // of a lease that lapses
	leaseTime = 60 * time.Second // of one that does not
	longTime  = time.Hour        // of what does not end
	lateTime  = 10 * time.Second // how much later something may end
)

func (n *node) tryRenew(owner string, ttl time.Duration) (held bool, err error) {
	err = n.call(func(ctx context.Context) (err error) {
		held, err = n.Renew(ctx, owner, ttl)
		return err
	})
	return held, err
}

func (n *node) renew(owner string, ttl time.Duration) (held bool) {
	n.l.Helper()
	held, err := n.tryRenew(owner, ttl)
	if err != nil {
		n.l.Fatalf("Renew: %v", err)
	}
	return held
}

func (n *node) owners() (owners []string) {
	n.l.Helper()
	err := n.call(func(ctx context.Context) (err error) {
		owners, err = n.Owners(ctx)
		return err
	})
	if err != nil {
		n.l.Fatalf("Owners: %v", err)
	}
	if sorted := slices.Sorted(slices.Values(owners)); len(slices.Compact(sorted)) != len(owners) {
		n.l.Errorf("Owners has an owner twice: %q", owners)
	}
	return owners
}

// has tells whether an owner is listed.
func (n *node) has(owner string) bool {
	n.l.Helper()
	return slices.Contains(n.owners(), owner)
}

// pass waits until d has passed.
func (l *lab) pass(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	<-t.C
}

func testLease(l *lab) {
	one, other := l.join(), l.join()
	owner := l.name()
	if one.has(owner) || other.renew(l.name(), leaseTime) {
		l.Error("a lease that has not begun is held")
	}
	if one.renew(owner, shortTime) {
		l.Error("the first Renew says that there was a lease")
	}
	l.eventually("the other node lists the owner", func() bool { return other.has(owner) })
	began, last := time.Now(), time.Now()
	for i := 0; time.Since(began) < 2*shortTime; i++ {
		before := last
		last = time.Now()
		if held := []*node{one, other}[i%2].renew(owner, shortTime); !held && time.Since(before) < shortTime {
			l.Fatal("a lease that is renewed in time is not held")
		}
		l.pass(shortTime / 8)
	}
	if !other.has(owner) {
		l.Error("an owner whose lease is renewed is not listed")
	}
	began = time.Now()
	l.eventually("a lease that is not renewed ends", func() bool { return !other.has(owner) })
	if took := time.Since(began); took > shortTime+lateTime {
		l.Errorf("a lease of %v ended after %v", shortTime, took)
	}
	if one.renew(owner, leaseTime) {
		l.Error("a lease that has lapsed is held")
	}
	if !one.renew(owner, shortTime) {
		l.Error("a lease that was begun again is not held")
	}
	began = time.Now()
	l.eventually("a lease that was made shorter ends", func() bool { return !one.has(owner) })
	if took := time.Since(began); took > shortTime+lateTime {
		l.Errorf("a lease that was made %v long ended after %v", shortTime, took)
	}
}

func testLapse(l *lab) {
	one, other := l.join(), l.join()
	owner, group := l.name(), l.name()
	one.renew(owner, shortTime)
	one.put(engine.Entry{Group: group, Member: "member", Owner: owner})
	one.put(engine.Entry{Group: group, Member: "long", Owner: owner, Lasts: longTime})
	l.eventually("the other node lists the entries", func() bool { return len(other.entries(group)) == 2 })
	l.eventually("the lease ends", func() bool { return !one.has(owner) })
	lasting := func(what string) {
		l.Helper()
		for _, n := range []*node{one, other} {
			if got := n.members(group); !slices.Equal(got, []string{"long"}) {
				l.Errorf("%s: the members are %q, want the one that lasts", what, got)
			}
		}
	}
	lasting("when the lease has ended")
	if one.renew(owner, leaseTime) {
		l.Error("a lease that has lapsed is held")
	}
	lasting("when the lease has begun again")
	one.put(engine.Entry{Group: group, Member: "member", Owner: owner})
	l.eventually("an entry can be put again", func() bool { return slices.Equal(other.members(group), []string{"long", "member"}) })
}

func testOwners(l *lab) {
	one, other := l.join(), l.join()
	dead, alive, group := l.name(), l.name(), l.name()
	one.renew(dead, shortTime)
	other.renew(alive, leaseTime)
	one.put(engine.Entry{Group: group, Member: "both", Owner: dead, Value: []byte("dead")})
	one.put(engine.Entry{Group: group, Member: "one", Owner: dead})
	other.put(engine.Entry{Group: group, Member: "both", Owner: alive, Value: []byte("alive")})
	l.eventually("all entries are listed", func() bool { return len(other.entries(group)) == 3 })
	l.eventually("the entries of the dead owner end", func() bool { return len(other.entries(group)) == 1 })
	if e := other.entries(group)[0]; e.Owner != alive || e.Member != "both" || string(e.Value) != "alive" {
		l.Errorf("what is left is %+v", e)
	}
	if !one.has(alive) || one.has(dead) {
		l.Error("Owners does not say the same")
	}
}
