package kanava_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// Wrong wiring of functions over HTTP panics, and says where both places are.
func TestWrongWireHTTP(t *testing.T) {
	type (
		byID struct {
			ID string `json:"id" path:"id"`
		}
		body   struct{ Text string }
		secret struct {
			Token string `header:"Authorization"`
		}
		list struct {
			IDs []string `path:"id"`
		}
	)
	ok := kanava.PlainDo(func(context.Context, kanava.None) error { return nil })
	one := kanava.PlainDo(func(context.Context, byID) error { return nil })
	guard := kanava.Guard(func(context.Context, *line) error { return nil })
	of := func(opts ...kanava.FuncOption) kanava.Plain {
		return kanava.PlainDo(func(context.Context, kanava.None) error { return nil }, opts...)
	}
	for _, tc := range []struct {
		name string
		wire func(s *server)
		want []string
	}{
		{"zero", func(s *server) { s.WireHTTP("GET /a", kanava.Plain{}) }, []string{`WireHTTP("GET /a") at httpfunc_test.go:`, "zero value"}},
		{"no method", func(s *server) { s.WireHTTP("/a", ok) }, []string{"a pattern begins with GET, POST"}},
		{"a method that nobody uses", func(s *server) { s.WireHTTP("HEAD /a", ok) }, []string{"a pattern begins with GET, POST"}},
		{"bad pattern", func(s *server) { s.WireHTTP("GET a", ok) }, []string{`WireHTTP("GET a")`, "parsing"}},
		{"twice", func(s *server) { s.WireHTTP("GET /a", ok); s.WireHTTP("GET /a", ok) }, []string{`WireHTTP("GET /a") at httpfunc_test.go:`, `"GET /a", wired at httpfunc_test.go:`}},
		{"twice under other names", func(s *server) {
			s.WireHTTP("GET /a/{id}", one)
			s.WireHTTP("GET /a/{other}", kanava.PlainDo(func(context.Context, struct {
				X string `path:"other"`
			},
			) error {
				return nil
			}))
		}, []string{`"GET /a/{id}", wired at httpfunc_test.go:`}},
		{"a channel is there", func(s *server) { s.Wire(wiring{Name: "a", Route: "/a"}); s.WireHTTP("GET /a", ok) }, []string{`channel "a"`, `Route is "/a", wired at httpfunc_test.go:`}},
		{"a channel comes there", func(s *server) { s.WireHTTP("GET /a", ok); s.Wire(wiring{Name: "a", Route: "/a"}) }, []string{`channel "a" at httpfunc_test.go:`, `"GET /a", which WireHTTP wired at httpfunc_test.go:`}},
		{"a wildcard without a field", func(s *server) { s.WireHTTP("POST /a/{id}", ok) }, []string{"the pattern has {id}", `no field of the input kanava.None has path:"id"`, "made at httpfunc_test.go:"}},
		{"a field without a wildcard", func(s *server) { s.WireHTTP("POST /a", one) }, []string{`path:"id"`, "has no {id}"}},
		{"GET with what needs a body", func(s *server) {
			s.WireHTTP("GET /a", kanava.PlainDo(func(context.Context, body) error { return nil }))
		}, []string{"GET requests have no body", "body.Text would come"}},
		{"DELETE with an input that is all body", func(s *server) {
			s.WireHTTP("DELETE /a", kanava.PlainDo(func(context.Context, jsontext.Value) error { return nil }))
		}, []string{"DELETE requests have no body", "Value would come"}},
		{"an input that is no object", func(s *server) {
			s.WireHTTP("POST /a", kanava.PlainDo(func(context.Context, []int) error { return nil }))
		}, []string{"input []int is no JSON object"}},
		{"credentials", func(s *server) {
			s.WireHTTP("POST /a", kanava.PlainDo(func(context.Context, secret) error { return nil }))
		}, []string{"secret.Token", "Options.Authenticate"}},
		{"a list in a path", func(s *server) {
			s.WireHTTP("POST /a/{id}", kanava.PlainDo(func(context.Context, list) error { return nil }))
		}, []string{"a path has one value"}},
		{"an output without JSON", func(s *server) {
			s.WireHTTP("POST /a", kanava.PlainFunc(func(context.Context, kanava.None) (chan int, error) { return nil, nil }))
		}, []string{"output chan int"}},
		{"options that contradict", func(s *server) { s.WireHTTP("POST /a", of(kanava.Public(), kanava.Allow("x"))) }, []string{"Public and Allow contradict"}},
		{"both", func(s *server) { s.WireHTTP("POST /a", of(kanava.Public(), kanava.Protected())) }, []string{"Public and Protected contradict"}},
		{"a negative timeout", func(s *server) { s.WireHTTP("POST /a", of(kanava.Timeout(-1))) }, []string{"Timeout is negative"}},
		{"a guard of a channel", func(s *server) { s.WireHTTP("POST /a", of(kanava.With(guard))) }, []string{"guard at httpfunc_test.go:", "a function over HTTP has no channel"}},
		{"nil middleware", func(s *server) { s.WireHTTP("POST /a", of(kanava.With(nil))) }, []string{"a middleware is nil"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			defer func() {
				got := fmt.Sprint(recover())
				for _, want := range append(tc.want, "kanava: ") {
					if !strings.Contains(got, want) {
						t.Errorf("panicked with %q, want %q in it", got, want)
					}
				}
			}()
			tc.wire(kanava.NewServer(kanava.Options[account]{}))
		})
	}
}

// What looks like a collision and is none.
func TestWireHTTPBesideChannels(t *testing.T) {
	ok := kanava.PlainDo(func(context.Context, kanava.None) error { return nil }, kanava.Public())
	srv := serve(t, kanava.Options[account]{}, wiring{Name: "jobs", Route: "/jobs"})
	srv.WireHTTP("POST /jobs", ok)
	srv.WireHTTP("GET /jobs/{$}", ok)
	srv.WireHTTP("DELETE /jobs", ok)
	srv.Wire(wiring{Name: "other", Route: "/jobs/live"})
	if got := srv.HTTPMethods(request("/jobs")); !slices.Equal(got, []string{"DELETE", "POST"}) {
		t.Errorf("methods %v", got)
	}
	if code := call(srv, "POST", "/jobs", nil); code != "" {
		t.Errorf("POST /jobs: %s", code)
	}
	kanavatest.Dial(t, srv, "/jobs")
}

// callAs makes a call over HTTP from an address and returns the code of its
// error, "" for none. token is that of Authenticate.
func callAs(srv *server, method, target, token, address string, body []byte) (kanava.Code, *kanava.Error) {
	u, err := url.Parse(target)
	if err != nil {
		panic(err)
	}
	req := &kanava.OpenRequest{URL: u, Host: "example.com", Header: http.Header{}, Token: token, RemoteAddr: address}
	x, err := srv.OpenHTTP(context.Background(), method, req)
	if err == nil {
		defer x.End()
		_, err = x.Run(body, func(context.Context, []byte) error { return nil })
	}
	if e, ok := errors.AsType[*kanava.Error](err); ok {
		return e.Code, e
	}
	return "", nil
}

func call(srv *server, method, target string, body []byte) kanava.Code {
	code, _ := callAs(srv, method, target, "", "192.0.2.1:1", body)
	return code
}

// byToken signs in who the token names.
func byToken(_ context.Context, r *kanava.OpenRequest) (*account, error) {
	if r.Token == "" {
		return nil, nil
	}
	return &account{ID: r.Token}, nil
}

func TestRatesOverHTTP(t *testing.T) {
	const exhausted = kanava.CodeResourceExhausted
	type step struct {
		path, token, address string
		want                 kanava.Code
	}
	slow := kanava.Rate{PerSecond: 1, Burst: 2}
	for _, tc := range []struct {
		proves string
		limits kanava.Limits
		steps  []step
	}{
		{"Limits.Rate counts by user, not by function or address", kanava.Limits{Rate: slow}, []step{
			{"/a", "ann", "192.0.2.1:1", ""}, {"/b", "ann", "192.0.2.2:1", ""}, {"/a", "ann", "192.0.2.3:1", exhausted}, {"/a", "bob", "192.0.2.1:1", ""},
		}},
		{"who has not signed in has no Limits.Rate", kanava.Limits{Rate: slow}, []step{{"/a", "", "192.0.2.1:1", ""}, {"/a", "", "192.0.2.1:1", ""}, {"/a", "", "192.0.2.1:1", ""}}},
		{"but where Limits.AddressConns says what an address is", kanava.Limits{Rate: slow, AddressConns: 9}, []step{
			{"/a", "", "192.0.2.1:1", ""}, {"/b", "", "192.0.2.1:2", ""}, {"/a", "", "192.0.2.1:3", exhausted}, {"/a", "", "192.0.2.2:1", ""},
		}},
		{"an IPv6 network is one address", kanava.Limits{Rate: slow, AddressConns: 9}, []step{
			{"/a", "", "[2001:db8::1]:1", ""}, {"/a", "", "[2001:db8::2]:1", ""}, {"/a", "", "[2001:db8::3]:1", exhausted}, {"/a", "", "[2001:db8:0:1::1]:1", ""},
		}},
		{"UserRate", kanava.Limits{UserRate: slow}, []step{{"/a", "ann", "", ""}, {"/a", "ann", "", ""}, {"/a", "ann", "", exhausted}, {"/a", "", "", ""}}},
		{"RateLimit of a function, by user", kanava.Limits{}, []step{{"/limited", "ann", "", ""}, {"/limited", "ann", "", exhausted}, {"/a", "ann", "", ""}, {"/limited", "bob", "", ""}}},
		{"and by address, always", kanava.Limits{}, []step{
			{"/limited", "", "192.0.2.1:1", ""}, {"/limited", "", "192.0.2.1:2", exhausted}, {"/limited", "", "192.0.2.2:1", ""}, {"/a", "", "192.0.2.1:1", ""},
		}},
		{"an error costs more", kanava.Limits{Rate: kanava.Rate{PerSecond: 1, Burst: 6}}, []step{
			{"/fails", "ann", "", kanava.CodeNotFound}, {"/a", "ann", "", ""}, {"/a", "ann", "", exhausted},
		}},
	} {
		t.Run(tc.proves, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := kanava.NewServer(kanava.Options[account]{Authenticate: byToken, Identify: identify, Limits: tc.limits})
				ok := func(context.Context, kanava.None) error { return nil }
				srv.WireHTTP("GET /a", kanava.PlainDo(ok, kanava.Public()))
				srv.WireHTTP("GET /b", kanava.PlainDo(ok, kanava.Public()))
				srv.WireHTTP("GET /limited", kanava.PlainDo(ok, kanava.Public(), kanava.RateLimit(kanava.Rate{PerSecond: 1, Burst: 1})))
				srv.WireHTTP("GET /fails", kanava.PlainDo(func(context.Context, kanava.None) error { return kanava.Errorf(kanava.CodeNotFound, "no") }, kanava.Public()))
				for i, s := range tc.steps {
					code, e := callAs(srv, "GET", s.path, s.token, s.address, nil)
					if code != s.want || code == exhausted && e.RetryAfter != time.Second {
						t.Errorf("step %d: %q %v, want %q", i, code, e, s.want)
					}
				}
				time.Sleep(10 * time.Second)
				if s := tc.steps[0]; s.want == "" {
					if code, _ := callAs(srv, "GET", s.path, s.token, s.address, nil); code != "" {
						t.Errorf("later: %q", code)
					}
				}
				time.Sleep(10 * time.Second) // who has called is forgotten
			})
		})
	}
}

// Calls that run count as connections of their user and of their address.
func TestConnectionsOverHTTP(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	srv := serve(t, kanava.Options[account]{Authenticate: byToken, Limits: kanava.Limits{UserConns: 2, AddressConns: 4}}, wiring{})
	srv.WireHTTP("GET /wait", kanava.PlainDo(func(context.Context, kanava.None) error {
		begun <- struct{}{}
		<-finish
		return nil
	}, kanava.Public()))
	var running sync.WaitGroup
	start := func(token string) {
		running.Go(func() {
			if code, e := callAs(srv, "GET", "/wait", token, "192.0.2.1:1", nil); code != "" {
				t.Error(e)
			}
		})
		<-begun
	}
	refused := func(why, token string) {
		t.Helper()
		if code, _ := callAs(srv, "GET", "/wait", token, "192.0.2.1:1", nil); code != kanava.CodeResourceExhausted {
			t.Errorf("%s: %q", why, code)
		}
	}
	req := request("/test")
	req.Token = "ann"
	if _, err := kanavatest.DialRequest(t, srv, req); err != nil {
		t.Fatal(err)
	}
	start("ann")
	refused("a connection and a call of one user", "ann")
	if _, err := kanavatest.DialRequest(t, srv, req); err == nil {
		t.Error("another connection of the user is let in")
	}
	start("")
	start("")
	start("")
	refused("four of one address", "")
	close(finish)
	running.Wait()
}

// What middleware, outgoing middleware and an Observer see of a call over HTTP.
func TestInvocationOverHTTP(t *testing.T) {
	var seen []string
	note := func(format string, args ...any) { seen = append(seen, fmt.Sprintf(format, args...)) }
	around := func(name string) kanava.Middleware {
		return func(next kanava.Handler) kanava.Handler {
			return func(ctx context.Context, inv *kanava.Invocation) (any, error) {
				note("%s: conn %v, channel %q, action %q, %s, tags %v, in %v, opening %v, session %v", name, inv.Conn, inv.Channel, inv.Action, inv.Kind, inv.Tags, *inv.In.(*text), inv.Opening, inv.Session)
				return next(ctx, inv)
			}
		}
	}
	o := &httpObserver{note: note}
	srv := kanava.NewServer(kanava.Options[account]{
		Authenticate: byToken, Identify: identify, Observer: o,
		Middleware: []kanava.Middleware{around("server")},
		Outgoing: []kanava.Outgoing{func(next kanava.Sender) kanava.Sender {
			return func(ctx context.Context, p *kanava.Payload) error {
				note("out: conn %v, channel %q, action %q, %s, value %v", p.Conn, p.Channel, p.Action, p.Kind, p.Value)
				if p.Value == "drop" {
					return nil
				}
				p.Value = strings.ToUpper(p.Value.(string))
				return next(ctx, p)
			}
		}},
	})
	srv.WireHTTP("POST /say", kanava.PlainFunc(func(_ context.Context, in text) (string, error) { return in.Message, nil }, kanava.Doc("", "chat"), kanava.With(around("function"))))
	srv.WireHTTP("POST /stream", kanava.PlainStream(func(ctx context.Context, in text, out *kanava.Stream[string]) error {
		return errors.Join(out.Send(ctx, in.Message), out.Send(ctx, "drop"))
	}))
	run := func(path, body string) (result string, items []string) {
		t.Helper()
		req := request(path)
		req.Token = "ann"
		x, err := srv.OpenHTTP(t.Context(), "POST", req)
		if err != nil {
			t.Fatal(err)
		}
		defer x.End()
		raw, err := x.Run([]byte(body), func(_ context.Context, item []byte) error { items = append(items, string(item)); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return string(raw), items
	}
	if got, _ := run("/say", `{"message":"hi"}`); got != `"HI"` {
		t.Errorf("got %s", got)
	}
	if got, _ := run("/say", `{"message":"drop"}`); got != "" {
		t.Errorf("dropped: got %s", got)
	}
	if got, items := run("/stream", `{"message":"hi"}`); got != "" || !slices.Equal(items, []string{`"HI"`}) {
		t.Errorf("stream: %s, %s", got, items)
	}
	if code := call(srv, "POST", "/say", nil); code != kanava.CodeUnauthenticated {
		t.Errorf("nobody: %s", code)
	}
	want := []string{
		`started {  POST /say message}`,
		`server: conn <nil>, channel "", action "POST /say", message, tags [chat], in {hi}, opening <nil>, session {ann [] 0001-01-01 00:00:00 +0000 UTC}`,
		`function: conn <nil>, channel "", action "POST /say", message, tags [chat], in {hi}, opening <nil>, session {ann [] 0001-01-01 00:00:00 +0000 UTC}`,
		`out: conn <nil>, channel "", action "POST /say", message, value hi`,
		`ended ""`,
	}
	if len(seen) < len(want) || !slices.Equal(seen[:len(want)], want) {
		t.Errorf("seen:\n%s", strings.Join(seen, "\n"))
	}
	if last := seen[len(seen)-1]; last != `refused POST /say: unauthenticated: sign in first` {
		t.Errorf("last: %s", last)
	}
}

type httpObserver struct {
	kanava.NopObserver
	note func(string, ...any)
}

func (o *httpObserver) OpenRefused(route string, err *kanava.Error) {
	o.note("refused %s: %v", route, err)
}

func (o *httpObserver) CallStarted(ctx context.Context, c kanava.CallInfo) (context.Context, func(kanava.Code)) {
	o.note("started %v", c)
	return ctx, func(code kanava.Code) { o.note("ended %q", code) }
}

// CallTime and Timeout end the context of a function, but not that of a stream.
func TestDeadlinesOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := kanava.NewServer(kanava.Options[account]{Limits: kanava.Limits{CallTime: time.Second}, Logger: slog.New(slog.DiscardHandler)})
		wait := func(ctx context.Context, _ kanava.None) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Minute):
				return nil
			}
		}
		srv.WireHTTP("POST /wait", kanava.PlainDo(wait, kanava.Public()))
		srv.WireHTTP("POST /longer", kanava.PlainDo(wait, kanava.Public(), kanava.Timeout(2*time.Second)))
		srv.WireHTTP("POST /stream", kanava.PlainStream(func(ctx context.Context, in kanava.None, _ *kanava.Stream[int]) error { return wait(ctx, in) }, kanava.Public()))
		for path, want := range map[string]time.Duration{"/wait": time.Second, "/longer": 2 * time.Second, "/stream": time.Minute} {
			begun, code := time.Now(), call(srv, "POST", path, nil)
			if took := time.Since(begun); took != want || (code == kanava.CodeDeadlineExceeded) != (want < time.Minute) {
				t.Errorf("%s took %s: %q", path, took, code)
			}
		}
	})
}

// Hooks that panic, and that take too long, are the server's fault.
func TestHooksOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		srv := kanava.NewServer(kanava.Options[account]{Logger: log.logger(), Authenticate: func(ctx context.Context, r *kanava.OpenRequest) (*account, error) {
			if r.Token == "panic" {
				panic("of Authenticate")
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		srv.WireHTTP("GET /a", kanava.PlainDo(func(context.Context, kanava.None) error { return nil }, kanava.Public()))
		if code, _ := callAs(srv, "GET", "/a", "panic", "", nil); code != kanava.CodeInternal || !strings.Contains(log.String(), "of Authenticate") {
			t.Errorf("%q, log %s", code, log.String())
		}
		begun := time.Now()
		if code, _ := callAs(srv, "GET", "/a", "slow", "", nil); code != kanava.CodeDeadlineExceeded || time.Since(begun) != 15*time.Second {
			t.Errorf("%q after %s", code, time.Since(begun))
		}
		if err := srv.Shutdown(t.Context()); err != nil { // nothing is left over
			t.Error(err)
		}
	})
}

// A function does not shut its own server down.
func TestShutdownInsideAFunctionOverHTTP(t *testing.T) {
	srv := kanava.NewServer(kanava.Options[account]{})
	var got error
	srv.WireHTTP("POST /down", kanava.PlainDo(func(ctx context.Context, _ kanava.None) error {
		got = srv.Shutdown(ctx)
		return nil
	}, kanava.Public()))
	if code := call(srv, "POST", "/down", nil); code != "" || got == nil || !strings.Contains(got.Error(), "would wait for itself") {
		t.Errorf("%q, %v", code, got)
	}
}
