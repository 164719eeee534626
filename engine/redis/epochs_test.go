package redis_test

import (
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/redis"
)

// TestD2_RestartBeginsEpochs proves that a restart ends the epoch of a topic, for
// the last events before it may be lost, and that those which are not stay.
func TestD2_RestartBeginsEpochs(t *testing.T) {
	for _, c := range []struct {
		name     string
		args     []string
		keepData bool
		durable  bool
		kept     bool
		sameAt   bool
	}{
		{"without a disk", nil, true, false, false, false},
		{"with its data", []string{"--appendonly", "yes"}, true, false, true, false},
		{"with its data, that was lost", []string{"--appendonly", "yes"}, false, false, false, false},
		{"durable", []string{"--appendonly", "yes", "--appendfsync", "always"}, true, true, true, true},
		{"durable, but its data was lost", []string{"--appendonly", "yes", "--appendfsync", "always"}, false, true, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newServer(t, c.args...)
			n := join(t, redis.Options{Addrs: []string{s.addr}, Durable: c.durable})
			recoverable, latest, ordered := topic(engine.Recoverable), topic(engine.Latest), topic(engine.Ordered)
			all := []engine.Topic{recoverable, latest, ordered}
			n.subscribe(all...)
			var before []engine.Position
			for _, top := range all {
				n.publish(top, "1", "2")
				n.next(top, 2)
				before = append(before, n.position(top))
			}
			if c.name == "with its data" {
				s.do("CONFIG", "SET", "appendfsync", "always") // what is tested is what is kept
				n.publish(ordered, "3")
				n.next(ordered, 3)
				before[2] = n.position(ordered)
			}
			s.restart(c.keepData)
			for i, top := range all {
				n.until("Resumed", func() bool { return n.resumed[top.Name] > 0 })
				after := n.position(top)
				if same := after == before[i]; same != c.sameAt {
					t.Errorf("%v: it went from %v to %v", top.Class, before[i], after)
				}
				page := n.read(top, before[i])
				if page.Lost == c.sameAt {
					t.Errorf("%v: Read from the position before says lost: %v", top.Class, page.Lost)
				}
				var want []string
				switch {
				case !c.kept || c.sameAt || top.Class == engine.Ordered:
				case top.Class == engine.Latest:
					want = []string{"2"}
				default:
					want = []string{"1", "2"}
				}
				if got := texts(page.Events); !slices.Equal(got, want) {
					t.Errorf("%v: %q are kept, want %q", top.Class, got, want)
				}
				count := len(n.next(top, 0))
				n.publish(top, "after")
				last := n.next(top, count+1)[count]
				if last.At.Epoch != after.Epoch || last.At.Offset != after.Offset+1 || string(last.Data) != "after" {
					t.Errorf("%v: after %v came %v", top.Class, after, last.At)
				}
			}
		})
	}
}

// TestD2_ServerMakesRoom proves that another epoch begins when the server drops
// what it should keep, as it does with another maxmemory-policy.
func TestD2_ServerMakesRoom(t *testing.T) {
	s := newServer(t)
	n := join(t, redis.Options{Addrs: []string{s.addr}})
	for _, c := range []struct {
		class engine.Class
		drop  string
		kept  int  // events that are left
		same  bool // the epoch stays: who has missed events is told by Read
	}{
		{engine.Recoverable, "", 0, false},
		{engine.Recoverable, ":s", 0, true},
		{engine.Ordered, "", 0, false},
		{engine.Latest, "", 0, false},
		{engine.Latest, ":k", 0, false},
		{engine.Latest, ":z", 0, false},
	} {
		for _, publish := range []bool{false, true} {
			top := topic(c.class)
			first := n.position(top)
			n.publish(top, "1", "2")
			before := n.position(top)
			if s.do("DEL", "kanava:{"+top.Name+"}"+c.drop) != "1" {
				t.Fatal("there was nothing to drop")
			}
			want := []string(nil)
			if publish {
				n.publish(top, "3")
				if c.class != engine.Ordered {
					want = []string{"3"}
				}
			}
			if after := n.position(top); (after.Epoch == before.Epoch) != c.same {
				t.Errorf("%v without %q: it went from %v to %v", c.class, c.drop, before, after)
			}
			page := n.read(top, first)
			if got := texts(page.Events); !page.Lost || !slices.Equal(got, want) {
				t.Errorf("%v without %q: lost %v, kept %q, want %q", c.class, c.drop, page.Lost, got, want)
			}
		}
	}
}

// TestD1_Offsets proves that offsets are exact up to 2^53.
func TestD1_Offsets(t *testing.T) {
	s := newServer(t)
	n := join(t, redis.Options{Addrs: []string{s.addr}})
	for _, class := range []engine.Class{engine.Ordered, engine.Latest, engine.Recoverable} {
		top := topic(class)
		n.subscribe(top)
		n.position(top)
		const near = 1<<53 - 10
		s.do("HSET", "kanava:{"+top.Name+"}", "o", strconv.Itoa(near))
		n.publish(top, "1", "2")
		events := n.next(top, 2)
		since := engine.Position{Epoch: events[0].At.Epoch, Offset: near}
		page := n.read(top, since)
		if events[0].At.Offset != near+1 || events[1].At.Offset != near+2 || events[1].Prev != near+1 || page.At.Offset != near+2 {
			t.Errorf("%v: %v and %v came, and the topic is at %v", class, events[0].At, events[1].At, page.At)
		}
		if got := n.position(top); got != page.At {
			t.Errorf("%v: Positions returns %v, Read %v", class, got, page.At)
		}
		switch class {
		case engine.Recoverable:
			if got := texts(page.Events); !slices.Equal(got, []string{"1", "2"}) || page.Lost {
				t.Errorf("%q were read, lost %v", got, page.Lost)
			}
		case engine.Latest:
			if got := texts(page.Events); !slices.Equal(got, []string{"2"}) || page.Events[0].At != page.At {
				t.Errorf("%q were read", got)
			}
		}
	}
}

// TestD1_OffsetsOfClasses proves that a topic has one count, also while programs say
// different things of it, in what is sent as one.
func TestD1_OffsetsOfClasses(t *testing.T) {
	n := join(t, redis.Options{Addrs: []string{newServer(t).addr}})
	top := topic(engine.Recoverable)
	n.subscribe(top)
	const each = 100
	var group sync.WaitGroup
	for _, class := range []engine.Class{engine.Recoverable, engine.Ordered, engine.Latest} {
		said := engine.Topic{Name: top.Name, Class: class, Size: 1000, TTL: time.Hour}
		for range each {
			group.Go(func() { n.publish(said, "x") })
		}
	}
	group.Wait()
	for i, ev := range n.next(top, 3*each) {
		if ev.At.Offset != uint64(i)+1 || ev.Prev != uint64(i) || ev.At.Epoch != n.position(top).Epoch {
			t.Fatalf("event %d has %v, after %d", i, ev.At, ev.Prev)
		}
	}
}
