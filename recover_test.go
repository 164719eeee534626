package kanava_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// recovered is an answer to recover.
type recovered struct {
	Re  uint64 `json:"re"`
	Out *struct {
		OK     bool   `json:"ok"`
		E      string `json:"e"`
		O      uint64 `json:"o"`
		More   bool   `json:"more"`
		Events []struct {
			O    uint64          `json:"o"`
			Data json.RawMessage `json:"data"`
			B64  *string         `json:"b64"`
		} `json:"events"`
	} `json:"out"`
	Err struct {
		Code       kanava.Code `json:"code"`
		RetryAfter int         `json:"retryAfter"`
	} `json:"err"`
}

// String is what an answer says, in short: the events, and where they end.
func (r recovered) String() string {
	switch {
	case r.Out == nil:
		return string(r.Err.Code)
	case !r.Out.OK:
		return fmt.Sprintf("lost to %d", r.Out.O)
	}
	out := ""
	for _, ev := range r.Out.Events {
		payload := string(ev.Data)
		if ev.B64 != nil {
			payload = "base64 " + *ev.B64
		}
		out += fmt.Sprintf("%d:%s ", ev.O, payload)
	}
	out += fmt.Sprintf("to %d", r.Out.O)
	if r.Out.More {
		out += " and more"
	}
	return out
}

func recoverFrom(topic, epoch string, o uint64, id int) string {
	return fmt.Sprintf(`{"recover":%q,"e":%q,"o":%d,"id":%d}`, topic, epoch, o, id)
}

// ask asks what followed a position, and returns the answer.
func ask(t *testing.T, c *kanavatest.Client, topic, epoch string, o uint64) recovered {
	t.Helper()
	const id = 77
	c.SendText(recoverFrom(topic, epoch, o, id))
	got := kanavatest.Into[recovered](c)
	if got.Re != id {
		t.Fatalf("the answer is to %d", got.Re)
	}
	return got
}

// follow subscribes a client of kanava.v1 to a topic, and returns its epoch.
func (x *classes) follow(t *testing.T, c *kanavatest.Client, topic string) (epoch string, o uint64) {
	t.Helper()
	must(t, x.hub.Subscribe(t.Context(), topic, c.ID()))
	sub := kanavatest.Into[struct {
		E string `json:"e"`
		O uint64 `json:"o"`
	}](c)
	return sub.E, sub.O
}

// What followed a position is answered completely, or the answer says that it
// cannot be.
func TestD6_RecoverFromAnyPosition(t *testing.T) {
	x := newClasses(t, kanava.Options[account]{}, wiring{Public: true})
	small := kanava.NewTopic[string](x.hub, "small", kanava.Recoverable(3, time.Hour))
	for _, event := range []string{"a", "b", "c", "d"} {
		must(t, small.Publish(t.Context(), "x", event))
	}
	must(t, x.hub.Publish(t.Context(), "small:x", []byte{1, 2}))
	c := x.dial(t, envelope)
	e, _ := x.follow(t, c, "small:x")
	for o, want := range []string{
		"lost to 5", "lost to 5", `3:"c" 4:"d" 5:base64 AQI= to 5`, `4:"d" 5:base64 AQI= to 5`, "5:base64 AQI= to 5", "to 5", "lost to 5",
	} {
		if got := ask(t, c, "small:x", e, uint64(o)).String(); got != want {
			t.Errorf("from %d: %s, want %s", o, got, want)
		}
	}
	if got := ask(t, c, "small:x", "other", 3); got.Out.OK || got.Out.E != e || got.Out.O != 5 {
		t.Errorf("from another epoch: %v", got)
	}
	must(t, x.audit.Publish(t.Context(), "x", "a"))
	e, _ = x.follow(t, c, "audit:x")
	must(t, x.audit.Publish(t.Context(), "x", "b"))
	c.Next()
	for o, want := range []string{"lost to 1", "to 1", "lost to 1"} {
		if got := ask(t, c, "audit:x", e, uint64(o)).String(); got != want {
			t.Errorf("of an ordered topic, from %d: %s, want %s", o, got, want)
		}
	}
	c.ExpectNone()
}

// What has expired is not recovered, also before it is swept away.
func TestD6_ExpiredIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newClasses(t, kanava.Options[account]{}, wiring{Public: true})
		short := kanava.NewTopic[string](x.hub, "short", kanava.Recoverable(10, 3*time.Second))
		c := x.dial(t, envelope)
		e, _ := x.follow(t, c, "short:x")
		must(t, x.hub.Unsubscribe(t.Context(), "short:x", c.ID()))
		must(t, short.Publish(t.Context(), "x", "a"))
		time.Sleep(2 * time.Second)
		must(t, short.Publish(t.Context(), "x", "b"))
		c.Next() // unsub
		x.follow(t, c, "short:x")
		for _, want := range []string{`1:"a" 2:"b" to 2`, "lost to 2", "lost to 2"} {
			if got := ask(t, c, "short:x", e, 0).String(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			time.Sleep(time.Second)
		}
		if got := ask(t, c, "short:x", e, 1).String(); got != "lost to 2" {
			t.Errorf("got %s", got)
		}
	})
}

// An answer has at most 64 KiB, or one event; more says that there are others.
func TestD6_Pages(t *testing.T) {
	for _, limit := range []int{64 << 10, 1000} {
		x := newClasses(t, kanava.Options[account]{}, wiring{Public: true, Limits: kanava.Limits{Message: limit}})
		big := kanava.NewTopic[string](x.hub, "big", kanava.Recoverable(1000, time.Hour))
		c := x.dialLimited(t, limit)
		e, _ := x.follow(t, c, "big:x")
		must(t, x.hub.Unsubscribe(t.Context(), "big:x", c.ID()))
		c.Next()
		var want []string
		for i := range 300 {
			event := strings.Repeat("x", i*i%2000)
			if i == 100 {
				event = strings.Repeat("y", 64<<10-2)
			}
			want = append(want, event)
			must(t, big.Publish(t.Context(), "x", event))
		}
		must(t, x.hub.Publish(t.Context(), "big:x", make([]byte, 64<<10)))
		want = append(want, base64.StdEncoding.EncodeToString(make([]byte, 64<<10)))
		x.follow(t, c, "big:x")
		o, pages := uint64(0), 0
		for more := true; more; pages++ {
			c.SendText(recoverFrom("big:x", e, o, pages+1))
			frame := c.Next()
			var got recovered
			must(t, json.Unmarshal([]byte(frame), &got))
			if len(frame) > limit+100 && len(got.Out.Events) > 1 || len(got.Out.Events) == 0 {
				t.Fatalf("page %d has %d bytes and %d events", pages, len(frame), len(got.Out.Events))
			}
			for _, ev := range got.Out.Events {
				o++
				text := ""
				if ev.B64 != nil {
					text = *ev.B64
				} else {
					must(t, json.Unmarshal(ev.Data, &text))
				}
				if ev.O != o || text != want[o-1] {
					t.Fatalf("event %d is %d: %.20q, want %.20q", o, ev.O, text, want[o-1])
				}
			}
			if got.Out.O != o {
				t.Fatalf("page %d goes to %d, its last event is %d", pages, got.Out.O, o)
			}
			more = got.Out.More
		}
		if int(o) != len(want) || pages < 4 {
			t.Errorf("%d of %d events in %d pages", o, len(want), pages)
		}
		c.ExpectNone()
	}
}

// dialLimited is dial for a channel with its own limit of a message.
func (x *classes) dialLimited(t *testing.T, limit int) *kanavatest.Client {
	t.Helper()
	c := dialV1(t, x.srv, "/test")
	c.SendText(`{"hello":{}}`)
	expectLike(t, c, fmt.Sprintf(`{"open":{…"max":%d,…}}`, limit))
	c.Expect(`{"push":""}`)
	return c
}

// Only a live subscription is recovered for, and only under a session where
// events need one.
func TestD7_RecoverNeedsASubscription(t *testing.T) {
	x := newClasses(t, kanava.Options[account]{}, wiring{Messages: by(login(), logout())})
	c := x.dial(t, envelope)
	expect := func(topic, epoch string, want kanava.Code) {
		t.Helper()
		if got := ask(t, c, topic, epoch, 0); got.Err.Code != want {
			t.Errorf("recover of %s is answered %v, want %s", topic, got, want)
		}
	}
	expect("room:x", "e", kanava.CodeNotFound)
	e, _ := x.follow(t, c, "room:x")
	must(t, x.rooms.Publish(t.Context(), "x", "secret"))
	expect("room:x", e, kanava.CodeUnauthenticated)
	c.SendText(`{"do":"login","id":1,"in":{"id":"ann"}}`)
	expectLike(t, c, `{"at":"room:x",…"o":1}`)
	c.Expect(`{"re":1}`)
	if got := ask(t, c, "room:x", e, 0).String(); got != `1:"secret" to 1` {
		t.Errorf("got %s", got)
	}
	must(t, x.hub.Subscribe(t.Context(), "load:x", c.ID()))
	c.Next()
	expect("load:x", e, kanava.CodeFailedPrecondition)
	must(t, x.hub.Unsubscribe(t.Context(), "room:x", c.ID()))
	c.Next()
	expect("room:x", e, kanava.CodeNotFound)
}

// stopped is an outgoing middleware that stops at events until it is let go.
type stopped struct{ reached, goOn chan struct{} }

func newStopped(t *testing.T) *stopped {
	s := &stopped{make(chan struct{}, 100), make(chan struct{})}
	t.Cleanup(func() {
		select {
		case <-s.goOn:
		default:
			close(s.goOn)
		}
	})
	return s
}

func (s *stopped) outgoing(next kanava.Sender) kanava.Sender {
	return func(ctx context.Context, p *kanava.Payload) error {
		if p.Kind == kanava.KindEvent {
			s.reached <- struct{}{}
			<-s.goOn
		}
		return next(ctx, p)
	}
}

// One answer is under way for a topic, and four for a connection; who asks for
// more is told to come again. Nobody waits for them: not the reader, not others.
func TestD7_RecoveriesOfAConnectionAreBounded(t *testing.T) {
	stop := newStopped(t)
	x := newClasses(t, kanava.Options[account]{}, wiring{Public: true, Outgoing: []kanava.Outgoing{stop.outgoing}})
	for i := range 5 {
		must(t, x.rooms.Publish(t.Context(), fmt.Sprint(i), "hello"))
	}
	c := x.dial(t, envelope)
	var epochs []string
	for i := range 5 {
		e, _ := x.follow(t, c, fmt.Sprintf("room:%d", i))
		epochs = append(epochs, e)
	}
	for i := range 4 {
		c.SendText(recoverFrom(fmt.Sprintf("room:%d", i), epochs[i], 0, i+1))
		receive(t, stop.reached)
	}
	for _, i := range []int{0, 4} {
		if got := ask(t, c, fmt.Sprintf("room:%d", i), epochs[i], 0); got.Err.Code != kanava.CodeResourceExhausted || got.Err.RetryAfter < 500 || got.Err.RetryAfter > 1500 {
			t.Errorf("recover of room %d is answered %v", i, got)
		}
	}
	c.SendText(`{"ping":true,"id":9}`)
	c.Expect(`{"re":9}`)
	close(stop.goOn)
	var ids []uint64
	for range 4 {
		ids = append(ids, kanavatest.Into[recovered](c).Re)
	}
	if slices.Sort(ids); !slices.Equal(ids, []uint64{1, 2, 3, 4}) {
		t.Errorf("answered are %v", ids)
	}
	if got := ask(t, c, "room:4", epochs[4], 0).String(); got != `1:"hello" to 1` {
		t.Errorf("got %s", got)
	}
}

// Nothing of a subscription goes out after its unsub.
func TestD3_NothingIsRecoveredAfterUnsub(t *testing.T) {
	stop := newStopped(t)
	x := newClasses(t, kanava.Options[account]{}, wiring{Public: true, Outgoing: []kanava.Outgoing{stop.outgoing}})
	must(t, x.rooms.Publish(t.Context(), "x", "hello"))
	c := x.dial(t, envelope)
	e, _ := x.follow(t, c, "room:x")
	c.SendText(recoverFrom("room:x", e, 0, 1))
	receive(t, stop.reached)
	must(t, x.hub.Unsubscribe(t.Context(), "room:x", c.ID()))
	expectLike(t, c, `{"unsub":"room:x",…}`)
	close(stop.goOn)
	expectLike(t, c, `{"re":1,"err":{"code":"not_found",…}}`)
	c.ExpectNone()
}

// A question costs one message, and one more for each 64 KiB of the answer.
func TestD7_RecoverCosts(t *testing.T) {
	x := newClasses(t, kanava.Options[account]{}, wiring{Public: true, Limits: kanava.Limits{Rate: kanava.Rate{PerSecond: 0.001, Burst: 21}}})
	must(t, x.rooms.Publish(t.Context(), "large", strings.Repeat("x", 64<<10-2)))
	must(t, x.rooms.Publish(t.Context(), "small", "x"))
	c := x.dial(t, envelope) // 1 for the hello
	large, _ := x.follow(t, c, "room:large")
	small, _ := x.follow(t, c, "room:small")
	for i := range 5 { // 2 each
		if got := ask(t, c, "room:large", large, 0); got.Out == nil {
			t.Fatalf("question %d: %v", i, got)
		}
	}
	for i := range 10 { // 1 each
		if got := ask(t, c, "room:small", small, 0); got.Out == nil {
			t.Fatalf("question %d: %v", i, got)
		}
	}
	if got := ask(t, c, "room:small", small, 0); got.Err.Code != kanava.CodeResourceExhausted {
		t.Errorf("got %v", got)
	}
}

// Outgoing middleware changes and drops what is recovered as what is live.
func TestD8_MiddlewareAndRecovery(t *testing.T) {
	x := newClasses(t, kanava.Options[account]{}, wiring{Messages: by(login()), Outgoing: []kanava.Outgoing{func(next kanava.Sender) kanava.Sender {
		return func(ctx context.Context, p *kanava.Payload) error {
			if s, ok := p.Value.(string); ok && p.Kind == kanava.KindEvent {
				switch s {
				case "drop":
					return nil
				case "panic":
					panic("as asked for")
				case "who":
					p.Value = p.Conn.(*line).Session().ID
				}
			}
			return next(ctx, p)
		}
	}}})
	for _, event := range []string{"a", "drop", "who", "panic", "drop"} {
		must(t, x.rooms.Publish(t.Context(), "x", event))
	}
	c := x.dial(t, envelope)
	c.SendText(`{"do":"login","id":1,"in":{"id":"ann"}}`)
	c.Expect(`{"re":1}`)
	e, _ := x.follow(t, c, "room:x")
	if got := ask(t, c, "room:x", e, 0).String(); got != `1:"a" 3:"ann" to 5` {
		t.Errorf("got %s", got)
	}
	c.SendText(`{"do":"login","id":2,"in":{"id":"ann"}}`)
	c.Expect(`{"re":2}`)
	if got := ask(t, c, "room:x", e, 3).String(); got != `to 5` {
		t.Errorf("got %s", got)
	}
}

// Who caused an event is not sent it, also when it comes back and recovers.
func TestD9_ExceptHoldsInRecovery(t *testing.T) {
	x := newClasses(t, kanava.Options[account]{}, wiring{Public: true})
	was := func(ids ...string) *kanavatest.Client {
		c := dialV1(t, x.srv, "/test")
		b, err := json.Marshal(ids)
		must(t, err)
		c.SendText(`{"hello":{"was":` + string(b) + `}}`)
		c.Next()
		c.Expect(`{"push":""}`)
		return c
	}
	sender, other := was(), was()
	again, late := was("else", sender.ID()), was(append(slices.Repeat([]string{"x"}, 8), sender.ID())...)
	clients := []*kanavatest.Client{sender, other, again, late}
	e := ""
	for _, c := range clients {
		e, _ = x.follow(t, c, "room:x")
	}
	must(t, x.rooms.Publish(t.Context(), "x", "a"))
	must(t, x.rooms.Publish(t.Context(), "x", "b", kanava.Except(sender.ID())))
	must(t, x.rooms.Publish(t.Context(), "x", "c"))
	for i, c := range clients {
		for range 3 {
			c.Next()
		}
		want := `1:"a" 2:"b" 3:"c" to 3`
		if i == 0 || i == 2 {
			want = `1:"a" 3:"c" to 3`
		}
		if got := ask(t, c, "room:x", e, 0).String(); got != want {
			t.Errorf("client %d gets %s, want %s", i, got, want)
		}
	}
}

// Whatever position a client asks from, the answer is what a list of all that
// was published says.
func FuzzRecover(f *testing.F) {
	f.Add("room:x", "", uint64(0), uint8(3), uint8(5), 10)
	f.Add("room:x", "x", uint64(2), uint8(9), uint8(5), 30000)
	f.Add("other", "", uint64(1<<53), uint8(0), uint8(1), 0)
	f.Fuzz(func(t *testing.T, topic, epoch string, o uint64, published, size uint8, bytes int) {
		hub := kanava.NewEventHub(kanava.HubOptions{})
		defer hub.Close()
		room := kanava.NewTopic[string](hub, "room", kanava.Recoverable(int(size)+1, time.Hour))
		srv := kanava.NewServer(kanava.Options[account]{EventHub: hub})
		srv.Wire(wiring{Name: "fuzz", Route: "/fuzz", Public: true})
		event := strings.Repeat("x", max(0, bytes)%(60<<10))
		for range published {
			must(t, room.Publish(t.Context(), "x", event))
		}
		c := dialFuzz(t, srv)
		c.SendText(`{"hello":{}}`)
		c.Next()
		c.Expect(`{"push":""}`)
		must(t, hub.Subscribe(t.Context(), "room:x", c.ID()))
		sub := kanavatest.Into[struct {
			E string `json:"e"`
		}](c)
		if epoch == "" {
			epoch = sub.E
		}
		frame, err := json.Marshal(map[string]any{"id": 7, "recover": topic, "e": epoch, "o": o})
		if err != nil || len(frame) > 60<<10 {
			return
		}
		c.SendText(string(frame))
		var parsed struct { // what the server sees: strings have been made UTF-8
			Recover, E string
		}
		must(t, json.Unmarshal(frame, &parsed))
		got := kanavatest.Into[recovered](c)
		kept := min(int(published), int(size)+1)
		first := uint64(int(published) - kept) // the offset before the oldest that is kept
		switch {
		case o > 1<<53-1 || len(parsed.Recover) > 256 || len(parsed.E) > 16:
			if got.Re != 0 || got.Err.Code != kanava.CodeInvalidFrame {
				t.Fatalf("%s is answered %v", frame, got)
			}
		case parsed.Recover != "room:x":
			if got.Re != 7 || got.Err.Code != kanava.CodeNotFound {
				t.Fatalf("%s is answered %v", frame, got)
			}
		case parsed.E != sub.E || o > uint64(published) || o < first:
			if got.Re != 7 || got.Out == nil || got.Out.OK || got.Out.E != sub.E || got.Out.O != uint64(published) {
				t.Fatalf("%s is answered %v, of %d", frame, got, published)
			}
		default:
			if got.Re != 7 || got.Out == nil || !got.Out.OK || got.Out.More != (got.Out.O < uint64(published)) || got.Out.O < min(o+1, uint64(published)) {
				t.Fatalf("%s is answered %v, of %d", frame, got, published)
			}
			for i, ev := range got.Out.Events {
				if ev.O != o+uint64(i)+1 || len(ev.Data) != len(event)+2 {
					t.Fatalf("%s is answered %v, of %d", frame, got, published)
				}
			}
			if uint64(len(got.Out.Events)) != got.Out.O-o {
				t.Fatalf("%s is answered %v, of %d", frame, got, published)
			}
		}
		c.ExpectNone()
	})
}
