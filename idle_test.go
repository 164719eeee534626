//go:build !race

package kanava_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/kanava-go/kanava"
)

type stillPeer struct{}

func (*stillPeer) Wake() {}

// A connection that waits, with one subscription, has a budget of memory,
// besides what its transport needs for it.
func TestMemoryOfAnIdleConnection(t *testing.T) {
	const budget, n = 450, 20_000
	srv := kanava.NewServer(kanava.Options[account]{})
	srv.Wire(wiring{Name: "idle", Route: "/idle", Public: true})
	links := make([]*kanava.Link, n)
	before := heapInUse()
	for i := range links {
		link, err := srv.Open(context.Background(), request("/idle"), &stillPeer{})
		if err != nil {
			t.Fatal(err)
		}
		link.Start()
		if err := srv.EventHub().Subscribe(context.Background(), "t:x", link.ID()); err != nil {
			t.Fatal(err)
		}
		links[i] = link
	}
	if got := (heapInUse() - before) / n; got > budget {
		t.Errorf("%d bytes a connection, the budget is %d", got, budget)
	}
	for _, link := range links {
		link.Disconnect(kanava.CloseNormal, "")
		<-link.Done()
	}
	if left := heapInUse(); left > before+n*budget/10 {
		t.Errorf("%d bytes are left of %d connections", left-before, n)
	}
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC() // what the first one has freed of pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
