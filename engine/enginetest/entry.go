package enginetest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kanava-go/kanava/engine"
)

var entryBehaviours = []behaviour{
	{name: "D12 an entry takes the place of the former one", run: testReplace},
	{name: "D12 an entry that Lasts ends, though the lease goes on", run: testLasts, waits: true},
	{name: "D12 all entries of a group are listed, and each once", run: testListing},
	{name: "D12 values of entries are any bytes", run: testValues},
}

func (n *node) put(e engine.Entry) {
	n.l.Helper()
	if err := n.call(func(ctx context.Context) error { return n.Put(ctx, e) }); err != nil {
		n.l.Fatalf("Put: %v", err)
	}
}

func (n *node) tryEntries(group string) (all []engine.Entry, err error) {
	err = n.call(func(ctx context.Context) error {
		for e, err := range n.Entries(ctx, group) {
			if err != nil {
				return err
			}
			all = append(all, e)
		}
		return nil
	})
	for _, e := range all {
		if err == nil && e.Group != group {
			err = fmt.Errorf("the group %q has an entry of the group %q", group, e.Group)
		}
	}
	return all, err
}

func (n *node) entries(group string) []engine.Entry {
	n.l.Helper()
	all, err := n.tryEntries(group)
	if err != nil {
		n.l.Fatalf("Entries: %v", err)
	}
	return all
}

// members returns the members of a group, in order.
func (n *node) members(group string) (members []string) {
	n.l.Helper()
	for _, e := range n.entries(group) {
		members = append(members, e.Member)
	}
	slices.Sort(members)
	return members
}

func testReplace(l *lab) {
	one, other := l.join(), l.join()
	owner, second, group, elsewhere := l.name(), l.name(), l.name(), l.name()
	one.renew(owner, leaseTime)
	one.renew(second, leaseTime)
	if got := one.entries(group); len(got) != 0 {
		l.Errorf("a new group has %v", got)
	}
	say := func(n *node, group, member, owner, value string) {
		l.Helper()
		n.put(engine.Entry{Group: group, Member: member, Owner: owner, Value: []byte(value)})
	}
	say(one, group, "m", owner, "old")
	say(one, group, "m", owner, "new")
	say(one, group, "m", second, "second")
	say(one, group, "n", owner, "n")
	say(one, elsewhere, "m", owner, "elsewhere")
	want := []string{"m new", "m second", "n n"}
	for _, n := range []*node{one, other} {
		var got []string
		l.eventually("all entries are listed", func() bool {
			got = nil
			for _, e := range n.entries(group) {
				got = append(got, e.Member+" "+string(e.Value))
			}
			slices.Sort(got)
			return len(got) >= len(want)
		})
		if !slices.Equal(got, want) {
			l.Errorf("the entries are %q, want %q", got, want)
		}
	}
	say(other, group, "m", owner, "newest")
	l.eventually("another node's entry takes the place, for the owner is the same", func() bool {
		return slices.ContainsFunc(one.entries(group), func(e engine.Entry) bool { return string(e.Value) == "newest" })
	})
	if got := one.entries(group); len(got) != 3 {
		l.Errorf("the entries are %v", got)
	}
}

func testLasts(l *lab) {
	n, owner, group := l.join(), l.name(), l.name()
	n.renew(owner, leaseTime)
	put := func(member string, lasts time.Duration) {
		l.Helper()
		n.put(engine.Entry{Group: group, Member: member, Owner: owner, Lasts: lasts})
	}
	began := time.Now()
	put("brief", shortTime)
	put("stays", shortTime)
	put("stays", 0)
	put("longer", shortTime)
	put("longer", longTime)
	put("leaves", 0)
	put("leaves", shortTime)
	put("whole", 0)
	if got := n.members(group); len(got) != 5 && time.Since(began) < shortTime {
		l.Errorf("at first %q are there", got)
	}
	want := []string{"longer", "stays", "whole"}
	var got []string
	l.eventually("two of five end", func() bool {
		got = n.members(group)
		return len(got) <= len(want)
	})
	if took := time.Since(began); took < shortTime-100*time.Millisecond || took > shortTime+lateTime {
		l.Errorf("entries that last %v ended after %v", shortTime, took)
	}
	l.pass(shortTime / 2) // in which nothing is to happen
	if got = n.members(group); !slices.Equal(got, want) {
		l.Errorf("%q stay, want %q", got, want)
	}
	put("brief", 0)
	if got := n.members(group); !slices.Contains(got, "brief") {
		l.Errorf("what was put again is not among %q", got)
	}
}

func testListing(l *lab) {
	n, group := l.join(), l.name()
	const members, owners = 150, 3
	want := make(map[string]bool)
	for o := range owners {
		owner := l.name()
		n.renew(owner, leaseTime)
		l.together(8, func(w int) error {
			for i := w; i < members; i += 8 {
				err := n.call(func(ctx context.Context) error {
					return n.Put(ctx, engine.Entry{Group: group, Member: fmt.Sprint("member ", i), Owner: owner, Value: fmt.Append(nil, o)})
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		for i := range members {
			want[fmt.Sprint("member ", i, " ", o)] = true
		}
	}
	got := make(map[string]bool)
	for _, e := range n.entries(group) {
		one := e.Member + " " + string(e.Value)
		if got[one] {
			l.Fatalf("%q is listed twice", one)
		}
		got[one] = true
	}
	for one := range want {
		if !got[one] {
			l.Fatalf("%q is not listed", one)
		}
	}
	if len(got) != len(want) {
		l.Errorf("%d entries are listed, want %d", len(got), len(want))
	}
	// Who has seen enough may stop.
	err := n.call(func(ctx context.Context) error {
		seen := 0
		for _, err := range n.Entries(ctx, group) {
			if seen++; seen == 10 {
				break
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		l.Errorf("Entries: %v", err)
	}
	if got := n.entries(group); len(got) != len(want) {
		l.Errorf("after a loop that was broken off %d entries are listed, want %d", len(got), len(want))
	}
}

func testValues(l *lab) {
	n, owner, group := l.join(), l.name(), l.name()
	n.renew(owner, leaseTime)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	values := [][]byte{nil, {0}, []byte(`{"a":1}`), []byte("\r\n"), every, bytes.Repeat(every, 260)} // the last has 65 KiB
	for i, v := range values {
		mine := bytes.Clone(v)
		n.put(engine.Entry{Group: group, Member: fmt.Sprint(i), Owner: owner, Value: mine})
		scribble(mine)
	}
	all := n.entries(group)
	if len(all) != len(values) {
		l.Fatalf("%d entries are listed, want %d", len(all), len(values))
	}
	for _, e := range all {
		for i, v := range values {
			if e.Member == fmt.Sprint(i) && !bytes.Equal(e.Value, v) {
				l.Errorf("value %d has become %.50q", i, e.Value)
			}
		}
	}
}
