package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// everywhere runs a test on each router, over TCP, with a client that shares no
// code with Kanava.
func everywhere(t *testing.T, test func(t *testing.T, s *server)) {
	for name, on := range routers {
		t.Run(name, func(t *testing.T) { test(t, start(t, on)) })
	}
}

// server is the program of main, on a free port.
type server struct {
	t    *testing.T
	addr string
	stop func() error // what SIGTERM does
}

func start(t *testing.T, on func(http.Handler) http.Handler) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, ln, on) }()
	s := &server{t, ln.Addr().String(), func() error { cancel(); return <-ended }}
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		default: // stop has taken it
		}
	})
	return s
}

// dial connects to a path. The error is that of the handshake, whose response
// it returns too.
func (s *server) dial(path string, header http.Header) (*client, *http.Response, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	ws, res, err := websocket.Dial(ctx, "ws://"+s.addr+path, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		return nil, res, err
	}
	s.t.Cleanup(func() { _ = ws.CloseNow() })
	return &client{s.t, ws}, res, nil
}

// join connects somebody to a room, and reads the welcome.
func (s *server) join(room, name string) *client {
	s.t.Helper()
	c, _, err := s.dial("/rooms/"+room+"?name="+name, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	c.expect(`{"welcome":"Welcome to ` + room + `, ` + name + `!"}`)
	return c
}

// client is a client whose methods fail the test.
type client struct {
	t  *testing.T
	ws *websocket.Conn
}

func (c *client) send(text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

func (c *client) read() (string, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	_, data, err := c.ws.Read(ctx)
	return string(data), err
}

func (c *client) expect(want string) {
	c.t.Helper()
	if got, err := c.read(); err != nil || got != want {
		c.t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

// talk proves that the connection works both ways.
func (c *client) talk() {
	c.t.Helper()
	c.send(`{"message":"hi"}`)
	c.expect(`{"message":"hi"}`)
}

func TestCall(t *testing.T) {
	everywhere(t, func(_ *testing.T, s *server) {
		c := s.join("general", "Ada")
		c.talk()
		c.send(`{"message":""}`)
		c.expect(`{"error":{"code":"invalid_argument","message":"invalid input","details":[{"pointer":"/message","message":"must have at least 1 character"}]}}`)
		c.talk()
	})
}

// What stands in the path and the query arrives as the client escaped it,
// whatever the router makes of the path itself.
func TestOpeningDataFromPathAndQuery(t *testing.T) {
	everywhere(t, func(t *testing.T, s *server) {
		for path, welcome := range map[string]string{
			"/rooms/general?name=Ada":                 "Welcome to general, Ada!",
			"/rooms/caf%C3%A9%20noir?name=Ren%C3%A9e": "Welcome to café noir, Renée!",
			"/rooms/a%2Fb?name=x%26y":                 "Welcome to a/b, x&y!",
		} {
			c, _, err := s.dial(path, nil)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			c.expect(`{"welcome":"` + welcome + `"}`)
		}
	})
}

func TestEventBetweenClients(t *testing.T) {
	everywhere(t, func(_ *testing.T, s *server) {
		ada, bob, eve := s.join("general", "Ada"), s.join("general", "Bob"), s.join("other", "Eve")
		ada.send(`{"action":"say","message":"hello"}`)
		ada.expect(`{"action":"say"}`)
		bob.expect(`{"topic":"room:general","data":{"name":"Ada","message":"hello"}}`)
		ada.talk() // not told of her own message
		eve.talk() // nor is who is elsewhere
	})
}

// Refusals go through each router as they are: status, type and body.
func TestRefusals(t *testing.T) {
	everywhere(t, func(t *testing.T, s *server) {
		for _, tt := range []struct {
			proves, path string
			header       http.Header
			status       int
			body         string
		}{
			{"opening data is checked", "/rooms/general", nil, http.StatusBadRequest, `"details":[{"pointer":"/name"`},
			{"a foreign origin is refused", "/rooms/general?name=Eve", http.Header{"Origin": {"https://evil.example"}}, http.StatusForbidden, `"code":"permission_denied"`},
			{"there is no such channel", "/rooms/general/more?name=Eve", nil, http.StatusNotFound, `"code":"not_found"`},
		} {
			_, res, err := s.dial(tt.path, tt.header)
			if err == nil || res == nil {
				t.Errorf("%s: connected, or no response: %v", tt.proves, err)
				continue
			}
			body, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != tt.status || res.Header.Get("Content-Type") != "application/json" || !strings.Contains(string(body), tt.body) {
				t.Errorf("%s: got %s, %v\n%s\nwant %d with %s", tt.proves, res.Status, res.Header, body, tt.status, tt.body)
			}
		}
		c, _, err := s.dial("/rooms/general?name=Ada", http.Header{"Origin": {"http://" + s.addr}})
		if err != nil {
			t.Fatalf("the own origin is refused: %v", err)
		}
		c.expect(`{"welcome":"Welcome to general, Ada!"}`)
	})
}

// What is no upgrade is answered as well, and other routes are the router's.
func TestOrdinaryRequests(t *testing.T) {
	everywhere(t, func(t *testing.T, s *server) {
		for _, tt := range []struct {
			method, path string
			status       int
		}{
			{"GET", "/rooms/general?name=Ada", http.StatusUpgradeRequired},
			{"POST", "/rooms/general?name=Ada", http.StatusUpgradeRequired},
			{"GET", "/healthz", http.StatusNoContent},
			{"GET", "/elsewhere", http.StatusNotFound},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, tt.method, "http://"+s.addr+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != tt.status {
				t.Errorf("%s %s: got %s, want %d", tt.method, tt.path, res.Status, tt.status)
			}
		}
	})
}

// A client of a server that is stopped is told to come back, and the server
// ends without an error.
func TestShutdown(t *testing.T) {
	everywhere(t, func(t *testing.T, s *server) {
		c := s.join("general", "Ada")
		stopped := make(chan error, 1)
		go func() { stopped <- s.stop() }()
		_, err := c.read()
		var closed websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != 4503 || !strings.HasPrefix(closed.Reason, "draining") {
			t.Errorf("got %v, want the close code 4503 draining", err)
		}
		select {
		case err := <-stopped:
			if err != nil {
				t.Errorf("stopped with %v", err)
			}
		case <-time.After(patience):
			t.Error("does not stop")
		}
	})
}
