package redis_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/redis"
)

// TestNothingStays proves that all an engine leaves on a server ends, and when.
func TestNothingStays(t *testing.T) {
	s := newServer(t)
	n := join(t, redis.Options{Addrs: []string{s.addr}, Prefix: "p:"})
	for _, class := range []engine.Class{engine.Volatile, engine.Latest, engine.Ordered, engine.Recoverable} {
		top := topic(class)
		top.Name = class.String()
		n.subscribe(top)
		if err := n.Publish(within(t), top, engine.Event{ID: "id", Key: "k", Data: []byte("1")}); err != nil {
			t.Fatal(err)
		}
	}
	n.position(engine.Topic{Name: "new", Class: engine.Ordered})
	n.read(engine.Topic{Name: "read", Class: engine.Ordered}, engine.Position{})
	long := engine.Topic{Name: "long", Class: engine.Recoverable, Size: 1, TTL: 100 * time.Hour}
	n.publish(long, "1")
	if _, err := n.Renew(within(t), "owner", time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, lasts := range []time.Duration{0, time.Minute, 10 * time.Hour} {
		if err := n.Put(within(t), engine.Entry{Group: "g" + lasts.String(), Member: "m", Owner: "owner", Lasts: lasts}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.Keep(within(t), "k", []byte("v"), time.Minute); err != nil {
		t.Fatal(err)
	}
	want := map[string]time.Duration{
		"p:{latest}": 26 * time.Hour, "p:{latest}:k": 24*time.Hour + 30*time.Minute, "p:{latest}:z": 24*time.Hour + 30*time.Minute, "p:{latest}:i:id": 2 * time.Minute,
		"p:{ordered}": 25 * time.Hour, "p:{ordered}:i:id": 2 * time.Minute,
		"p:{recoverable}": 25 * time.Hour, "p:{recoverable}:s": 90 * time.Minute, "p:{recoverable}:i:id": 2 * time.Minute,
		"p:{new}": 25 * time.Hour, "p:{read}": 25 * time.Hour,
		"p:{long}": 102 * time.Hour, "p:{long}:s": 100*time.Hour + 30*time.Minute,
		"p:owners": 2*time.Hour + time.Minute,
		"p:g{g0s}": 3 * time.Hour, "p:g{g1m0s}": 3 * time.Hour, "p:g{g10h0m0s}": 10 * time.Hour,
		"p:k{k}": time.Minute,
	}
	keys := strings.Fields(strings.Trim(s.do("KEYS", "*"), "[]"))
	if len(keys) != len(want) {
		t.Errorf("%d keys are there, want %d: %q", len(keys), len(want), keys)
	}
	for _, key := range keys {
		ms, _ := strconv.Atoi(s.do("PTTL", key))
		if got := time.Duration(ms) * time.Millisecond; got > want[key] || got < want[key]-20*time.Second {
			t.Errorf("%s ends in %v, want %v", key, got, want[key])
		}
	}
}

// TestEventsEnd proves that a topic that is published to all the time does not keep
// events that have ended until it has too many.
func TestEventsEnd(t *testing.T) {
	s := newServer(t)
	n := join(t, redis.Options{Addrs: []string{s.addr}})
	top := topic(engine.Recoverable)
	top.Size, top.TTL = 1_000_000, 50*time.Millisecond
	published := 0
	for began := time.Now(); time.Since(began) < 5*top.TTL; published++ {
		n.publish(top, "x")
	}
	left, err := strconv.Atoi(s.do("XLEN", "kanava:{"+top.Name+"}:s"))
	if err != nil || left > published*9/10 {
		t.Errorf("%d of %d events are left, %v", left, published, err)
	}
	last := n.position(top)
	for ctx := within(t); len(n.read(top, engine.Position{}).Events) > 0 && ctx.Err() == nil; {
	}
	if page := n.read(top, last); page.Lost || page.At != last || len(page.Events) > 0 {
		t.Errorf("when all have ended Read from the last returns %+v", page)
	}
}

// TestGroupsAreTidied proves that entries whose owner is gone leave the server when
// somebody looks, and not only what is returned.
func TestGroupsAreTidied(t *testing.T) {
	s := newServer(t)
	n := join(t, redis.Options{Addrs: []string{s.addr}})
	testRegistry(t, n)
	if left := s.do("HLEN", "kanava:g{tidy}"); left != "1" {
		t.Errorf("%s entries are left, want 1", left)
	}
	if left := s.do("HLEN", "kanava:owners"); left != "1" {
		t.Errorf("%s leases are left, want 1", left)
	}
}

// TestManyEntries proves that a group that needs many pages is returned whole, each
// entry once, while others come and go.
func TestManyEntries(t *testing.T) {
	s := newServer(t)
	n := join(t, redis.Options{Addrs: []string{s.addr}})
	if _, err := n.Renew(within(t), "owner", time.Minute); err != nil {
		t.Fatal(err)
	}
	put := func(member string, lasts time.Duration) {
		t.Helper()
		if err := n.Put(within(t), engine.Entry{Group: "g", Member: member, Owner: "owner", Value: make([]byte, 100), Lasts: lasts}); err != nil {
			t.Fatal(err)
		}
	}
	const stay = 1500
	for i := range stay {
		put("stay"+strconv.Itoa(i), 0)
	}
	for i := range 300 {
		put("go"+strconv.Itoa(i), time.Duration(1+i)*time.Millisecond)
	}
	seen := make(map[string]int)
	i := 0
	for en, err := range n.Entries(within(t), "g") {
		if err != nil {
			t.Fatal(err)
		}
		if seen[en.Member]++; i%5 == 0 {
			put("come"+strconv.Itoa(i), 0) // the server makes room meanwhile
		}
		i++
	}
	for i := range stay {
		if got := seen["stay"+strconv.Itoa(i)]; got != 1 {
			t.Fatalf("entry %d came %d times", i, got)
		}
	}
}
