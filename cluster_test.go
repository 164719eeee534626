package kanava_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/kanavatest"
)

// node is one of several that are joined by an engine.
type node struct {
	engine *memory.Engine
	hub    *kanava.EventHub
	srv    *server

	room, private, audit, price, load *kanava.Topic[string]
}

func newNode(t *testing.T, ground *memory.Backend) *node {
	t.Helper()
	n := &node{engine: ground.Engine()}
	n.hub = kanava.NewEventHub(kanava.HubOptions{Engine: n.engine, Logger: slog.New(slog.DiscardHandler)})
	n.room = kanava.NewTopic[string](n.hub, "room", kanava.Recoverable(100, time.Hour))
	n.private = kanava.NewTopic[string](n.hub, "private", kanava.Recoverable(100, time.Hour), kanava.Private())
	n.audit = kanava.NewTopic[string](n.hub, "audit")
	n.price = kanava.NewTopic[string](n.hub, "price", kanava.LatestBy(func(s string) string { return s[:1] }))
	n.load = kanava.NewTopic[string](n.hub, "load", kanava.Volatile())
	t.Cleanup(n.hub.Close)
	n.srv = serve(t, kanava.Options[account]{EventHub: n.hub}, wiring{Public: true, Messages: by(login())})
	return n
}

// onNodes runs a test on two nodes, in a bubble.
func onNodes(t *testing.T, f func(t *testing.T, ground *memory.Backend, a, b *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ground := memory.New()
		f(t, ground, newNode(t, ground), newNode(t, ground))
	})
}

type positioned struct {
	Sub  string `json:"sub"`
	At   string `json:"at"`
	On   string `json:"on"`
	E    string `json:"e"`
	O    uint64 `json:"o"`
	Data string `json:"data"`
}

// follow subscribes a client of kanava.v1, and returns where the topic stands.
func (n *node) follow(t *testing.T, c *kanavatest.Client, topic string) positioned {
	t.Helper()
	must(t, n.hub.Subscribe(t.Context(), topic, c.ID()))
	at := kanavatest.Into[positioned](c)
	if at.Sub != topic {
		t.Fatalf("got %+v, want the subscription to %s", at, topic)
	}
	return at
}

// hears demands that these events come next, in this order.
func hears(t *testing.T, c *kanavatest.Client, topic string, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := kanavatest.Into[positioned](c); got.On != topic || got.Data != w {
			t.Fatalf("got %+v, want %q on %q", got, w, topic)
		}
	}
}

func TestD1_OneOrderOnAllNodes(t *testing.T) {
	onNodes(t, func(t *testing.T, _ *memory.Backend, a, b *node) {
		ca, cb := openV1(t, a.srv), openV1(t, b.srv)
		p := kanavatest.Dial(t, b.srv, "/test")
		for _, topic := range []string{"room:x", "audit:x", "load:x"} {
			a.follow(t, ca, topic)
			b.follow(t, cb, topic)
			must(t, b.hub.Subscribe(t.Context(), topic, p.ID()))
		}
		must(t, a.room.Publish(t.Context(), "x", "one"))
		synctest.Wait()
		must(t, b.room.Publish(t.Context(), "x", "two", kanava.Except(p.ID())))
		synctest.Wait()
		must(t, a.audit.Publish(t.Context(), "x", "three"))
		synctest.Wait()
		must(t, b.load.Publish(t.Context(), "x", "four"))
		synctest.Wait()
		for _, c := range []*kanavatest.Client{ca, cb} {
			hears(t, c, "room:x", "one", "two")
			hears(t, c, "audit:x", "three")
			hears(t, c, "load:x", "four")
			c.ExpectNone()
		}
		p.Expect(`{"topic":"room:x","data":"one"}`)
		p.Expect(`{"topic":"audit:x","data":"three"}`)
		p.Expect(`{"topic":"load:x","data":"four"}`)
		p.ExpectNone()
	})
}

func TestD3_SubscribedWhereTheTopicStands(t *testing.T) {
	onNodes(t, func(t *testing.T, _ *memory.Backend, a, b *node) {
		must(t, a.room.Publish(t.Context(), "x", "before"))
		for _, price := range []string{"a1", "b1", "a2"} {
			must(t, a.price.Publish(t.Context(), "x", price))
		}
		c := openV1(t, b.srv)
		if at := b.follow(t, c, "room:x"); at.O != 1 || at.E == "" {
			t.Errorf("the topic stands at %+v", at)
		}
		if at := b.follow(t, c, "price:x"); at.O != 3 {
			t.Errorf("the topic stands at %+v", at)
		}
		hears(t, c, "price:x", "b1", "a2")
		must(t, a.price.Publish(t.Context(), "x", "b2"))
		hears(t, c, "price:x", "b2")
	})
}

// What an engine has not delivered is fetched as soon as that is noticed: by the
// next event, or by a look at the position.
func TestD4_ANodeHealsForItsSubscribers(t *testing.T) {
	for name, notice := range map[string]func(*testing.T, *node){
		"by the next event": func(t *testing.T, a *node) {
			must(t, a.room.Publish(t.Context(), "x", "3"))
			must(t, a.price.Publish(t.Context(), "x", "3"))
		},
		"by a check": func(*testing.T, *node) { time.Sleep(3 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			onNodes(t, func(t *testing.T, _ *memory.Backend, a, b *node) {
				room, price := openV1(t, b.srv), openV1(t, b.srv)
				b.follow(t, room, "room:x")
				b.follow(t, price, "price:x")
				b.engine.Lose("room:x", 2)
				b.engine.Lose("price:x", 2)
				for _, s := range []string{"1", "2"} {
					must(t, a.room.Publish(t.Context(), "x", s))
					must(t, a.price.Publish(t.Context(), "x", s))
				}
				synctest.Wait()
				room.ExpectNone()
				price.ExpectNone()
				notice(t, a)
				time.Sleep(time.Second)
				hears(t, room, "room:x", "1", "2")
				hears(t, price, "price:x", "1", "2")
			})
		})
	}
}

// An Ordered topic has nothing to fetch: who was subscribed is told.
func TestD4_LostOfAnOrderedTopicIsTold(t *testing.T) {
	onNodes(t, func(t *testing.T, _ *memory.Backend, a, b *node) {
		c := openV1(t, b.srv)
		b.follow(t, c, "audit:x")
		var told []error
		go func() {
			for v, err := range b.audit.Listen(t.Context(), "x") {
				if told = append(told, err); v == "three" {
					return
				}
			}
		}()
		synctest.Wait()
		must(t, a.audit.Publish(t.Context(), "x", "one"))
		synctest.Wait()
		b.engine.Lose("audit:x", 1)
		must(t, a.audit.Publish(t.Context(), "x", "two"))
		must(t, a.audit.Publish(t.Context(), "x", "three"))
		time.Sleep(time.Second)
		synctest.Wait()
		hears(t, c, "audit:x", "one")
		if at := kanavatest.Into[positioned](c); at.At != "audit:x" || at.O != 2 {
			t.Errorf("got %+v, want that it stands at 2", at)
		}
		hears(t, c, "audit:x", "three")
		if len(told) != 3 || told[0] != nil || told[2] != nil {
			t.Fatalf("the listener was told %v", told)
		}
		if l, ok := errors.AsType[*kanava.LostError](told[1]); !ok || l.From.Offset != 1 || l.To.Offset != 2 {
			t.Errorf("the listener was told %v", told[1])
		}
	})
}

func TestD2_AnEngineThatForgot(t *testing.T) {
	for _, topic := range []string{"room:x", "audit:x"} {
		t.Run(topic, func(t *testing.T) {
			onNodes(t, func(t *testing.T, ground *memory.Backend, a, b *node) {
				c := openV1(t, b.srv)
				was := b.follow(t, c, topic)
				must(t, a.hub.Publish(t.Context(), topic, "one"))
				hears(t, c, topic, "one")
				ground.Wipe()
				must(t, a.hub.Publish(t.Context(), topic, "two"))
				time.Sleep(time.Second)
				at := kanavatest.Into[positioned](c)
				if at.At != topic || at.E == was.E || at.E == "" {
					t.Fatalf("got %+v, want another epoch than %s", at, was.E)
				}
				if topic == "audit:x" && at.O == 0 {
					hears(t, c, topic, "two")
				}
				must(t, a.hub.Publish(t.Context(), topic, "three"))
				hears(t, c, topic, "three")
			})
		})
	}
}

func TestD6_RecoveryOnAnotherNode(t *testing.T) {
	onNodes(t, func(t *testing.T, _ *memory.Backend, a, b *node) {
		c := openV1(t, a.srv)
		at := a.follow(t, c, "room:x")
		c.Leave()
		for i := range 5 {
			must(t, b.room.Publish(t.Context(), "x", fmt.Sprint(i)))
		}
		c = openV1(t, b.srv)
		b.follow(t, c, "room:x")
		for o, want := range map[uint64]string{0: `1:"0" 2:"1" 3:"2" 4:"3" 5:"4" to 5`, 3: `4:"3" 5:"4" to 5`, 5: "to 5"} {
			if got := ask(t, c, "room:x", at.E, o).String(); got != want {
				t.Errorf("from %d: %s", o, got)
			}
		}
		if got := ask(t, c, "room:x", "other", 3); got.Out.OK {
			t.Error(got)
		}
	})
}

// While the engine does not answer clients go on asking, and lose nothing.
func TestD7_RecoveryWaitsForTheEngine(t *testing.T) {
	onNodes(t, func(t *testing.T, _ *memory.Backend, a, b *node) {
		must(t, a.room.Publish(t.Context(), "x", "one"))
		c := openV1(t, b.srv)
		at := b.follow(t, c, "room:x")
		b.engine.Cut()
		got := ask(t, c, "room:x", at.E, 0)
		if got.Err.Code != kanava.CodeResourceExhausted || got.Err.RetryAfter == 0 {
			t.Errorf("got %+v", got)
		}
		b.engine.Heal()
		if got := ask(t, c, "room:x", at.E, 0).String(); got != `1:"one" to 1` {
			t.Error(got)
		}
	})
}

func TestD10_PrivateOnAnotherNode(t *testing.T) {
	onNodes(t, func(t *testing.T, _ *memory.Backend, a, b *node) {
		sign := func(n *node) *kanavatest.Client {
			c := openV1(t, n.srv)
			c.SendText(`{"do":"login","in":{"id":"ann"},"id":1}`)
			c.Expect(`{"re":1}`)
			return c
		}
		must(t, a.private.Publish(t.Context(), "x", "before"))
		c := sign(a)
		at := a.follow(t, c, "private:x")
		must(t, a.private.Publish(t.Context(), "x", "one"))
		hears(t, c, "private:x", "one")
		c.Leave()
		must(t, a.private.Publish(t.Context(), "x", "two"))
		c = sign(b)
		b.follow(t, c, "private:x")
		if got := ask(t, c, "private:x", at.E, 0); got.Out.OK {
			t.Errorf("what was there before: %v", got)
		}
		if got := ask(t, c, "private:x", at.E, 2).String(); got != `3:"two" to 3` {
			t.Error(got)
		}
		must(t, b.hub.Unsubscribe(t.Context(), "private:x", c.ID()))
		c.Next()
		must(t, a.private.Publish(t.Context(), "x", "three"))
		b.follow(t, c, "private:x")
		if got := ask(t, c, "private:x", at.E, 3); got.Out.OK {
			t.Errorf("what came while not subscribed: %v", got)
		}
	})
}

func TestListenAndHistoryOnNodes(t *testing.T) {
	onNodes(t, func(t *testing.T, _ *memory.Backend, a, b *node) {
		for i := range 4 {
			must(t, a.room.Publish(t.Context(), "x", fmt.Sprint(i)))
		}
		page, err := b.room.History(t.Context(), "x", kanava.Position{}, 2)
		if err != nil || !slices.Equal(page.Events, []string{"0", "1"}) || !page.More || page.Lost {
			t.Fatalf("%+v, %v", page, err)
		}
		var got []string
		go func() {
			for v, err := range b.room.Listen(t.Context(), "x", kanava.Since(page.At)) {
				if err != nil {
					t.Error(err)
				}
				if got = append(got, v); v == "4" {
					return
				}
			}
		}()
		synctest.Wait()
		must(t, a.room.Publish(t.Context(), "x", "4"))
		synctest.Wait()
		if !slices.Equal(got, []string{"2", "3", "4"}) {
			t.Error(got)
		}
	})
}

// An engine that does not answer costs bounded time, and is told.
func TestAnEngineThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, memory.New())
		must(t, n.hub.Ready(t.Context()))
		c := openV1(t, n.srv)
		n.follow(t, c, "room:x")
		n.engine.Hang()
		for what, do := range map[string]func() error{
			"publish":   func() error { return n.room.Publish(t.Context(), "x", "one") },
			"subscribe": func() error { return n.hub.Subscribe(t.Context(), "room:y", c.ID()) },
		} {
			began := time.Now()
			if err := do(); codeOf(err) != kanava.CodeUnavailable || time.Since(began) > 10*time.Second {
				t.Errorf("%s: %v after %v", what, err, time.Since(began))
			}
		}
		if n.hub.Ready(t.Context()) == nil {
			t.Error("the hub is ready")
		}
		n.engine.Heal()
		time.Sleep(11 * time.Second)
		must(t, n.hub.Ready(t.Context()))
		must(t, n.room.Publish(t.Context(), "x", "two"))
		hears(t, c, "room:x", "two")
	})
}

// A connection that has fallen silent is found, and what has not come is fetched.
func TestASilentEngine(t *testing.T) {
	onNodes(t, func(t *testing.T, _ *memory.Backend, a, b *node) {
		c := openV1(t, b.srv)
		b.follow(t, c, "room:x")
		must(t, b.hub.Ready(t.Context()))
		b.engine.Deafen()
		must(t, a.room.Publish(t.Context(), "x", "one"))
		synctest.Wait()
		c.ExpectNone()
		time.Sleep(15 * time.Second)
		hears(t, c, "room:x", "one")
		if b.hub.Ready(t.Context()) == nil {
			t.Error("the node is ready")
		}
		b.engine.Undeafen()
		time.Sleep(15 * time.Second)
		must(t, b.hub.Ready(t.Context()))
	})
}

// A topic is left some time after its last subscriber, and can be followed again.
func TestTopicsAreLeft(t *testing.T) {
	onNodes(t, func(t *testing.T, _ *memory.Backend, a, b *node) {
		for range 3 {
			c := openV1(t, b.srv)
			b.follow(t, c, "room:x")
			c.Leave()
			time.Sleep(10 * time.Second)
			b.engine.Fail("Positions", 1)
			c = openV1(t, b.srv)
			if err := b.hub.Subscribe(t.Context(), "room:x", c.ID()); codeOf(err) != kanava.CodeUnavailable {
				t.Fatalf("the topic was followed all the time: %v", err)
			}
			b.follow(t, c, "room:x")
			must(t, a.room.Publish(t.Context(), "x", "again"))
			hears(t, c, "room:x", "again")
			c.Leave()
			time.Sleep(10 * time.Second)
		}
	})
}

func TestOnceOnNodes(t *testing.T) {
	onNodes(t, func(t *testing.T, _ *memory.Backend, a, b *node) {
		c := openV1(t, b.srv)
		b.follow(t, c, "room:x")
		a.engine.FailAfter("Publish", 1)
		if err := a.room.Publish(t.Context(), "x", "one", kanava.Once("7")); err == nil {
			t.Error("no error")
		}
		must(t, a.room.Publish(t.Context(), "x", "one", kanava.Once("7")))
		must(t, a.room.Publish(t.Context(), "x", "two"))
		hears(t, c, "room:x", "one", "two")
	})
}

// What middleware and views see on another node comes from JSON.
func TestTopicsOfAnEngineSurviveJSON(t *testing.T) {
	h := kanava.NewEventHub(kanava.HubOptions{Engine: memory.New().Engine()})
	defer h.Close()
	type secretive struct {
		Text   string `json:"text"`
		secret bool   //nolint:unused // it is there to be refused
	}
	defer func() {
		if p := fmt.Sprint(recover()); !strings.Contains(p, "secretive.secret") {
			t.Errorf("the panic is %q", p)
		}
	}()
	kanava.NewTopic[secretive](h, "room")
}
