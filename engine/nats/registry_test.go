package nats_test

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/kanava-go/kanava/engine"
)

// owners returns those that a node sees.
func (n *node) owners() (owners []string) {
	n.tb.Helper()
	n.do("owners", func(ctx context.Context) (err error) {
		owners, err = n.Owners(ctx)
		return err
	})
	slices.Sort(owners)
	return owners
}

// members returns who is in a group, as member@owner=value.
func (n *node) members(group string) (members []string) {
	n.tb.Helper()
	n.do("entries", func(ctx context.Context) error {
		members = nil
		for en, err := range n.Entries(ctx, group) {
			if err != nil {
				return err
			}
			members = append(members, en.Member+"@"+en.Owner+"="+string(en.Value))
		}
		return nil
	})
	slices.Sort(members)
	return members
}

func (n *node) renew(owner string, ttl time.Duration) (held bool) {
	n.tb.Helper()
	n.do("renew", func(ctx context.Context) (err error) {
		held, err = n.Renew(ctx, owner, ttl)
		return err
	})
	return held
}

func (n *node) put(en engine.Entry) {
	n.tb.Helper()
	n.do("put", func(ctx context.Context) error { return n.Put(ctx, en) })
}

// TestD12_LateOwner: the entries of an owner end with its lease, and do not come
// back with the next; another engine that has known the former lease does not
// bring them back either.
func TestD12_LateOwner(t *testing.T) {
	server := startServers(t, 1, "")[0]
	a, b := connect(t, "nats://"+server.address), connect(t, "nats://"+server.address)
	if a.renew("o", 300*time.Millisecond) {
		t.Fatal("held before it was taken")
	}
	a.put(engine.Entry{Group: "g", Member: "short", Owner: "o"})
	a.put(engine.Entry{Group: "g", Member: "lasts", Owner: "o", Lasts: time.Hour})
	if got, want := b.members("g"), []string{"lasts@o=", "short@o="}; !slices.Equal(got, want) {
		t.Fatalf("members %q, want %q", got, want)
	}
	for len(b.owners()) > 0 { // until it has ended
		<-time.After(10 * time.Millisecond)
	}
	a.put(engine.Entry{Group: "g", Member: "late", Owner: "o"})
	if got, want := b.members("g"), []string{"lasts@o="}; !slices.Equal(got, want) {
		t.Fatalf("members %q, want %q", got, want)
	}
	if b.renew("o", time.Hour) {
		t.Fatal("a lease that has ended is held")
	}
	a.put(engine.Entry{Group: "g", Member: "new", Owner: "o", Value: []byte("1")})
	a.put(engine.Entry{Group: "g", Member: "new", Owner: "o", Value: []byte("2")})
	if got, want := b.members("g"), []string{"lasts@o=", "new@o=2"}; !slices.Equal(got, want) {
		t.Fatalf("members %q, want %q", got, want)
	}
}

// TestEntriesWhilePut: who is there all the time is returned once, although each
// entry is put again while they are read; there are more than one answer holds.
func TestEntriesWhilePut(t *testing.T) {
	server := startServers(t, 1, "")[0]
	n := connect(t, "nats://"+server.address)
	n.renew("o", time.Hour)
	const members = 3000
	entry := func(i int) engine.Entry {
		return engine.Entry{Group: "g", Member: string(rune('a'+i%26)) + time.Duration(i).String(), Owner: "o"}
	}
	for i := range members {
		n.put(entry(i))
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				n.put(entry(i % members))
			}
		}
	}()
	for range 5 {
		got := n.members("g")
		if all := len(got); all != members || len(slices.Compact(got)) != members {
			t.Fatalf("%d entries, %d different ones of %d", all, len(slices.Compact(got)), members)
		}
	}
	close(stop)
	<-stopped
}

// TestD2_Wipe: streams that are deleted under a node that stays connected are made
// again, with another epoch, and what was subscribed to stays so.
func TestD2_Wipe(t *testing.T) {
	server := startServers(t, 1, "")[0]
	n := connect(t, "nats://"+server.address)
	for _, class := range []engine.Class{engine.Ordered, engine.Latest, engine.Recoverable} {
		topic := topicOf(class)
		n.subscribe(topic)
		n.publish(topic, "before")
		n.got(topic, 1)
		before := n.position(topic)
		wipe(t, server)
		if at := n.position(topic); at.Epoch == before.Epoch || at.Offset != 0 {
			t.Fatalf("%s: at %v, was at %v", class, at, before)
		}
		wipe(t, server)
		n.publish(topic, "after")
		if ev := n.got(topic, 2)[1]; ev.At != n.position(topic) || ev.At.Epoch == before.Epoch || ev.Prev != 0 {
			t.Fatalf("%s: %+v, was at %v", class, ev, before)
		}
	}
}

// wipe deletes all streams.
func wipe(tb testing.TB, server *process) {
	tb.Helper()
	nc, err := natsgo.Connect("nats://" + server.address)
	if err != nil {
		tb.Fatal(err)
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var names struct{ Streams []string }
	m, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.NAMES", nil)
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(m.Data, &names); err != nil {
		tb.Fatal(err)
	}
	for _, name := range names.Streams {
		m, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.DELETE."+name, nil)
		if err != nil || !bytes.Contains(m.Data, []byte(`"success":true`)) {
			tb.Fatalf("delete %s: %v", name, err)
		}
	}
}
