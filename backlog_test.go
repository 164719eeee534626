package kanava_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/kanava-go/kanava"
)

// dropCounter adds up what it is told.
type dropCounter struct {
	kanava.NopObserver
	mu      sync.Mutex
	reports []kanava.Dropped // guarded by mu
}

func (c *dropCounter) Dropped(_ kanava.ConnInfo, d kanava.Dropped) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reports = append(c.reports, d)
}

func (c *dropCounter) told() []kanava.Dropped {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reports
}

func TestBacklog(t *testing.T) {
	counter := &dropCounter{}
	l := newSlowLabWith(t, kanava.Options[account]{Observer: counter}, envelope, nil)
	conns := l.srv.Conns()
	see := func(want kanava.Backlog) {
		t.Helper()
		got, err := conns.Backlog(t.Context(), l.link.ID())
		if err != nil || got.Items*400 > got.Bytes || got.Items*500 < got.Bytes {
			t.Errorf("%v: %d bytes in %d items", err, got.Bytes, got.Items)
		}
		if total := conns.TotalBacklog().Backlog; total != got {
			t.Errorf("the total is %+v, not %+v", total, got)
		}
		if list := conns.Backlogs(got.Bytes); len(list) != 1 || list[0].Backlog != got || list[0].ID != l.link.ID() || list[0].Channel != "test" {
			t.Errorf("the list is %+v", list)
		}
		if list := conns.Backlogs(got.Bytes + 1); len(list) != 0 {
			t.Errorf("the list of more is %+v", list)
		}
		got.Bytes = 0
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	see(kanava.Backlog{})
	l.publish("move:x", numbered("v", 1, 12)...)
	see(kanava.Backlog{Items: 10, Dropped: kanava.Dropped{Volatile: 2}})
	l.publish("price:a", "1", "2", "3")
	see(kanava.Backlog{Items: 10, Dropped: kanava.Dropped{Volatile: 3, Latest: 2}})
	if told := counter.told(); len(told) != 0 {
		t.Errorf("told %+v before the transport went on", told)
	}
	l.take()
	l.publish("log:x", numbered("", 1, 12)...)
	l.publish("move:x", "v")
	first := kanava.Dropped{Volatile: 3, Latest: 2}
	then := kanava.Dropped{Recoverable: 12, Behind: 1}
	see(kanava.Backlog{Items: 1, Behind: 1, Dropped: kanava.Dropped{Volatile: 3, Latest: 2, Recoverable: 12, Behind: 1}})
	l.publish("room:x", numbered("o", 1, 11)...) // closes it
	l.take()
	l.link.Disconnect(l.end.Code, "")
	<-l.link.Done()
	then.Volatile++ // made room for the first events that nothing could be dropped for
	if told := counter.told(); len(told) != 2 || told[0] != first || told[1] != then {
		t.Errorf("told %+v, not %+v and %+v", told, first, then)
	}
	want := kanava.TotalBacklog{Closed: 1}
	want.Dropped = kanava.Dropped{Volatile: 4, Latest: 2, Recoverable: 12, Behind: 1}
	if total := conns.TotalBacklog(); total != want {
		t.Errorf("the total is %+v, not %+v", total, want)
	}
	if _, err := conns.Backlog(t.Context(), l.link.ID()); codeOf(err) != kanava.CodeNotFound {
		t.Errorf("Backlog of nobody: %v", err)
	}
}

// Those with the most come first.
func TestBacklogsAreInOrder(t *testing.T) {
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true})
	for i := range 5 {
		link := openIn(t, srv, plainForm, "/test", newPeer())
		if err := srv.EventHub().Subscribe(t.Context(), "x", link.ID()); err != nil {
			t.Fatal(err)
		}
		if err := srv.EventHub().Publish(t.Context(), "x", strings.Repeat("x", i)); err != nil {
			t.Fatal(err)
		}
	}
	list := srv.Conns().Backlogs(0)
	for i := range list {
		if list[i].Items != 5-i {
			t.Errorf("number %d has %d items", i, list[i].Items)
		}
	}
	if len(list) != 5 {
		t.Errorf("%d connections", len(list))
	}
}
