package ws

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"

	"github.com/kanava-go/kanava"
)

// recorder keeps what a Dispatcher is asked.
type recorder struct {
	kanava.Dispatcher
	req *kanava.OpenRequest
}

func (r *recorder) Open(ctx context.Context, req *kanava.OpenRequest, peer kanava.Peer) (*kanava.Link, error) {
	r.req = req
	return r.Dispatcher.Open(ctx, req, peer)
}

type echoParams struct {
	Room string `json:"room" query:"room" maxLength:"5"`
}

type echoText struct {
	Text string `json:"text"`
}

// newEcho returns a server with one channel, at /echo, that says everything
// back. Its connections are gone before the test ends.
func newEcho(t *testing.T) *recorder {
	t.Helper()
	type channel = kanava.Channel[echoParams, kanava.None]
	srv := kanava.NewServer(kanava.Options[kanava.None]{
		Subprotocols: []string{"chat.v2"},
		Authenticate: func(_ context.Context, r *kanava.OpenRequest) (*kanava.None, error) {
			if r.Token == "wrong" {
				return nil, kanava.Errorf(kanava.CodeUnauthenticated, "wrong token")
			}
			return nil, nil
		},
	})
	srv.Wire(kanava.Wiring[echoParams, kanava.None]{
		Name: "echo", Route: "/echo", Public: true,
		OnMessage: kanava.Func(func(_ context.Context, _ *channel, in echoText) (echoText, error) { return in, nil }),
	})
	t.Cleanup(func() {
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &recorder{Dispatcher: srv}
}

// request is the handshake of RFC 6455 section 1.2. A change with an empty
// value removes the field; one whose name ends in + comes on top; "GET" is the
// request line.
func request(changes ...string) string {
	fields := []string{
		"GET", "/echo?room=a HTTP/1.1", "Host", "server.example.com", "Upgrade", "websocket", "Connection", "Upgrade",
		"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version", "13",
	}
	for i := 0; i < len(changes); i += 2 {
		if at := slices.Index(fields, changes[i]); at >= 0 {
			fields[at+1] = changes[i+1]
			continue
		}
		fields = append(fields, changes[i], changes[i+1])
	}
	var b strings.Builder
	for i := 0; i < len(fields); i += 2 {
		switch {
		case fields[i] == "GET":
			line := fields[i+1]
			if strings.HasPrefix(line, "/") {
				line = "GET " + line
			}
			b.WriteString(line + "\r\n")
		case fields[i+1] != "":
			fmt.Fprintf(&b, "%s: %s\r\n", strings.TrimSuffix(fields[i], "+"), fields[i+1])
		}
	}
	return b.String() + "\r\n"
}

// front is a way to serve the connections of a Dispatcher: a handler or a
// *Server.
type front func(d kanava.Dispatcher, o Options) any

// onFronts runs a test with each.
func onFronts(t *testing.T, test func(t *testing.T, serve front)) {
	t.Helper()
	for name, f := range map[string]front{
		"handler": func(d kanava.Dispatcher, o Options) any { return Handler(d, o) },
		"server":  func(d kanava.Dispatcher, o Options) any { return NewServer(d, o) },
		"server with goroutines": func(d kanava.Dispatcher, o Options) any {
			s := NewServer(d, o)
			s.h.stream = true
			return s
		},
	} {
		t.Run(name, func(t *testing.T) { test(t, f) })
	}
}

// listen starts what a front has returned, until the test ends.
func listen(t *testing.T, served any) (addr string) {
	t.Helper()
	s, ok := served.(*Server)
	if !ok {
		web := httptest.NewServer(served.(http.Handler))
		t.Cleanup(web.Close)
		return web.Listener.Addr().String()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-over; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

// shake sends bytes that begin with a request to what a front has returned, and
// returns the response and the rest of the connection.
func shake(t *testing.T, served any, bytes string) (*http.Response, *client) {
	t.Helper()
	nc, err := net.Dial("tcp", listen(t, served))
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, nc)
	c.write([]byte(bytes))
	r := bufio.NewReader(nc)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	c.nc = bufferedConn{nc, r}
	return res, c
}

type bufferedConn struct {
	net.Conn
	r *bufio.Reader
}

func (c bufferedConn) Read(b []byte) (int, error) { return c.r.Read(b) }

// wantError checks a refusal: status, and code and part of the message in its
// body.
func wantError(t *testing.T, res *http.Response, status int, code kanava.Code, text string) {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var body struct {
		Error struct {
			Code    kanava.Code
			Message string
		}
	}
	if err := json.Unmarshal(b, &body); err != nil {
		t.Fatalf("%v in %d %q", err, res.StatusCode, b)
	}
	if res.StatusCode != status || body.Error.Code != code || !strings.Contains(body.Error.Message, text) {
		t.Errorf("%d %s, want %d, %s and %q", res.StatusCode, b, status, code, text)
	}
}

func TestHandshake(t *testing.T) { onFronts(t, testHandshake) }

func testHandshake(t *testing.T, serve front) {
	d := newEcho(t)
	res, c := shake(t, serve(d, Options{}), request())
	want := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Sec-Websocket-Accept": {"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="}}
	if diff := cmp.Diff(want, res.Header); res.StatusCode != http.StatusSwitchingProtocols || diff != "" {
		t.Errorf("%s\nheader (-want +got):\n%s", res.Status, diff)
	}
	if d.req.URL.String() != "/echo?room=a" || d.req.Host != "server.example.com" || d.req.RemoteAddr != c.nc.LocalAddr().String() {
		t.Errorf("opened with %+v", d.req)
	}
	c.write(message(`{"text":"hi"}`))
	c.want(ws.OpText, `{"text":"hi"}`)
	c.write(closeFrame(1000, ""))
	c.wantClose(1000)
	c.wantEOF()
}

// Fields are compared as RFC 9110 wants, and other upgrades may stand beside.
func TestHandshakeLists(t *testing.T) { onFronts(t, testHandshakeLists) }

func testHandshakeLists(t *testing.T, serve front) {
	res, c := shake(t, serve(newEcho(t), Options{}), request("Upgrade", "h2c, WebSocket", "Connection", "keep-alive, UPGRADE"))
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("status %s", res.Status)
	}
	c.nc.Close()
}

// What a client sends right behind its request is not lost.
func TestHandshakePipelined(t *testing.T) { onFronts(t, testHandshakePipelined) }

func testHandshakePipelined(t *testing.T, serve front) {
	early := strings.Repeat(string(message(`{"text":"early"}`)), 3)
	_, c := shake(t, serve(newEcho(t), Options{}), request()+early+string(closeFrame(1000, "")))
	c.wantClose(1000)
	c.wantEOF()

	_, c = shake(t, serve(newEcho(t), Options{}), request()+early)
	for range 3 {
		c.want(ws.OpText, `{"text":"early"}`)
	}
	c.nc.Close()
}

func TestHandshakeRefused(t *testing.T) { onFronts(t, testHandshakeRefused) }

func testHandshakeRefused(t *testing.T, serve front) {
	key := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	tests := []struct {
		proves  string
		request string
		status  int
		code    kanava.Code
		text    string
		header  string // that the response has
	}{
		{"no upgrade", request("Upgrade", "", "Connection", "", "Sec-WebSocket-Key", ""), 426, "failed_precondition", "WebSocket", "Upgrade: websocket"},
		{"another upgrade", request("Upgrade", "h2c", "Sec-WebSocket-Key", ""), 426, "failed_precondition", "WebSocket", "Connection: Upgrade"},
		{"a proxy has removed the upgrade", request("Upgrade", "", "Connection", ""), 426, "failed_precondition", "proxy", ""},
		{"not GET", request("GET", "POST /echo HTTP/1.1"), 405, "invalid_argument", "GET", "Allow: GET"},
		{"HTTP/1.0", request("GET", "/echo HTTP/1.0"), 400, "invalid_argument", "HTTP/1.1", ""},
		{"a body", request("Content-Length", "3") + "abc", 400, "invalid_argument", "body", ""},
		{"no key", request("Sec-WebSocket-Key", ""), 400, "invalid_argument", "Sec-WebSocket-Key", ""},
		{"a short key", request("Sec-WebSocket-Key", key(15)), 400, "invalid_argument", "Sec-WebSocket-Key", ""},
		{"a long key", request("Sec-WebSocket-Key", key(17)), 400, "invalid_argument", "Sec-WebSocket-Key", ""},
		{"a key that is not base64", request("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ!!"), 400, "invalid_argument", "Sec-WebSocket-Key", ""},
		{"two keys", request("Sec-WebSocket-Key+", key(16)), 400, "invalid_argument", "Sec-WebSocket-Key", ""},
		{"no version", request("Sec-WebSocket-Version", ""), 426, "failed_precondition", "13", "Sec-WebSocket-Version: 13"},
		{"an old version", request("Sec-WebSocket-Version", "8"), 426, "failed_precondition", "13", "Sec-WebSocket-Version: 13"},
		{"a malformed subprotocol", request("Sec-WebSocket-Protocol", "a b"), 400, "invalid_argument", "malformed", ""},
		{"a credential that is not base64url", request("Sec-WebSocket-Protocol", "kanava.bearer.a+b"), 400, "invalid_argument", "base64url", ""},
		{"a path without a channel", request("GET", "/other HTTP/1.1"), 404, "not_found", "", ""},
		{"another origin", request("Origin", "https://evil.example.com"), 403, "permission_denied", "", ""},
		{"bad opening data", request("GET", "/echo?room=toolong HTTP/1.1"), 400, "invalid_argument", "", ""},
		{"a wrong token", request("Authorization", "Bearer wrong"), 401, "unauthenticated", "wrong token", "Content-Type: application/json"},
	}
	for _, tt := range tests {
		t.Run(tt.proves, func(t *testing.T) {
			res, _ := shake(t, serve(newEcho(t), Options{}), tt.request)
			wantError(t, res, tt.status, tt.code, tt.text)
			name, value, _ := strings.Cut(tt.header, ": ")
			if res.Close && name == "Connection" {
				return // ReadResponse takes that away
			}
			if name != "" && res.Header.Get(name) != value {
				t.Errorf("%s is %q, want %q", name, res.Header.Get(name), value)
			}
		})
	}
}

func TestCredentials(t *testing.T) { onFronts(t, testCredentials) }

func testCredentials(t *testing.T, serve front) {
	bearer := "kanava.bearer." + base64.RawURLEncoding.EncodeToString([]byte("from/subprotocol?"))
	tests := []struct {
		proves  string
		request string
		token   string
		offered []string
		passed  []string // Sec-WebSocket-Protocol in the header
		answer  string
	}{
		{"nothing offered", request(), "", nil, nil, ""},
		{"an Authorization field", request("Authorization", "bearer abc"), "abc", nil, nil, ""},
		{"another scheme", request("Authorization", "Basic abc"), "", nil, nil, ""},
		{"a subprotocol", request("Sec-WebSocket-Protocol", "kanava.plain, "+bearer), "from/subprotocol?", []string{"kanava.plain"}, []string{"kanava.plain"}, "kanava.plain"},
		{"a subprotocol alone", request("Sec-WebSocket-Protocol", bearer), "from/subprotocol?", nil, nil, ""},
		{"both", request("Sec-WebSocket-Protocol", bearer, "Authorization", "Bearer abc"), "abc", nil, nil, ""},
		{
			"several fields", request("Sec-WebSocket-Protocol", "x, chat.v2", "Sec-WebSocket-Protocol+", bearer+",y"),
			"from/subprotocol?",
			[]string{"x", "chat.v2", "y"},
			[]string{"x, chat.v2, y"},
			"chat.v2",
		},
	}
	for _, tt := range tests {
		t.Run(tt.proves, func(t *testing.T) {
			d := newEcho(t)
			res, c := shake(t, serve(d, Options{}), tt.request)
			if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-WebSocket-Protocol") != tt.answer {
				t.Errorf("%s, subprotocol %q, want %q", res.Status, res.Header.Get("Sec-WebSocket-Protocol"), tt.answer)
			}
			if d.req.Token != tt.token || !slices.Equal(d.req.Subprotocols, tt.offered) || !slices.Equal(d.req.Header["Sec-Websocket-Protocol"], tt.passed) {
				t.Errorf("token %q, subprotocols %q, header %q", d.req.Token, d.req.Subprotocols, d.req.Header["Sec-Websocket-Protocol"])
			}
			c.nc.Close()
		})
	}
}

// Who speaks only a newer protocol is told so after the handshake, where a
// browser can read it.
func TestUnknownProtocol(t *testing.T) { onFronts(t, testUnknownProtocol) }

func testUnknownProtocol(t *testing.T, serve front) {
	res, c := shake(t, serve(newEcho(t), Options{}), request("Sec-WebSocket-Protocol", "kanava.v99"))
	if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-WebSocket-Protocol") != "kanava.v99" {
		t.Errorf("%s, header %v", res.Status, res.Header)
	}
	c.want(ws.OpText, `{"away":{"code":4426}}`)
	c.wantClose(4426)
	c.write(closeFrame(4426, ""))
	c.wantEOF()
}

func TestFallback(t *testing.T) {
	fallback := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "fallback ", r.Method) })
	res, _ := shake(t, Handler(newEcho(t), Options{Fallback: fallback}), request("GET", "POST /echo HTTP/1.1", "Upgrade", "", "Content-Length", "0"))
	if b, _ := io.ReadAll(res.Body); string(b) != "fallback POST" {
		t.Errorf("%s %q", res.Status, b)
	}
}

func TestHTTP2(t *testing.T) {
	srv := httptest.NewUnstartedServer(Handler(newEcho(t), Options{}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	get := func(change func(*http.Request)) *http.Response {
		req := httptest.NewRequest(http.MethodGet, srv.URL+"/echo", nil)
		req.RequestURI = ""
		change(req)
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		if res.ProtoMajor != 2 {
			t.Fatalf("speaks %s", res.Proto)
		}
		return res
	}
	res := get(func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "x") })
	wantError(t, res, http.StatusHTTPVersionNotSupported, kanava.CodeUnimplemented, "HTTP/1.1 here, not HTTP/2.0")
	res = get(func(*http.Request) {})
	wantError(t, res, http.StatusUpgradeRequired, kanava.CodeFailedPrecondition, "WebSocket")
	if res.Header.Get("Upgrade") != "" {
		t.Error("HTTP/2 has no Upgrade field")
	}
}

// A writer that cannot be hijacked is a mistake of the program; the link that
// was opened is ended all the same, or Shutdown would wait for it.
func TestNoHijacker(t *testing.T) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request())))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	Handler(newEcho(t), Options{}).ServeHTTP(w, r)
	wantError(t, w.Result(), http.StatusInternalServerError, kanava.CodeInternal, "http.Hijacker")
}

// wrapper is what a logging handler puts around a writer.
type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Handlers around this one may wrap the writer and set header fields.
func TestWrappedWriter(t *testing.T) {
	h := Handler(newEcho(t), Options{})
	res, c := shake(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		w.Header().Set("Upgrade", "nonsense")
		w.Header().Set("Content-Type", "text/html")
		h.ServeHTTP(wrapper{w}, r)
	}), request())
	if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Set-Cookie") != "a=b" || len(res.Header["Upgrade"]) != 1 || res.Header.Get("Content-Type") != "" {
		t.Errorf("%s, header %v", res.Status, res.Header)
	}
	c.nc.Close()
}

func TestWrongOptions(t *testing.T) {
	for _, o := range []Options{{Ping: -1}, {PongWait: -1}, {WriteStall: -1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v is accepted", o)
				}
			}()
			Handler(newEcho(t), o)
		}()
	}
}
