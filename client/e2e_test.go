package client_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/kanava-go/kanava/client"
	"github.com/kanava-go/kanava/transport/ws"
)

// The client and a real server, over loopback.

func TestCallsEventsAndPushes(t *testing.T) {
	ctx := within(t)
	url := serve(t, nil)
	events, notices, states := make(chan say, 10), make(chan say, 10), make(chan client.State, 10)
	c := dial(t, url, opening{"general"}, options{
		Authenticate: signIn,
		Setup: func(c *chat) {
			c.OnRoom("general", func(v say) { events <- v })
			client.OnPush(c.Conn, "notice", func(v say) { notices <- v })
			c.OnState(func(s client.State) { states <- s })
		},
	})
	w, err := client.Opened[welcome](ctx, c.Conn)
	if err != nil || w.Welcome != "Welcome to general" {
		t.Fatal(w, err)
	}
	for _, want := range []client.Phase{client.Connecting, client.Greeting, client.Open} {
		if s := wait(t, states); s.Phase != want {
			t.Fatalf("%+v, want %s", s, want)
		}
	}
	got, err := c.Say(ctx, say{"hi"})
	if err != nil || got.Message != "ann: hi" {
		t.Fatal(got, err)
	}
	if ev := wait(t, events); ev != got {
		t.Errorf("event %v", ev)
	}
	if err := client.Do(ctx, c.Conn, "", "note", say{"psst"}); err != nil {
		t.Fatal(err)
	}
	if v := wait(t, notices); v.Message != "psst" {
		t.Errorf("push %v", v)
	}
	if v, err := client.Call[say](ctx, c.Conn, "", "", say{"echo"}); err != nil || v.Message != "echo" {
		t.Errorf("OnMessage: %v %v", v, err)
	}
}

func TestErrors(t *testing.T) {
	ctx := within(t)
	c := dial(t, serve(t, nil), opening{"general"}, options{Authenticate: signIn})
	_, err := c.Say(ctx, say{string(bytes.Repeat([]byte("x"), 101))})
	var e *client.Error
	if !errors.As(err, &e) || e.Code != client.CodeInvalidArgument || len(e.Details) != 1 || e.Details[0].Pointer != "/message" {
		t.Errorf("too long: %+v", e)
	}
	if err := client.Do(ctx, c.Conn, "", "nothing", nil); codeOf(err) == "" {
		t.Errorf("an action that there is not: %v", err)
	}
	canceled, cancel := context.WithCancel(ctx)
	go cancel()
	err = client.Do(canceled, c.Conn, "", "wait", nil)
	if codeOf(err) != client.CodeCanceled || !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestStream(t *testing.T) {
	ctx := within(t)
	c := dial(t, serve(t, nil), opening{"general"}, options{})
	n := 0
	for v, err := range c.Count(ctx, count{100}) {
		if n++; err != nil || v.N != n {
			t.Fatal(v, err)
		}
	}
	if n != 100 {
		t.Errorf("%d items", n)
	}
	for v, err := range c.Count(ctx, count{1 << 30}) { // leaving it cancels
		if err != nil {
			t.Fatal(err)
		}
		if v.N == 10 {
			break
		}
	}
	if _, err := client.Call[say](ctx, c.Conn, "", "", say{"still there"}); err != nil {
		t.Error(err)
	}
}

func TestServersCall(t *testing.T) {
	ctx := within(t)
	c := dial(t, serve(t, nil), opening{"general"}, options{})
	client.Handle(c.Conn, "sure", func(_ context.Context, q question) (count, error) {
		if q.Text == "" {
			return count{}, &client.Error{Code: client.CodeFailedPrecondition, Message: "ask something"}
		}
		return count{len(q.Text)}, nil
	})
	if v, err := client.Call[count](ctx, c.Conn, "", "ask", question{"why?"}); err != nil || v.N != 4 {
		t.Error(v, err)
	}
	if _, err := client.Call[count](ctx, c.Conn, "", "ask", question{}); codeOf(err) != client.CodeFailedPrecondition {
		t.Error(err)
	}
}

func TestBinary(t *testing.T) {
	ctx := within(t)
	c := dial(t, serve(t, nil), opening{"general"}, options{})
	got := make(chan []byte, 1)
	c.OnBinary(func(p []byte) { got <- p })
	if _, err := client.Opened[welcome](ctx, c.Conn); err != nil {
		t.Fatal(err)
	}
	if err := c.SendBinary(ctx, []byte{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	if p := wait(t, got); !bytes.Equal(p, []byte{3, 2, 1}) {
		t.Errorf("% x", p)
	}
}

// A refused sign-in is tried on a second connection and then never again.
func TestRefusedForGood(t *testing.T) {
	ctx := within(t)
	c := dial(t, serve(t, nil), opening{"general"}, options{
		Authenticate: func(ctx context.Context, c *chat) error { return c.Login(ctx, login{"nobody"}) },
	})
	wait(t, c.Done())
	if s := c.State(); s.Phase != client.Closed || s.Code != client.CloseUnauthenticated {
		t.Errorf("%+v", s)
	}
	if _, err := c.Say(ctx, say{"hi"}); codeOf(err) != client.CodeUnavailable {
		t.Error(err)
	}
}

// Over TLS with a server that would rather speak HTTP/2, and through a proxy
// that is asked with CONNECT.
func TestTLSAndProxy(t *testing.T) {
	ctx := within(t)
	srv, _ := newServer()
	hs := httptest.NewUnstartedServer(ws.Handler(srv, ws.Options{}))
	hs.EnableHTTP2 = true
	hs.StartTLS()
	defer hs.Close()
	var connects atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			t.Errorf("the proxy is asked with %s", r.Method)
			return
		}
		connects.Add(1)
		up, err := net.Dial("tcp", r.Host)
		if err != nil {
			t.Error(err)
			return
		}
		defer up.Close()
		down, early, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer down.Close()
		if _, err := io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
			t.Error(err)
			return
		}
		go func() {
			_, _ = io.Copy(up, early) // what the server has read by now, and the rest
			up.Close()
		}()
		_, _ = io.Copy(down, up)
	}))
	defer proxy.Close()
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(hs.Certificate())
	tr := &http.Transport{Proxy: http.ProxyURL(at), TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	c := dial(t, hs.URL, opening{"general"}, options{HTTPClient: &http.Client{Transport: tr}})
	v, err := client.Call[say](ctx, c.Conn, "", "", say{"secret"})
	if err != nil || v.Message != "secret" || connects.Load() != 1 {
		t.Error(v, err, connects.Load())
	}
	c.Close()
}

// What Connect cannot do it says at once.
func TestConnectErrors(t *testing.T) {
	if c, err := connect("mailto:ann", opening{"general"}, options{}); err == nil || c != nil {
		t.Error(c, err)
	}
}

// A call that Setup has begun waits for the connection, and a client that Setup
// has closed never connects.
func TestSetup(t *testing.T) {
	ctx := within(t)
	got := make(chan error, 1)
	c := dial(t, serve(t, nil), opening{"general"}, options{Setup: func(c *chat) {
		begun := make(chan struct{})
		go func() {
			close(begun)
			_, err := client.Call[say](ctx, c.Conn, "", "", say{"early"})
			got <- err
		}()
		<-begun
	}})
	if err := wait(t, got); err != nil {
		t.Error(err)
	}
	c.Close()

	closed := dial(t, "ws://localhost:1", opening{"general"}, options{Setup: func(c *chat) { c.Close() }})
	wait(t, closed.Done())
	if s := closed.State(); s.Phase != client.Closed {
		t.Errorf("%+v", s)
	}
}
