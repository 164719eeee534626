package postgres_test

import (
	"errors"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/postgres"
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
	s := newServer(t, "-c", "fsync=off")
	p := badnet.To(t, s.addr)
	l := &lossy{node: join(t, postgres.Options{URL: urlAt(p.Addr())}), other: join(t, postgres.Options{URL: s.url()}), server: s, net: p}
	useStore(t, l.node) // it is connected, and has prepared what it sends
	return l
}

// lose has f do something whose answer is lost: when the condition is true, and then
// others have done something, the connection breaks.
func (l *lossy) lose(f func() error, condition string, others func()) error {
	l.tb.Helper()
	l.net.Fail(badnet.Fault{Deaf: true})
	done := make(chan error, 1)
	go func() { done <- f() }()
	l.server.eventually("done", func() bool { return l.server.do("SELECT "+condition) == "t" })
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

// there is that there is a record.
func there(id string) string { return "EXISTS (SELECT FROM kanava.records WHERE id = '" + id + "')" }

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
	if err := l.lose(save("a"), there("a"), func() {}); err != nil {
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
	err := l.lose(save("b"), there("b"), func() {
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
	if _, err := l.Save(within(t), "to be deleted", []byte("x"), 0, time.Minute); err != nil {
		t.Fatal(err)
	}
	err := l.lose(func() error {
		r, err := l.Delete(within(t), "to be deleted")
		if err == nil {
			t.Errorf("Delete returns %q of version %d", r.Data, r.Version)
		}
		return err
	}, "NOT "+there("to be deleted"), func() {})
	if err == nil {
		t.Error("Delete returns no error")
	}
	if records, err := l.other.Load(within(t), []string{"to be deleted"}); err != nil || records[0].Version != 0 {
		t.Errorf("after Delete there is version %d, %v", records[0].Version, err)
	}
}

// TestStampWhoseAnswerIsLost is that a publication is told from another one with its
// ID, and from itself.
func TestStampWhoseAnswerIsLost(t *testing.T) {
	l := newLossy(t)
	top := topic(engine.Recoverable)
	l.publish(top, "0")
	l.other.subscribe(top)
	var stamped engine.Event
	var published bool
	err := l.lose(func() (err error) {
		stamped, published, err = l.PublishStamped(within(t), top, engine.Event{ID: "1", Data: []byte("mine")})
		return err
	}, "EXISTS (SELECT FROM kanava.ids)", func() { l.other.publish(top, "between") })
	if err != nil || !published {
		t.Fatalf("PublishStamped: published %v, %v", published, err)
	}
	if got := l.other.next(top, 2); got[0].At != stamped.At || got[0].Prev != stamped.Prev || !got[0].Time.Equal(stamped.Time) {
		t.Errorf("it was stamped %+v and delivered %+v", stamped, got)
	}
	if _, published, err = l.other.PublishStamped(within(t), top, engine.Event{ID: "1", Data: []byte("again")}); err != nil || published {
		t.Errorf("the same ID again: published %v, %v", published, err)
	}
}
