package kanava_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// dialV1 connects a client of kanava.v1 that has not said hello.
func dialV1(t *testing.T, srv *server, target string) *kanavatest.Client {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	c, err := kanavatest.DialRequest(t, srv, &kanava.OpenRequest{
		URL: u, Subprotocols: []string{"kanava.v1"}, Header: http.Header{"Cookie": {"who=ada"}}, Ping: 25 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// openV1 is dialV1 for a client that has been greeted.
func openV1(t *testing.T, srv *server) *kanavatest.Client {
	t.Helper()
	c := dialV1(t, srv, "/test")
	c.SendText(`{"hello":{}}`)
	expectLike(t, c, `{"open":{"id":"`+c.ID()+`","max":65536,"calls":32,"ping":25000,"keep":0,"keys":300000…"has":[]}}`)
	c.Expect(`{"push":""}`)
	return c
}

// expectLike demands that the next frame is the text want, in which an ellipsis
// stands for anything.
func expectLike(t *testing.T, c *kanavatest.Client, want string) string {
	t.Helper()
	got := c.Next()
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*")
	if !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	return got
}

// expectEnd demands that the server closes the connection with code, and tells
// so first.
func expectEnd(t *testing.T, c *kanavatest.Client, code kanava.CloseCode) {
	t.Helper()
	expectLike(t, c, `{"away":{"code":`+jsonOf(t, uint16(code))+`…}}`)
	c.ExpectClose(code)
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func echoRoute() route {
	return kanava.On("echo", func(_ context.Context, _ *line, in text) (text, error) { return in, nil }, kanava.Public())
}

func TestP3_HelloComesFirst(t *testing.T) {
	srv := serve(t, kanava.Options[account]{}, wiring{Messages: by(echoRoute())})
	for _, first := range []string{`{"do":"echo","id":1,"in":{"message":"x"}}`, `{}`, `[]`, `{"hello":1}`, `{"ping":true,"id":1}`, `nonsense`} {
		c := dialV1(t, srv, "/test")
		c.SendText(first)
		expectLike(t, c, `{"re":0,"err":{"code":"invalid_frame","message":"…"}}`)
		expectEnd(t, c, kanava.CloseBadRequest)
	}
	c := openV1(t, srv)
	c.SendText(`{"hello":{}}`)
	expectLike(t, c, `{"re":0,"err":{"code":"invalid_frame",…}}`)
	c.SendText(`{"do":"echo","id":1,"in":{"message":"still here"}}`)
	c.Expect(`{"re":1,"out":{"message":"still here"}}`)
}

func TestP3_HelloHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, kanava.Options[account]{}, wiring{Messages: by(echoRoute())})
		c := dialV1(t, srv, "/test")
		time.Sleep(16 * time.Second)
		expectLike(t, c, `{"re":0,"err":{"code":"unauthenticated",…}}`)
		expectEnd(t, c, kanava.CloseUnauthenticated)
	})
}

func TestP3_AuthenticateRunsAtHello(t *testing.T) {
	var saw kanava.OpenRequest
	auth := func(_ context.Context, r *kanava.OpenRequest) (*account, error) {
		saw = *r
		switch r.Token {
		case "bad":
			return nil, errors.New("secret detail")
		case "panic":
			panic("boom")
		}
		return &account{ID: "ada", Until: time.Now().Add(90 * time.Second)}, nil
	}
	srv := serve(t, kanava.Options[account]{Authenticate: auth}, wiring{
		OnConnect: kanava.ConnectFunc(func(_ context.Context, ch *line) (text, error) { return text{"hi " + ch.Session().ID}, nil }),
		Messages:  by(whoami()),
	})
	c := dialV1(t, srv, "/test")
	c.SendText(`{"hello":{"token":"t1","was":["c1","c0"],"later":1}}`)
	expectLike(t, c, `{"open":{…}}`)
	c.Expect(`{"push":"","v":{"message":"hi ada"}}`)
	expectLike(t, c, `{"session":{"expiresIn":…}}`)
	if saw.Token != "t1" || saw.Header.Get("Cookie") != "who=ada" {
		t.Errorf("Authenticate saw %+v", saw)
	}
	for token, want := range map[string]kanava.CloseCode{"bad": kanava.CloseUnauthenticated, "panic": kanava.CloseInternal} {
		c := dialV1(t, srv, "/test")
		c.SendText(`{"hello":{"token":"` + token + `"}}`)
		if got := c.Next(); !strings.HasPrefix(got, `{"re":0,"err":`) || strings.Contains(got, "secret") {
			t.Errorf("token %s: got %s", token, got)
		}
		expectEnd(t, c, want)
	}
}

func TestP10_Frames(t *testing.T) {
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(echoRoute())})
	for frame, want := range map[string]string{
		`{"do":"echo","cancel":1,"id":1}`:                      `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"do":"echo","do":"echo","id":1}`:                     `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"do":"echo","id":0}`:                                 `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"do":"echo","id":9007199254740992}`:                  `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"do":"echo","id":"1"}`:                               `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"do":null,"id":1}`:                                   `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"cancel":"x"}`:                                       `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"re":1,"out":1,"err":{}}`:                            `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`[{"do":"echo"}]`:                                      `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"do":"echo","id":1,"in":"\ud800"}`:                   `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"do":"none","id":9}`:                                 `{"re":9,"err":{"code":"not_found","message":"no action is named \"none\" here"}}`,
		`{"do":"","id":9}`:                                     `{"re":9,"err":{"code":"not_found",…}}`,
		`{"do":"echo","by":"type","id":9}`:                     `{"re":9,"err":{"code":"not_found",…}}`,
		`{"do":"echo","id":9,"in":{}}`:                         `{"re":9,"err":{"code":"invalid_argument",…"details":[{"pointer":"/message",…}]}}`,
		`{"do":"echo"}`:                                        `{"re":0,"err":{"code":"invalid_argument",…}}`,
		`{"recover":"a","e":"x","o":1,"id":9}`:                 `{"re":9,"err":{"code":"not_found",…}}`,
		`{"recover":"a","e":"x","o":1}`:                        `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"recover":"a","e":"x","id":9}`:                       `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"recover":"a","o":1,"id":9}`:                         `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"recover":1,"e":"x","o":1,"id":9}`:                   `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"recover":"a","e":1,"o":1,"id":9}`:                   `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"recover":"a","e":"x","o":-1,"id":9}`:                `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"recover":"a","e":"x","o":9007199254740992,"id":9}`:  `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"recover":"a","e":"12345678901234567","o":1,"id":9}`: `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"presence":"a","id":9}`:                              `{"re":9,"err":{"code":"not_found",…}}`,
		`{"presence":"a"}`:                                     `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"presence":1,"id":9}`:                                `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"presence":"a","after":1,"id":9}`:                    `{"re":0,"err":{"code":"invalid_frame",…}}`,
		`{"dance":1,"id":9}`:                                   `{"re":9,"err":{"code":"unimplemented",…}}`,
		`{"ping":true,"id":9}`:                                 `{"re":9}`,
		`{"id":9007199254740991,"ping":null}`:                  `{"re":9007199254740991}`,
		`{"in":{"message":"a"}, "id":9 ,"d\u006f":"echo"}`:     `{"re":9,"out":{"message":"a"}}`,
	} {
		c := openV1(t, srv)
		for _, quiet := range []string{``, `{}`, `{"dance":1}`, `{"ping":true}`, `{"cancel":77}`, `{"re":5,"out":1}`, `{"do":"echo","in":{"message":"x"}}`} {
			c.SendText(quiet)
		}
		c.SendText(frame)
		expectLike(t, c, want)
		c.SendText(`{"ping":true,"id":1}`)
		c.Expect(`{"re":1}`)
	}
}

func TestP10_ThreeInvalidFramesWithinAMinuteClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(echoRoute())})
		c := openV1(t, srv)
		bad := func() {
			t.Helper()
			c.SendText(`nonsense`)
			expectLike(t, c, `{"re":0,"err":{"code":"invalid_frame",…}}`)
		}
		bad()
		bad()
		time.Sleep(61 * time.Second)
		bad()
		bad()
		bad()
		expectEnd(t, c, kanava.CloseBadRequest)
	})
}

func TestP13_ACancelOvertakesCalls(t *testing.T) {
	started := make(chan struct{}, 8)
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(
		kanava.OnDo("wait", func(ctx context.Context, _ *line, _ kanava.None) error {
			started <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}),
		echoRoute(),
	)})
	c := openV1(t, srv)
	c.SendText(`{"do":"wait","id":1}`)
	receive(t, started)
	c.SendText(`{"do":"wait","id":2}`)
	c.SendText(`{"do":"echo","id":3,"in":{"message":"x"}}`)
	c.SendText(`{"cancel":2}`)
	c.SendText(`{"ping":true,"id":4}`)
	c.Expect(`{"re":4}`)
	c.SendText(`{"cancel":1}`)
	c.Expect(`{"re":1,"err":{"code":"canceled","message":"canceled"}}`)
	c.Expect(`{"re":2,"err":{"code":"canceled","message":"canceled"}}`)
	c.Expect(`{"re":3,"out":{"message":"x"}}`)
	if len(started) != 0 {
		t.Error("a call that was canceled while it waited has run")
	}
}

func TestP15_StreamsHaveOneLastFrame(t *testing.T) {
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(
		kanava.OnStream("count", func(ctx context.Context, _ *line, _ kanava.None, out *kanava.Stream[int]) error {
			for i := range 3 {
				if err := out.Send(ctx, i); err != nil {
					return err
				}
			}
			return nil
		}),
		kanava.OnStream("fail", func(_ context.Context, _ *line, _ kanava.None, _ *kanava.Stream[int]) error {
			return kanava.Errorf(kanava.CodeAborted, "no more")
		}),
		kanava.OnStream("endless", func(ctx context.Context, _ *line, _ kanava.None, out *kanava.Stream[int]) error {
			if err := out.Send(ctx, 1); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		}),
	)})
	c := openV1(t, srv)
	c.SendText(`{"do":"count"}`) // nobody could cancel it
	expectLike(t, c, `{"re":0,"err":{"code":"invalid_argument",…}}`)
	c.SendText(`{"do":"count","id":7}`)
	c.Expect(`{"re":7,"item":0}`)
	c.Expect(`{"re":7,"item":1}`)
	c.Expect(`{"re":7,"item":2}`)
	c.Expect(`{"re":7}`)
	c.SendText(`{"do":"fail","id":8}`)
	c.Expect(`{"re":8,"err":{"code":"aborted","message":"no more"}}`)
	c.SendText(`{"do":"endless","id":9}`)
	c.Expect(`{"re":9,"item":1}`)
	c.SendText(`{"cancel":9}`)
	c.Expect(`{"re":9,"err":{"code":"canceled","message":"canceled"}}`)
}

func TestD3_EventsHavePositionsAndSubComesFirst(t *testing.T) {
	var topic *kanava.Topic[text]
	hub := kanava.NewEventHub(kanava.HubOptions{})
	t.Cleanup(hub.Close)
	topic = kanava.NewTopic[text](hub, "room")
	srv := serve(t, kanava.Options[account]{EventHub: hub}, wiring{Public: true, Messages: by(
		kanava.OnDo("join", func(ctx context.Context, ch *line, in text) error { return topic.Subscribe(ctx, ch, in.Message) }),
		kanava.OnDo("leave", func(ctx context.Context, ch *line, in text) error { return topic.Unsubscribe(ctx, ch, in.Message) }),
		kanava.OnDo("say", func(ctx context.Context, ch *line, in text) error {
			return topic.Publish(ctx, "a", in, kanava.Except(ch.ID()))
		}),
	)})
	c, other := openV1(t, srv), openV1(t, srv)
	c.SendText(`{"do":"join","id":1,"in":{"message":"a"}}`)
	sub := expectLike(t, c, `{"sub":"room:a","class":"ordered","e":"…","o":0}`)
	c.Expect(`{"re":1}`)
	c.SendText(`{"do":"join","id":2,"in":{"message":"a"}}`) // twice is once
	c.Expect(`{"re":2}`)
	epoch := regexp.MustCompile(`"e":"([^"]{1,16})"`).FindStringSubmatch(sub)[1]
	other.SendText(`{"do":"join","id":1,"in":{"message":"a"}}`)
	other.Expect(`{"sub":"room:a","class":"ordered","e":"` + epoch + `","o":0}`)
	other.Expect(`{"re":1}`)
	c.SendText(`{"do":"say","id":3,"in":{"message":"x"}}`)
	c.Expect(`{"on":"room:a","e":"` + epoch + `","o":1}`) // D9: position only
	c.Expect(`{"re":3}`)
	other.Expect(`{"on":"room:a","e":"` + epoch + `","o":1,"data":{"message":"x"}}`)
	if err := hub.Publish(t.Context(), "room:a", []byte{1, 2}); err != nil {
		t.Fatal(err)
	}
	c.Expect(`{"on":"room:a","e":"` + epoch + `","o":2,"b64":"AQI="}`)
	other.Expect(`{"on":"room:a","e":"` + epoch + `","o":2,"b64":"AQI="}`)
	for _, who := range []*kanavatest.Client{c, other} {
		who.SendText(`{"do":"leave","id":9,"in":{"message":"a"}}`)
	}
	c.Expect(`{"unsub":"room:a","reason":"unsubscribed"}`)
	c.Expect(`{"re":9}`)
	other.Expect(`{"unsub":"room:a","reason":"unsubscribed"}`)
	other.Expect(`{"re":9}`)
	// Nobody is subscribed now, but the position goes on.
	if err := topic.Publish(t.Context(), "a", text{"unheard"}); err != nil {
		t.Fatal(err)
	}
	c.SendText(`{"do":"join","id":10,"in":{"message":"a"}}`)
	c.Expect(`{"sub":"room:a","class":"ordered","e":"` + epoch + `","o":3}`)
}

func TestS5_SubscriptionsOfTheFormerUserEnd(t *testing.T) {
	hub := kanava.NewEventHub(kanava.HubOptions{})
	t.Cleanup(hub.Close)
	srv := serve(t, kanava.Options[account]{EventHub: hub}, wiring{Messages: by(login(), logout(),
		kanava.OnDo("join", func(ctx context.Context, ch *line, _ kanava.None) error { return hub.Subscribe(ctx, "t", ch.ID()) }))})
	c := openV1(t, srv)
	c.SendText(`{"do":"login","id":1,"in":{"id":"ada"}}`)
	c.Expect(`{"re":1}`)
	c.SendText(`{"do":"join","id":2}`)
	expectLike(t, c, `{"sub":"t",…}`)
	c.Expect(`{"re":2}`)
	c.SendText(`{"do":"logout","id":3}`)
	c.Expect(`{"unsub":"t","reason":"session"}`)
	c.Expect(`{"re":3}`)
}

func TestSessionFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, kanava.Options[account]{}, wiring{Messages: by(login(), whoami())})
		c := openV1(t, srv)
		c.SendText(`{"do":"login","id":1,"in":{"id":"ada","ms":100000}}`)
		c.Expect(`{"session":{"expiresIn":100000}}`)
		c.Expect(`{"re":1}`)
		time.Sleep(40 * time.Second)
		c.Expect(`{"session":{"expiresIn":60000}}`)
		c.SendText(`{"do":"login","id":2,"in":{"id":"ada","ms":200000}}`)
		c.Expect(`{"session":{"expiresIn":200000}}`)
		c.Expect(`{"re":2}`)
		time.Sleep(140 * time.Second)
		c.Expect(`{"session":{"expiresIn":60000}}`)
		time.Sleep(86 * time.Second)
		expectEnd(t, c, kanava.CloseUnauthenticated)
	})
}

func TestDrainTellsClientsAtOnce(t *testing.T) {
	gate := make(chan struct{})
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(echoRoute(),
		kanava.OnDo("wait", func(context.Context, *line, kanava.None) error { <-gate; return nil }))})
	c := openV1(t, srv)
	c.SendText(`{"do":"wait","id":1}`)
	c.SendText(`{"ping":true,"id":2}`)
	c.Expect(`{"re":2}`)
	over := make(chan error, 1)
	go func() { over <- srv.Shutdown(context.Background()) }()
	c.Expect(`{"away":{"code":4503,"in":[0,5000]}}`)
	c.SendText(`{"do":"echo","id":3,"in":{"message":"late"}}`)
	expectLike(t, c, `{"re":3,"err":{"code":"unavailable",…}}`)
	close(gate)
	c.Expect(`{"re":1}`)
	c.ExpectClose(kanava.CloseDraining)
	if err := receive(t, over); err != nil {
		t.Error(err)
	}
}

func TestRefusedOpeningDataIsToldByFrames(t *testing.T) {
	type room struct {
		Room string `query:"room" minLength:"1"`
	}
	srv := serve(t, kanava.Options[account]{}, wiring{})
	srv.Wire(kanava.Wiring[room, account]{Name: "room", Route: "/room"})
	c := dialV1(t, srv, "/room")
	expectLike(t, c, `{"re":0,"err":{"code":"invalid_argument","message":"…","details":[{"pointer":"/room",…}]}}`)
	expectEnd(t, c, kanava.CloseBadRequest)
}

func TestV3_AClientOfALevelThatIsNotServed(t *testing.T) {
	srv := serve(t, kanava.Options[account]{Level: 4, MinLevel: 3}, wiring{Messages: by(echoRoute())})
	if want := srv.Manifest().Contract(); !strings.HasPrefix(want, "4.") {
		t.Errorf("contract %q", want)
	}
	for contract, served := range map[string]bool{"2.abc": false, "3.abc": true, "4.abc": true, "9.abc": true, "": true, "x": true} {
		c := dialV1(t, srv, "/test")
		c.SendText(`{"hello":{"contract":"` + contract + `"}}`)
		if !served {
			expectEnd(t, c, kanava.CloseUpgradeRequired)
			continue
		}
		expectLike(t, c, `{"open":{…"contract":"`+srv.Manifest().Contract()+`",…}}`)
	}
}

func TestP15_ACallOverTheRateHasItsLastFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{Rate: kanava.Rate{PerSecond: 1, Burst: 3}}}, wiring{Public: true, Messages: by(echoRoute())})
		c := openV1(t, srv)
		for range 2 {
			c.SendText(`{}`)
		}
		for frame, want := range map[string]string{
			`{"do":"echo","id":4,"in":{"message":"x"}}`: `{"re":4,"err":{"code":"resource_exhausted",…"retryAfter":1000}}`,
			`{"ping":true,"id":5}`:                      `{"re":5,"err":{"code":"resource_exhausted",…}}`,
			`{"do":"echo"}`:                             `{"re":0,"err":{"code":"resource_exhausted",…}}`,
			`{"cancel":6,"id":6}`:                       `{"re":0,"err":{"code":"resource_exhausted",…}}`,
			`{"re":7,"id":7}`:                           `{"re":0,"err":{"code":"resource_exhausted",…}}`,
			`{"do":1,"id":8}`:                           `{"re":0,"err":{"code":"resource_exhausted",…}}`,
			`nonsense`:                                  `{"re":0,"err":{"code":"resource_exhausted",…}}`,
		} {
			c.SendText(frame)
			expectLike(t, c, want)
		}
		c.SendBinary([]byte{1})
		expectLike(t, c, `{"re":0,"err":{"code":"resource_exhausted",…}}`)
		time.Sleep(time.Second)
		c.SendText(`{"do":"echo","id":9,"in":{"message":"x"}}`)
		c.Expect(`{"re":9,"out":{"message":"x"}}`)
	})
}

// Whoever subscribes and unsubscribes at the same time, a client sees one after
// the other, and events only in between.
func TestD3_SubAndUnsubTakeTurns(t *testing.T) {
	hub := kanava.NewEventHub(kanava.HubOptions{})
	t.Cleanup(hub.Close)
	srv := serve(t, kanava.Options[account]{EventHub: hub}, wiring{Public: true, Messages: by(echoRoute())})
	c := openV1(t, srv)
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			for range 1500 {
				_ = hub.Subscribe(context.Background(), "t", c.ID())
				_ = hub.Publish(context.Background(), "t", 1)
			}
		})
		group.Go(func() {
			for range 1500 {
				_ = hub.Unsubscribe(context.Background(), "t", c.ID())
			}
		})
	}
	group.Wait()
	if err := hub.Publish(t.Context(), "t", "over"); err != nil {
		t.Fatal(err)
	}
	c.SendText(`{"ping":true,"id":1}`)
	subscribed := false
	for at := ""; ; {
		got := c.Next()
		if got == `{"re":1}` {
			return
		}
		kind := regexp.MustCompile(`^\{"(sub|on|unsub)":"t"(,"class":"ordered")?(,"e":"[^"]+","o":\d+)?`).FindStringSubmatch(got)
		switch {
		case kind == nil, (kind[1] == "sub") == subscribed:
			t.Fatalf("%s while subscribed is %t", got, subscribed)
		case kind[1] == "on" && at == kind[3]:
			t.Fatalf("%s has the position of what came before", got)
		}
		subscribed, at = kind[1] != "unsub", kind[3]
	}
}

// A cancel ends a stream whose client reads all that it sends: Send says so,
// whatever context it is given, and sends no more.
func TestP15_ACancelEndsAStreamThatHasRoom(t *testing.T) {
	sent := make(chan error, 3)
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, Messages: by(
		kanava.OnStream("late", func(ctx context.Context, _ *line, _ kanava.None, out *kanava.Stream[int]) error {
			ended, end := context.WithCancel(ctx)
			end()
			sent <- out.Send(ended, 1)
			sent <- out.Send(ctx, 2)
			<-ctx.Done()
			sent <- out.Send(context.WithoutCancel(ctx), 3)
			return ctx.Err()
		}),
	)})
	c := openV1(t, srv)
	c.SendText(`{"do":"late","id":1}`)
	c.Expect(`{"re":1,"item":2}`)
	c.SendText(`{"cancel":1}`)
	for _, want := range []error{context.Canceled, nil, context.Canceled} {
		if got := receive(t, sent); !errors.Is(got, want) {
			t.Errorf("Send returned %v, want %v", got, want)
		}
	}
	c.Expect(`{"re":1,"err":{"code":"canceled","message":"canceled"}}`)
}

// While many publish and others come and go, each client sees the positions of
// one order, without a gap from where it was told that the topic stands.
func TestD1_PositionsAreTheOrderOfDelivery(t *testing.T) {
	const publishers, events, clients = 4, 200, 5
	hub := kanava.NewEventHub(kanava.HubOptions{})
	t.Cleanup(hub.Close)
	srv := serve(t, kanava.Options[account]{EventHub: hub}, wiring{Public: true, Messages: by(echoRoute())})
	var group sync.WaitGroup
	for p := range publishers {
		group.Go(func() {
			for i := range events {
				_ = hub.Publish(context.Background(), "t", p*events+i)
			}
		})
	}
	at := make([]map[float64]any, clients) // what each was told, by position
	readers := make([]*kanavatest.Client, clients)
	for i := range readers {
		readers[i] = openV1(t, srv)
		if err := hub.Subscribe(t.Context(), "t", readers[i].ID()); err != nil {
			t.Fatal(err)
		}
	}
	group.Wait()
	if err := hub.Publish(t.Context(), "t", "over"); err != nil {
		t.Fatal(err)
	}
	for i, c := range readers {
		at[i] = make(map[float64]any)
		last := -1.0
		for over := false; !over; {
			f := kanavatest.Into[map[string]any](c)
			o := f["o"].(float64)
			if _, sub := f["sub"]; !sub && o != last+1 {
				t.Fatalf("client %d: %v after %v", i, f, last)
			}
			last, at[i][o] = o, f["data"]
			over = f["data"] == "over"
		}
		for o, data := range at[i] {
			if first, ok := at[0][o]; ok && first != nil && data != nil && first != data {
				t.Fatalf("at %v client %d was told %v, client 0 %v", o, i, data, first)
			}
		}
	}
}

// While a session has expired its events are not sent, and when it is renewed
// the client is told where the topic stands: it has missed some.
func TestS5_EventsOfAnExpiredSessionAreMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := kanava.NewEventHub(kanava.HubOptions{})
		defer hub.Close()
		srv := serve(t, kanava.Options[account]{EventHub: hub}, wiring{Messages: by(login())})
		c := openV1(t, srv)
		c.SendText(`{"do":"login","id":1,"in":{"id":"ada","ms":1000}}`)
		c.Expect(`{"session":{"expiresIn":1000}}`)
		c.Expect(`{"re":1}`)
		publish := func(opts ...kanava.PublishOption) {
			t.Helper()
			if err := hub.Publish(t.Context(), "t", 1, opts...); err != nil {
				t.Fatal(err)
			}
		}
		if err := hub.Subscribe(t.Context(), "t", c.ID()); err != nil {
			t.Fatal(err)
		}
		publish()
		expectLike(t, c, `{"sub":"t",…"o":0}`)
		expectLike(t, c, `{"on":"t",…"o":1,"data":1}`)
		time.Sleep(2 * time.Second)
		publish()
		publish(kanava.Except(c.ID()))
		c.ExpectNone()
		c.SendText(`{"do":"login","id":2,"in":{"id":"ada"}}`)
		expectLike(t, c, `{"at":"t",…"o":3}`)
		c.Expect(`{"re":2}`)
		publish()
		expectLike(t, c, `{"on":"t",…"o":4,"data":1}`)
	})
}

// What OnConnect does is told after its result.
func TestP3_OnConnectMaySignInAndSubscribe(t *testing.T) {
	hub := kanava.NewEventHub(kanava.HubOptions{})
	t.Cleanup(hub.Close)
	srv := serve(t, kanava.Options[account]{EventHub: hub}, wiring{
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *line) (text, error) {
			for _, do := range []func() error{
				func() error { return ch.SetSession(ctx, account{ID: "ada", Until: time.Now().Add(time.Hour)}) },
				func() error { return hub.Subscribe(ctx, "first", ch.ID()) },
				func() error { return hub.Publish(ctx, "first", 1) },
				func() error { return ch.ClearSession(ctx) },
				func() error { return ch.SetSession(ctx, account{ID: "ada"}) },
				func() error { return hub.Subscribe(ctx, "second", ch.ID()) },
			} {
				if err := do(); err != nil {
					return text{}, err
				}
			}
			return text{"hi"}, nil
		}),
		Messages: by(whoami()),
	})
	c := dialV1(t, srv, "/test")
	c.SendText(`{"hello":{}}`)
	expectLike(t, c, `{"open":{…}}`)
	c.Expect(`{"push":"","v":{"message":"hi"}}`)
	expectLike(t, c, `{"session":{"expiresIn":…}}`)
	expectLike(t, c, `{"sub":"first",…}`)
	c.Expect(`{"unsub":"first","reason":"session"}`) // and no event of it: it has ended
	expectLike(t, c, `{"sub":"second",…}`)
	c.SendText(`{"do":"whoami","id":1}`)
	c.Expect(`{"re":1,"out":{"message":"ada"}}`)
}

// On a transport without binary frames bytes come as a frame, and open has the
// secret of what speaks for the client; elsewhere it is a frame of an unknown
// kind.
func TestP21_BytesAsAFrame(t *testing.T) {
	srv := serve(t, kanava.Options[account]{}, wiring{
		OnBinary: kanava.BinaryFunc(func(_ context.Context, _ *line, p []byte) ([]byte, error) { return p, nil }, kanava.Public()),
		Messages: by(echoRoute()),
	})
	c, err := kanavatest.DialRequest(t, srv, &kanava.OpenRequest{
		URL: &url.URL{Path: "/test"}, Subprotocols: []string{"kanava.v1"}, Upstream: "node.secret",
	})
	if err != nil {
		t.Fatal(err)
	}
	c.SendText(`{"hello":{}}`)
	expectLike(t, c, `{"open":{…,"up":"node.secret","has":[]}}`)
	c.Expect(`{"push":""}`)
	c.SendText(`{"bin":"AAEC/w=="}`)
	if got := c.NextBinary(); string(got) != "\x00\x01\x02\xff" {
		t.Errorf("got %q", got)
	}
	c.SendText(`{"bin":"AAE"}`)
	expectLike(t, c, `{"re":0,"err":{"code":"invalid_frame",…}}`)
	c.SendText(`{"bin":"AAE=","do":"echo"}`)
	expectLike(t, c, `{"re":0,"err":{"code":"invalid_frame",…}}`)

	d := openV1(t, srv)
	d.SendText(`{"bin":"AAEC/w=="}`)
	d.SendText(`{"bin":"AAEC/w==","id":1}`)
	expectLike(t, d, `{"re":1,"err":{"code":"unimplemented",…}}`)
}
