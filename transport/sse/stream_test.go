package sse_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/sse"
	"github.com/kanava-go/kanava/transport/transporttest"
)

// Byte for byte what goes over the wire.
func TestP19_Wire(t *testing.T) {
	w := newWorld(t, sse.Options{}, kanava.Limits{})
	res := w.do("GET", "/line", nil, "Accept", "text/event-stream")
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no",
		"X-Content-Type-Options": "nosniff", "Vary": "Origin",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	c := &conn{w: w, res: res, secret: res.Header.Get("Kanava-Up")}
	raw := bufio.NewReader(res.Body)
	expect := func(want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(raw, got); err != nil || string(got) != want {
			t.Fatalf("got  %q, %v\nwant %q", got, err, want)
		}
	}
	expect("event: up\ndata: " + c.secret + "\n\n")
	<-w.joined
	w.publish("one\nline")
	expect(`data: {"topic":"news","data":"one\nline"}` + "\n\n")
	w.publish([]byte{0, 255})
	expect("event: binary\ndata: AP8=\n\n")
	c.post(204, `{"action":"quit","text":"enough"}`)
	expect(`data: {"action":"quit"}` + "\n\n")
	expect("event: close\ndata: " + `{"code":4201,"reason":"enough"}` + "\n\n")
	if rest, err := io.ReadAll(raw); err != nil || len(rest) > 0 {
		t.Errorf("then comes %q, %v", rest, err)
	}
	w.wantLeft(ending{4201, "enough"})
}

func TestP20_Wire(t *testing.T) {
	w := newWorld(t, sse.Options{}, kanava.Limits{})
	c := w.envelope()
	if c.res.Header.Get("Kanava-Up") != "" || c.res.Header.Get("Kanava-Protocol") != "kanava.v1" {
		t.Errorf("header %v", c.res.Header)
	}
	c.post(204, `{"do":"ping","id":1}`+"\n"+`{"do":"","in":"hi","id":2}`)
	c.want(event{data: `{"re":1}`})
	c.want(event{data: `{"re":2,"out":"hi"}`})
	c.post(204, `{"do":"quit","in":{"text":"enough"},"id":3}`)
	c.want(event{data: `{"re":3}`})
	c.want(event{data: `{"away":{"code":4201}}`})
	c.wantEnd()
	w.wantLeft(ending{4201, "enough"})
}

// A client is told when to come back, and so is its browser.
func TestP19_ComeBack(t *testing.T) {
	w := newWorld(t, sse.Options{}, kanava.Limits{})
	c := w.plain()
	down := make(chan error, 1)
	go func() { down <- w.srv.Shutdown(context.Background()) }()
	e := c.next()
	if ms, err := strconv.Atoi(e.retry); err != nil || ms < 0 || ms >= 1000 {
		t.Errorf("retry is %q", e.retry)
	}
	if e.name != "close" || e.data != `{"code":4503,"reason":"draining 0-1000"}` {
		t.Errorf("got %+v", e)
	}
	c.wantEnd()
	if err := <-down; err != nil {
		t.Error(err)
	}
	res := w.do("GET", "/line", nil, "Accept", "text/event-stream")
	if w.wantError(res, 503, "unavailable"); res.Header.Get("Retry-After") == "" {
		t.Error("it does not say when to come back")
	}
	// The streams have ended: net/http has nothing to wait for.
	ctx, cancel := context.WithTimeout(t.Context(), transporttest.Patience)
	defer cancel()
	if err := w.web.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

// Signs of life, in virtual time.
func TestHeartbeat(t *testing.T) {
	at := func(t *testing.T, start time.Time, want time.Duration) {
		t.Helper()
		if got := time.Since(start); got != want {
			t.Errorf("at %v, want %v", got, want)
		}
	}
	t.Run("P19 plain: a comment after 25 s of silence, for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, sse.Options{}, kanava.Limits{})
			c := w.plain()
			start := time.Now()
			for i := range 5 {
				line, err := c.r.r.ReadString('\n')
				if err != nil || line != ":\n" {
					t.Fatalf("got %q, %v", line, err)
				}
				if _, err := c.r.r.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
				at(t, start, time.Duration(i+1)*25*time.Second)
			}
			time.Sleep(10 * time.Second)
			w.publish("x")
			c.next()
			told := time.Now()
			if line, err := c.r.r.ReadString('\n'); err != nil || line != ":\n" {
				t.Fatalf("got %q, %v", line, err)
			}
			at(t, told, 25*time.Second)
			c.leave()
		})
	})
	t.Run("P20 a silent client is asked, then given up", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, sse.Options{}, kanava.Limits{})
			c := w.envelope()
			start := time.Now()
			c.want(event{data: `{}`})
			at(t, start, 25*time.Second)
			c.want(event{data: `{"away":{"code":4408}}`})
			at(t, start, 35*time.Second)
			c.wantEnd()
			w.wantLeft(ending{4408, "timeout"})
		})
	})
	t.Run("P20 events do not stand for what the client says", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, sse.Options{}, kanava.Limits{})
			c := w.envelope()
			start := time.Now()
			asked := false
			for i := 0; ; i++ {
				synctest.Wait()
				time.Sleep(time.Second)
				w.publish(i)
				e := c.next()
				if e.data == `{}` {
					asked = true
					at(t, start, 25*time.Second)
					e = c.next()
				}
				if strings.HasPrefix(e.data, `{"away":{"code":4408}`) {
					break
				}
			}
			if !asked {
				t.Error("the client was not asked")
			}
			at(t, start, 35*time.Second)
			c.leave()
		})
	})
	t.Run("P20 any POST is a sign of life", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, sse.Options{}, kanava.Limits{})
			c := w.envelope()
			for range 10 {
				c.want(event{data: `{}`})
				time.Sleep(9 * time.Second)
				c.post(204, `{}`)
			}
			for range 10 { // also one that is refused
				c.want(event{data: `{}`})
				w.wantStatus(c.postAs(1000, "application/json", ""), 409)
			}
			c.leave()
		})
	})
	t.Run("other times", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, sse.Options{Ping: time.Second, PongWait: 500 * time.Millisecond}, kanava.Limits{})
			c := w.envelope()
			start := time.Now()
			c.want(event{data: `{}`})
			at(t, start, time.Second)
			c.want(event{data: `{"away":{"code":4408}}`})
			at(t, start, 1500*time.Millisecond)
			c.wantEnd()
		})
	})
}

// A client that takes nothing is cut after 30 s, one that takes a little is
// not. Pipes hold nothing.
func TestWriteStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sse.Options{}, kanava.Limits{Queue: 1 << 20})
		c := w.plain()
		start := time.Now()
		w.publish(strings.Repeat("x", 60_000))
		w.wantLeft(ending{4409, "slow_consumer"})
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("the client was cut after %v", took)
		}
		c.leave()

		slow := w.plain()
		w.publish(strings.Repeat("x", 60_000))
		for range 6 { // 60,000 bytes in a minute
			time.Sleep(10 * time.Second)
			if _, err := io.CopyN(io.Discard, slow.r.r, 10_000); err != nil {
				t.Fatal(err)
			}
		}
		if len(w.left) > 0 {
			t.Errorf("a client that read was cut: %+v", <-w.left)
		}
		slow.leave()
		w.wantLeft(ending{1006, ""})
	})
}

// A client whose queue is full is told so, if it reads on within 5 s.
func TestSlowConsumer(t *testing.T) {
	for _, tt := range []struct {
		proves string
		pause  time.Duration
		told   bool
	}{{"it reads on", 4 * time.Second, true}, {"it does not", 20 * time.Second, false}} {
		t.Run(tt.proves, func(t *testing.T) {
			for _, v1 := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, sse.Options{}, kanava.Limits{Queue: 200_000})
					c := w.plain()
					if v1 {
						c.leave()
						w.wantLeft(ending{1006, ""})
						c = w.envelope()
					}
					start := time.Now()
					for range 10 {
						w.publish(strings.Repeat("x", 50_000))
					}
					time.Sleep(tt.pause)
					if !tt.told {
						w.wantLeft(ending{4409, "slow_consumer"})
						if took := time.Since(start); took > 7*time.Second+tt.pause {
							t.Errorf("it took %v", took)
						}
						c.leave()
						return
					}
					want := event{name: "close", data: `{"code":4409,"reason":"slow_consumer"}`}
					if v1 {
						want = event{data: `{"away":{"code":4409}}`}
					}
					var e event
					for e = c.next(); strings.Contains(e.data, "xxx"); e = c.next() {
					}
					if e != want {
						t.Errorf("got %+v", e)
					}
					c.wantEnd()
					w.wantLeft(ending{4409, "slow_consumer"})
				})
			}
		})
	}
}

// The timeouts of the http.Server are for other requests.
func TestServerTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sse.Options{}, kanava.Limits{}, func(s *http.Server) {
			s.ReadTimeout, s.WriteTimeout, s.IdleTimeout, s.ReadHeaderTimeout = time.Second, time.Second, time.Second, time.Second
		})
		plain, v1 := w.plain(), w.envelope()
		time.Sleep(20 * time.Second)
		for i := range 10 {
			w.publish(i)
			plain.want(event{data: fmt.Sprintf(`{"topic":"news","data":%d}`, i)})
			if e := v1.next(); !strings.HasSuffix(e.data, fmt.Sprintf(`"data":%d}`, i)) {
				t.Errorf("got %+v", e)
			}
			v1.post(204, "{}")
			time.Sleep(10 * time.Second)
		}
		plain.leave()
		v1.leave()
	})
}

// A connection that is used again after a stream has no deadline left.
func TestConnectionIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, sse.Options{}, kanava.Limits{})
		for range 3 {
			c := w.plain()
			c.post(204, `{"action":"quit","text":""}`)
			c.want(event{data: `{"action":"quit"}`})
			c.want(event{name: "close", data: `{"code":4201,"reason":""}`})
			c.wantEnd()
			time.Sleep(time.Minute)
		}
	})
}

// A request that waits costs one goroutine: its own.
func TestGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const streams = 50
		srv := kanava.NewServer(kanava.Options[none]{})
		srv.Wire(kanava.Wiring[none, none]{Name: "line", Route: "/line", Public: true})
		h := sse.Handler(srv, sse.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		mine := pprof.Labels("test", t.Name()) // whoever starts a goroutine hands them on
		pprof.SetGoroutineLabels(pprof.WithLabels(ctx, mine))
		for range streams {
			group.Go(func() {
				r := httptest.NewRequestWithContext(ctx, "GET", "/line", nil)
				r.Header.Set("Accept", "text/event-stream")
				h.ServeHTTP(&sink{}, r)
			})
		}
		synctest.Wait() // what starts with a connection has ended
		if n := srv.Conns().Count(); n != streams {
			t.Errorf("%d of %d streams are open", n, streams)
		}
		if n := goroutines(t, t.Name()) - 1; n != streams {
			t.Errorf("%d streams have %d goroutines", streams, n)
		}
		cancel()
		group.Wait()
	})
}

// goroutines counts those that have a test's label.
func goroutines(t *testing.T, test string) (n int) {
	t.Helper()
	var profile strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		t.Fatal(err)
	}
	_, stacks, _ := strings.Cut(profile.String(), "\n")
	for stack := range strings.SplitSeq(stacks, "\n\n") {
		if count, rest, _ := strings.Cut(stack, " @ "); strings.Contains(rest, fmt.Sprintf("# labels: {%q:%q}", "test", test)) {
			of, err := strconv.Atoi(count)
			if err != nil {
				t.Fatal(err)
			}
			n += of
		}
	}
	return n
}

// A write that just keeps its deadline leaves none to net/http, which would end
// a stream of HTTP/2 for it; one that does not is ended, and told from a client
// that left.
func TestNoDeadlineIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const stall = 10 * time.Second
		w := newWorld(t, sse.Options{}, kanava.Limits{})
		out := &lateSink{ended: make(chan struct{})}
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/line", nil)
		r.Header.Set("Accept", "text/event-stream")
		go sse.Handler(w.srv, sse.Options{WriteStall: stall}).ServeHTTP(out, r)
		<-w.joined
		synctest.Wait()
		out.takes.Store(int64(stall - 1))
		w.publish("x")
		time.Sleep(2 * stall)
		if n := out.deadlines.Load(); n > 0 {
			t.Errorf("net/http was given %d deadlines", n)
		}
		if len(w.left) > 0 {
			t.Fatalf("it left: %+v", <-w.left)
		}
		out.takes.Store(int64(time.Hour))
		start := time.Now()
		w.publish("x")
		w.wantLeft(ending{4409, "slow_consumer"})
		if took := time.Since(start); took != stall {
			t.Errorf("it took %v", took)
		}
	})
}

// lateSink is an http.ResponseWriter whose Flush takes its time, unless a
// deadline passes.
type lateSink struct {
	sink
	takes     atomic.Int64 // ns
	deadlines atomic.Int64 // how many were set
	ended     chan struct{}
	end       sync.Once
}

func (s *lateSink) FlushError() error {
	select {
	case <-time.After(time.Duration(s.takes.Load())):
		return nil
	case <-s.ended:
		return errors.New("the stream was reset")
	}
}

func (s *lateSink) SetWriteDeadline(end time.Time) error {
	if end.IsZero() {
		return nil
	}
	s.deadlines.Add(1)
	time.AfterFunc(time.Until(end), func() { s.end.Do(func() { close(s.ended) }) })
	return nil
}

// sink is an http.ResponseWriter that takes everything, and counts.
type sink struct {
	mu      sync.Mutex
	b       bytes.Buffer // guarded by mu, as is all that follows
	writes  int
	flushes int
	block   chan struct{} // if it is not nil, a write waits for it
}

func (s *sink) Header() http.Header { return http.Header{} }
func (s *sink) WriteHeader(int)     {}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	return s.b.Write(p)
}

func (s *sink) Flush() {
	s.mu.Lock()
	s.flushes++
	block := s.block
	s.mu.Unlock()
	if block != nil {
		<-block
	}
}

func (s *sink) SetReadDeadline(time.Time) error  { return nil }
func (s *sink) SetWriteDeadline(time.Time) error { return nil }

// What gathered while the client was slow goes out in one write.
func TestGathering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := kanava.NewServer(kanava.Options[none]{})
		srv.Wire(kanava.Wiring[none, none]{
			Name: "line", Route: "/line", Public: true,
			OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *line) (none, error) {
				return none{}, srv.EventHub().Subscribe(ctx, "news", ch.ID())
			}),
		})
		ctx, cancel := context.WithCancel(t.Context())
		out := &sink{}
		r := httptest.NewRequestWithContext(ctx, "GET", "/line", nil)
		r.Header.Set("Accept", "text/event-stream")
		done := make(chan struct{})
		go func() {
			defer close(done)
			sse.Handler(srv, sse.Options{}).ServeHTTP(out, r)
		}()
		synctest.Wait()
		block := make(chan struct{})
		out.mu.Lock()
		out.block, out.writes, out.flushes = block, 0, 0
		out.mu.Unlock()
		for i := range 100 {
			if err := srv.EventHub().Publish(ctx, "news", i); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		out.mu.Lock()
		out.block = nil
		out.mu.Unlock()
		close(block)
		synctest.Wait()
		out.mu.Lock()
		if out.writes != 2 || out.flushes != 2 || strings.Count(out.b.String(), `{"topic":"news"`) != 100 {
			t.Errorf("%d writes and %d flushes for %d events", out.writes, out.flushes, strings.Count(out.b.String(), `{"topic":"news"`))
		}
		out.mu.Unlock()
		cancel()
		<-done
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// Of all that a client can be told, no reader makes anything else: neither of
// what has line ends in it, nor of names that try to be fields.
func TestInjection(t *testing.T) {
	w := newWorld(t, sse.Options{}, kanava.Limits{})
	c, ids := w.plain(), w.srv.Conns()
	if ids.Count() != 1 {
		t.Fatal("one connection")
	}
	for _, s := range []string{"a\n\ndata: evil\n\n", "\r\n\r\nevent: close\r\ndata: {}\r\n\r\n", "\r", "\n", "id: 7\nretry: 1\n", "\u2028\u2029\u0085", ": x", "\x00"} {
		w.publish(map[string]string{s: s})
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		e := c.next()
		var got struct {
			Data map[string]string `json:"data"`
		}
		if err := json.Unmarshal([]byte(e.data), &got); err != nil || e.name != "" || e.hasID || e.retry != "" || got.Data[s] != s {
			t.Errorf("%s: got %+v, %v", want, e, err)
		}
		c.post(204, string(want))
		var echo string
		if e := c.next(); json.Unmarshal([]byte(e.data), &echo) != nil || echo != s || e.name != "" {
			t.Errorf("%s: got %+v", want, e)
		}
	}
	// The reason of a close, too.
	const reason = "\r\n\r\ndata: evil\n\n"
	text, err := json.Marshal(reason)
	if err != nil {
		t.Fatal(err)
	}
	c.post(204, `{"action":"quit","text":`+string(text)+`}`)
	c.want(event{data: `{"action":"quit"}`})
	var end struct{ Reason string }
	if e := c.next(); e.name != "close" || json.Unmarshal([]byte(e.data), &end) != nil || end.Reason != reason {
		t.Errorf("got %+v", e)
	}
	c.wantEnd()
}

// A client that ends its half of the connection is gone, as net/http sees it.
func TestHalfClosed(t *testing.T) {
	w := newWorld(t, sse.Options{}, kanava.Limits{})
	srv := httptest.NewServer(w.web.Handler)
	defer srv.Close()
	nc, err := new(net.Dialer).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, "GET /line HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(nc).ReadString('\n'); err != nil || line != "HTTP/1.1 200 OK\r\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	<-w.joined // otherwise there would be no OnDisconnect
	if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	w.wantLeft(ending{1006, ""})
}

// HTTP/1.0 has no chunks: the end of the connection is the end of the stream.
func TestHTTP10(t *testing.T) {
	w := newWorld(t, sse.Options{}, kanava.Limits{})
	nc, theirs := net.Pipe()
	defer nc.Close()
	w.dials <- theirs
	if _, err := io.WriteString(nc, "GET /line HTTP/1.0\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	c := &conn{w: w, res: res, r: newReader(res.Body), secret: res.Header.Get("Kanava-Up")}
	c.want(event{name: "up", data: c.secret})
	c.post(204, `{"action":"quit","text":"x"}`)
	c.want(event{data: `{"action":"quit"}`})
	c.want(event{name: "close", data: `{"code":4201,"reason":"x"}`})
	c.wantEnd()
}
