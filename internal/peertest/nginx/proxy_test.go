package nginx_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/testport"
	"github.com/kanava-go/kanava/transport/ws"
)

// Where is the opening data: what the server is told of the client by nginx.
type where struct {
	Room    string `path:"room"`
	Address string `header:"X-Real-IP"`
	Host    string `header:"Host"`
}

type line = kanava.Channel[where, kanava.None]

// upstream is a server behind nginx. It can be stopped, and started again at
// the same address.
type upstream struct {
	t       *testing.T
	handler func(kanava.Dispatcher) http.Handler
	addr    string
	srv     *kanava.Server[kanava.None]
	web     *http.Server
	left    chan kanava.CloseCode // holds what the last OnDisconnect saw
	begun   chan struct{}         // the action "slow" runs
	slow    chan struct{}         // lets it return
}

func newUpstream(t *testing.T, o ws.Options) *upstream {
	t.Helper()
	return serve(t, func(d kanava.Dispatcher) http.Handler { return ws.Handler(d, o) })
}

// serve is newUpstream with any handler.
func serve(t *testing.T, handler func(kanava.Dispatcher) http.Handler) *upstream {
	t.Helper()
	u := &upstream{t: t, handler: handler, addr: testport.Address(t), left: make(chan kanava.CloseCode, 1), begun: make(chan struct{}), slow: make(chan struct{})}
	u.start()
	t.Cleanup(func() { u.web.Close() })
	return u
}

func (u *upstream) start() {
	u.t.Helper()
	ln, err := net.Listen("tcp", u.addr)
	if err != nil {
		u.t.Fatal(err)
	}
	u.srv = kanava.NewServer(kanava.Options[kanava.None]{})
	u.srv.Wire(kanava.Wiring[where, kanava.None]{
		Name: "room", Route: "/rooms/{room}", Public: true,
		OnConnect: kanava.ConnectFunc(func(_ context.Context, ch *line) (string, error) {
			in := ch.Opening()
			return fmt.Sprintf("%s from %s to %s", in.Room, in.Address, in.Host), nil
		}),
		OnDisconnect: kanava.DisconnectFunc(func(_ context.Context, ch *line) error {
			code, _ := ch.Closed()
			select {
			case <-u.left:
			default:
			}
			u.left <- code
			return nil
		}),
		OnMessage: kanava.Func(func(_ context.Context, _ *line, in string) (string, error) { return in, nil }),
		OnBinary:  kanava.BinaryFunc(func(_ context.Context, _ *line, in []byte) ([]byte, error) { return in, nil }),
		Messages: kanava.By("action", kanava.OnDo("slow", func(context.Context, *line, kanava.None) error {
			u.begun <- struct{}{}
			<-u.slow
			return nil
		})),
	})
	u.web = &http.Server{Handler: u.handler(u.srv)}
	go func() { _ = u.web.Serve(ln) }()
}

// drain shuts the channels down, as on SIGTERM; the rest answers on.
func (u *upstream) drain() <-chan error {
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		done <- u.srv.Shutdown(ctx)
	}()
	return done
}

func dial(t *testing.T, addr string, header http.Header) (*client, *http.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, res, err := websocket.Dial(ctx, "ws://"+addr+"/rooms/general", &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		return nil, res, err
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &client{t, conn}, res, nil
}

// join connects, and reads the welcome.
func join(t *testing.T, addr string, header http.Header) *client {
	t.Helper()
	c, _, err := dial(t, addr, header)
	if err != nil {
		t.Fatal(err)
	}
	c.expect(websocket.MessageText, `"general from 127.0.0.1 to `+addr+`"`)
	return c
}

// client is a client whose methods fail the test.
type client struct {
	t    *testing.T
	conn *websocket.Conn
}

func (c *client) send(kind websocket.MessageType, data string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := c.conn.Write(ctx, kind, []byte(data)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) read() (websocket.MessageType, []byte, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	return c.conn.Read(ctx)
}

func (c *client) expect(kind websocket.MessageType, want string) {
	c.t.Helper()
	got, data, err := c.read()
	if err != nil || got != kind || string(data) != want {
		c.t.Fatalf("got %v %.100q (%d bytes), %v, want %v %.100q (%d bytes)", got, data, len(data), err, kind, want, len(want))
	}
}

func (c *client) expectClose(code websocket.StatusCode) {
	c.t.Helper()
	if _, data, err := c.read(); websocket.CloseStatus(err) != code {
		c.t.Fatalf("got %.100q, %v, want the close code %d", data, err, code)
	}
}

// What the server believes of the client is what nginx says, not the client.
func TestUpgrade(t *testing.T) {
	addr := startNginx(t, newUpstream(t, ws.Options{}).addr)
	c := join(t, addr, http.Header{"Origin": {"http://" + addr}, "X-Real-Ip": {"6.6.6.6"}})
	c.send(websocket.MessageText, `"hi"`)
	c.expect(websocket.MessageText, `"hi"`)
}

func TestRefusals(t *testing.T) {
	addr := startNginx(t, newUpstream(t, ws.Options{}).addr)
	_, res, err := dial(t, addr, http.Header{"Origin": {"http://evil.example"}})
	if err == nil {
		t.Fatal("a foreign origin was let in")
	}
	wantRefusal(t, res, http.StatusForbidden, `"code":"permission_denied"`)

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/rooms/general", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err = http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	wantRefusal(t, res, http.StatusUpgradeRequired, "this address is for WebSocket connections")
}

func wantRefusal(t *testing.T, res *http.Response, status int, text string) {
	t.Helper()
	if res == nil {
		t.Fatalf("no response, want %d", status)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != status || !strings.Contains(string(body), text) {
		t.Errorf("got %s, %v\n%s\nwant %d with %s", res.Status, err, body, status, text)
	}
}

func TestLargeMessages(t *testing.T) {
	addr := startNginx(t, newUpstream(t, ws.Options{}).addr)
	const limit = 64 << 10
	c := join(t, addr, nil)
	for range 20 { // what does not fit into nginx's buffers, both ways
		c.send(websocket.MessageBinary, strings.Repeat("b", limit))
		c.send(websocket.MessageText, `"`+strings.Repeat("t", limit-2)+`"`)
	}
	for range 20 {
		c.expect(websocket.MessageBinary, strings.Repeat("b", limit))
		c.expect(websocket.MessageText, `"`+strings.Repeat("t", limit-2)+`"`)
	}

	// Two frames, of which the second is too much, and small: nginx ends the
	// connection together with the server, whatever the client is still sending.
	w, err := c.conn.Writer(t.Context(), websocket.MessageBinary)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{strings.Repeat("b", limit), "b"} {
		if _, err := io.WriteString(w, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c.expectClose(websocket.StatusMessageTooBig)
}

// Silence lasts as long as proxy_read_timeout at most: pings break it.
func TestSilence(t *testing.T) {
	const (
		timeout = time.Second     // of nginx
		silence = 5 * timeout / 2 // of the client
	)
	for _, tt := range []struct {
		proves string
		ping   time.Duration
		alive  bool
	}{
		{"pings keep the connection", timeout / 4, true},
		{"without pings nginx cuts it", 20 * timeout, false},
	} {
		t.Run(tt.proves, func(t *testing.T) {
			t.Parallel()
			u := newUpstream(t, ws.Options{Ping: tt.ping})
			c := join(t, startNginx(t, u.addr, "75s", "1s"), nil)
			ctx, cancel := context.WithTimeout(t.Context(), silence)
			defer cancel()
			_, data, err := c.conn.Read(ctx) // answers pings meanwhile
			if alive := errors.Is(err, context.DeadlineExceeded); alive != tt.alive {
				t.Errorf("after %v of silence: %q, %v", silence, data, err)
			}
		})
	}
}

// Clients of a server that is restarted are told to come back, are told so as
// long as it drains, and find the new one.
func TestRestart(t *testing.T) {
	u := newUpstream(t, ws.Options{})
	addr := startNginx(t, u.addr)
	busy := join(t, addr, nil)
	busy.send(websocket.MessageText, `{"action":"slow"}`)
	<-u.begun
	drained := u.drain()

	// The server drains when it refuses. Until then there is nothing to see.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for ctx.Err() == nil {
		c, res, err := dial(t, addr, nil)
		if err == nil {
			_ = c.conn.CloseNow()
			continue
		}
		wantRefusal(t, res, http.StatusServiceUnavailable, `"code":"unavailable"`)
		if res != nil && res.Header.Get("Retry-After") == "" {
			t.Error("the refusal does not say when to come back")
		}
		break
	}

	close(u.slow)
	busy.expect(websocket.MessageText, `{"action":"slow"}`)
	busy.expectClose(4503)
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	u.web.Close()
	if _, res, err := dial(t, addr, nil); err == nil || res == nil || res.StatusCode != http.StatusBadGateway {
		t.Errorf("without a server nginx answers %v, %v, want 502", res, err)
	}

	u.start()
	c := join(t, addr, nil)
	c.send(websocket.MessageText, `"back"`)
	c.expect(websocket.MessageText, `"back"`)
}
