package kanava_test

import (
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
