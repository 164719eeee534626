package kanava_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// price is an event of a topic that keeps the newest of each symbol.
type price struct {
	Symbol string `json:"symbol"`
	Value  string `json:"value"`
}

// classes are a hub with a topic of each class, and a server on it.
type classes struct {
	srv    *server
	hub    *kanava.EventHub
	load   *kanava.Topic[int] // volatile
	status *kanava.Topic[string]
	prices *kanava.Topic[price]
	rooms  *kanava.Topic[string] // recoverable
	audit  *kanava.Topic[string]
}

func newClasses(t *testing.T, opts kanava.Options[account], w wiring) *classes {
	t.Helper()
	hub := kanava.NewEventHub(kanava.HubOptions{})
	t.Cleanup(hub.Close)
	opts.EventHub = hub
	return &classes{
		srv: serve(t, opts, w), hub: hub,
		load:   kanava.NewTopic[int](hub, "load", kanava.Volatile()),
		status: kanava.NewTopic[string](hub, "status", kanava.Latest()),
		prices: kanava.NewTopic[price](hub, "price", kanava.LatestBy(func(p price) string { return p.Symbol })),
		rooms:  kanava.NewTopic[string](hub, "room", kanava.Recoverable(100, time.Hour)),
		audit:  kanava.NewTopic[string](hub, "audit"),
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dial connects in a form and waits until OnConnect is over.
func (x *classes) dial(t *testing.T, form string) *kanavatest.Client {
	t.Helper()
	if form == envelope {
		return openV1(t, x.srv)
	}
	return kanavatest.Dial(t, x.srv, "/test")
}

// Events of a Volatile topic have no positions, whether they are seen or not.
func TestD1_VolatileHasNoPositions(t *testing.T) {
	x := newClasses(t, kanava.Options[account]{}, wiring{Public: true})
	c, p := x.dial(t, envelope), x.dial(t, plainForm)
	must(t, x.load.Publish(t.Context(), "x", 1))
	must(t, x.hub.Subscribe(t.Context(), "load:x", c.ID()))
	must(t, x.hub.Subscribe(t.Context(), "load:x", p.ID()))
	must(t, x.load.Publish(t.Context(), "x", 2))
	must(t, x.load.Publish(t.Context(), "x", 3, kanava.Except(c.ID())))
	must(t, x.hub.Publish(t.Context(), "load:x", []byte{1}))
	c.Expect(`{"sub":"load:x","class":"volatile"}`)
	c.Expect(`{"on":"load:x","data":2}`)
	c.Expect(`{"on":"load:x","b64":"AQ=="}`)
	p.Expect(`{"topic":"load:x","data":2}`)
	p.Expect(`{"topic":"load:x","data":3}`)
	p.NextBinary()
	c.ExpectNone()
}

// The newest of each key follows sub, also in the plain form.
func TestD3_LatestFollowsSub(t *testing.T) {
	x := newClasses(t, kanava.Options[account]{}, wiring{Public: true})
	for _, symbol := range []string{"a", "b", "a", "c"} {
		must(t, x.prices.Publish(t.Context(), "x", price{symbol, "1"}))
	}
	must(t, x.hub.Publish(t.Context(), "price:x", price{"a", "2"})) // raw, and of the type
	if err := x.hub.Publish(t.Context(), "price:x", "b"); err == nil || !strings.Contains(err.Error(), "LatestBy of topic") {
		t.Errorf("a raw event of another type: %v", err)
	}
	if err := x.prices.Publish(t.Context(), "x", price{strings.Repeat("x", 257), "1"}); codeOf(err) != kanava.CodeInvalidArgument {
		t.Errorf("a key that is too long: %v", err)
	}
	c, p := x.dial(t, envelope), x.dial(t, plainForm)
	must(t, x.hub.Subscribe(t.Context(), "price:x", c.ID()))
	must(t, x.hub.Subscribe(t.Context(), "price:x", p.ID()))
	expectLike(t, c, `{"sub":"price:x","class":"latest",…"o":5}`)
	expectLike(t, c, `{"on":"price:x",…"o":2,"k":"b","data":{"symbol":"b","value":"1"}}`)
	expectLike(t, c, `{"on":"price:x",…"o":4,"k":"c","data":{"symbol":"c","value":"1"}}`)
	expectLike(t, c, `{"on":"price:x",…"o":5,"k":"a","data":{"symbol":"a","value":"2"}}`)
	p.Expect(`{"topic":"price:x","data":{"symbol":"b","value":"1"}}`)
	p.Expect(`{"topic":"price:x","data":{"symbol":"c","value":"1"}}`)
	p.Expect(`{"topic":"price:x","data":{"symbol":"a","value":"2"}}`)
	must(t, x.status.Publish(t.Context(), "x", "old"))
	must(t, x.status.Publish(t.Context(), "x", "new", kanava.Except(c.ID())))
	for _, who := range []*kanavatest.Client{c, p} {
		must(t, x.hub.Subscribe(t.Context(), "status:x", who.ID()))
	}
	expectLike(t, c, `{"sub":"status:x","class":"latest",…"o":2}`)
	expectLike(t, c, `{"on":"status:x",…"o":2}`) // its own: the position only
	p.Expect(`{"topic":"status:x","data":"new"}`)
	must(t, x.status.Publish(t.Context(), "x", "newer"))
	expectLike(t, c, `{"on":"status:x",…"o":3,"data":"newer"}`)
	c.ExpectNone()
}

// More than a queue holds can follow sub: it comes as there is room, and never
// an older value of a key after a newer one.
func TestD3_LatestOfMoreThanAQueue(t *testing.T) {
	for _, form := range []string{plainForm, envelope} {
		x := newClasses(t, kanava.Options[account]{}, wiring{Public: true, Limits: kanava.Limits{Queue: 64 << 10}})
		long := strings.Repeat("x", 4000)
		const keys = 100
		for i := range keys {
			must(t, x.prices.Publish(t.Context(), "x", price{fmt.Sprint(i), long}))
		}
		c := x.dial(t, form)
		c.Stall()
		must(t, x.hub.Subscribe(t.Context(), "price:x", c.ID()))
		must(t, x.prices.Publish(t.Context(), "x", price{"99", "new"}))
		c.Resume()
		if form == envelope {
			expectLike(t, c, `{"sub":"price:x",…}`)
		}
		seen := map[string]string{}
		for len(seen) < keys {
			frame := c.Next()
			_, rest, _ := strings.Cut(frame, `"symbol":"`)
			symbol, rest, _ := strings.Cut(rest, `"`)
			if was, ok := seen[symbol]; ok {
				t.Fatalf("%s comes again, after %.20s", symbol, was)
			}
			seen[symbol] = rest
		}
		if !strings.Contains(seen["99"], "new") {
			t.Errorf("99 is %s", seen["99"])
		}
		c.ExpectNone()
	}
}

// Who signs in after the subscription gets what a Latest topic keeps then.
func TestS5_LatestComesWithTheSession(t *testing.T) {
	for _, form := range []string{plainForm, envelope} {
		x := newClasses(t, kanava.Options[account]{}, wiring{Messages: by(login())})
		must(t, x.status.Publish(t.Context(), "x", "one"))
		c := x.dial(t, form)
		must(t, x.hub.Subscribe(t.Context(), "status:x", c.ID()))
		must(t, x.hub.Subscribe(t.Context(), "load:x", c.ID()))
		must(t, x.status.Publish(t.Context(), "x", "two"))
		if form == plainForm {
			c.SendText(`{"action":"login","id":"ann"}`)
			c.Expect(`{"topic":"status:x","data":"two"}`)
			c.Expect(`{"action":"login"}`)
		} else {
			expectLike(t, c, `{"sub":"status:x",…"o":1}`)
			c.Expect(`{"sub":"load:x","class":"volatile"}`)
			c.SendText(`{"do":"login","id":1,"in":{"id":"ann"}}`)
			expectLike(t, c, `{"on":"status:x",…"o":2,"data":"two"}`)
			c.Expect(`{"re":1}`)
		}
		c.ExpectNone()
	}
}

// A topic whose class keeps events has a position also before anybody
// subscribes; of others nobody could know.
func TestD1_KeptWithoutSubscribers(t *testing.T) {
	x := newClasses(t, kanava.Options[account]{}, wiring{Public: true})
	c := x.dial(t, envelope)
	for topic, publish := range map[string]func(context.Context, string, string, ...kanava.PublishOption) error{
		`room:x","class":"recoverable",…"o":1`: x.rooms.Publish, `audit:x","class":"ordered",…"o":0`: x.audit.Publish,
	} {
		must(t, publish(t.Context(), "x", "hello"))
		name, _, _ := strings.Cut(topic, `"`)
		must(t, x.hub.Subscribe(t.Context(), name, c.ID()))
		expectLike(t, c, `{"sub":"`+topic+`}`)
	}
	c.ExpectNone()
}
