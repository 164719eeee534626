package awslambda_test

import (
	"bytes"
	"context"
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

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/transport/awslambda"
	"github.com/kanava-go/kanava/transport/transporttest"
)

// world is an API Gateway in the process: it holds clients, hands what they do to a
// function as the events that AWS describes, and serves the management API. It keeps
// the order of one connection's events, which AWS does not promise.
type world struct {
	tb         testing.TB
	fn         *awslambda.Function
	stage      string
	store      engine.Store
	eventTime  time.Duration     // what a function may take
	authorizer any               // what the API's authorizer says of those who connect
	saysGone   func(http.Header) // how the management API says that a connection is gone, beside 410

	ids     atomic.Int64
	running sync.WaitGroup

	mu      sync.Mutex
	clients map[string]*client // guarded by mu
	answers []int              // guarded by mu: what the management API answers next instead
	posts   int                // guarded by mu: how many it has taken
	fails   int                // guarded by mu: events at which the function failed
}

// config signs calls for the management API of a test.
var config = aws.Config{Region: "eu-north-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}

// newWorld makes a gateway in front of a function, which is the handler of srv.
func newWorld(tb testing.TB, srv awslambda.Server, change func(*awslambda.Options)) *world {
	tb.Helper()
	w := &world{tb: tb, clients: make(map[string]*client), stage: "test", store: memory.NewStore(), eventTime: 29 * time.Second}
	w.saysGone = func(h http.Header) { h.Set("X-Amzn-Errortype", "GoneException") }
	o := w.options()
	if change != nil {
		change(&o)
	}
	w.fn = awslambda.Handler(srv, o)
	tb.Cleanup(func() {
		w.mu.Lock()
		for _, c := range w.clients {
			c.end(kanava.CloseAbnormal, "")
		}
		w.mu.Unlock()
		w.running.Wait()
	})
	return w
}

// endpoint is where the management API is.
const endpoint = "https://gateway.example.com/test"

// options are those of a handler whose gateway is w.
func (w *world) options() awslambda.Options {
	o := awslambda.Options{Store: w.store, Config: config, Endpoint: endpoint, Logger: slog.New(slog.DiscardHandler)}
	o.Config.HTTPClient = doer(func(req *http.Request) (*http.Response, error) {
		if err := req.Context().Err(); err != nil {
			return nil, err
		}
		rec := httptest.NewRecorder()
		w.ServeHTTP(rec, req)
		return rec.Result(), nil
	})
	return o
}

// ServeHTTP is the management API:
// https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
func (w *world) ServeHTTP(res http.ResponseWriter, req *http.Request) {
	id, ok := strings.CutPrefix(req.URL.Path, "/test/@connections/")
	if !ok || !strings.Contains(req.Header.Get("Authorization"), "/eu-north-1/execute-api/aws4_request") {
		http.Error(res, `{"message":"Forbidden"}`, http.StatusForbidden)
		return
	}
	w.mu.Lock()
	if len(w.answers) > 0 {
		status := w.answers[0]
		w.answers = w.answers[1:]
		w.mu.Unlock()
		if status == http.StatusTooManyRequests {
			res.Header().Set("X-Amzn-Errortype", "LimitExceededException")
		}
		res.WriteHeader(status)
		return
	}
	c := w.clients[id]
	w.posts++
	w.mu.Unlock()
	if c == nil || !c.isAccepted() {
		w.saysGone(res.Header())
		http.Error(res, `{"message":"Gone"}`, http.StatusGone)
		return
	}
	switch req.Method {
	case http.MethodPost:
		data, err := io.ReadAll(req.Body)
		if err != nil || len(data) > 128<<10 {
			http.Error(res, `{"message":"Payload too large"}`, http.StatusRequestEntityTooLarge)
			return
		}
		c.tell(transporttest.Frame{Data: data})
	case http.MethodDelete:
		c.deleted()
		res.WriteHeader(http.StatusNoContent)
	default:
		res.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// answerWith has the management API answer with these statuses first.
func (w *world) answerWith(statuses ...int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = append(w.answers, statuses...)
}

// invoke gives the function an event and returns its answer.
func (w *world) invoke(event any) (answer []byte, err error) {
	payload, err := json.Marshal(event, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), w.eventTime)
	defer cancel()
	answer, err = w.fn.Invoke(ctx, payload)
	if err != nil {
		w.mu.Lock()
		w.fails++
		w.mu.Unlock()
	}
	return answer, err
}

// socketAnswer is what the gateway looks at.
type socketAnswer struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body"`
}

// client is one client of a world. It is a transporttest.Client.
type client struct {
	w           *world
	id          string
	subprotocol string

	events chan func()
	ended  chan struct{} // closed when the connection has ended
	over   sync.Once

	mu       sync.Mutex
	accepted bool                  // guarded by mu
	closed   bool                  // guarded by mu: by the function
	away     int                   // guarded by mu: the code that the last frame has announced
	inbox    []transporttest.Frame // guarded by mu
	came     chan struct{}         // holds one when something came
}

func (c *client) event(eventType, route string) *events.APIGatewayWebsocketProxyRequest {
	return &events.APIGatewayWebsocketProxyRequest{
		RequestContext: events.APIGatewayWebsocketProxyRequestContext{
			EventType: eventType, RouteKey: route, ConnectionID: c.id, Stage: c.w.stage, APIID: "api", DomainName: "api.execute-api.eu-north-1.amazonaws.com",
			Identity: events.APIGatewayRequestIdentity{SourceIP: "192.0.2.1"}, Authorizer: c.w.authorizer,
		},
	}
}

// dial connects a client. The stage of the API is the first part of the path.
func (w *world) dial(r transporttest.Request) (*client, error) {
	u, err := url.Parse(r.Path)
	if err != nil {
		return nil, err
	}
	c := &client{
		w: w, id: "L0" + strconv.FormatInt(w.ids.Add(1), 10) + "=",
		events: make(chan func(), 1<<16), ended: make(chan struct{}), came: make(chan struct{}, 1),
	}
	w.mu.Lock()
	w.clients[c.id] = c
	w.mu.Unlock()
	ev := c.event("CONNECT", "$connect")
	ev.MultiValueQueryStringParameters = u.Query()
	ev.MultiValueHeaders = map[string][]string{"Host": {"api.execute-api.eu-north-1.amazonaws.com"}, "X-Path": {u.EscapedPath()}}
	for name, value := range r.Headers {
		ev.MultiValueHeaders[name] = []string{value}
		if name == "Host" {
			ev.RequestContext.DomainName = value
		}
	}
	if len(r.Subprotocols) > 0 {
		ev.MultiValueHeaders["Sec-WebSocket-Protocol"] = []string{strings.Join(r.Subprotocols, ", ")}
	}
	answer, err := w.invoke(ev)
	if err != nil {
		c.end(0, "")
		return nil, &transporttest.RefusedError{Status: http.StatusBadGateway}
	}
	var a socketAnswer
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, fmt.Errorf("answer to $connect %s: %w", answer, err)
	}
	if a.StatusCode < 200 || a.StatusCode > 299 {
		c.end(0, "")
		return nil, &transporttest.RefusedError{Status: a.StatusCode, Body: []byte(a.Body)}
	}
	c.subprotocol = a.Headers["Sec-WebSocket-Protocol"]
	c.mu.Lock()
	c.accepted = true
	c.mu.Unlock()
	w.running.Go(c.run)
	if c.subprotocol != "kanava.v1" {
		c.say("") // is ignored, but what OnConnect has returned comes then
	}
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

func (c *client) isAccepted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accepted && !c.closed
}

// end ends the connection, and tells the function unless the code is 0.
func (c *client) end(code kanava.CloseCode, reason string) {
	c.over.Do(func() {
		close(c.ended)
		c.w.running.Go(func() {
			c.w.mu.Lock()
			delete(c.w.clients, c.id)
			c.w.mu.Unlock()
			if code != 0 {
				ev := c.event("DISCONNECT", "$disconnect")
				ev.RequestContext.DisconnectStatusCode, ev.RequestContext.DisconnectReason = int64(code), &reason
				_, _ = c.w.invoke(ev)
			}
		})
	})
}

// vanish ends the connection without a word to anybody.
func (c *client) vanish() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.end(0, "")
}

// deleted closes the connection for the function, with the code that the client of
// kanava.v1 was told, or the gateway's.
func (c *client) deleted() {
	c.mu.Lock()
	code := c.away
	c.closed = true
	c.mu.Unlock()
	if code == 0 {
		code = int(kanava.CloseGoingAway)
	}
	c.tell(transporttest.Frame{Kind: transporttest.KindClosed, Code: code})
	c.end(kanava.CloseGoingAway, "")
}

func (c *client) tell(f transporttest.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var frame struct {
		Away struct {
			Code int `json:"code"`
		} `json:"away"`
	}
	if bytes.HasPrefix(f.Data, []byte(`{"away":`)) && json.Unmarshal(f.Data, &frame) == nil {
		c.away = frame.Away.Code
	}
	c.inbox = append(c.inbox, f)
	select {
	case c.came <- struct{}{}:
	default:
	}
}

func (c *client) Subprotocol() string { return c.subprotocol }

// refused closes the connection as the gateway does for what it does not carry.
func (c *client) refused(code kanava.CloseCode) {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.tell(transporttest.Frame{Kind: transporttest.KindClosed, Code: int(code)})
	c.end(code, "")
}

func (c *client) Send(_ context.Context, data []byte, binary bool) error {
	switch {
	case binary:
		c.refused(kanava.CloseUnsupportedData)
		return nil
	case len(data) > 128<<10:
		c.refused(kanava.CloseTooBig)
		return nil
	}
	ev := c.event("MESSAGE", "$default")
	ev.Body = string(data)
	c.events <- func() {
		answer, err := c.w.invoke(ev)
		var a socketAnswer
		if err != nil || json.Unmarshal(answer, &a) != nil {
			c.tell(transporttest.Frame{Data: []byte(`{"message": "Internal server error", "connectionId":"` + c.id + `", "requestId":"x"}`)})
		} else if a.Body != "" {
			c.tell(transporttest.Frame{Data: []byte(a.Body)})
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

func (c *client) Close(code int, reason string) error {
	c.end(kanava.CloseCode(code), reason)
	return nil
}

func (c *client) Cut() { c.end(kanava.CloseAbnormal, "") }

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
