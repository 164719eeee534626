package nginx_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/sse"
	"github.com/kanava-go/kanava/transport/ws"
)

// serveBoth serves WebSocket, and server-sent events as its fallback.
func serveBoth(t *testing.T, o sse.Options) *upstream {
	return serve(t, func(d kanava.Dispatcher) http.Handler { return ws.Handler(d, ws.Options{Fallback: sse.Handler(d, o)}) })
}

// eventClient is a client of server-sent events behind nginx.
type eventClient struct {
	t      *testing.T
	http   *http.Client
	url    string
	lines  *bufio.Reader
	secret string
	seq    int
	leave  context.CancelFunc
}

// request sends one request. The fields are pairs of names and values.
func (c *eventClient) request(ctx context.Context, method, body string, fields ...string) *http.Response {
	c.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, c.url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body == "" {
		req.Body, req.ContentLength = nil, 0
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	res, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { res.Body.Close() })
	return res
}

// listen opens a plain connection, and reads the welcome.
func listen(t *testing.T, h *http.Client, addr string) *eventClient {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &eventClient{t: t, http: h, url: "http://" + addr + "/rooms/general", leave: cancel}
	t.Cleanup(cancel)
	res := c.request(ctx, http.MethodGet, "", "Accept", "text/event-stream", "Origin", "http://"+addr)
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("got %s, %v", res.Status, res.Header)
	}
	c.secret = res.Header.Get("Kanava-Up")
	c.lines = bufio.NewReader(res.Body)
	c.expect("event: up", "data: "+c.secret, "", `data: "general from 127.0.0.1 to `+addr+`"`, "")
	return c
}

// expect reads lines. What does not come in time fails the test.
func (c *eventClient) expect(want ...string) {
	c.t.Helper()
	late := time.AfterFunc(patience, c.leave)
	defer late.Stop()
	for _, w := range want {
		got, err := c.lines.ReadString('\n')
		if err != nil || got != w+"\n" {
			c.t.Fatalf("got %.200q, %v, want %.200q", got, err, w)
		}
	}
}

// post sends messages up.
func (c *eventClient) post(contentType, body string) {
	c.t.Helper()
	c.seq++
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	res := c.request(ctx, http.MethodPost, body, "Kanava-Up", c.secret, "Kanava-Seq", strconv.Itoa(c.seq), "Content-Type", contentType)
	if res.StatusCode != http.StatusNoContent {
		text, err := io.ReadAll(res.Body)
		c.t.Fatalf("got %s, %s, %v", res.Status, text, err)
	}
}

// Each event arrives when it is sent, and each message, by both versions of
// HTTP in front of nginx.
func TestEvents(t *testing.T) {
	for _, tt := range []struct {
		version string
		listen  string
		set     func(p *http.Protocols)
	}{
		{"HTTP/1.1", "", func(p *http.Protocols) { p.SetHTTP1(true) }},
		{"HTTP/2", " http2", func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }},
	} {
		t.Run(tt.version, func(t *testing.T) {
			u := serveBoth(t, sse.Options{})
			addr := startNginxListening(t, u.addr, tt.listen)
			tr := &http.Transport{Protocols: new(http.Protocols)}
			tt.set(tr.Protocols)
			defer tr.CloseIdleConnections()
			c := listen(t, &http.Client{Transport: tr}, addr)
			for range 20 {
				c.post("application/json", "\"a\"\n\"b\"\n")
				c.expect(`data: "a"`, "", `data: "b"`, "")
			}
			large := `"` + strings.Repeat("x", 64<<10-2) + `"`
			c.post("application/json", large)
			c.expect("data: "+large, "")
			c.post("application/octet-stream", "a\nb")
			c.expect("event: binary", "data: YQpi", "")

			// nginx tells the server that a client has left.
			c.leave()
			select {
			case code := <-u.left:
				if code != kanava.CloseAbnormal {
					t.Errorf("OnDisconnect saw %d", code)
				}
			case <-time.After(patience):
				t.Error("the server does not know that the client has left")
			}
		})
	}
}

// kanava.v1 is opened by POST.
func TestEventsOfAnEnvelope(t *testing.T) {
	addr := startNginx(t, serveBoth(t, sse.Options{}).addr)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := &eventClient{t: t, http: http.DefaultClient, url: "http://" + addr + "/rooms/general", leave: cancel}
	res := c.request(ctx, http.MethodPost, `{"hello":{}}`, "Accept", "text/event-stream", "Kanava-Protocol", "kanava.v1", "Content-Type", "application/json")
	c.lines = bufio.NewReader(res.Body)
	open, err := c.lines.ReadString('\n')
	_, up, found := strings.Cut(open, `"up":"`)
	if res.StatusCode != http.StatusOK || err != nil || !found {
		t.Fatalf("got %s, %s, %v", res.Status, open, err)
	}
	c.secret, _, _ = strings.Cut(up, `"`)
	c.expect("", `data: {"push":"","v":"general from 127.0.0.1 to `+addr+`"}`, "")
	c.post("application/json", `{"do":"","in":"hi","id":1}`)
	c.expect(`data: {"re":1,"out":"hi"}`, "")
	c.post("application/json", `{"bin":"AAE="}`)
	c.expect(`data: {"bin":"AAE="}`, "")
}

// An nginx that compresses events keeps them for itself until there are
// enough, unless the header asks it not to.
func TestEventsThatAreCompressed(t *testing.T) {
	for _, tt := range []struct {
		proves string
		wrap   func(http.ResponseWriter) http.ResponseWriter
		come   bool
	}{
		{"with X-Accel-Buffering they come", func(w http.ResponseWriter) http.ResponseWriter { return w }, true},
		{"without it they do not", func(w http.ResponseWriter) http.ResponseWriter { return &withoutHeader{w} }, false},
	} {
		t.Run(tt.proves, func(t *testing.T) {
			u := serve(t, func(d kanava.Dispatcher) http.Handler {
				next := sse.Handler(d, sse.Options{})
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(tt.wrap(w), r) })
			})
			addr := startNginx(t, u.addr, "location / {", "location / { gzip on; gzip_types text/event-stream; gzip_proxied any;")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/rooms/general", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept", "text/event-stream")
			var n int64
			res, err := http.DefaultClient.Do(req) // asks for gzip
			if err == nil {
				defer res.Body.Close()
				if !res.Uncompressed {
					t.Error("nginx compresses nothing")
				}
				n, err = io.Copy(io.Discard, res.Body)
			}
			if come := n > 0; come != tt.come || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %d bytes, %v", n, err)
			}
		})
	}
}

// withoutHeader is a response that loses X-Accel-Buffering.
type withoutHeader struct{ http.ResponseWriter }

func (w *withoutHeader) WriteHeader(status int) {
	w.Header().Del("X-Accel-Buffering")
	w.ResponseWriter.WriteHeader(status)
}

func (w *withoutHeader) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Silence lasts as long as proxy_read_timeout at most: comments break it.
func TestSilenceOfEvents(t *testing.T) {
	const timeout = time.Second // of nginx
	for _, tt := range []struct {
		proves string
		ping   time.Duration
		alive  bool
	}{
		{"comments keep the stream", timeout / 4, true},
		{"without them nginx cuts it", 20 * timeout, false},
	} {
		t.Run(tt.proves, func(t *testing.T) {
			t.Parallel()
			c := listen(t, http.DefaultClient, startNginx(t, serveBoth(t, sse.Options{Ping: tt.ping}).addr, "75s", "1s"))
			silence := time.AfterFunc(5*timeout/2, c.leave)
			defer silence.Stop()
			var err error
			for err == nil {
				_, err = c.lines.ReadString('\n')
			}
			if alive := errors.Is(err, context.Canceled); alive != tt.alive {
				t.Errorf("the stream ended with %v", err)
			}
		})
	}
}

// A stream that the server ends is told so through nginx.
func TestEventsOfADrain(t *testing.T) {
	u := serveBoth(t, sse.Options{})
	c := listen(t, http.DefaultClient, startNginx(t, u.addr))
	drained := u.drain()
	retry, err := c.lines.ReadString('\n')
	if err != nil || !strings.HasPrefix(retry, "retry: ") {
		t.Errorf("got %q, %v", retry, err)
	}
	c.expect("event: close", `data: {"code":4503,"reason":"draining 0-5000"}`, "")
	if _, err := c.lines.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}
