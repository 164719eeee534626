package sse_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/sse"
	"github.com/kanava-go/kanava/transport/transporttest"
)

func TestMain(m *testing.M) {
	// net/http waits half a second before it closes a connection whose request it
	// has not read to the end.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

type (
	none = kanava.None
	line = kanava.Channel[none, none]
)

// ending is what an OnDisconnect saw.
type ending struct {
	code   kanava.CloseCode
	reason string
}

// world is a server on pipes, whose time can be virtual.
type world struct {
	t      *testing.T
	srv    *kanava.Server[none]
	web    *http.Server
	client *http.Client
	dials  chan net.Conn
	joined chan struct{} // one for each OnConnect that has run
	left   chan ending   // one for each connection that has ended
	gate   chan struct{} // the action "wait" waits for it
	logged *logBuffer
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newWorld starts a server with one channel, at "/line". around may change the
// server before it serves.
func newWorld(t *testing.T, o sse.Options, limits kanava.Limits, around ...func(*http.Server)) *world {
	t.Helper()
	w := &world{t: t, dials: make(chan net.Conn), joined: make(chan struct{}, 100), left: make(chan ending, 100), gate: make(chan struct{}), logged: &logBuffer{}}
	w.srv = kanava.NewServer(kanava.Options[none]{
		Origins:     []string{"https://app.example.com"},
		DrainSpread: time.Second,
		Logger:      slog.New(slog.NewTextHandler(w.logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	w.srv.Wire(w.channel("line", limits))
	w.web = &http.Server{Handler: sse.Handler(w.srv, o), ErrorLog: log.New(io.Discard, "", 0)}
	for _, f := range around {
		f(w.web)
	}
	w.client = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case w.dials <- theirs:
			return ours, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}}
	served := make(chan struct{})
	go func() { // ends when the server is closed
		defer close(served)
		_ = w.web.Serve(&pipeListener{w.dials, make(chan struct{}), sync.Once{}})
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), transporttest.Patience)
		defer cancel()
		w.client.CloseIdleConnections()
		if err := w.srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		w.web.Close()
		<-served
	})
	return w
}

type text struct {
	Text string `json:"text"`
}

func (w *world) channel(name string, limits kanava.Limits) kanava.Wiring[none, none] {
	return kanava.Wiring[none, none]{
		Name: name, Route: "/" + name, Public: true, Limits: limits,
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *line) (none, error) {
			err := w.srv.EventHub().Subscribe(ctx, "news", ch.ID())
			w.joined <- struct{}{}
			return none{}, err
		}),
		OnDisconnect: kanava.DisconnectFunc(func(_ context.Context, ch *line) error {
			code, reason := ch.Closed()
			w.left <- ending{code, reason}
			return nil
		}),
		OnMessage: kanava.Func(func(_ context.Context, _ *line, in string) (string, error) { return in, nil }),
		OnBinary:  kanava.BinaryFunc(func(_ context.Context, _ *line, in []byte) ([]byte, error) { return in, nil }),
		Messages: kanava.By("action",
			kanava.OnDo("ping", func(context.Context, *line, none) error { return nil }),
			kanava.OnDo("wait", func(ctx context.Context, _ *line, _ none) error {
				select {
				case <-w.gate:
				case <-ctx.Done():
				}
				return ctx.Err()
			}),
			kanava.OnDo("quit", func(ctx context.Context, ch *line, in text) error { return ch.Close(ctx, 4201, in.Text) }),
		),
	}
}

type pipeListener struct {
	dials  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case nc := <-l.dials:
		return nc, nil
	case <-l.closed:
		return nil, errors.New("the listener is closed")
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// do sends a request. The fields are pairs of names and values.
func (w *world) do(method, path string, body io.Reader, fields ...string) *http.Response {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, "http://kanava.test"+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	if req.Header.Get("Content-Length") == "0" {
		req.ContentLength = 0
	}
	res, err := w.client.Do(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	w.t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// plain opens a plain connection.
func (w *world) plain() *conn {
	w.t.Helper()
	res := w.do(http.MethodGet, "/line", nil, "Accept", "text/event-stream")
	c := &conn{w: w, res: res, r: newReader(res.Body)}
	if c.secret = res.Header.Get("Kanava-Up"); res.StatusCode != http.StatusOK || c.secret == "" {
		w.t.Fatalf("got %s %v", res.Status, res.Header)
	}
	c.want(event{name: "up", data: c.secret})
	<-w.joined
	return c
}

// envelope opens a connection of kanava.v1.
func (w *world) envelope() *conn {
	w.t.Helper()
	res := w.do(http.MethodPost, "/line", strings.NewReader(`{"hello":{}}`),
		"Accept", "text/event-stream", "Kanava-Protocol", "kanava.v1", "Content-Type", "application/json")
	c := &conn{w: w, res: res, r: newReader(res.Body)}
	open := c.next().data
	_, up, _ := strings.Cut(open, `"up":"`)
	if c.secret, _, _ = strings.Cut(up, `"`); res.StatusCode != http.StatusOK || c.secret == "" {
		w.t.Fatalf("got %s, %s", res.Status, open)
	}
	c.want(event{data: `{"push":""}`})
	<-w.joined
	if sub := c.next().data; !strings.HasPrefix(sub, `{"sub":"news",`) {
		w.t.Fatalf("got %s", sub)
	}
	return c
}

// conn is a connection as its client sees it.
type conn struct {
	w      *world
	res    *http.Response
	r      *reader
	secret string
	seq    int
}

func (c *conn) next() event {
	c.w.t.Helper()
	e, err := c.r.next()
	if err != nil {
		c.w.t.Fatalf("read: %v", err)
	}
	return e
}

func (c *conn) want(want event) {
	c.w.t.Helper()
	if got := c.next(); got != want {
		c.w.t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

// wantEnd demands the end of the response, as HTTP ends it.
func (c *conn) wantEnd() {
	c.w.t.Helper()
	if e, err := c.r.next(); !errors.Is(err, io.EOF) {
		c.w.t.Fatalf("got %+v, %v, want the end", e, err)
	}
}

// leave ends the request.
func (c *conn) leave() { _ = c.res.Body.Close() }

// postAs sends a body up.
func (c *conn) postAs(number int, contentType, body string) *http.Response {
	c.w.t.Helper()
	return c.w.do(http.MethodPost, "/line", strings.NewReader(body),
		"Kanava-Up", c.secret, "Kanava-Seq", strconv.Itoa(number), "Content-Type", contentType)
}

// post sends the next messages up, and demands the status.
func (c *conn) post(status int, body string) *http.Response {
	c.w.t.Helper()
	c.seq++
	return c.w.wantStatus(c.postAs(c.seq, "application/json", body), status)
}

func (w *world) wantStatus(res *http.Response, status int) *http.Response {
	w.t.Helper()
	if res.StatusCode != status {
		body, err := io.ReadAll(res.Body)
		w.t.Fatalf("got %s, want %d\n%s %v", res.Status, status, body, err)
	}
	return res
}

// wantBody demands a status and the code of the error object.
func (w *world) wantError(res *http.Response, status int, code kanava.Code) {
	w.t.Helper()
	w.wantStatus(res, status)
	body, err := io.ReadAll(res.Body)
	if err != nil || !strings.HasPrefix(string(body), `{"error":{"code":"`+string(code)+`","message":"`) {
		w.t.Fatalf("got %s, %v, want the code %s", body, err, code)
	}
	if res.Header.Get("Content-Type") != "application/json" {
		w.t.Fatalf("the error has the type %q", res.Header.Get("Content-Type"))
	}
}

// wantLeft demands that OnDisconnect has seen this.
func (w *world) wantLeft(want ending) {
	w.t.Helper()
	select {
	case got := <-w.left:
		if got != want {
			w.t.Fatalf("OnDisconnect saw %+v, want %+v", got, want)
		}
	case <-time.After(2 * transporttest.Patience):
		w.t.Fatal("OnDisconnect did not run")
	}
}

func (w *world) publish(v any) {
	w.t.Helper()
	if err := w.srv.EventHub().Publish(context.Background(), "news", v); err != nil {
		w.t.Fatal(err)
	}
}
