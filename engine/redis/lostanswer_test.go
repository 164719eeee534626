package redis_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/redis"
	"github.com/kanava-go/kanava/internal/badnet"
)

// lossy is a node whose answers can be lost, and one that is there to look.
type lossy struct {
	*node

	other  *node
	server *server
	net    *badnet.Network
}

func newLossy(t *testing.T) *lossy {
	s := newServer(t)
	p := badnet.To(t, s.addr)
	l := &lossy{node: join(t, redis.Options{Addrs: []string{p.Addr()}}), other: join(t, redis.Options{Addrs: []string{s.addr}}), server: s, net: p}
	// It is connected, and the server knows the scripts.
	if _, err := l.Save(within(t), "first", nil, 0, time.Minute); err != nil {
		t.Fatal(err)
	}
	l.publish(engine.Topic{Name: "first", Class: engine.Ordered}, "1")
	return l
}

// lose has f do something whose answer is lost: when it has been done, which there
// is says, and then others have done something, the connection breaks.
func (l *lossy) lose(f func() error, key string, is string, others func()) error {
	l.tb.Helper()
	l.net.Fail(badnet.Fault{Deaf: true})
	done := make(chan error, 1)
	go func() { done <- f() }()
	l.server.eventually("done", func() bool { return l.server.do("EXISTS", key) == is })
	others()
	l.net.Fail(badnet.Fault{Cut: true})
	l.net.Heal()
	select {
	case err := <-done:
		return err
	case <-time.After(30 * time.Second):
		l.tb.Fatal("it does not return")
		return nil
	}
}

// TestSaveWhoseAnswerIsLost is that such a Save is told from that of somebody else.
func TestSaveWhoseAnswerIsLost(t *testing.T) {
	l := newLossy(t)
	var saved uint64
	save := func(id string) func() error {
		return func() (err error) {
			saved, err = l.Save(within(t), id, []byte("mine"), 0, time.Minute)
			return err
		}
	}
	if err := l.lose(save("a"), "kanava:c{a}", "1", func() {}); err != nil {
		t.Fatalf("Save: %v", err)
	}
	kept := func(id string) engine.Record {
		records, err := l.other.Load(within(t), []string{id})
		if err != nil {
			t.Fatal(err)
		}
		return records[0]
	}
	if r := kept("a"); string(r.Data) != "mine" || r.Version != saved {
		t.Errorf("Save returned %d, and %q of version %d is kept", saved, r.Data, r.Version)
	}
	err := l.lose(save("b"), "kanava:c{b}", "1", func() {
		if _, err := l.other.Save(within(t), "b", []byte("other"), kept("b").Version, time.Minute); err != nil {
			t.Error(err)
		}
	})
	if err == nil || errors.Is(err, engine.ErrConflict) {
		t.Errorf("Save, in whose place another one has saved since: %v", err)
	}
	if r := kept("b"); string(r.Data) != "other" {
		t.Errorf("%q is kept", r.Data)
	}
}

// TestDeleteWhoseAnswerIsLost is that Delete does not say then that there was nothing.
func TestDeleteWhoseAnswerIsLost(t *testing.T) {
	l := newLossy(t)
	if _, err := l.Save(within(t), "a", []byte("x"), 0, time.Minute); err != nil {
		t.Fatal(err)
	}
	err := l.lose(func() error {
		r, err := l.Delete(within(t), "a")
		if err == nil {
			t.Errorf("Delete returns %q of version %d", r.Data, r.Version)
		}
		return err
	}, "kanava:c{a}", "0", func() {})
	if err == nil {
		t.Error("Delete returns no error")
	}
}

// TestStampWhoseAnswerIsLost is that a publication is told from another one with its
// ID, and from itself.
func TestStampWhoseAnswerIsLost(t *testing.T) {
	l := newLossy(t)
	top := engine.Topic{Name: "room", Class: engine.Ordered}
	l.other.subscribe(top)
	var stamped engine.Event
	var published bool
	err := l.lose(func() (err error) {
		stamped, published, err = l.PublishStamped(within(t), top, engine.Event{ID: "1", Data: []byte("mine")})
		return err
	}, "kanava:{room}:i:1", "1", func() { l.other.publish(top, "between") })
	if err != nil || !published {
		t.Fatalf("PublishStamped: published %v, %v", published, err)
	}
	if got := l.other.next(top, 2); len(got) != 2 || got[0].At != stamped.At || got[0].Prev != stamped.Prev || !got[0].Time.Equal(stamped.Time) {
		t.Errorf("it was stamped %+v and delivered %+v", stamped, got)
	}
	if _, published, err = l.other.PublishStamped(within(t), top, engine.Event{ID: "1", Data: []byte("again")}); err != nil || published {
		t.Errorf("the same ID again: published %v, %v", published, err)
	}
}

// TestMembersOverRestart is that those who go through members miss none when the
// server is another one in the middle: each counts them in an order of its own.
func TestMembersOverRestart(t *testing.T) {
	s := newServer(t, "--appendonly", "yes", "--appendfsync", "always")
	n := join(t, redis.Options{Addrs: []string{s.addr}})
	const number = 5000
	args := []string{"ZADD", "kanava:m{g}"}
	for i := range number {
		args = append(args, fmt.Sprint(time.Now().Add(time.Hour).UnixMilli()), fmt.Sprint("member ", i))
	}
	s.do(args...)
	seen := make(map[string]int)
	for m, err := range n.Members(within(t), "g") {
		if err != nil {
			t.Fatal(err)
		}
		if seen[m]++; len(seen) == 1500 {
			s.restart(true)
		}
	}
	if len(seen) != number {
		t.Errorf("%d of %d members have come", len(seen), number)
	}
	for m, times := range seen {
		if times > 1 || !strings.HasPrefix(m, "member ") {
			t.Fatalf("%q has come %d times", m, times)
		}
	}
}
