package kanava_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// burst sends the message n times and returns how many were refused for the
// rate.
func burst(t *testing.T, c *kanavatest.Client, message string, n int) (refused int) {
	t.Helper()
	for range n {
		c.SendText(message)
		if frame := c.Next(); strings.Contains(frame, `"resource_exhausted"`) {
			if !strings.Contains(frame, `"retryAfter":`) {
				t.Fatalf("no retryAfter: %s", frame)
			}
			refused++
		}
	}
	return refused
}

func TestRateOfAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{Rate: kanava.Rate{PerSecond: 10, Burst: 20}}},
			wiring{Public: true, Messages: by(kanava.On("echo", echo))})
		good := `{"action":"echo","message":"x"}`
		c := kanavatest.Dial(t, srv, "/test")
		if n := burst(t, c, good, 25); n != 5 {
			t.Errorf("of 25 at once, 5 are over a burst of 20; %d were refused", n)
		}
		time.Sleep(time.Second) // virtual
		if n := burst(t, c, good, 12); n != 2 {
			t.Errorf("of 12 after a second, 2 are over 10; %d were refused", n)
		}
		time.Sleep(time.Minute)
		if n := burst(t, c, good, 20); n != 0 {
			t.Errorf("a quiet minute gives one burst; %d of 20 were refused", n)
		}

		for _, bad := range []string{`{"action":"echo"}`, `{"action":"nope"}`, `{broken`} {
			c := kanavatest.Dial(t, srv, "/test")
			if n := burst(t, c, bad, 8); n != 4 { // 4 × 5 tokens
				t.Errorf("%s costs 5 of 20 tokens; %d of 8 were refused", bad, n)
			}
		}
		if n := burst(t, kanavatest.Dial(t, srv, "/test"), good, 20); n != 0 {
			t.Errorf("another connection has a bucket of its own; %d were refused", n)
		}
	})
}

func TestRateClosesWhoGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{Rate: kanava.Rate{PerSecond: 1, Burst: 1}}},
			wiring{Public: true, Messages: by(kanava.On("echo", echo))})
		c := kanavatest.Dial(t, srv, "/test")
		good := `{"action":"echo","message":"x"}`
		if n := burst(t, c, good, 10); n != 9 {
			t.Errorf("%d of 10 were refused, want 9", n)
		}
		time.Sleep(time.Second)
		if n := burst(t, c, good, 1); n != 0 { // nine strikes are forgotten
			t.Errorf("%d of 1 was refused", n)
		}
		if n := burst(t, c, good, 10); n != 10 {
			t.Errorf("%d of 10 were refused, want all", n)
		}
		if reason := c.ExpectClose(kanava.CloseRateLimited); reason != "rate_limited 1000-2000" {
			t.Errorf("reason %q", reason)
		}
	})
}

func TestRatesAtTheEdges(t *testing.T) {
	for name, tc := range map[string]struct {
		rate    kanava.Rate
		refused int
	}{
		"slow":      {kanava.Rate{PerSecond: 1e-12, Burst: 2}, 1},
		"fast":      {kanava.Rate{PerSecond: 1e12, Burst: 1}, 0},
		"any burst": {kanava.Rate{PerSecond: 1, Burst: math.MaxInt}, 0},
		"unlimited": {kanava.Unlimited, 0},
	} {
		srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{Rate: tc.rate}}, wiring{Public: true, Messages: by(kanava.On("echo", echo))})
		if n := burst(t, kanavatest.Dial(t, srv, "/test"), `{"action":"echo","message":"x"}`, 3); n != tc.refused {
			t.Errorf("%s: %d of 3 were refused, want %d", name, n, tc.refused)
		}
	}
}

func TestRateOfAUserAndAFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{UserRate: kanava.Rate{PerSecond: 1, Burst: 10}}},
			wiring{Public: true, Messages: by(login(), logout(), kanava.On("echo", echo),
				kanava.On("rare", echo, kanava.RateLimit(kanava.Rate{PerSecond: 1, Burst: 2})))})
		echoes, rare := `{"action":"echo","message":"x"}`, `{"action":"rare","message":"x"}`
		a, b, c := kanavatest.Dial(t, srv, "/test"), kanavatest.Dial(t, srv, "/test"), kanavatest.Dial(t, srv, "/test")
		if n := burst(t, c, rare, 3); n != 1 {
			t.Errorf("without a user a connection has its own bucket; %d of 3 were refused", n)
		}
		do(t, c, `{"action":"login","id":"ann"}`, "login")
		do(t, c, `{"action":"logout"}`, "logout")
		if n := burst(t, c, rare, 1); n != 1 {
			t.Error("signing in and out filled the bucket")
		}
		for i, conn := range []*kanavatest.Client{a, b} {
			do(t, conn, fmt.Sprintf(`{"action":"login","id":"ann","roles":["%d"]}`, i), "login")
		}
		if n := burst(t, a, rare, 2) + burst(t, b, rare, 2); n != 2 {
			t.Errorf("two connections of a user share a function's bucket; %d of 4 were refused", n)
		}
		for _, again := range []string{`{"action":"logout"}`, `{"action":"login","id":"ann"}`} {
			a.SendText(again)
			b.SendText(again)
			a.Next()
			b.Next()
		}
		if n := burst(t, a, rare, 1); n != 1 {
			t.Error("a user who signs out and in again has a full bucket")
		}
		time.Sleep(time.Minute)
		if n := burst(t, a, echoes, 7) + burst(t, b, echoes, 7); n != 4 {
			t.Errorf("two connections of a user share the user's bucket; %d of 14 were refused", n)
		}
		if n := burst(t, c, echoes, 12); n != 0 {
			t.Errorf("a connection without a user is not charged to one; %d were refused", n)
		}
	})
}

// A user who comes and goes costs one timer, however slowly the buckets fill.
func TestUsersWhoComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{Rate: kanava.Unlimited}}, wiring{Public: true, Messages: by(login(), logout(),
			kanava.On("rare", echo, kanava.RateLimit(kanava.Rate{PerSecond: 1.0 / 3600, Burst: 1})))})
		c := kanavatest.Dial(t, srv, "/test")
		rare := `{"action":"rare","message":"x"}`
		for i := range 5 {
			do(t, c, `{"action":"login","id":"ann"}`, "login")
			if n := burst(t, c, rare, 1); n != min(i, 1) {
				t.Errorf("round %d: %d were refused", i, n)
			}
			do(t, c, `{"action":"logout"}`, "logout")
		}
		time.Sleep(2 * time.Hour) // virtual: the user is forgotten
		do(t, c, `{"action":"login","id":"ann"}`, "login")
		if n := burst(t, c, rare, 2); n != 1 {
			t.Errorf("after two hours %d of 2 were refused", n)
		}
	})
}

// charged sends what is to be charged, and returns how many of a bucket of 20
// tokens it has cost: what is left is found out with pings, which cost one.
func charged(t *testing.T, srv *server, v1 bool, send func(c *kanavatest.Client)) int {
	t.Helper()
	req := request("/test")
	probe, taken := `{"action":"echo","message":"probe"}`, `"message":"probe"`
	if v1 {
		req.Subprotocols = []string{"kanava.v1"}
		probe, taken = `{"id":99,"ping":true}`, `"re":99`
	}
	c := wantOpen(t, srv, req)
	if v1 {
		c.SendText(`{"hello":{}}`)
		for !strings.Contains(c.Next(), `"push":""`) { // what says that OnConnect is over
		}
		time.Sleep(time.Minute) // virtual: the bucket is full again
	}
	send(c)
	synctest.Wait()
	for left := 0; ; left++ {
		c.SendText(probe)
		for {
			frame := c.Next()
			if strings.Contains(frame, `"resource_exhausted"`) && !strings.Contains(frame, `"rare"`) {
				return 20 - left
			}
			if strings.Contains(frame, taken) {
				break
			}
		}
	}
}

func TestEachClauseOfTheRates(t *testing.T) {
	text := func(frames ...string) func(c *kanavatest.Client) {
		return func(c *kanavatest.Client) {
			for _, f := range frames {
				c.SendText(f)
			}
		}
	}
	for _, tc := range []struct {
		proves string
		v1     bool
		send   func(c *kanavatest.Client)
		want   int
	}{
		{"a message costs 1", false, text(`{"action":"echo","message":"x"}`), 1},
		{"an unknown action costs 5", false, text(`{"action":"nope"}`), 5},
		{"broken JSON costs 5", false, text(`{broken`), 5},
		{"nesting that is too deep costs 5", false, text(strings.Repeat("[", 100)), 5},
		{"invalid input costs 5", false, text(`{"action":"echo","message":1}`), 5},
		{"what needs a session costs 5 without one", false, text(`{"action":"mine"}`), 5},
		{"bytes that nobody takes cost 5", false, func(c *kanavatest.Client) { c.SendBinary([]byte("x")) }, 5},
		{"a function that returns an error costs 5", false, text(`{"action":"fail"}`), 5},
		{"a function that panics costs 5", false, text(`{"action":"panic"}`), 5},
		{"a call over a function's own rate costs 5", false, text(`{"action":"rare"}`, `{"action":"rare"}`), 1 + 5},
		{"an empty message costs 1", false, text(``, ``, ``), 3},
		{"kanava.v1: a call costs 1", true, text(`{"id":1,"do":"echo","in":{"message":"x"}}`), 1},
		{"kanava.v1: a sign of life costs 1", true, text(`{}`, `{}`), 2},
		{"kanava.v1: a control frame costs 1", true, text(`{"cancel":7}`, `{"id":3,"ping":true}`), 2},
		{"kanava.v1: an invalid frame costs 5", true, text(`{"do":"echo","re":1}`), 5},
		{"kanava.v1: broken JSON costs 5", true, text(`{broken`), 5},
		{"kanava.v1: an unknown action costs 5", true, text(`{"id":1,"do":"nope"}`), 5},
		{"kanava.v1: a frame of unknown kind costs 5", true, text(`{"id":1,"later":true}`), 5},
		{"kanava.v1: an empty message costs 1", true, text(``), 1},
	} {
		t.Run(tc.proves, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				open := kanava.Public()
				none := func(context.Context, *line, kanava.None) error { return nil }
				srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{Rate: kanava.Rate{PerSecond: 1, Burst: 20}}}, wiring{Messages: by(
					kanava.On("echo", echo, open), kanava.OnDo("mine", none),
					kanava.OnDo("fail", func(context.Context, *line, kanava.None) error { return errors.New("no") }, open),
					kanava.OnDo("panic", func(context.Context, *line, kanava.None) error { panic("no") }, open),
					kanava.OnDo("rare", none, open, kanava.RateLimit(kanava.Rate{PerSecond: 0.001, Burst: 1})))})
				if got := charged(t, srv, tc.v1, tc.send); got != tc.want {
					t.Errorf("it cost %d, want %d", got, tc.want)
				}
			})
		})
	}
}

// Each refusal for a rate says when to come back: that of the connection, of
// the user, and of the function.
func TestRetryAfterIsInEveryRefusalForARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := kanava.Rate{PerSecond: 0.5, Burst: 2}
		routes := by(login(), kanava.On("echo", echo), kanava.On("rare", echo, kanava.RateLimit(second)))
		for name, tc := range map[string]struct {
			limits kanava.Limits
			action string
		}{
			"connection": {kanava.Limits{Rate: second}, "echo"},
			"user":       {kanava.Limits{UserRate: second}, "echo"},
			"function":   {kanava.Limits{}, "rare"},
		} {
			for _, v1 := range []bool{false, true} {
				srv := serve(t, kanava.Options[account]{
					Limits:       tc.limits,
					Authenticate: func(context.Context, *kanava.OpenRequest) (*account, error) { return &account{ID: "ann"}, nil },
				}, wiring{Messages: routes})
				req := request("/test")
				call := `{"action":"` + tc.action + `","message":"x"}`
				if v1 {
					req.Subprotocols = []string{"kanava.v1"}
					call = `{"do":"` + tc.action + `","in":{"message":"x"},"id":1}`
				}
				c := wantOpen(t, srv, req)
				if v1 {
					c.SendText(`{"hello":{}}`)
					time.Sleep(time.Minute) // virtual
				}
				frame := ""
				for range 3 {
					c.SendText(call)
					synctest.Wait()
				}
				for !strings.Contains(frame, `"resource_exhausted"`) {
					frame = c.Next()
				}
				if !strings.Contains(frame, `"retryAfter":2000`) {
					t.Errorf("%s, kanava.v1 %t: %s", name, v1, frame)
				}
			}
		}
	})
}
