package kanava_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// beside wires two channels with the same functions: "/own" has limits of its
// own, "/test" those of the server.
func beside(t *testing.T, opts kanava.Options[account], own kanava.Limits, w wiring) *server {
	t.Helper()
	srv := serve(t, opts, w)
	w.Name, w.Route, w.Limits = "own", "/own", own
	srv.Wire(w)
	return srv
}

// limitsTests hold for each limit of a channel what its clients see on a
// channel that has it, and on one that has the server's.
var limitsTests = []struct {
	proves string
	own    kanava.Limits
	show   func(c *limited) string
	want   [2]string // with the server's limits, and with own
}{
	{"a larger message", kanava.Limits{Message: 1 << 20}, func(c *limited) string {
		c.SendText(`{"action":"count","message":"` + strings.Repeat("x", 80_000) + `"}`)
		return c.frameOrClose()
	}, [2]string{"closed 1009", `{"action":"count","result":80000}`}},
	{"a smaller message", kanava.Limits{Message: 40}, func(c *limited) string {
		c.SendText(`{"action":"count","message":"0123456789"}`)
		return c.frameOrClose()
	}, [2]string{`{"action":"count","result":10}`, "closed 1009"}},
	{"a larger depth", kanava.Limits{Depth: 100}, func(c *limited) string {
		c.SendText(`{"action":"tree","t":` + strings.Repeat("[", 80) + strings.Repeat("]", 80) + `}`)
		return c.code()
	}, [2]string{"invalid_argument", ""}},
	{"a smaller depth", kanava.Limits{Depth: 3}, func(c *limited) string {
		c.SendText(`{"action":"tree","t":[[[]]]}`)
		return c.code()
	}, [2]string{"", "invalid_argument"}},
	{"fewer values", kanava.Limits{Elements: 3}, func(c *limited) string {
		c.SendText(`{"action":"tree","t":[1,2,3,4]}`)
		return c.code()
	}, [2]string{"", "invalid_argument"}},
	{"fewer calls beside", kanava.Limits{WaitingCalls: 1}, func(c *limited) string {
		c.SendText(`{"action":"hang"}`)
		c.SendText(`{"action":"hang"}`)
		c.SendText(`{"action":"count","message":"x"}`)
		return c.code()
	}, [2]string{"", "resource_exhausted"}},
	{"fewer bytes that wait", kanava.Limits{WaitingBytes: 60}, func(c *limited) string {
		start := time.Now()
		c.SendText(`{"action":"slow"}`) // takes 3 s
		for range 2 {
			c.SendText(`{"action":"count","message":"` + strings.Repeat("x", 50) + `"}`)
		}
		return time.Since(start).Round(time.Second).String()
	}, [2]string{"0s", "3s"}},
	{"fewer bytes that are kept", kanava.Limits{Values: 10}, func(c *limited) string {
		c.SendText(`{"action":"keep","message":"0123456789"}`)
		return c.code()
	}, [2]string{"", "too_large"}},
	{"fewer subscriptions", kanava.Limits{Subscriptions: 1}, func(c *limited) string {
		c.SendText(`{"action":"join","message":"a"}`)
		c.Next()
		c.SendText(`{"action":"join","message":"b"}`)
		return c.code()
	}, [2]string{"", "resource_exhausted"}},
	{"a smaller queue for who has a session", kanava.Limits{Queue: 1000}, func(c *limited) string {
		c.SendText(`{"action":"login","id":"ann"}`)
		c.Next()
		c.Stall()
		c.SendText(`{"action":"flood"}`)
		synctest.Wait()
		c.Resume()
		return c.frameOrClose()
	}, [2]string{strings.Repeat("x", 900), "closed 4409"}},
	{"a smaller queue", kanava.Limits{QueueNoUser: 1000}, func(c *limited) string {
		c.Stall()
		c.SendText(`{"action":"flood"}`)
		synctest.Wait()
		c.Resume()
		return c.frameOrClose()
	}, [2]string{strings.Repeat("x", 900), "closed 4409"}},
	{"a smaller reply", kanava.Limits{Reply: 40}, func(c *limited) string {
		c.SendText(`{"action":"long","message":"` + strings.Repeat("x", 30) + `"}`)
		return c.code()
	}, [2]string{"", "too_large"}},
	{"a slower rate", kanava.Limits{Rate: kanava.Rate{PerSecond: 1, Burst: 1}}, func(c *limited) string {
		c.SendText(`{"action":"count","message":"x"}`)
		c.Next()
		c.SendText(`{"action":"count","message":"x"}`)
		return c.code()
	}, [2]string{"", "resource_exhausted"}},
	{"no rate", kanava.Limits{Rate: kanava.Unlimited}, func(c *limited) string {
		for range 1000 {
			c.SendText(`{"action":"count","message":"x"}`)
			c.Next()
		}
		c.SendText(`{"action":"count","message":"x"}`)
		return c.code()
	}, [2]string{"resource_exhausted", ""}},
	{"a shorter call", kanava.Limits{CallTime: time.Second}, func(c *limited) string {
		c.SendText(`{"action":"slow"}`)
		return c.code()
	}, [2]string{"", "deadline_exceeded"}},
	{"a longer grace", kanava.Limits{ExpiryGrace: time.Hour}, func(c *limited) string {
		c.SendText(`{"action":"login","id":"ann","ms":1000}`)
		c.Next()
		time.Sleep(time.Minute) // virtual
		c.SendText(`{"action":"public"}`)
		return c.frameOrClose()
	}, [2]string{"closed 4401", `{"action":"public"}`}},
	{"signing in in time", kanava.Limits{AuthWithin: time.Second}, func(c *limited) string {
		time.Sleep(time.Minute)
		c.SendText(`{"action":"public"}`)
		return c.frameOrClose()
	}, [2]string{`{"action":"public"}`, "closed 4401"}},
}

// limited is a client that tells how the server takes what it does.
type limited struct {
	*kanavatest.Client
	left chan kanava.CloseCode // what OnDisconnect saw
}

// frameOrClose returns what comes next, or how the connection ended.
func (c *limited) frameOrClose() string {
	if f, ok := c.NextFrame(); ok {
		return string(f.Data)
	}
	return fmt.Sprintf("closed %d", <-c.left)
}

// code returns the code of the error that comes next, "" for what is none.
func (c *limited) code() string { return string(kanavatest.Into[errorFrame](c.Client).Error.Code) }

func TestLimitsOfAChannelBesideTheServers(t *testing.T) {
	for _, tc := range limitsTests {
		for i, path := range []string{"/test", "/own"} {
			t.Run(tc.proves+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					hub := kanava.NewEventHub(kanava.HubOptions{})
					defer hub.Close()
					left := make(chan kanava.CloseCode, 1)
					// A session is not needed, but the channel is not public.
					open := kanava.Public()
					srv := beside(t, kanava.Options[account]{EventHub: hub}, tc.own, wiring{Messages: by(login(),
						kanava.OnDo("public", func(context.Context, *line, kanava.None) error { return nil }, open),
						kanava.On("count", func(_ context.Context, _ *line, in struct {
							Message string `json:"message"`
						},
						) (int, error) {
							return len(in.Message), nil
						}, open),
						kanava.On("long", func(_ context.Context, _ *line, in text) (text, error) { return in, nil }, open),
						kanava.OnDo("tree", func(context.Context, *line, struct {
							T jsontext.Value `json:"t"`
						},
						) error {
							return nil
						}, open),
						kanava.OnDo("keep", func(ctx context.Context, ch *line, in text) error {
							return kanava.NewValue[string]("kept").Set(ctx, ch, in.Message)
						}, open),
						kanava.OnDo("hang", func(ctx context.Context, _ *line, _ kanava.None) error { <-ctx.Done(); return nil }, open, kanava.Concurrent()),
						kanava.OnDo("join", func(ctx context.Context, ch *line, in text) error { return hub.Subscribe(ctx, in.Message, ch.ID()) }, open),
						kanava.OnDo("flood", func(ctx context.Context, ch *line, _ kanava.None) error {
							for range 5 {
								if err := ch.SendBinary(ctx, bytes.Repeat([]byte{'x'}, 900)); err != nil {
									return err
								}
							}
							return nil
						}, open),
						kanava.OnDo("slow", func(ctx context.Context, _ *line, _ kanava.None) error {
							select {
							case <-time.After(3 * time.Second):
								return nil
							case <-ctx.Done():
								return ctx.Err()
							}
						}, open),
					), OnDisconnect: kanava.DisconnectFunc(func(_ context.Context, ch *line) error {
						code, _ := ch.Closed()
						left <- code
						return nil
					})})
					c := &limited{kanavatest.Dial(t, srv, path), left}
					if got := tc.show(c); got != tc.want[i] {
						t.Errorf("got %s, want %s", got, tc.want[i])
					}
				})
			})
		}
	}
}

// No limit of a channel is forgotten: each is in the table above, or shown by a
// test of its own below.
func TestLimitsOfAChannelAreAllShown(t *testing.T) {
	shown := map[string]bool{
		"AddressConns": true, "UserConns": true, "UserRate": true, "OpenTime": true,
		"Event": true, // of the server alone
	}
	for _, tc := range limitsTests {
		for i, own := 0, reflect.ValueOf(tc.own); i < own.NumField(); i++ {
			if !own.Field(i).IsZero() {
				shown[own.Type().Field(i).Name] = true
			}
		}
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[kanava.Limits]()) {
		if !shown[field.Name] {
			t.Errorf("no test shows Limits.%s of a channel", field.Name)
		}
	}
}

// from asks for a channel from a network address.
func from(remote, path string) *kanava.OpenRequest {
	r := request(path)
	r.RemoteAddr = remote
	return r
}

func wantRefused(t *testing.T, srv *server, r *kanava.OpenRequest, code kanava.Code) {
	t.Helper()
	_, err := kanavatest.DialRequest(t, srv, r)
	var e *kanava.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("%s from %s: %v, want %s", r.URL, r.RemoteAddr, err, code)
	}
}

func wantOpen(t *testing.T, srv *server, r *kanava.OpenRequest) *kanavatest.Client {
	t.Helper()
	c, err := kanavatest.DialRequest(t, srv, r)
	if err != nil {
		t.Fatalf("%s from %s: %v", r.URL, r.RemoteAddr, err)
	}
	return c
}

func TestConnectionsOfAnAddress(t *testing.T) {
	for _, tc := range []struct {
		proves, first, second string
		one                   bool // whether the second is of the same client as the first
	}{
		{"ports do not count", "192.0.2.1:1000", "192.0.2.1:2000", true},
		{"IPv4 addresses count one by one", "192.0.2.1:1000", "192.0.2.2:1000", false},
		{"IPv4 within IPv6 is IPv4", "192.0.2.1:1000", "[::ffff:192.0.2.1]:1000", true},
		{"an IPv6 client has a /64", "[2001:db8::1]:1000", "[2001:db8::ffff:0:0:2]:1000", true},
		{"another /64 is another client", "[2001:db8::1]:1000", "[2001:db8:0:1::1]:1000", false},
		{"zones do not count", "[fe80::1%eth0]:1000", "[fe80::2%eth1]:1000", true},
		{"a proxy's middleware may leave out the port", "192.0.2.1:1000", "192.0.2.1", true},
		{"also of IPv6", "[2001:db8::1]:1000", "2001:db8::2", true},
		{"what cannot be read is one address", "@", "pipe", true},
		{"and no other", "@", "0.0.0.0:1", false},
	} {
		t.Run(tc.proves, func(t *testing.T) {
			srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{AddressConns: 1}}, wiring{Public: true})
			wantOpen(t, srv, from(tc.first, "/test"))
			if tc.one {
				wantRefused(t, srv, from(tc.second, "/test"), kanava.CodeResourceExhausted)
			} else {
				wantOpen(t, srv, from(tc.second, "/test"))
			}
		})
	}
}

func TestConnectionsOfAnAddressAreNotBoundedByDefault(t *testing.T) {
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true})
	for range 100 {
		wantOpen(t, srv, from("192.0.2.1:1", "/test"))
	}
}

func TestConnectionsOfAnAddressOnAChannel(t *testing.T) {
	srv := beside(t, kanava.Options[account]{Limits: kanava.Limits{AddressConns: 3}}, kanava.Limits{AddressConns: 1}, wiring{Public: true})
	const at = "192.0.2.1:1"
	own := wantOpen(t, srv, from(at, "/own"))
	wantRefused(t, srv, from(at, "/own"), kanava.CodeResourceExhausted)
	wantOpen(t, srv, from(at, "/test"))
	wantOpen(t, srv, from(at, "/test"))
	wantRefused(t, srv, from(at, "/test"), kanava.CodeResourceExhausted) // the server's limit counts all channels
	own.Leave()
	<-own.Done()
	wantOpen(t, srv, from(at, "/own"))
}

// An address is counted before the program is asked, and given back however
// the opening ends.
func TestConnectionsOfAnAddressWhileTheyOpen(t *testing.T) {
	entered, release := make(chan bool, 1), make(chan error)
	srv := serve(t, kanava.Options[account]{
		Limits: kanava.Limits{AddressConns: 1},
		Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*account, error) {
			entered <- true
			err := <-release
			if err != nil && err.Error() == "panic" {
				panic(err)
			}
			return nil, err
		},
	}, wiring{Public: true})
	for _, end := range []error{errors.New("no"), errors.New("panic"), nil} {
		done := make(chan error)
		go func() {
			link, err := srv.Open(context.Background(), from("192.0.2.1:1", "/test"), newPeer())
			if err == nil {
				link.Disconnect(kanava.CloseNormal, "")
				<-link.Done()
			}
			done <- err
		}()
		<-entered
		wantRefused(t, srv, from("192.0.2.1:2", "/test"), kanava.CodeResourceExhausted) // and Authenticate does not run
		release <- end
		if err := <-done; (err == nil) != (end == nil) {
			t.Errorf("Authenticate ended with %v, Open with %v", end, err)
		}
	}
}

func TestConnectionsOfAUserOnAChannel(t *testing.T) {
	srv := beside(t, kanava.Options[account]{Limits: kanava.Limits{UserConns: 3}}, kanava.Limits{UserConns: 1}, wiring{Public: true, Messages: by(login(), logout())})
	ann := `{"action":"login","id":"ann"}`
	own := kanavatest.Dial(t, srv, "/own")
	do(t, own, ann, "login")
	second := kanavatest.Dial(t, srv, "/own")
	second.SendText(ann)
	expectError(t, second, "login", kanava.CodeResourceExhausted)
	do(t, second, `{"action":"login","id":"bob"}`, "login")
	do(t, kanavatest.Dial(t, srv, "/test"), ann, "login")
	do(t, kanavatest.Dial(t, srv, "/test"), ann, "login")
	third := kanavatest.Dial(t, srv, "/test")
	third.SendText(ann)
	expectError(t, third, "login", kanava.CodeResourceExhausted) // the server's limit counts all channels
	do(t, own, `{"action":"logout"}`, "logout")
	do(t, second, `{"action":"logout"}`, "logout")
	do(t, second, ann, "login")
}

func TestRateOfAUserOnAChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := beside(t, kanava.Options[account]{Limits: kanava.Limits{UserRate: kanava.Rate{PerSecond: 1, Burst: 20}}},
			kanava.Limits{UserRate: kanava.Rate{PerSecond: 1, Burst: 5}}, wiring{Public: true, Messages: by(login(), kanava.On("echo", echo))})
		a, b, other := kanavatest.Dial(t, srv, "/own"), kanavatest.Dial(t, srv, "/own"), kanavatest.Dial(t, srv, "/test")
		for _, c := range []*kanavatest.Client{a, b, other} {
			do(t, c, `{"action":"login","id":"ann"}`, "login")
		}
		echoes := `{"action":"echo","message":"x"}`
		if n := burst(t, a, echoes, 4) + burst(t, b, echoes, 4); n != 3 {
			t.Errorf("two connections share 5 on the channel; %d of 8 were refused", n)
		}
		if n := burst(t, other, echoes, 9); n != 0 {
			t.Errorf("another channel is not charged for it; %d of 9 were refused", n)
		}
		if n := burst(t, other, echoes, 9); n == 0 {
			t.Error("the server's rate counts all channels, but 9 more were let through")
		}
	})
}

func TestAuthWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		routes := by(login(), logout())
		opts := kanava.Options[account]{
			Limits: kanava.Limits{AuthWithin: 10 * time.Second},
			Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*account, error) {
				if r.Token == "" {
					return nil, nil
				}
				return &account{ID: r.Token}, nil
			},
		}
		srv := serve(t, opts, wiring{Messages: routes})
		srv.Wire(wiring{Name: "public", Route: "/public", Public: true, Messages: routes})
		bearer := request("/test")
		bearer.Token = "ann"
		never, inTime, public := kanavatest.Dial(t, srv, "/test"), kanavatest.Dial(t, srv, "/test"), kanavatest.Dial(t, srv, "/public")
		atOnce := wantOpen(t, srv, bearer)
		time.Sleep(9 * time.Second)
		do(t, inTime, `{"action":"login","id":"ann"}`, "login")
		never.ExpectNone()
		time.Sleep(time.Second)
		if reason := never.ExpectClose(kanava.CloseUnauthenticated); reason != "unauthenticated" {
			t.Errorf("reason %q", reason)
		}
		time.Sleep(time.Hour)
		for _, c := range []*kanavatest.Client{inTime, public, atOnce} {
			c.ExpectNone()
		}
		do(t, inTime, `{"action":"logout"}`, "logout")
		time.Sleep(9 * time.Second)
		do(t, inTime, `{"action":"login","id":"bob"}`, "login")
		time.Sleep(time.Hour)
		do(t, inTime, `{"action":"logout"}`, "logout")
		time.Sleep(10 * time.Second)
		inTime.ExpectClose(kanava.CloseUnauthenticated)
	})
}

func TestOpenTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := kanava.Options[account]{Authenticate: func(ctx context.Context, _ *kanava.OpenRequest) (*account, error) {
			<-ctx.Done()
			return nil, fmt.Errorf("ask the identity provider: %w", ctx.Err())
		}}
		srv := beside(t, opts, kanava.Limits{OpenTime: time.Minute}, wiring{Public: true})
		for path, want := range map[string]time.Duration{"/test": 15 * time.Second, "/own": time.Minute} {
			start := time.Now()
			wantRefused(t, srv, request(path), kanava.CodeDeadlineExceeded)
			if took := time.Since(start); took != want {
				t.Errorf("%s: refused after %v, want %v", path, took, want)
			}
		}
	})
}

func TestChargeWithoutAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{Rate: kanava.Rate{PerSecond: 1, Burst: 5}}}, wiring{Public: true, Messages: by(kanava.On("echo", echo))})
		for name, noise := range map[string]func(*kanava.Link){
			"an empty message": func(l *kanava.Link) { l.Receive(nil, false) },
			"a control frame":  func(l *kanava.Link) { l.Charge(1) },
		} {
			l := open(t, srv, "/test", newPeer())
			l.Start()
			for range 5 + 9 {
				noise(l)
			}
			synctest.Wait()
			if _, closing := l.Take(nil, 1000); closing != nil {
				t.Errorf("%s: five are allowed and nine refused, but closed with %v", name, *closing)
			}
			time.Sleep(time.Second)
			noise(l) // is allowed, and forgives the nine
			for range 10 {
				noise(l)
			}
			if _, closing := l.Take(nil, 1000); closing == nil || closing.Code != kanava.CloseRateLimited || closing.Reason != "rate_limited 1000-2000" {
				t.Errorf("%s: closing is %v, want 4429", name, closing)
			}
			l.Disconnect(kanava.CloseRateLimited, "")
			<-l.Done()
		}
	})
}
