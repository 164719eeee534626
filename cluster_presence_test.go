package kanava_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/kanavatest"
)

// presentNode is a node on which clients can be present in rooms.
type presentNode struct {
	engine *memory.Engine
	hub    *kanava.EventHub
	srv    *server
	rooms  *kanava.Topic[string]
	there  *kanava.Presence[string]
}

func newPresentNode(t *testing.T, ground *memory.Backend) *presentNode {
	t.Helper()
	en := ground.Engine()
	return newPresentNodeOn(t, en, en)
}

// newPresentNodeOn makes a node that uses an engine through another.
func newPresentNodeOn(t *testing.T, en *memory.Engine, through engine.Engine) *presentNode {
	t.Helper()
	n := &presentNode{engine: en}
	n.hub = kanava.NewEventHub(kanava.HubOptions{Engine: through, Logger: slog.New(slog.DiscardHandler)})
	n.rooms = kanava.NewTopic[string](n.hub, "room")
	n.there = kanava.NewPresence[string](n.hub, "room")
	t.Cleanup(n.hub.Close)
	n.srv = serve(t, kanava.Options[account]{EventHub: n.hub}, wiring{Public: true, Messages: by(
		login(),
		kanava.OnDo("join", func(ctx context.Context, ch *line, in text) error { return n.there.Join(ctx, ch, "x", in.Message) }),
		kanava.OnDo("leave", func(ctx context.Context, ch *line, _ kanava.None) error { return n.there.Leave(ctx, ch, "x") }),
	)})
	return n
}

// arrive opens a connection on which a user is present.
func (n *presentNode) arrive(t *testing.T, user, data string) *kanavatest.Client {
	t.Helper()
	c := openV1(t, n.srv)
	c.SendText(fmt.Sprintf(`{"do":"login","in":{"id":%q},"id":1}`, user))
	c.Expect(`{"re":1}`)
	c.SendText(fmt.Sprintf(`{"do":"join","in":{"message":%q},"id":2}`, data))
	c.Expect(`{"re":2}`)
	return c
}

func (n *presentNode) watch(t *testing.T) *kanavatest.Client {
	t.Helper()
	c := openV1(t, n.srv)
	must(t, n.rooms.Subscribe(t.Context(), kanavaConn(t, n.srv, c), "x"))
	if got := kanavatest.Into[positioned](c); got.Sub != "room:x" {
		t.Fatalf("got %+v", got)
	}
	return c
}

func kanavaConn(t *testing.T, srv *server, c *kanavatest.Client) kanava.Conn {
	t.Helper()
	conn, err := srv.Conns().Get(t.Context(), c.ID())
	must(t, err)
	return conn
}

// members is who is there, as this node knows it.
func (n *presentNode) members(t *testing.T) string {
	t.Helper()
	out := ""
	for m, err := range n.there.Members(t.Context(), "x") {
		must(t, err)
		out += fmt.Sprintf("%s=%s×%d ", m.ID, m.Data, m.Conns)
	}
	count, err := n.there.Count(t.Context(), "x")
	must(t, err)
	return out + fmt.Sprint(count)
}

func onPresentNodes(t *testing.T, f func(t *testing.T, a, b *presentNode)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ground := memory.New()
		f(t, newPresentNode(t, ground), newPresentNode(t, ground))
	})
}

func TestD12_PresenceOnNodes(t *testing.T) {
	onPresentNodes(t, func(t *testing.T, a, b *presentNode) {
		ann := a.arrive(t, "ann", "1")
		time.Sleep(time.Second)
		w := b.watch(t)
		w.Expect(`{"presence":"room:x","v":1,"all":[{"id":"ann","n":1,"data":"1"}],"count":1}`)
		bob := b.arrive(t, "bob", "2")
		w.Expect(`{"presence":"room:x","v":2,"join":[{"id":"bob","n":1,"data":"2"}],"leave":[],"count":2}`)
		again := b.arrive(t, "ann", "3")
		w.Expect(`{"presence":"room:x","v":3,"join":[{"id":"ann","n":2,"data":"3"}],"leave":[],"count":2}`)
		for _, n := range []*presentNode{a, b} {
			if got := n.members(t); got != "ann=3×2 bob=2×1 2" {
				t.Error(got)
			}
		}
		again.Leave()
		w.Expect(`{"presence":"room:x","v":4,"join":[{"id":"ann","n":1,"data":"1"}],"leave":[],"count":2}`)
		time.Sleep(6 * time.Second)
		ann.Leave()
		time.Sleep(4 * time.Second)
		w.ExpectNone()
		time.Sleep(2 * time.Second)
		w.Expect(`{"presence":"room:x","v":5,"join":[],"leave":["ann"],"count":1}`)
		bob.Leave()
		time.Sleep(6 * time.Second)
		w.Expect(`{"presence":"room:x","v":6,"join":[],"leave":["bob"],"count":0}`)
		if got := a.members(t); got != "0" {
			t.Error(got)
		}
	})
}

// The members of a node that has died leave within 65 s; those who come back to
// another one are not seen leaving.
func TestD12_ANodeDies(t *testing.T) {
	onPresentNodes(t, func(t *testing.T, a, b *presentNode) {
		a.arrive(t, "ann", "1")
		a.arrive(t, "bob", "2")
		time.Sleep(time.Second)
		w := b.watch(t)
		w.Next()
		time.Sleep(30 * time.Second)
		a.engine.Cut() // for ever
		died := time.Now()
		time.Sleep(time.Second)
		b.arrive(t, "ann", "3")
		w.Expect(`{"presence":"room:x","v":2,"join":[{"id":"ann","n":2,"data":"3"}],"leave":[],"count":2}`)
		for time.Since(died) < 65*time.Second {
			time.Sleep(time.Second)
		}
		w.Expect(`{"presence":"room:x","v":3,"join":[{"id":"ann","n":1,"data":"3"}],"leave":["bob"],"count":1}`)
	})
}

// Who joins while the engine is away is seen as soon as it is back.
func TestD12_AnEngineThatIsAway(t *testing.T) {
	onPresentNodes(t, func(t *testing.T, a, b *presentNode) {
		w := b.watch(t)
		w.Expect(`{"presence":"room:x","v":1,"all":[],"count":0}`)
		a.engine.Cut()
		a.arrive(t, "ann", "1")
		time.Sleep(2 * time.Minute)
		w.ExpectNone()
		a.engine.Heal()
		time.Sleep(10 * time.Second)
		w.Expect(`{"presence":"room:x","v":2,"join":[{"id":"ann","n":1,"data":"1"}],"leave":[],"count":1}`)
		b.engine.Cut()
		a.arrive(t, "bob", "2")
		time.Sleep(2 * time.Minute)
		b.engine.Heal()
		time.Sleep(10 * time.Second)
		w.Expect(`{"presence":"room:x","v":3,"join":[{"id":"bob","n":1,"data":"2"}],"leave":[],"count":2}`)
	})
}

// An announcement that is lost is found by reading.
// unsure is an engine whose answers to Renew can be lost.
type unsure struct {
	*memory.Engine

	mu   sync.Mutex // guards lost
	lost func() (ask bool)
}

func (u *unsure) Renew(ctx context.Context, owner string, ttl time.Duration) (bool, error) {
	u.mu.Lock()
	lost := u.lost
	u.mu.Unlock()
	if lost == nil {
		return u.Engine.Renew(ctx, owner, ttl)
	}
	if lost() {
		_, _ = u.Engine.Renew(ctx, owner, ttl)
	}
	return false, errors.New("the answer is lost")
}

func (u *unsure) lose(lost func() (ask bool)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.lost = lost
}

// TestD12_ALeaseWhoseAnswerIsLost: a node that cannot know whether its lease had
// ended says again who is there.
func TestD12_ALeaseWhoseAnswerIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ground := memory.New()
		leases := &unsure{Engine: ground.Engine()}
		a, b := newPresentNodeOn(t, leases.Engine, leases), newPresentNode(t, ground)
		ann := a.arrive(t, "ann", "1")
		time.Sleep(time.Minute)
		leases.lose(func() bool { return false })
		time.Sleep(time.Minute) // the lease has ended
		leases.lose(func() bool { return true })
		time.Sleep(2 * time.Second) // another has begun, which the node does not know
		leases.lose(nil)
		time.Sleep(2 * time.Minute)
		for _, n := range []*presentNode{a, b} {
			if got := n.members(t); got != "ann=1×1 1" {
				t.Error(got)
			}
		}
		ann.Leave()
	})
}

func TestD12_LostAnnouncements(t *testing.T) {
	onPresentNodes(t, func(t *testing.T, a, b *presentNode) {
		w := b.watch(t)
		w.Next()
		b.engine.Lose("\x01presence:room:x", 1)
		ann := a.arrive(t, "ann", "1")
		time.Sleep(2 * time.Minute)
		w.Expect(`{"presence":"room:x","v":2,"join":[{"id":"ann","n":1,"data":"1"}],"leave":[],"count":1}`)
		b.engine.Lose("\x01presence:room:x", 1)
		ann.Leave()
		time.Sleep(2 * time.Minute)
		w.Expect(`{"presence":"room:x","v":3,"join":[],"leave":["ann"],"count":0}`)
	})
}

// What nobody watches is left, and is right when it is watched again.
func TestD12_GatheringsAreLeft(t *testing.T) {
	onPresentNodes(t, func(t *testing.T, a, b *presentNode) {
		for i := range 3 {
			ann := a.arrive(t, "ann", fmt.Sprint(i))
			time.Sleep(time.Second)
			w := b.watch(t)
			w.Expect(fmt.Sprintf(`{"presence":"room:x","v":1,"all":[{"id":"ann","n":1,"data":"%d"}],"count":1}`, i))
			w.Leave()
			time.Sleep(time.Minute)
			ann.Leave()
			time.Sleep(time.Minute)
			if got := b.members(t); got != "0" {
				t.Error(got)
			}
			time.Sleep(time.Minute)
		}
	})
}
