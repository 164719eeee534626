package enginetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// RunHubs runs real hubs on the engines of a backend, and breaks what it can: what
// programs are promised must hold, whatever the engine does of it and whatever the
// hub. Each behaviour is a subtest; it takes less than a minute.
func RunHubs(t *testing.T, b Backend) {
	t.Run("events of all nodes come in one order", func(t *testing.T) { testHubOrder(newHubLab(t, b)) })
	t.Run("presence, pushes and closing reach other nodes", func(t *testing.T) { testHubConns(newHubLab(t, b)) })
	if b.Cut != nil {
		t.Run("D4 what came while the link was cut is not lost", func(t *testing.T) { testHubCut(newHubLab(t, b)) })
	}
	if b.Restart != nil {
		t.Run("D1 D2 a restart with the data loses nothing", func(t *testing.T) { testHubRestart(newHubLab(t, b), true) })
		t.Run("D2 a restart without the data is told", func(t *testing.T) { testHubRestart(newHubLab(t, b), false) })
	}
}

type hubLab struct {
	*testing.T
	b   Backend
	key string // of this test's topics
	a   *hubNode
	o   *hubNode // the other one
}

// hubNode is one node of a program.
type hubNode struct {
	l     *hubLab
	hub   *kanava.EventHub
	heal  func()
	cut   func()
	room  *kanava.Topic[string]
	audit *kanava.Topic[string]
	price *kanava.Topic[string]
	there *kanava.Presence[string]
}

func newHubLab(t *testing.T, b Backend) *hubLab {
	l := &hubLab{T: t, b: b, key: fmt.Sprint(time.Now().UnixNano())}
	l.a, l.o = l.join(), l.join()
	return l
}

func (l *hubLab) join() *hubNode {
	e := l.b.New(l)
	n := &hubNode{l: l, hub: kanava.NewEventHub(kanava.HubOptions{Engine: e, Logger: slog.New(slog.DiscardHandler)})}
	n.cut = func() { n.heal = l.b.Cut(l, e) }
	l.Cleanup(n.hub.Close)
	n.room = kanava.NewTopic[string](n.hub, "hubroom", kanava.Recoverable(100_000, time.Hour))
	n.audit = kanava.NewTopic[string](n.hub, "hubaudit")
	n.price = kanava.NewTopic[string](n.hub, "hubprice", kanava.LatestBy(func(s string) string { return s[:1] }))
	n.there = kanava.NewPresence[string](n.hub, "hubroom")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := n.hub.Ready(ctx); err != nil {
		l.Fatalf("the hub is not ready: %v", err)
	}
	return n
}

// listener is what somebody hears of a topic.
type listener struct {
	l    *hubLab
	stop context.CancelFunc

	mu    sync.Mutex
	heard []string            // guarded by mu
	lost  []*kanava.LostError // guarded by mu
	ended error               // guarded by mu
}

// listen begins to listen, and returns when the first event that is published from
// now on will be heard: it publishes one to find out.
func (n *hubNode) listen(topic *kanava.Topic[string]) *listener {
	ctx, cancel := context.WithCancel(context.Background())
	x := &listener{l: n.l, stop: cancel}
	done := make(chan struct{})
	n.l.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		for v, err := range topic.Listen(ctx, n.l.key) {
			x.mu.Lock()
			if lost, ok := errors.AsType[*kanava.LostError](err); ok {
				x.lost = append(x.lost, lost)
			} else if err != nil {
				x.ended = err
			} else {
				x.heard = append(x.heard, v)
			}
			x.mu.Unlock()
		}
	}()
	for i := 0; !x.has("begin"); i++ {
		n.publish(topic, "begin")
		for range 20 {
			if x.has("begin") {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if i == 100 {
			n.l.Fatal("nothing is heard")
		}
	}
	return x
}

func (x *listener) has(event string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Contains(x.heard, event)
}

// news is what was heard but for the events of listen, and how often something was
// lost.
func (x *listener) news() (heard []string, lost int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended != nil {
		x.l.Errorf("the listener has ended: %v", x.ended)
	}
	for _, h := range x.heard {
		if h != "begin" && h != "end" {
			heard = append(heard, h)
		}
	}
	return heard, len(x.lost)
}

// publish publishes an event once, however often that has to be tried.
func (n *hubNode) publish(topic *kanava.Topic[string], event string) {
	id := fmt.Sprint(event, " ", time.Now().UnixNano())
	for range 30 {
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		err := topic.Publish(ctx, n.l.key, event, kanava.Once(id))
		cancel()
		if took := time.Since(began); took > 15*time.Second {
			n.l.Errorf("a publication took %v", took)
		}
		if err == nil {
			return
		}
		time.Sleep(300 * time.Millisecond)
	}
	n.l.Errorf("%q could not be published", event)
}

// await waits until cond holds.
func (l *hubLab) await(what string, cond func() bool) {
	l.Helper()
	for range 600 {
		if cond() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	l.Fatalf("not within 30 s: %s", what)
}

// both publishes n events at each node, at the same time.
func (l *hubLab) both(n int, topics func(*hubNode) []*kanava.Topic[string]) {
	var all sync.WaitGroup
	for name, x := range map[string]*hubNode{"a": l.a, "o": l.o} {
		all.Go(func() {
			for i := range n {
				for _, t := range topics(x) {
					x.publish(t, fmt.Sprintf("%s%d", name, i))
				}
			}
		})
	}
	all.Wait()
}

// inOrder checks that the events of each publisher are all there once, in order.
func (l *hubLab) inOrder(heard []string, n int) {
	l.Helper()
	next := map[byte]int{}
	for i, h := range heard {
		if want := fmt.Sprintf("%c%d", h[0], next[h[0]]); h != want {
			l.Fatalf("event %d is %q, want %q", i, h, want)
		}
		next[h[0]]++
	}
	if next['a'] != n || next['o'] != n {
		l.Fatalf("%d and %d events have come, not %d each", next['a'], next['o'], n)
	}
}

func roomOf(n *hubNode) []*kanava.Topic[string] { return []*kanava.Topic[string]{n.room} }

func testHubOrder(l *hubLab) {
	type pair struct{ a, o *listener }
	rooms := pair{l.a.listen(l.a.room), l.o.listen(l.o.room)}
	audits := pair{l.a.listen(l.a.audit), l.o.listen(l.o.audit)}
	prices := pair{l.a.listen(l.a.price), l.o.listen(l.o.price)}
	const n = 100
	l.both(n, func(x *hubNode) []*kanava.Topic[string] { return []*kanava.Topic[string]{x.room, x.audit, x.price} })
	for what, p := range map[string]pair{"a Recoverable topic": rooms, "an Ordered topic": audits} {
		l.await("all events of "+what, func() bool {
			a, _ := p.a.news()
			o, _ := p.o.news()
			return len(a) >= 2*n && len(o) >= 2*n
		})
		a, lostA := p.a.news()
		o, lostO := p.o.news()
		l.inOrder(a, n)
		if strings.Join(a, " ") != strings.Join(o, " ") {
			l.Errorf("%s has another order on the other node", what)
		}
		if lostA+lostO > 0 {
			l.Errorf("%s has lost something %d and %d times", what, lostA, lostO)
		}
	}
	last := fmt.Sprint(n - 1)
	l.await("the newest events of a Latest topic", func() bool {
		return prices.a.has("a"+last) && prices.a.has("o"+last) && prices.o.has("a"+last) && prices.o.has("o"+last)
	})
	late := l.a.listen(l.a.price)
	l.await("what a Latest topic keeps", func() bool { return late.has("a"+last) && late.has("o"+last) })
	page, err := l.o.room.History(l.Context(), l.key, kanava.Position{}, 10*n)
	if err != nil || len(page.Events) < 2*n {
		l.Errorf("the history has %d events: %v", len(page.Events), err)
	}
}

func testHubCut(l *hubLab) {
	room, price, audit := l.o.listen(l.o.room), l.o.listen(l.o.price), l.o.listen(l.o.audit)
	const n = 50
	l.o.cut()
	for i := range n {
		for _, t := range []*kanava.Topic[string]{l.a.room, l.a.price, l.a.audit} {
			l.a.publish(t, fmt.Sprintf("a%d", i))
		}
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(l.Context(), 30*time.Second)
	defer cancel()
	if err := l.o.room.Publish(ctx, l.key+"x", "nobody"); err == nil || time.Since(began) > 15*time.Second {
		l.Errorf("Publish while the link is cut: %v after %v", err, time.Since(began))
	}
	l.o.heal()
	l.await("all events of the Recoverable topic", func() bool {
		heard, _ := room.news()
		return len(heard) >= n
	})
	heard, lost := room.news()
	for i, h := range heard {
		if h != fmt.Sprintf("a%d", i) {
			l.Fatalf("event %d is %q", i, h)
		}
	}
	if lost > 0 {
		l.Error("the Recoverable topic has lost something")
	}
	l.await("the newest event of the Latest topic", func() bool { return price.has(fmt.Sprintf("a%d", n-1)) })
	l.await("what became of the Ordered topic", func() bool {
		heard, lost := audit.news()
		return lost > 0 || len(heard) == n
	})
	l.await("that the node is ready", func() bool { return l.o.hub.Ready(l.Context()) == nil })
}

func testHubRestart(l *hubLab, keepData bool) {
	rooms := []*listener{l.a.listen(l.a.room), l.o.listen(l.o.room)}
	const n = 100
	restarted := make(chan struct{})
	go func() {
		defer close(restarted)
		time.Sleep(50 * time.Millisecond)
		l.b.Restart(l, keepData)
	}()
	l.both(n, roomOf)
	<-restarted
	l.a.publish(l.a.room, "end")
	for _, x := range rooms {
		l.await("the last event", func() bool { return x.has("end") })
		heard, lost := x.news()
		if keepData && lost == 0 {
			l.inOrder(heard, n)
			continue
		}
		if lost == 0 && len(heard) < 2*n {
			l.Errorf("%d of %d events have come, and nothing is lost", len(heard), 2*n)
		}
	}
	l.await("that the nodes are ready", func() bool {
		return l.a.hub.Ready(l.Context()) == nil && l.o.hub.Ready(l.Context()) == nil
	})
}

func testHubConns(l *hubLab) {
	type user struct{ ID string }
	conns := func(n *hubNode) *kanava.Server[user] {
		return kanava.NewServer(kanava.Options[user]{
			EventHub: n.hub, Logger: slog.New(slog.DiscardHandler),
			Authenticate: func(context.Context, *kanava.OpenRequest) (*user, error) { return &user{"ann"}, nil },
			Identify:     func(u user) kanava.Identity { return kanava.Identity{UserID: u.ID} },
		})
	}
	a, o := conns(l.a), conns(l.o)
	o.Wire(kanava.Wiring[kanava.None, user]{
		Name: "test", Route: "/test",
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *kanava.Channel[kanava.None, user]) (kanava.None, error) {
			return kanava.None{}, l.o.there.Join(ctx, ch, l.key, "here")
		}),
	})
	client := kanavatest.Dial(l, o, "/test")
	members := func(n *hubNode) (all string) {
		for m, err := range n.there.Members(l.Context(), l.key) {
			if err != nil {
				return err.Error()
			}
			all += fmt.Sprintf("%s=%s×%d ", m.ID, m.Data, m.Conns)
		}
		return all
	}
	for _, n := range []*hubNode{l.a, l.o} {
		l.await("who is there", func() bool { return members(n) == "ann=here×1 " })
	}
	push := kanava.NewPush[string]("notice")
	l.await("the other node", func() bool {
		reached, err := push.SendUser(l.Context(), a.Conns(), "ann", "hello")
		return reached == 1 && err == nil
	})
	client.Expect(`"hello"`)
	if err := a.Conns().Close(l.Context(), client.ID(), 4000, "enough"); err != nil {
		l.Errorf("Close: %v", err)
	}
	client.ExpectClose(4000)
	for _, n := range []*hubNode{l.a, l.o} {
		l.await("that nobody is there", func() bool { return members(n) == "" })
	}
}
