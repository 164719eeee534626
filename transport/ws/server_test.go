package ws

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/kanava-go/kanava"
)

// onServers runs a test with both kinds of standalone servers.
func onServers(t *testing.T, test func(t *testing.T, serve front)) {
	t.Helper()
	onFronts(t, func(t *testing.T, serve front) {
		if !strings.HasSuffix(t.Name(), "handler") {
			test(t, serve)
		}
	})
}

// What net/http refuses before a handler sees it is refused here too.
func TestServerRefusesBadHeads(t *testing.T) {
	for name, tt := range map[string]struct {
		head   string
		status int
		code   kanava.Code
	}{
		"no HTTP":             {"hello\r\n\r\n", 400, "invalid_argument"},
		"no Host":             {request("Host", ""), 400, "invalid_argument"},
		"two Hosts":           {request("Host+", "other"), 400, "invalid_argument"},
		"a control character": {request("X-A", "a\x01b"), 400, "invalid_argument"},
		"a bad field":         {request("X A", "b"), 400, "invalid_argument"},
		"chunks":              {request("Transfer-Encoding", "chunked"), 400, "invalid_argument"},
		"a long head":         {request("X-A", strings.Repeat("a", maxHead)), 431, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			onServers(t, func(t *testing.T, serve front) {
				res, c := shake(t, serve(newEcho(t), Options{}), tt.head)
				wantError(t, res, tt.status, tt.code, "")
				if !res.Close {
					t.Error("the response does not say that the connection closes")
				}
				c.wantEOF()
			})
		})
	}
}

// A request may come in any parts, with what follows it.
func TestServerTakesPartsOfAHead(t *testing.T) {
	onServers(t, func(t *testing.T, serve front) {
		nc, err := net.Dial("tcp", listen(t, serve(newEcho(t), Options{})))
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, nc)
		for _, part := range split([]byte(request()+string(message(`{"text":"early"}`))), 7) {
			c.write(part)
		}
		r := bufio.NewReader(nc)
		if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(res, err)
		}
		c.nc = bufferedConn{nc, r}
		c.want(ws.OpText, `{"text":"early"}`)
		nc.Close()
	})
}

// A client that does not finish its request, or one that was refused and does
// not leave, is cut.
func TestServerCutsWhoDoesNotAsk(t *testing.T) {
	onServers(t, func(t *testing.T, serve front) {
		s := serve(newEcho(t), Options{}).(*Server)
		s.headTime = 100 * time.Millisecond
		addr := listen(t, s)
		for _, begin := range []string{"", "GET /echo HT", request()[:60]} {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if _, err := io.WriteString(nc, begin); err != nil {
				t.Fatal(err)
			}
			_ = nc.SetReadDeadline(time.Now().Add(20 * time.Second))
			if got, err := io.ReadAll(nc); len(got) > 0 || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("read %q, %v", got, err)
			}
		}
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := io.WriteString(nc, "nonsense\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		for { // it goes on until the server has had enough
			if _, err := nc.Write(make([]byte, 1000)); err != nil {
				break
			}
		}
	})
}

// Shutdown ends who has not asked for anything yet, and waits for who has.
func TestServerShutdown(t *testing.T) {
	onServers(t, func(t *testing.T, serve front) {
		entered, release := make(chan struct{}), make(chan struct{})
		srv := kanava.NewServer(kanava.Options[kanava.None]{
			Authenticate: func(context.Context, *kanava.OpenRequest) (*kanava.None, error) {
				close(entered)
				<-release
				return nil, nil
			},
		})
		srv.Wire(kanava.Wiring[kanava.None, kanava.None]{Name: "echo", Route: "/echo", Public: true})
		s := serve(srv, Options{}).(*Server)
		addr := listen(t, s)
		silent, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		if _, err := io.WriteString(silent, "GET"); err != nil {
			t.Fatal(err)
		}
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, nc)
		c.write([]byte(request()))
		<-entered
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown while a handshake is under way: %v", err)
		}
		if got, _ := io.ReadAll(silent); len(got) > 0 {
			t.Errorf("a client that has asked nothing is told %q", got)
		}
		if _, err := net.Dial("tcp", addr); err == nil {
			t.Error("the server still listens")
		}
		close(release)
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if res, err := http.ReadResponse(bufio.NewReader(nc), nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("%v, %v", res, err)
		}
		nc.Close()
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A client whose authentication blocks delays no other, and when it leaves, the
// authentication is told so.
func TestServerAuthenticatesBesideOthers(t *testing.T) {
	entered, left := make(chan struct{}), make(chan struct{})
	srv := kanava.NewServer(kanava.Options[kanava.None]{
		Authenticate: func(ctx context.Context, r *kanava.OpenRequest) (*kanava.None, error) {
			if r.Token == "slow" {
				close(entered)
				<-ctx.Done()
				close(left)
			}
			return nil, ctx.Err()
		},
	})
	srv.Wire(kanava.Wiring[kanava.None, kanava.None]{Name: "echo", Route: "/echo", Public: true})
	addr := listen(t, NewServer(srv, Options{}))
	dial := func(changes ...string) net.Conn {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		if _, err := io.WriteString(nc, request(changes...)); err != nil {
			t.Fatal(err)
		}
		return nc
	}
	slow := dial("Authorization", "Bearer slow")
	<-entered
	for range 20 {
		nc := dial()
		if res, err := http.ReadResponse(bufio.NewReader(nc), nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(res, err)
		}
		nc.Close()
	}
	slow.Close()
	<-left
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// On a port with TLS, whoever speaks none is cut, at once or when its time is
// over, and keeps nobody else out.
func TestServerWithTLS(t *testing.T) {
	cert := httptest.NewTLSServer(nil)
	defer cert.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, over := NewServer(newEcho(t), Options{}), make(chan error, 1)
	s.headTime = 300 * time.Millisecond
	go func() {
		over <- s.Serve(tls.NewListener(l, &tls.Config{Certificates: cert.TLS.Certificates, MinVersion: tls.VersionTLS12}))
	}()
	for _, begin := range []string{"", request(), "\x16\x03\x01"} {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := io.WriteString(nc, begin); err != nil {
			t.Fatal(err)
		}
		_ = nc.SetReadDeadline(time.Now().Add(20 * time.Second))
		if got, err := io.ReadAll(nc); errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(string(got), "HTTP") {
			t.Errorf("after %q read %q, %v", begin, got, err)
		}
	}
	roots := cert.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	nc, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, nc)
	c.write([]byte(request()))
	r := bufio.NewReader(nc)
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-over; !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve: %v", err)
	}
	c.nc = bufferedConn{nc, r}
	c.write(message(`{"text":"open after Shutdown"}`))
	c.want(ws.OpText, `{"text":"open after Shutdown"}`)
	nc.Close()
}
