package httpfunc_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/httpfunc"
)

type count struct {
	To int `json:"to" query:"to" maximum:"1000000"`
}

func numbers(ctx context.Context, in count, out *kanava.Stream[int]) error {
	for i := range in.To {
		if err := out.Send(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// streams returns a server with one stream function under "GET /stream".
func streams(p kanava.Plain) *kanava.Server[user] {
	srv := newServer(kanava.Options[user]{DrainSpread: 4 * time.Second})
	srv.WireHTTP("GET /stream", p)
	return srv
}

func of[In, Out any](f func(context.Context, In, *kanava.Stream[Out]) error) kanava.Plain {
	return kanava.PlainStream(f, kanava.Public())
}

func TestP22Streams(t *testing.T) {
	fails := kanava.Errorf(kanava.CodeFailedPrecondition, "not now")
	for _, tc := range []struct {
		proves string
		f      kanava.Plain
		path   string
		status int
		want   string
	}{
		{"values, then the end", of(numbers), "/stream?to=2", 200, "data: 0\n\ndata: 1\n\nevent: end\ndata: {}\n\n"},
		{"no values", of(numbers), "/stream?to=0", 200, "event: end\ndata: {}\n\n"},
		{"wrong input has a status", of(numbers), "/stream?to=x", 400, invalid(`{"pointer":"/to","message":"query \"to\" must be an integer"}`)},
		{
			"and so has an error before the first value",
			of(func(context.Context, kanava.None, *kanava.Stream[int]) error { return fails }), "/stream", 412,
			`{"error":{"code":"failed_precondition","message":"not now"}}`,
		},
		{
			"a later one is an event", of(func(ctx context.Context, _ kanava.None, out *kanava.Stream[int]) error {
				return errors.Join(out.Send(ctx, 1), fails)
			}), "/stream", 200, "data: 1\n\nevent: error\ndata: {\"error\":{\"code\":\"failed_precondition\",\"message\":\"not now\"}}\n\n",
		},
		{
			"a panic tells nothing", of(func(ctx context.Context, _ kanava.None, out *kanava.Stream[int]) error {
				_ = out.Send(ctx, 1)
				panic("secret")
			}), "/stream", 200, "data: 1\n\nevent: error\ndata: {\"error\":{\"code\":\"internal\",\"message\":\"internal error\"}}\n\n",
		},
		{
			"nor does the end of a goroutine", of(func(ctx context.Context, _ kanava.None, out *kanava.Stream[int]) error {
				_ = out.Send(ctx, 1)
				runtime.Goexit()
				return nil
			}), "/stream", 200, "data: 1\n\nevent: error\ndata: {\"error\":{\"code\":\"internal\",\"message\":\"internal error\"}}\n\n",
		},
		{
			"a value is one line, whatever the program made of it", of(func(ctx context.Context, _ kanava.None, out *kanava.Stream[jsontext.Value]) error {
				return errors.Join(out.Send(ctx, jsontext.Value("{\r\n\"a\":\n\"b\\nc\"}")), out.Send(ctx, jsontext.Value(`"\u2028"`)))
			}), "/stream", 200, "data: {\"a\":\"b\\nc\"}\n\ndata: \"\u2028\"\n\nevent: end\ndata: {}\n\n",
		},
		{
			"a value over Limits.Reply is not sent, and the stream can go on",
			of(func(ctx context.Context, _ kanava.None, out *kanava.Stream[string]) error {
				var e *kanava.Error
				if err := out.Send(ctx, strings.Repeat("x", 1<<20)); !errors.As(err, &e) || e.Code != kanava.CodeTooLarge {
					return err
				}
				return out.Send(ctx, "small")
			}), "/stream", 200, "data: \"small\"\n\nevent: end\ndata: {}\n\n",
		},
		{"nothing is sent behind the end", of(func(ctx context.Context, _ kanava.None, out *kanava.Stream[int]) error {
			time.AfterFunc(time.Millisecond, func() { _ = out.Send(ctx, 1) })
			return nil
		}), "/stream", 200, "event: end\ndata: {}\n\n"},
	} {
		t.Run(tc.proves, func(t *testing.T) {
			url := serve(t, streams(tc.f), httpfunc.Options{})
			res, got := ask(t, "GET", url+tc.path, "")
			if res.StatusCode != tc.status || got != tc.want {
				t.Errorf("%d %q\nwant %d %q", res.StatusCode, got, tc.status, tc.want)
			}
			if h := res.Header; tc.status == 200 && (h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" || h.Get("X-Accel-Buffering") != "no") {
				t.Errorf("header %v", h)
			}
		})
	}
}

func TestP22Accept(t *testing.T) {
	url := serve(t, streams(of(numbers)), httpfunc.Options{})
	for accept, status := range map[string]int{
		"text/event-stream":                      200,
		"text/html, */*;q=0.1":                   200,
		"application/json, text/*":               200,
		"application/json":                       406,
		"application/json,text/event-stream;q=0": 406,
		"text/event-stream;q=0.000":              406,
		";;":                                     406,
	} {
		if res, body := ask(t, "GET", url+"/stream?to=1", "", "Accept", accept); res.StatusCode != status {
			t.Errorf("%q: %d %s", accept, res.StatusCode, body)
		}
	}
	if res, body := ask(t, "HEAD", url+"/stream?to=1", ""); res.StatusCode != http.StatusOK || body != "" || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %d %q %v", res.StatusCode, body, res.Header)
	}
}

// patience bounds each wait for something that has to happen.
const patience = 30 * time.Second

// open opens a stream and returns its lines.
func open(t *testing.T, url string) (lines *bufio.Reader, leave func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		t.Fatalf("status %d", res.StatusCode)
	}
	leave = func() { cancel(); _ = res.Body.Close() }
	t.Cleanup(leave)
	return bufio.NewReader(res.Body), leave
}

func expectLine(t *testing.T, lines *bufio.Reader, want string) {
	t.Helper()
	if got, err := lines.ReadString('\n'); got != want+"\n" || err != nil {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

// The status comes although the function is silent, and comments keep the
// stream alive.
func TestSilentStream(t *testing.T) {
	url := serve(t, streams(of(func(ctx context.Context, _ kanava.None, _ *kanava.Stream[int]) error {
		<-ctx.Done()
		return ctx.Err()
	})), httpfunc.Options{KeepAlive: 20 * time.Millisecond})
	lines, leave := open(t, url+"/stream")
	for range 3 {
		expectLine(t, lines, ":")
		expectLine(t, lines, "")
	}
	leave()
}

// Each value goes out at once.
func TestStreamIsFlushed(t *testing.T) {
	next := make(chan int)
	url := serve(t, streams(of(func(ctx context.Context, _ kanava.None, out *kanava.Stream[int]) error {
		for n := range next {
			if err := out.Send(ctx, n); err != nil {
				return err
			}
		}
		return nil
	})), httpfunc.Options{})
	go func() { next <- 1 }()
	lines, _ := open(t, url+"/stream")
	expectLine(t, lines, "data: 1")
	expectLine(t, lines, "")
	next <- 2
	expectLine(t, lines, "data: 2")
	close(next)
}

// The context of a function ends when the client leaves, of streams and others.
func TestClientLeaves(t *testing.T) {
	begun, ended := make(chan struct{}, 2), make(chan error, 1)
	wait := func(ctx context.Context, _ kanava.None) error {
		begun <- struct{}{}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return ctx.Err()
	}
	srv := streams(of(func(ctx context.Context, in kanava.None, out *kanava.Stream[int]) error {
		if err := out.Send(ctx, 1); err != nil {
			return err
		}
		return wait(ctx, in)
	}))
	srv.WireHTTP("POST /wait", kanava.PlainDo(wait, kanava.Public()))
	url := serve(t, srv, httpfunc.Options{})
	lines, leave := open(t, url+"/stream")
	expectLine(t, lines, "data: 1")
	<-begun
	leave()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("stream: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { // ends when the function has begun
		<-begun
		cancel()
	}()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/wait", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := http.DefaultClient.Do(r); err == nil {
		res.Body.Close()
		t.Error("there is an answer")
	} else if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("function: %v", err)
	}
}

// Send blocks while the client takes nothing, and what waits is bounded. The
// connection of a client that goes on so is cut.
func TestStreamOfAClientThatDoesNotRead(t *testing.T) {
	sent := make(chan int, 1)
	srv := streams(of(func(ctx context.Context, _ kanava.None, out *kanava.Stream[string]) error {
		for n := 0; ; n++ {
			if err := out.Send(ctx, strings.Repeat("x", 1000)); err != nil {
				sent <- n
				return err
			}
		}
	}))
	web := httptest.NewUnstartedServer(httpfunc.Handler(srv, httpfunc.Options{WriteStall: 200 * time.Millisecond}))
	web.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if tcp, ok := c.(*net.TCPConn); ok && s == http.StateNew {
			_ = tcp.SetWriteBuffer(4 << 10)
		}
	}
	web.Start()
	defer web.Close()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case n := <-sent:
		if n > 1000 { // 1 MB: 64 KiB of ours, and what the kernel keeps
			t.Errorf("%d values were sent to nobody", n)
		}
	case <-time.After(patience):
		t.Fatal("the stream did not end")
	}
}

// WriteStall is for what waits: a stream that has nothing to say outlives it, in
// HTTP/2 as well, where a deadline ends a stream also while nobody writes.
func TestWriteStallIsForWhatWaits(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		idle := make(chan struct{})
		srv := streams(of(func(ctx context.Context, _ kanava.None, out *kanava.Stream[int]) error {
			if err := out.Send(ctx, 1); err != nil {
				return err
			}
			<-idle
			return out.Send(ctx, 2)
		}))
		web := httptest.NewUnstartedServer(httpfunc.Handler(srv, httpfunc.Options{WriteStall: 50 * time.Millisecond}))
		web.EnableHTTP2 = h2
		web.StartTLS()
		res, err := web.Client().Get(web.URL + "/stream")
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(200*time.Millisecond, func() { close(idle) })
		body, err := io.ReadAll(res.Body)
		if got := string(body); err != nil || !strings.Contains(got, "data: 2\n") || !strings.Contains(got, "event: end\n") {
			t.Errorf("HTTP/2 %t: %q, %v", h2, got, err)
		}
		res.Body.Close()
		web.Close()
	}
}

// Send ends with the context that it is given, and with that of its call.
func TestSendEnds(t *testing.T) {
	type own struct{}
	result := make(chan error, 2)
	url := serve(t, streams(of(func(ctx context.Context, _ kanava.None, out *kanava.Stream[string]) error {
		fill := func(ctx context.Context) error {
			for {
				if err := out.Send(ctx, strings.Repeat("x", 1<<19)); err != nil {
					return err
				}
			}
		}
		short, cancel := context.WithTimeout(context.WithValue(ctx, own{}, 1), 50*time.Millisecond)
		defer cancel()
		result <- fill(short)
		result <- fill(context.Background())
		return nil
	})), httpfunc.Options{})
	_, leave := open(t, url+"/stream")
	if err := <-result; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("its own context: %v", err)
	}
	leave()
	if err := <-result; !errors.Is(err, context.Canceled) && !errors.Is(err, kanava.ErrClosed) {
		t.Errorf("that of the call: %v", err)
	}
}

// Shutdown refuses new calls, waits for those that run, and ends them when its
// time is over.
func TestDrain(t *testing.T) {
	started, finish := make(chan struct{}, 2), make(chan struct{})
	srv := streams(of(func(ctx context.Context, _ kanava.None, out *kanava.Stream[int]) error {
		if err := out.Send(ctx, 1); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}))
	srv.WireHTTP("POST /slow", kanava.PlainFunc(func(context.Context, kanava.None) (string, error) {
		started <- struct{}{}
		<-finish
		return "done", nil
	}, kanava.Public()))
	web := httptest.NewServer(httpfunc.Handler(srv, httpfunc.Options{}))
	defer web.Close()
	defer http.DefaultClient.CloseIdleConnections()

	answer := make(chan string, 1)
	go func() {
		res, err := http.Post(web.URL+"/slow", "", nil)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		raw, _ := io.ReadAll(res.Body)
		answer <- string(raw)
	}()
	<-started
	lines, _ := open(t, web.URL+"/stream")
	expectLine(t, lines, "data: 1")
	expectLine(t, lines, "")

	ctx, cancel := context.WithCancel(t.Context())
	down := make(chan error, 1)
	go func() { down <- srv.Shutdown(ctx) }()
	for {
		res, body := ask(t, "GET", web.URL+"/items/ab", "")
		if res.StatusCode == http.StatusOK {
			runtime.Gosched()
			continue
		}
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "4" || body != `{"error":{"code":"unavailable","message":"the server is shutting down","retryAfter":4000}}` {
			t.Errorf("while the server shuts down: %d %v %s", res.StatusCode, res.Header, body)
		}
		break
	}
	close(finish)
	if got := <-answer; got != `"done"` {
		t.Errorf("the call that ran: %s", got)
	}
	select {
	case err := <-down:
		t.Fatalf("Shutdown did not wait for the stream: %v", err)
	default:
	}
	cancel()
	if err := <-down; !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	for _, want := range []string{
		"event: error", "retry: 4000",
		`data: {"error":{"code":"unavailable","message":"the server is shutting down","retryAfter":4000}}`, "",
	} {
		expectLine(t, lines, want)
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown again: %v", err)
	}
}

// noFlush hides what a response writer can do.
type noFlush struct{ http.ResponseWriter }

func TestServerThatCannotStream(t *testing.T) {
	h := httpfunc.Handler(streams(of(numbers)), httpfunc.Options{})
	rec := httptest.NewRecorder()
	h.ServeHTTP(noFlush{rec}, httptest.NewRequestWithContext(t.Context(), "GET", "/stream?to=2", nil))
	if rec.Code != 500 || !strings.Contains(rec.Body.String(), "hides the http.Flusher") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// Streams work over HTTP/2 as they do over HTTP/1.1.
func TestStreamOverHTTP2(t *testing.T) {
	srv := streams(of(numbers))
	web := httptest.NewUnstartedServer(httpfunc.Handler(srv, httpfunc.Options{}))
	web.EnableHTTP2 = true
	web.StartTLS()
	defer web.Close()
	res, err := web.Client().Get(web.URL + "/stream?to=100000")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if n := strings.Count(string(raw), "data: "); res.ProtoMajor != 2 || err != nil || n != 100001 || !strings.HasSuffix(string(raw), "data: 99999\n\nevent: end\ndata: {}\n\n") {
		t.Errorf("%s: %d events, %v", res.Proto, n, err)
	}
}
