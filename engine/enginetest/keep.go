package enginetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

var keepBehaviours = []behaviour{
	{name: "Keep keeps the first value, for all nodes", run: testKeep},
	{name: "Keep of many nodes at once has one winner", run: testKeepAtOnce},
	{name: "what Keep keeps ends, if nobody calls it again", run: testKeepEnds, waits: true},
}

func (n *node) tryKeep(key, value string, ttl time.Duration) (kept string, err error) {
	err = n.call(func(ctx context.Context) error {
		k, err := n.Keep(ctx, key, []byte(value), ttl)
		kept = string(k)
		return err
	})
	return kept, err
}

func (n *node) keep(key, value string, ttl time.Duration) (kept string) {
	n.l.Helper()
	kept, err := n.tryKeep(key, value, ttl)
	if err != nil {
		n.l.Fatalf("Keep: %v", err)
	}
	return kept
}

func (n *node) forget(key string) {
	n.l.Helper()
	if err := n.call(func(ctx context.Context) error { return n.Forget(ctx, key) }); err != nil {
		n.l.Fatalf("Forget: %v", err)
	}
}

func testKeep(l *lab) {
	one, other, key, second := l.join(), l.join(), l.name(), l.name()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	first := string(every) + strings.Repeat("x", 4000)
	one.forget(key)
	for _, c := range []struct {
		n          *node
		key, value string
		want       string
	}{
		{one, key, first, first},
		{one, key, "later", first},
		{other, key, "later", first},
		{other, second, "second", "second"},
		{one, second, first, "second"},
		{one, key, "", first},
	} {
		if got := c.n.keep(c.key, c.value, longTime); got != c.want {
			l.Errorf("Keep of %.20q: %.50q is kept, want %.50q", c.value, got, c.want)
		}
	}
	one.forget(key)
	if got := other.keep(key, "", longTime); got != "" {
		l.Errorf("after Forget %.50q is kept", got)
	}
	if got := one.keep(key, "later", longTime); got != "" {
		l.Errorf("an empty value is not kept, but %q", got)
	}
	if got := one.keep(second, "x", longTime); got != "second" {
		l.Errorf("after Forget of another key %q is kept", got)
	}
	one.forget(key)
	one.forget(second)
}

func testKeepAtOnce(l *lab) {
	nodes := l.joinAll(3)
	for range 20 {
		key := l.name()
		var mu sync.Mutex
		kept := make(map[string]int)
		l.together(6, func(i int) error {
			k, err := nodes[i%3].tryKeep(key, fmt.Sprint(i), longTime)
			mu.Lock()
			defer mu.Unlock()
			kept[k]++
			return err
		})
		if len(kept) != 1 {
			l.Fatalf("six calls at once: %v are kept", kept)
		}
		nodes[0].forget(key)
	}
}

func testKeepEnds(l *lab) {
	one, other, key, left := l.join(), l.join(), l.name(), l.name()
	one.keep(key, "first", shortTime)
	one.keep(left, "first", shortTime)
	began, last := time.Now(), time.Now()
	for time.Since(began) < 2*shortTime {
		before := last
		last = time.Now()
		if got := other.keep(key, "later", shortTime); got != "first" && time.Since(before) < shortTime {
			l.Fatalf("a value that was kept again and again is %q", got)
		}
		l.pass(shortTime / 8)
	}
	l.pass(shortTime) // one that nobody keeps ends at some time; asking would prolong it
	for _, k := range []string{key, left} {
		var got string
		for wait := shortTime; wait < shortTime+lateTime; wait += shortTime {
			l.pass(wait / 4)
			if got = one.keep(k, "later", shortTime/4); got == "later" {
				break
			}
		}
		if got != "later" {
			l.Errorf("a value that nobody has kept for longer than %v is still there: %q", shortTime, got)
		}
	}
}
