package emulate_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/kanava-go/kanava/internal/peertest/aws/emulate"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// bootstrap is the path of the probe, which all tests share.
var bootstrap string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kanava-probe-")
	if err != nil {
		panic(err)
	}
	if bootstrap, err = emulate.Build(dir, ".", "../probe"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// seen is an event that the function got.
type seen struct {
	Version               string            `json:"version"`
	Type                  string            `json:"type"`
	RouteKey              string            `json:"routeKey"`
	RawPath               string            `json:"rawPath"`
	Headers               map[string]string `json:"headers"`
	QueryStringParameters map[string]string `json:"queryStringParameters"`
	Body                  any               `json:"body"`
	IsBase64Encoded       bool              `json:"isBase64Encoded"`
	RequestContext        struct {
		RouteKey             string         `json:"routeKey"`
		EventType            string         `json:"eventType"`
		ConnectionID         string         `json:"connectionId"`
		DomainName           string         `json:"domainName"`
		Stage                string         `json:"stage"`
		DisconnectStatusCode int            `json:"disconnectStatusCode"`
		DisconnectReason     *string        `json:"disconnectReason"`
		Authorizer           map[string]any `json:"authorizer"`
		HTTP                 struct {
			Method string `json:"method"`
			Path   string `json:"path"`
		} `json:"http"`
	} `json:"requestContext"`
}

// witness gets each event before the function goes on with it.
type witness struct {
	url    string
	events chan seen                  // all of them
	hold   atomic.Pointer[func(seen)] // holds them up, if it is there
}

func newWitness(t testing.TB) *witness {
	t.Helper()
	w := &witness{events: make(chan seen, 1000)}
	server := httptest.NewServer(http.HandlerFunc(func(res http.ResponseWriter, req *http.Request) {
		var e seen
		if err := json.NewDecoder(req.Body).Decode(&e); err != nil {
			t.Errorf("an event that is no JSON: %v", err)
		}
		w.events <- e
		if hold := w.hold.Load(); hold != nil {
			(*hold)(e)
		}
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// next returns the next event that fits.
func (w *witness) next(t testing.TB, fits func(seen) bool) seen {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case e := <-w.events:
			if fits(e) {
				return e
			}
		case <-late:
			t.Fatal("the event has not come")
		}
	}
}

// client is one connection.
type client struct {
	t  testing.TB
	ws *websocket.Conn
	id string
}

// result is what the probe posts; see ../probe.
type result struct {
	Connection string
	Route      string
	Process    int
	Event      int
	Text       string
	Status     int
	Code       string
}

// order is what the probe does; see ../probe.
type order struct {
	Action string `json:"action,omitempty"`
	Do     string `json:"do"`
	To     string `json:"to,omitempty"`
	Text   string `json:"text,omitempty"`
}

// dial connects, and asks for the connection's id.
func dial(t testing.TB, url string) *client {
	t.Helper()
	ws, _, err := websocket.Dial(limit(t), url, nil)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	ws.SetReadLimit(1 << 20)
	t.Cleanup(func() { ws.CloseNow() })
	c := &client{t: t, ws: ws}
	c.id = c.ask(order{Do: "echo"}).Connection
	return c
}

func (c *client) send(o order) {
	c.t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.ws.Write(limit(c.t), websocket.MessageText, data); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// text returns the next message as it is.
func (c *client) text() string {
	c.t.Helper()
	_, data, err := c.ws.Read(limit(c.t))
	if err != nil {
		c.t.Fatalf("receive: %v", err)
	}
	return string(data)
}

// ask sends an order and returns what came of it.
func (c *client) ask(o order) result {
	c.t.Helper()
	c.send(o)
	return c.result()
}

func (c *client) result() result {
	c.t.Helper()
	text := c.text()
	var r result
	if err := json.Unmarshal([]byte(text), &r); err != nil || r.Connection == "" {
		c.t.Fatalf("got %q, want a result", text)
	}
	return r
}

// closed sends the code with which the connection is closed by the other side.
func (c *client) closed() <-chan websocket.StatusCode {
	c.t.Helper()
	code := make(chan websocket.StatusCode, 1)
	ctx := limit(c.t)
	go func() { // ends with the connection, or the test
		_, _, err := c.ws.Read(ctx)
		code <- websocket.CloseStatus(err)
	}()
	return code
}

func limit(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func wantText(t testing.TB, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
}
