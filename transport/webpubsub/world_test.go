package webpubsub_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/transport/transporttest"
	"github.com/kanava-go/kanava/transport/webpubsub"
)

// world is Web PubSub in the process: it holds clients, posts what they do to a
// Function, and answers its calls of the REST API. The stand-in for the service,
// which speaks HTTP and WebSocket, is in internal/peertest/webpubsub.
type world struct {
	tb      testing.TB
	fn      *webpubsub.Function
	store   *memory.Store
	ids     atomic.Int64
	running sync.WaitGroup

	mu      sync.Mutex
	clients map[string]*client // guarded by mu
	calls   []string           // guarded by mu: of the REST API, "METHOD path"
	tries   []int              // guarded by mu: what events were answered with
}

// newWorld makes one in front of a Function, which is the handler of srv.
func newWorld(tb testing.TB, srv webpubsub.Server, change ...func(*webpubsub.Options)) *world {
	tb.Helper()
	w := &world{tb: tb, store: memory.NewStore(), clients: make(map[string]*client)}
	c, err := webpubsub.NewClient(webpubsub.ClientOptions{
		Endpoint: endpoint, Hub: "chat", Tokens: entra("t"), // to sign each request costs the suite more than all else
		HTTPClient: &http.Client{Transport: w},
	})
	if err != nil {
		tb.Fatal(err)
	}
	o := webpubsub.Options{Store: w.store, Client: c, AccessKeys: []string{key}, Logger: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&o)
	}
	w.fn = webpubsub.Handler(srv, o)
	tb.Cleanup(func() {
		w.mu.Lock()
		for _, c := range w.clients {
			c.end("the test is over")
		}
		w.mu.Unlock()
		w.running.Wait()
	})
	return w
}

// RoundTrip is the REST API. What is sent to nobody is accepted.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	rest, ok := strings.CutPrefix(r.URL.Path, "/api/hubs/chat/connections/")
	id, _ := strings.CutSuffix(rest, "/:send")
	w.mu.Lock()
	c := w.clients[id]
	w.calls = append(w.calls, r.Method+" "+rest)
	w.mu.Unlock()
	switch {
	case !ok || len(body) > webpubsub.MaxMessage:
		return response(http.StatusBadRequest, ""), nil
	case r.Method == http.MethodPost:
		if c != nil {
			c.tell(frameOf(r.Header.Get("Content-Type"), body))
		}
		return response(http.StatusAccepted, ""), nil
	case r.Method == http.MethodHead && c == nil:
		return response(http.StatusNotFound, ""), nil
	case r.Method == http.MethodDelete && c != nil:
		c.closed(r.URL.Query().Get("reason"))
	}
	return response(http.StatusOK, ""), nil
}

func frameOf(contentType string, body []byte) transporttest.Frame {
	if contentType == "application/octet-stream" {
		return transporttest.Frame{Kind: transporttest.KindBinary, Data: body}
	}
	return transporttest.Frame{Data: body}
}

// called returns how many calls of the REST API begin like this.
func (w *world) called(prefix string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, call := range w.calls {
		if strings.HasPrefix(call, prefix) {
			n++
		}
	}
	return n
}

// event is one of a connection, as the service posts it.
type event struct {
	id, kind, contentType string
	body                  []byte
	at                    time.Time // the zero value is now
}

// post has the Function answer an event, once.
func (w *world) post(connection, subprotocol string, ev event) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/upstream", strings.NewReader(string(ev.body)))
	if ev.at.IsZero() {
		ev.at = time.Now()
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(connection))
	for _, f := range [][2]string{
		{"WebHook-Request-Origin", host},
		{"Content-Type", ev.contentType},
		{"ce-specversion", "1.0"},
		{"ce-type", "azure.webpubsub." + ev.kind},
		{"ce-id", ev.id},
		{"ce-time", ev.at.Format(time.RFC3339)},
		{"ce-connectionId", connection},
		{"ce-hub", "chat"},
		{"ce-subprotocol", subprotocol},
		{"ce-eventName", ev.kind[strings.LastIndexByte(ev.kind, '.')+1:]},
		{"ce-signature", "sha256=" + hex.EncodeToString(mac.Sum(nil))},
	} {
		if f[1] != "" {
			r.Header.Set(f[0], f[1])
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	rec := httptest.NewRecorder()
	w.fn.ServeHTTP(rec, r.WithContext(ctx))
	w.mu.Lock()
	w.tries = append(w.tries, rec.Code)
	w.mu.Unlock()
	return rec
}

// client is one client of a world. It is a transporttest.Client.
type client struct {
	w               *world
	id, subprotocol string
	number          atomic.Int64 // of its last event

	events chan func()
	ended  chan struct{} // closed when the connection has ended
	over   sync.Once

	mu    sync.Mutex
	away  int                   // guarded by mu: the code that the last frame has announced
	inbox []transporttest.Frame // guarded by mu
	came  chan struct{}         // holds one when something came
}

// event posts one, again after 500 as the service does, but at once.
func (c *client) event(kind, contentType string, body []byte) *httptest.ResponseRecorder {
	ev := event{id: strconv.FormatInt(c.number.Add(1), 10), kind: kind, contentType: contentType, body: body}
	for try := 0; ; try++ {
		if rec := c.w.post(c.id, c.subprotocol, ev); rec.Code < 500 || try == 3 {
			return rec
		}
	}
}

func (c *client) system(name string, body any) *httptest.ResponseRecorder {
	data, err := json.Marshal(body)
	if err != nil {
		c.w.tb.Error(err)
	}
	return c.event("sys."+name, "application/json; charset=utf-8", data)
}

// dial connects a client. The path of its channel is in the query.
func (w *world) dial(r transporttest.Request) (*client, error) {
	u, err := url.Parse(r.Path)
	if err != nil {
		return nil, err
	}
	c := &client{
		w: w, id: "conn-" + strconv.FormatInt(w.ids.Add(1), 10),
		events: make(chan func(), 1<<16), ended: make(chan struct{}), came: make(chan struct{}, 1),
	}
	query := u.Query()
	if u.Path != "" {
		query.Set("channel", u.EscapedPath())
	}
	header := http.Header{"Host": {host}}
	for name, value := range r.Headers {
		header.Set(name, value)
	}
	rec := c.system("connect", map[string]any{
		"claims": map[string][]string{"sub": {"ann"}}, "query": query, "headers": header, "subprotocols": r.Subprotocols, "clientCertificates": []string{},
	})
	if rec.Code < 200 || rec.Code > 299 {
		return nil, &transporttest.RefusedError{Status: rec.Code, Body: rec.Body.Bytes()}
	}
	var accept struct {
		Subprotocol string `json:"subprotocol"`
	}
	if rec.Body.Len() > 0 {
		if err := json.Unmarshal(rec.Body.Bytes(), &accept); err != nil {
			return nil, fmt.Errorf("answer to connect %s: %w", rec.Body, err)
		}
	}
	c.subprotocol = accept.Subprotocol
	w.mu.Lock()
	w.clients[c.id] = c
	w.mu.Unlock()
	w.running.Go(c.run)
	c.events <- func() { c.system("connected", struct{}{}) }
	return c, nil
}

func (c *client) run() {
	for {
		select {
		case f := <-c.events:
			f()
		case <-c.ended:
			return
		}
	}
}

// end ends the connection, and tells the Function why.
func (c *client) end(reason string) {
	c.over.Do(func() {
		close(c.ended)
		c.w.running.Go(func() {
			c.w.mu.Lock()
			delete(c.w.clients, c.id)
			c.w.mu.Unlock()
			c.system("disconnected", map[string]string{"reason": reason})
		})
	})
}

// vanish ends it without a word to anybody.
func (c *client) vanish() {
	c.over.Do(func() {
		close(c.ended)
		c.w.mu.Lock()
		defer c.w.mu.Unlock()
		delete(c.w.clients, c.id)
	})
}

// closed closes the connection for the Function. Its client takes the code that it
// was told before, in kanava.v1.
func (c *client) closed(reason string) {
	c.mu.Lock()
	code := c.away
	c.mu.Unlock()
	if code == 0 {
		code = int(kanava.CloseNormal)
	}
	c.tell(transporttest.Frame{Kind: transporttest.KindClosed, Code: code, Reason: reason})
	c.end("closed by the application: " + reason)
}

func (c *client) tell(f transporttest.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var frame struct {
		Away struct {
			Code int `json:"code"`
		} `json:"away"`
	}
	if strings.HasPrefix(string(f.Data), `{"away":`) && json.Unmarshal(f.Data, &frame) == nil {
		c.away = frame.Away.Code
	}
	c.inbox = append(c.inbox, f)
	select {
	case c.came <- struct{}{}:
	default:
	}
}

func (c *client) Subprotocol() string { return c.subprotocol }

func (c *client) Send(_ context.Context, data []byte, binary bool) error {
	contentType := "text/plain; charset=utf-8"
	if binary {
		contentType = "application/octet-stream"
	}
	body := append([]byte{}, data...)
	c.events <- func() {
		rec := c.event("user.message", contentType, body)
		switch {
		case rec.Code < 200 || rec.Code > 299:
			c.tell(transporttest.Frame{Kind: transporttest.KindClosed, Code: int(kanava.CloseInternal)})
			c.end("the event failed")
		case rec.Body.Len() > 0:
			c.tell(frameOf(rec.Header().Get("Content-Type"), rec.Body.Bytes()))
		}
	}
	return nil
}

func (c *client) Receive(ctx context.Context) (f transporttest.Frame, err error) {
	for {
		c.mu.Lock()
		if len(c.inbox) > 0 {
			f, c.inbox = c.inbox[0], c.inbox[1:]
			c.mu.Unlock()
			return f, nil
		}
		c.mu.Unlock()
		select {
		case <-c.came:
		case <-ctx.Done():
			return f, ctx.Err()
		}
	}
}

func (c *client) Close(int, string) error {
	c.end("the client has closed")
	return nil
}

func (c *client) Cut() { c.end("the connection broke off") }

// next returns the next message.
func (c *client) next() string {
	c.w.tb.Helper()
	ctx, cancel := context.WithTimeout(c.w.tb.Context(), 10*time.Second)
	defer cancel()
	f, err := c.Receive(ctx)
	switch {
	case err != nil:
		c.w.tb.Fatalf("nothing came: %v", err)
	case f.Kind == transporttest.KindClosed:
		return fmt.Sprintf("closed %d", f.Code)
	}
	return string(f.Data)
}

// want demands that this message comes next.
func (c *client) want(text string) {
	c.w.tb.Helper()
	if got := c.next(); got != text {
		c.w.tb.Errorf("got %s\nwant %s", got, text)
	}
}

func (c *client) say(text string) { _ = c.Send(context.Background(), []byte(text), false) }
