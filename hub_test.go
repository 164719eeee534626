package kanava_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

type roomIn struct {
	Room string `json:"room"`
	Text string `json:"text,omitempty"`
}

// rooms is a channel whose clients join, leave and publish to rooms by
// themselves.
func rooms(hub func() *kanava.EventHub, public bool) wiring {
	return wiring{Public: public, Messages: by(login(), logout(),
		kanava.OnDo("join", func(ctx context.Context, ch *line, in roomIn) error { return hub().Subscribe(ctx, in.Room, ch.ID()) }, kanava.Public()),
		kanava.OnDo("leave", func(ctx context.Context, ch *line, in roomIn) error { return hub().Unsubscribe(ctx, in.Room, ch.ID()) }, kanava.Public()),
		kanava.OnDo("say", func(ctx context.Context, _ *line, in roomIn) error {
			return hub().Publish(ctx, in.Room, text{in.Text})
		}, kanava.Public()),
		kanava.OnDo("others", func(ctx context.Context, ch *line, in roomIn) error {
			return hub().Publish(ctx, in.Room, text{in.Text}, kanava.Except(ch.ID()))
		}, kanava.Public()),
	)}
}

func serveRooms(t *testing.T, opts kanava.Options[account], public bool) *server {
	t.Helper()
	var srv *server
	srv = serve(t, opts, rooms(func() *kanava.EventHub { return srv.EventHub() }, public))
	return srv
}

func TestRawPubSub(t *testing.T) {
	srv := serveRooms(t, kanava.Options[account]{}, true)
	a, b, c := kanavatest.Dial(t, srv, "/test"), kanavatest.Dial(t, srv, "/test"), kanavatest.Dial(t, srv, "/test")
	do(t, a, `{"action":"join","room":"x"}`, "join")
	do(t, a, `{"action":"join","room":"x"}`, "join") // twice is once
	do(t, b, `{"action":"join","room":"x"}`, "join")
	c.SendText(`{"action":"say","room":"x","text":"hi"}`)
	c.Expect(`{"action":"say"}`)
	a.Expect(`{"topic":"x","data":{"message":"hi"}}`)
	b.Expect(`{"topic":"x","data":{"message":"hi"}}`)
	a.SendText(`{"action":"say","room":"x","text":"me too"}`)
	a.Expect(`{"topic":"x","data":{"message":"me too"}}`) // the event comes before the reply
	a.Expect(`{"action":"say"}`)
	b.Next()
	do(t, a, `{"action":"others","room":"x","text":"not me"}`, "others")
	b.Expect(`{"topic":"x","data":{"message":"not me"}}`)
	do(t, b, `{"action":"leave","room":"x"}`, "leave")
	do(t, b, `{"action":"leave","room":"x"}`, "leave")
	do(t, c, `{"action":"say","room":"x","text":"bye"}`, "say")
	a.Expect(`{"topic":"x","data":{"message":"bye"}}`)
	a.ExpectNone()
	b.ExpectNone()
}

func TestPublishPayloads(t *testing.T) {
	srv := serveRooms(t, kanava.Options[account]{}, true)
	hub, ctx := srv.EventHub(), context.Background()
	c := kanavatest.Dial(t, srv, "/test")
	do(t, c, `{"action":"join","room":"x:1"}`, "join")
	for _, tc := range []struct {
		payload any
		want    string
	}{
		{text{"a"}, `{"topic":"x:1","data":{"message":"a"}}`},
		{"a string", `{"topic":"x:1","data":"a string"}`},
		{7, `{"topic":"x:1","data":7}`},
		{nil, `{"topic":"x:1","data":null}`},
		{[]int{1}, `{"topic":"x:1","data":[1]}`},
		{jsontext.Value(`{"raw": true}`), `{"topic":"x:1","data":{"raw":true}}`},
	} {
		if err := hub.Publish(ctx, "x:1", tc.payload); err != nil {
			t.Errorf("%v: %v", tc.payload, err)
			continue
		}
		if got := c.Next(); got != tc.want {
			t.Errorf("%v: got %s, want %s", tc.payload, got, tc.want)
		}
	}
	if err := hub.Publish(ctx, "x:1", []byte{1, 2}); err != nil {
		t.Fatal(err)
	}
	if got := c.NextBinary(); string(got) != "\x01\x02" {
		t.Errorf("got %x", got)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	for name, tc := range map[string]struct {
		ctx     context.Context
		topic   string
		payload any
		want    kanava.Code // "" is any other error
	}{
		"no JSON":        {ctx, "x:1", make(chan int), ""},
		"broken JSON":    {ctx, "x:1", jsontext.Value(`{`), ""},
		"canceled":       {canceled, "x:1", 1, ""},
		"too large":      {ctx, "x:1", strings.Repeat("x", 64<<10), kanava.CodeTooLarge},
		"empty topic":    {ctx, "", 1, kanava.CodeInvalidArgument},
		"long topic":     {ctx, strings.Repeat("x", 257), 1, kanava.CodeInvalidArgument},
		"control":        {ctx, "a\nb", 1, kanava.CodeInvalidArgument},
		"no UTF-8 topic": {ctx, "\xff", 1, kanava.CodeInvalidArgument},
	} {
		err := hub.Publish(tc.ctx, tc.topic, tc.payload)
		var e *kanava.Error
		if err == nil || tc.want != "" && (!errors.As(err, &e) || e.Code != tc.want) {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	c.ExpectNone()
}

func TestSubscribeErrors(t *testing.T) {
	srv := serveRooms(t, kanava.Options[account]{Limits: kanava.Limits{Subscriptions: 2}}, true)
	c := kanavatest.Dial(t, srv, "/test")
	do(t, c, `{"action":"join","room":"1"}`, "join")
	do(t, c, `{"action":"join","room":"2"}`, "join")
	do(t, c, `{"action":"join","room":"2"}`, "join")
	c.SendText(`{"action":"join","room":"3"}`)
	expectError(t, c, "join", kanava.CodeResourceExhausted)
	do(t, c, `{"action":"leave","room":"1"}`, "leave")
	do(t, c, `{"action":"join","room":"3"}`, "join")
	var e *kanava.Error
	if err := srv.EventHub().Subscribe(context.Background(), "1", "nobody"); !errors.As(err, &e) || e.Code != kanava.CodeNotFound {
		t.Errorf("Subscribe for nobody: %v", err)
	}
	if err := srv.EventHub().Unsubscribe(context.Background(), "1", "nobody"); err != nil {
		t.Errorf("Unsubscribe for nobody: %v", err)
	}
}

// Events are held back from clients without a session on a channel that is not
// public.
func TestEventsNeedASession(t *testing.T) {
	srv := serveRooms(t, kanava.Options[account]{}, false)
	ctx := context.Background()
	c := kanavatest.Dial(t, srv, "/test")
	do(t, c, `{"action":"join","room":"x"}`, "join")
	publish := func(what string) {
		t.Helper()
		if err := srv.EventHub().Publish(ctx, "x", what); err != nil {
			t.Fatal(err)
		}
	}
	publish("held back")
	do(t, c, `{"action":"login","id":"ann"}`, "login")
	publish("seen")
	c.Expect(`{"topic":"x","data":"seen"}`)
	do(t, c, `{"action":"logout"}`, "logout")
	publish("held back")
	do(t, c, `{"action":"login","id":"ann"}`, "login")
	publish("seen again") // made without a user: it stays
	c.Expect(`{"topic":"x","data":"seen again"}`)
	do(t, c, `{"action":"join","room":"mine"}`, "join")
	do(t, c, `{"action":"logout"}`, "logout")
	do(t, c, `{"action":"login","id":"bob"}`, "login")
	if err := srv.EventHub().Publish(ctx, "mine", "of ann"); err != nil {
		t.Fatal(err)
	}
	c.ExpectNone() // made by ann: it ended
}

func TestS5_MaySubscribe(t *testing.T) {
	srv := serveRooms(t, kanava.Options[account]{}, false)
	ctx := context.Background()
	topic := kanava.NewTopic[text](srv.EventHub(), "room", kanava.MaySubscribe(func(_ context.Context, a account, key string) error {
		if key == "open" || a.ID == "ann" && len(a.Roles) == 0 {
			return nil
		}
		return kanava.Errorf(kanava.CodePermissionDenied, "room %s is not yours", key)
	}))
	c := kanavatest.Dial(t, srv, "/test")
	do(t, c, `{"action":"join","room":"room:open"}`, "join")
	c.SendText(`{"action":"join","room":"room:closed"}`)
	expectError(t, c, "join", kanava.CodePermissionDenied)
	publish := func(key string) {
		t.Helper()
		if err := topic.Publish(ctx, key, text{key}); err != nil {
			t.Fatal(err)
		}
	}
	publish("open") // readable without a session
	c.Expect(`{"topic":"room:open","data":{"message":"open"}}`)
	do(t, c, `{"action":"login","id":"ann"}`, "login")
	do(t, c, `{"action":"join","room":"room:closed"}`, "join")
	publish("closed")
	c.Expect(`{"topic":"room:closed","data":{"message":"closed"}}`)
	do(t, c, `{"action":"login","id":"ann","roles":["x"]}`, "login") // asked again, and refused
	publish("closed")
	c.ExpectNone()
	publish("open")
	c.Expect(`{"topic":"room:open","data":{"message":"open"}}`)
}

func TestListeners(t *testing.T) {
	var log logBuffer
	hub := kanava.NewEventHub(kanava.HubOptions{Logger: log.logger()})
	ctx := context.Background()
	topic := kanava.NewTopic[text](hub, "room")
	got := make(chan kanava.Event, 10)
	l := hub.Listen(func(ctx context.Context, ev kanava.Event) {
		if string(ev.Data) == `{"message":"panic"}` {
			panic("of a listener")
		}
		got <- ev
	})
	if err := topic.Subscribe(ctx, l, "x"); err != nil {
		t.Fatal(err)
	}
	if err := hub.Subscribe(ctx, "raw", l.ID()); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		topic.Publish(ctx, "x", text{"panic"}),
		topic.Publish(ctx, "x", text{"hi"}),
		topic.Publish(ctx, "x", text{"not me"}, kanava.Except(l.ID())),
		hub.Publish(ctx, "raw", []byte{1}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if ev := receive(t, got); ev.Topic != "room:x" || string(ev.Data) != `{"message":"hi"}` {
		t.Errorf("got %+v", ev)
	}
	if ev := receive(t, got); ev.Topic != "raw" || string(ev.Binary) != "\x01" || ev.Data != nil {
		t.Errorf("got %+v", ev)
	}
	if err := topic.Unsubscribe(ctx, l, "x"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "of a listener") {
		t.Errorf("the panic was not logged: %s", log.String())
	}
	if l.Err() != nil {
		t.Errorf("Err is %v", l.Err())
	}
	hub.Close()
	receive(t, l.Done())
	l.Close()
	if !errors.Is(l.Err(), kanava.ErrClosed) {
		t.Errorf("Err is %v", l.Err())
	}
	for _, err := range []error{topic.Publish(ctx, "x", text{}), topic.Subscribe(ctx, l, "x"), hub.Listen(func(context.Context, kanava.Event) {}).Err()} {
		if !errors.Is(err, kanava.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

func TestSlowListenerEnds(t *testing.T) {
	hub := kanava.NewEventHub(kanava.HubOptions{})
	ctx := context.Background()
	release := make(chan struct{})
	l := hub.Listen(func(context.Context, kanava.Event) { <-release })
	defer close(release)
	if err := hub.Subscribe(ctx, "x", l.ID()); err != nil {
		t.Fatal(err)
	}
	payload := strings.Repeat("x", 60<<10)
	for range 20 {
		if err := hub.Publish(ctx, "x", payload); err != nil {
			t.Fatal(err)
		}
	}
	receive(t, l.Done())
	var e *kanava.Error
	if err := l.Err(); !errors.As(err, &e) || e.Code != kanava.CodeResourceExhausted {
		t.Errorf("Err is %v", err)
	}
}

func TestD11_SlowClientIsClosedAndNobodyElseWaits(t *testing.T) {
	srv := serveRooms(t, kanava.Options[account]{}, true)
	slow, quick := kanavatest.Dial(t, srv, "/test"), kanavatest.Dial(t, srv, "/test")
	do(t, slow, `{"action":"join","room":"x"}`, "join")
	do(t, quick, `{"action":"join","room":"x"}`, "join")
	slow.Stall()
	payload := strings.Repeat("x", 32<<10)
	for range 100 {
		if err := srv.EventHub().Publish(context.Background(), "x", payload); err != nil {
			t.Fatal(err)
		}
		quick.Next()
	}
	slow.Resume()
	if reason := slow.ExpectClose(kanava.CloseSlowConsumer); reason != "slow_consumer" {
		t.Errorf("reason %q", reason)
	}
	quick.ExpectNone()
}

func TestQueueIsSmallWithoutAUser(t *testing.T) {
	srv := serveRooms(t, kanava.Options[account]{}, false)
	kanava.NewTopic[string](srv.EventHub(), "open", kanava.MaySubscribe(func(context.Context, account, string) error { return nil }))
	nobody, ann := kanavatest.Dial(t, srv, "/test"), kanavatest.Dial(t, srv, "/test")
	do(t, ann, `{"action":"login","id":"ann"}`, "login")
	for _, c := range []*kanavatest.Client{nobody, ann} {
		do(t, c, `{"action":"join","room":"open:x"}`, "join")
		c.Stall()
	}
	for range 5 { // 160 KiB: more than 64 KiB, less than 1 MiB
		if err := srv.EventHub().Publish(context.Background(), "open:x", strings.Repeat("x", 32<<10)); err != nil {
			t.Fatal(err)
		}
	}
	nobody.Resume()
	ann.Resume()
	nobody.ExpectClose(kanava.CloseSlowConsumer)
	for range 5 {
		ann.Next()
	}
	ann.ExpectNone()
}

func TestStreamWaitsForItsClient(t *testing.T) {
	sent := make(chan int, 10000)
	result := make(chan error, 1)
	item := strings.Repeat("x", 8<<10)
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(
		kanava.OnStream("stream", func(ctx context.Context, _ *line, _ kanava.None, out *kanava.Stream[string]) (err error) {
			defer func() { result <- err }()
			for i := range 1000 {
				if err := out.Send(ctx, item); err != nil {
					return err
				}
				sent <- i
			}
			return nil
		}))})
	c := kanavatest.Dial(t, srv, "/test")
	c.Stall()
	c.SendText(`{"action":"stream"}`)
	for range 60 { // 480 KiB fit into half of the queue
		receive(t, sent)
	}
	c.Resume()
	for range 1000 {
		if got := c.Next(); len(got) != len(item)+2 {
			t.Fatalf("item of %d bytes", len(got))
		}
	}
	c.Expect(`{"action":"stream"}`)
	if err := receive(t, result); err != nil {
		t.Error(err)
	}

	for range 940 {
		receive(t, sent)
	}
	c.Stall()
	c.SendText(`{"action":"stream"}`)
	for range 60 {
		receive(t, sent)
	}
	c.Leave() // wakes the stream
	if err := receive(t, result); err == nil {
		t.Error("Send to a client that has left: no error")
	}
}

// A client that sends faster than it reads is slowed down, not closed.
func TestP14_RepliesHoldTheNextCallsBack(t *testing.T) {
	large := strings.Repeat("x", 4<<10)
	srv := serve(t, kanava.Options[account]{}, wiring{OnMessage: kanava.Func(func(_ context.Context, _ *line, in int) (string, error) {
		return large, nil
	}, kanava.Public())})
	c := kanavatest.Dial(t, srv, "/test")
	const count = 500 // 2 MiB of replies through a queue of 64 KiB
	c.Stall()
	go func() {
		for i := range count {
			c.Send(i)
			if i == 30 {
				c.Resume()
			}
		}
	}()
	for range count {
		if got := c.Next(); len(got) != len(large)+2 {
			t.Fatalf("reply of %d bytes", len(got))
		}
	}
}

// Every subscriber sees each topic's events in the order of its neighbours,
// each once, while others come and go.
func TestOneOrderAtAllSubscribers(t *testing.T) {
	hub := kanava.NewEventHub(kanava.HubOptions{})
	ctx := context.Background()
	const publishers, each = 4, 200
	stay := make([][]string, 5)
	all := make(chan struct{}, len(stay))
	for i := range stay {
		l := hub.Listen(func(_ context.Context, ev kanava.Event) {
			stay[i] = append(stay[i], string(ev.Data))
			if len(stay[i]) == publishers*each {
				all <- struct{}{}
			}
		})
		defer l.Close()
		if err := hub.Subscribe(ctx, "x", l.ID()); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				if err := hub.Publish(ctx, "x", fmt.Sprintf("%d.%d", p, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 300 {
			l := hub.Listen(func(context.Context, kanava.Event) {})
			_ = hub.Subscribe(ctx, "x", l.ID())
			if rand.IntN(2) == 0 {
				_ = hub.Unsubscribe(ctx, "x", l.ID())
			}
			l.Close()
		}
	})
	wg.Wait()
	for range stay {
		receive(t, all)
	}
	for i := range stay {
		if fmt.Sprint(stay[i]) != fmt.Sprint(stay[0]) {
			t.Fatalf("subscriber %d saw another order than subscriber 0", i)
		}
	}
}

// All who receive an event share what transports make of its frame, and that
// is made once.
func TestEventsAreDeflatedOnce(t *testing.T) {
	srv := kanava.NewServer(kanava.Options[account]{})
	srv.Wire(wiring{Name: "fan", Route: "/fan", Public: true})
	var links []*kanava.Link
	for range 20 {
		link, err := srv.Open(t.Context(), request("/fan"), newPeer())
		if err != nil {
			t.Fatal(err)
		}
		link.Start()
		t.Cleanup(func() { link.Disconnect(kanava.CloseNormal, ""); <-link.Done() })
		if err := srv.EventHub().Subscribe(t.Context(), "t", link.ID()); err != nil {
			t.Fatal(err)
		}
		links = append(links, link)
	}
	for _, payload := range []any{"text", []byte("bytes")} {
		if err := srv.EventHub().Publish(t.Context(), "t", payload); err != nil {
			t.Fatal(err)
		}
		var made atomic.Int64
		var taking sync.WaitGroup
		for _, link := range links {
			taking.Go(func() {
				frames, _ := link.Take(nil, 1<<16)
				if len(frames) != 1 || frames[0].Shared == nil {
					t.Errorf("took %+v, want one shared frame", frames)
					return
				}
				for range 2 {
					got := frames[0].Shared.Deflated(func() []byte {
						made.Add(1)
						return []byte("deflated")
					})
					if string(got) != "deflated" {
						t.Errorf("got %q", got)
					}
				}
			})
		}
		taking.Wait()
		if n := made.Load(); n != 1 {
			t.Errorf("deflated %d times", n)
		}
	}
}
