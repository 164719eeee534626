package enginetest

import (
	"context"
	"fmt"
	"strings"
)

var groupBehaviours = []behaviour{
	{name: "members of a group are those who have joined and not left, for all processes", run: testGroup},
	{name: "groups and members are any bytes, and are told apart", run: testGroupNames},
	{name: "all who stay in a large group are its members once, while others come and go", run: testLargeGroup},
	{name: "who stops in the middle of Members leaves nothing behind", run: testMembersStop},
}

func testGroup(l *lab) {
	one, other := l.process(), l.process()
	group, second := l.name(), l.name()
	one.hasMembers("of a group that nobody has joined", group)
	one.leave(group, "a")
	one.join(group, "a", "b", "a")
	other.join(group, "c", "a")
	other.join(second, "a", "d")
	one.save(group, "a record with the name of a group", 0)
	for _, p := range []*process{one, other} {
		p.hasMembers("after Join", group, "a", "b", "c")
		p.hasMembers("of another group", second, "a", "d")
	}
	other.leave(group, "a", "x")
	one.leave(group, "a")
	one.delete(group)
	for _, p := range []*process{one, other} {
		p.hasMembers("after Leave", group, "b", "c")
		p.hasMembers("of another group after Leave", second, "a", "d")
	}
	one.join(group, "a")
	other.hasMembers("after Leave and Join", group, "a", "b", "c")
	one.leave(group, "a", "b", "c")
	other.hasMembers("when all have left", group)
}

func testGroupNames(l *lab) {
	one, other := l.process(), l.process()
	all := names()
	for i, group := range all {
		one.join(group, fmt.Sprint("of ", i))
	}
	for i, group := range all {
		other.hasMembers(fmt.Sprintf("of group %.50q", group), group, fmt.Sprint("of ", i))
		other.leave(group, fmt.Sprint("of ", i))
	}
	group := l.name()
	one.join(group, all...)
	other.hasMembers("with odd names", group, all...)
	for i, member := range all {
		if i%2 == 0 {
			other.leave(group, member)
		}
	}
	var left []string
	for i, member := range all {
		if i%2 == 1 {
			left = append(left, member)
		}
	}
	one.hasMembers("after half of those with odd names have left", group, left...)

	// What belongs to the group, and what to the member.
	one.join(group+"ab", "c")
	one.join(group+"a", "bc")
	one.join(group+"a:b", "c")
	one.join(group+"a", "b:c")
	one.hasMembers("of one group", group+"ab", "c")
	one.hasMembers("of another", group+"a", "b:c", "bc")
	one.hasMembers("of a third", group+"a:b", "c")
}

func testLargeGroup(l *lab) {
	one, other, group := l.process(), l.process(), l.name()
	const stay, guests, workers = 10_000, 300, 32
	member := func(i int) string { return fmt.Sprintf("%05d stays", i) }
	guest := func(i int) string { return fmt.Sprintf("%05d is a guest", i) }
	l.together(workers, func(w int) error {
		for i := w; i < stay; i += workers {
			if err := []*process{one, other}[i%2].tryJoin(group, member(i), longTime); err != nil {
				return err
			}
			if i < guests {
				if err := one.tryJoin(group, guest(i), longTime); err != nil {
					return err
				}
			}
		}
		return nil
	})
	stop, churned := make(chan struct{}), make(chan error, 1)
	go func() { churned <- other.churn(group, "beside", stop) }()
	seen := make(map[string]bool)
	err := one.call(func(ctx context.Context) error {
		for m, err := range one.Members(ctx, group) {
			switch {
			case err != nil:
				return err
			case seen[m]:
				return fmt.Errorf("%q comes twice", m)
			case !strings.HasSuffix(m, "stays") && !strings.HasSuffix(m, "guest"):
				return fmt.Errorf("%q has not joined", m)
			}
			if seen[m] = true; len(seen)%50 > 0 {
				continue
			}
			i := len(seen) / 50 // by the process that goes through them, too
			if err := one.tryLeave(group, guest(i)); err != nil {
				return err
			}
			if err := one.tryJoin(group, fmt.Sprintf("~%05d is another guest", i), longTime); err != nil {
				return err
			}
			for _, m := range []string{m, member(i), member(stay - i)} { // some that came, and some that come
				if err := one.tryJoin(group, m, 2*longTime); err != nil {
					return err
				}
			}
		}
		return nil
	})
	close(stop)
	if err := <-churned; err != nil {
		l.Errorf("while others go through the members: %v", err)
	}
	if err != nil {
		l.Fatalf("Members: %v", err)
	}
	missing := 0
	for i := range stay {
		if !seen[member(i)] {
			missing++
		}
	}
	if missing > 0 {
		l.Errorf("%d of %d who were there all the time are missing", missing, stay)
	}
}

// churn lets a guest come and go until stop is closed.
func (p *process) churn(group, name string, stop <-chan struct{}) error {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return nil
		default:
		}
		guest := fmt.Sprintf("%03d %s is a guest", i%1000, name)
		if err := p.tryJoin(group, guest, longTime); err != nil {
			return err
		}
		if err := p.tryLeave(group, guest); err != nil {
			return err
		}
	}
}

func testMembersStop(l *lab) {
	p, group := l.process(), l.name()
	p.join(group, "a", "b", "c")
	ctx, cancel := context.WithTimeout(l.Context(), callTime)
	defer cancel()
	for range 50 { // more than a store has connections
		number := 0
		for _, err := range p.Members(ctx, group) {
			if err != nil {
				l.Fatalf("Members: %v", err)
			}
			if number++; number == 2 {
				break
			}
		}
	}
	p.leave(group, "a")
	p.hasMembers("after loops that were left", group, "b", "c")
	all := p.Members(ctx, group)
	for range 2 {
		number := 0
		for _, err := range all {
			if err != nil {
				l.Fatalf("Members: %v", err)
			}
			number++
		}
		if number != 2 {
			l.Errorf("what Members has returned has %d members, want 2, also when it is gone through again", number)
		}
	}
}
