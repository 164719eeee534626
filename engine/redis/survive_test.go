//go:build faults

package redis_test

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kanava-go/kanava"
)

// promise is what holds for a Recoverable topic with a fault.
type promise struct {
	keeps bool // all events come
	tells bool // it is told that something may be lost
}

// survive lets three nodes talk while a fault happens, and demands what is promised.
func survive(g *ground, fault func(g *ground), p promise) {
	for _, name := range []string{"a", "b", "c"} {
		opts := g.opts
		if name == "c" && g.network != nil {
			opts.Addrs = []string{g.network.Addr()}
		}
		g.nodes = append(g.nodes, newMember(g, name, opts))
	}
	a, b, c := g.nodes[0], g.nodes[1], g.nodes[2]
	leaves := a.connect("ann")
	b.connect("bob")
	c.connect("cid")
	g.agree("before", "ann bob cid")

	topics := map[string]func(*member) *kanava.Topic[string]{
		"room":  func(m *member) *kanava.Topic[string] { return m.room },
		"audit": func(m *member) *kanava.Topic[string] { return m.audit },
		"price": func(m *member) *kanava.Topic[string] { return m.price },
	}
	hearers := make(map[string][]*hearer)
	publishers := make(map[string][]*publisher)
	var writing sync.WaitGroup
	stop := make(chan struct{})
	for name, topic := range topics {
		for _, m := range g.nodes {
			hearers[name] = append(hearers[name], m.hear(name, topic(m)))
		}
	}
	for name, topic := range topics {
		for _, m := range g.nodes {
			p := &publisher{member: m, topic: topic(m)}
			publishers[name] = append(publishers[name], p)
			writing.Go(func() { p.run(stop) })
		}
	}
	rest(time.Second)
	leaves.Leave() // and lingers: the fault is there when it is told
	fault(g)
	healed := time.Now()
	for _, m := range g.nodes {
		m.await(30*time.Second, "that the node is ready", func() bool { return m.hub.Ready(m.Context()) == nil })
	}
	g.Logf("ready after %v", time.Since(healed))
	c.connect("dora")
	g.agree("after", "bob cid dora")
	close(stop)
	writing.Wait()
	for name, topic := range topics {
		for _, x := range hearers[name] {
			x.hears("end", topic(a), a)
		}
	}
	for name := range topics {
		for _, p := range publishers[name] {
			if p.most > publishTime {
				g.Errorf("a publication of %s to %s took %v", p.name, name, p.most)
			}
			g.Logf("%s has said %d things of %s, tried %d times again, and waited %v at most", p.name, p.said, name, p.again, p.most)
		}
	}
	g.check(hearers, publishers, p)
}

// agree waits until all nodes know who is there.
func (g *ground) agree(when, who string) {
	g.Helper()
	began := time.Now()
	for _, m := range g.nodes {
		got := ""
		m.await(presenceTime, when+" the fault: "+who, func() bool {
			got = m.members()
			return got == who
		})
	}
	g.Logf("%s the fault all nodes agree on who is there in %v", when, time.Since(began))
}

// check looks at what was heard.
func (g *ground) check(hearers map[string][]*hearer, publishers map[string][]*publisher, p promise) {
	g.Helper()
	for _, x := range hearers["room"] {
		told := x.inOrder(p.keeps)
		missing := 0
		for _, w := range publishers["room"] {
			missing += x.missing(w)
		}
		g.Logf("%s was told %d times that something is lost, and misses %d events", x, told, missing)
		switch {
		case missing > 0 && (told == 0 || p.keeps):
			g.Errorf("%s misses %d events", x, missing)
		case told > 0 && !p.tells:
			g.Errorf("%s was told that something is lost", x)
		case told == 0 && p.tells:
			g.Errorf("%s was told nothing", x)
		}
	}
	for _, x := range hearers["audit"] {
		told := x.inOrder(true)
		x.forward()
		g.Logf("%s was told %d times that something is lost", x, told)
	}
	if !p.tells {
		g.sameOrder(hearers["room"])
	}
	for _, x := range hearers["price"] {
		for _, w := range publishers["price"] {
			x.endsWith(w)
		}
	}
}

// inOrder demands that nothing comes twice, unless something is lost between, and
// that nothing is missing: up to where something is lost or, if whole is set, also
// between two such places. A replica that takes the place of a server may not have
// had the last events. It returns how often something was lost.
func (x *hearer) inOrder(whole bool) (told int) {
	x.node.Helper()
	next := make(map[string]int)
	x.each(func(i int, name string, number int) {
		if name == lost {
			told++
			clear(next)
			return
		}
		want, ok := next[name]
		if ok && (number < want || number > want && (whole || told == 0)) {
			x.node.Errorf("%s: event %d is %d of %s, not %d", x, i, number, name, want)
		}
		next[name] = number + 1
	})
	return told
}

// forward demands that nothing ever goes back.
func (x *hearer) forward() {
	x.node.Helper()
	last := make(map[string]int)
	x.each(func(i int, name string, number int) {
		if number < last[name] {
			x.node.Errorf("%s: event %d is %d of %s, after %d", x, i, number, name, last[name])
		}
		last[name] = number
	})
}

// each goes through what was heard; the name is lost where something is.
func (x *hearer) each(yield func(i int, name string, number int)) {
	x.node.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, ev := range x.heard {
		if ev == lost {
			yield(i, lost, 0)
			continue
		}
		name := publisherOf(ev)
		number, err := strconv.Atoi(strings.TrimPrefix(ev, name+": "))
		if err != nil {
			x.node.Fatal(err)
		}
		yield(i, name, number)
	}
}

// missing counts the events of a publisher that were not heard.
func (x *hearer) missing(p *publisher) (n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	heard := make(map[string]bool)
	for _, ev := range x.heard {
		heard[ev] = true
	}
	for i := range p.said {
		if !heard[event(p.name, i)] {
			n++
		}
	}
	return n
}

// endsWith demands that the last event of a publisher is the last that was heard.
func (x *hearer) endsWith(p *publisher) {
	x.node.Helper()
	last := ""
	x.node.await(presenceTime, "the newest event of "+p.name, func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		for _, ev := range slices.Backward(x.heard) {
			if publisherOf(ev) == p.name {
				last = ev
				break
			}
		}
		// What was being published at the end may have been.
		return last == event(p.name, p.said-1) || last == event(p.name, p.said)
	})
}

// sameOrder demands that all have heard the same. They began at different times.
func (g *ground) sameOrder(all []*hearer) {
	g.Helper()
	var first string
	for _, x := range all {
		x.mu.Lock()
		begun := slices.DeleteFunc(slices.Clone(x.heard), func(ev string) bool { return strings.Contains(publisherOf(ev), " of ") })
		x.mu.Unlock()
		text := strings.Join(begun, "\n")
		if first == "" {
			first = text
		}
		if text != first {
			g.Errorf("%s has another order than %s", x, all[0])
		}
	}
}
