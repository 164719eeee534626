package awslambda_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/awslambda"
	"github.com/kanava-go/kanava/transport/transporttest"
)

// dialIn connects a client to a room, which is welcomed.
func (w *world) dialIn(name string) *client {
	w.tb.Helper()
	c, err := w.dial(transporttest.Request{Path: "/?room=" + name})
	if err != nil {
		w.tb.Fatal(err)
	}
	c.want(`{"text":"welcome"}`)
	return c
}

func TestPlain(t *testing.T) {
	srv, a := newServer(t, nil, nil)
	w := newWorld(t, srv, nil)
	c, other, elsewhere := w.dialIn("one"), w.dialIn("one"), w.dialIn("two")
	c.say(`{"text":"zażółć 🙂"}`)
	c.want(`{"text":"zażółć 🙂"}`)
	c.say(`{"action":"say","text":"hello"}`)
	for _, x := range []*client{c, other} {
		if got := x.next(); got != `{"topic":"room:one","data":{"text":"hello"}}` && got != `{"action":"say"}` {
			t.Errorf("got %s", got)
		}
	}
	c.next() // the other of the two
	elsewhere.say(`{"text":"nothing before this"}`)
	elsewhere.want(`{"text":"nothing before this"}`)
	c.say(`{"action":"fail"}`)
	c.want(`{"action":"fail","error":{"code":"internal","message":"internal error"}}`)
	if err := c.Close(4001, "enough"); err != nil {
		t.Fatal(err)
	}
	if code := <-a.left; code != 4001 {
		t.Errorf("OnDisconnect saw %d", code)
	}
}

// A process has nothing of what another one was told: all is in the store.
func TestFreshProcesses(t *testing.T) {
	srv, _ := newServer(t, nil, nil)
	w := newWorld(t, srv, nil)
	serve := func() {
		srv, _ := newServer(t, nil, nil)
		w.fn = awslambda.Handler(srv, w.options())
	}
	c := w.dialIn("one")
	serve()
	c.say(`{"action":"signIn","text":"alice"}`)
	c.want(`{"action":"signIn"}`)
	serve()
	c.say(`{"action":"whoami"}`)
	c.want(`{"text":"alice","action":"whoami"}`)
	serve()
	c.say(`{"action":"opening"}`)
	c.want(`{"room":"one","agent":"","action":"opening"}`)
	serve()
	d := w.dialIn("one")
	serve()
	d.say(`{"action":"say","text":"hello"}`)
	c.want(`{"topic":"room:one","data":{"text":"hello"}}`)
}

func TestRefusals(t *testing.T) {
	srv, _ := newServer(t, nil, func(_ context.Context, r *kanava.OpenRequest) (*user, error) {
		switch r.Token {
		case "":
			return nil, nil
		case "broken":
			return nil, fmt.Errorf("%s", hidden)
		}
		return nil, kanava.Errorf(kanava.CodeUnauthenticated, "the token is not valid")
	})
	w := newWorld(t, srv, nil)
	for _, tt := range []struct {
		proves string
		path   string
		header string // "Name: value"
		status int
		body   string
	}{
		{"opening data", "/", "", 400, `{"error":{"code":"invalid_argument","message":"invalid opening data","details":[{"pointer":"/room","message":"query \"room\" is missing"}]}}`},
		{"a name given twice", "/?room=a&room=b", "", 400, `"pointer":"/room"`},
		{"a bad token", "/?room=a", "Authorization: Bearer bad", 401, `{"error":{"code":"unauthenticated","message":"the token is not valid"}}`},
		{"an error of the program is not told", "/?room=a", "Authorization: Bearer broken", 401, `{"error":{"code":"unauthenticated","message":"authentication failed"}}`},
		{"an error of OnConnect is not told", "/?room=broken", "", 500, `{"error":{"code":"internal","message":"internal error"}}`},
		{"another origin", "/?room=a", "Origin: https://evil.example.com", 403, `"code":"permission_denied"`},
		{"a malformed subprotocol", "/?room=a", "Sec-WebSocket-Protocol: a b", 400, `"code":"invalid_argument"`},
		{"a bad credential", "/?room=a", "Sec-WebSocket-Protocol: kanava.bearer.!", 400, `not base64url`},
	} {
		r := transporttest.Request{Path: tt.path, Headers: map[string]string{}}
		if name, value, ok := strings.Cut(tt.header, ": "); ok {
			r.Headers[name] = value
		}
		_, err := w.dial(r)
		refused, ok := err.(*transporttest.RefusedError)
		if !ok || refused.Status != tt.status || !strings.Contains(string(refused.Body), tt.body) {
			t.Errorf("%s: got %v\nwant %d %s", tt.proves, err, tt.status, tt.body)
		}
	}
	if w.fails > 0 {
		t.Errorf("%d events failed", w.fails)
	}
}

// A name that stands twice in a query is told as such by AWS, and by an emulator in
// another way.
func TestQueryTwice(t *testing.T) {
	srv, _ := newServer(t, nil, nil)
	w := newWorld(t, srv, nil)
	for query, want := range map[string]string{
		`"queryStringParameters":{"room":"b"},"multiValueQueryStringParameters":{"room":["a","b"]}`: `"statusCode":400`,
		`"queryStringParameters":{"room":["a","b"]}`:                                                `"statusCode":400`,
		`"queryStringParameters":{"room":["a"]}`:                                                    `"statusCode":200`,
		`"queryStringParameters":{"room":"a"}`:                                                      `"statusCode":200`,
		`"queryStringParameters":null`:                                                              `"statusCode":400`,
		`"queryStringParameters":{"room":[]}`:                                                       `"statusCode":400`,
	} {
		answer, err := w.fn.Invoke(t.Context(), []byte(`{"requestContext":{"eventType":"CONNECT","connectionId":"L0=","stage":"test"},`+query+`}`))
		if err != nil || !strings.Contains(string(answer), want) {
			t.Errorf("%s came to %s, %v, want %s", query, answer, err, want)
		}
	}
}

// What is known of a client comes from $connect, and only from there.
func TestOpenRequest(t *testing.T) {
	var got *kanava.OpenRequest
	srv, _ := newServer(t, nil, func(_ context.Context, r *kanava.OpenRequest) (*user, error) {
		got = r
		return &user{"alice"}, nil
	})
	w := newWorld(t, srv, nil)
	token := base64.RawURLEncoding.EncodeToString([]byte("secret"))
	c, err := w.dial(transporttest.Request{
		Path:         "/?room=a%26b",
		Headers:      map[string]string{"x-agent": "test", "Cookie": "a=b", "Origin": "https://app.example.com"},
		Subprotocols: []string{"kanava.plain", "kanava.bearer." + token},
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.subprotocol != "kanava.plain" {
		t.Errorf("subprotocol %q", c.subprotocol)
	}
	if got.URL.Path != "/room" || got.URL.Query().Get("room") != "a&b" || got.Host != "api.execute-api.eu-north-1.amazonaws.com" || got.RemoteAddr != "192.0.2.1:0" ||
		got.Token != "secret" || got.Header.Get("Cookie") != "a=b" || got.Header.Get("Host") != "" || strings.Contains(fmt.Sprint(got.Header), token) {
		t.Errorf("got %+v", got)
	}
	c.want(`{"text":"welcome"}`)
	c.say(`{"action":"opening"}`)
	c.want(`{"room":"a&b","agent":"test","action":"opening"}`)
	c.say(`{"action":"whoami"}`)
	c.want(`{"text":"alice","action":"whoami"}`)
}

func TestEnvelope(t *testing.T) {
	srv, _ := newServer(t, nil, func(ctx context.Context, r *kanava.OpenRequest) (*user, error) {
		if r.Token != "good" {
			return nil, kanava.Errorf(kanava.CodeUnauthenticated, "the token is not valid")
		}
		return &user{"alice"}, nil
	})
	w := newWorld(t, srv, nil)
	dial := func() *client {
		t.Helper()
		c, err := w.dial(transporttest.Request{Path: "/?room=one", Subprotocols: []string{"kanava.v1"}})
		if err != nil || c.subprotocol != "kanava.v1" {
			t.Fatal(c, err)
		}
		return c
	}
	c := dial()
	c.say(`{"hello":{"token":"good"}}`)
	open := c.next()
	for _, want := range []string{`"max":32000`, `"ping":0`, `"keep":300000`} {
		if !strings.Contains(open, want) {
			t.Errorf("got %s, want %s in it", open, want)
		}
	}
	c.want(`{"push":"","v":{"text":"welcome"}}`)
	if got := c.next(); !strings.HasPrefix(got, `{"sub":"room:one"`) {
		t.Errorf("got %s", got)
	}
	c.say(`{"id":1,"do":"whoami","by":"action"}`)
	c.want(`{"re":1,"out":{"text":"alice"}}`)
	c.say(`{"id":2,"do":"large","by":"action","in":{"bytes":40000}}`)
	if got := c.next(); !strings.HasPrefix(got, `{"re":2,`) {
		t.Errorf("got %.100s", got)
	}

	bad := dial()
	bad.say(`{"hello":{"token":"bad"}}`)
	bad.want(`{"re":0,"err":{"code":"unauthenticated","message":"the token is not valid"}}`)
	if got := bad.next(); !strings.HasPrefix(got, `{"away":{"code":4401`) {
		t.Errorf("got %s", got)
	}
	bad.want("closed 4401")
}

func TestChannelByStage(t *testing.T) {
	several := func(routes ...string) *kanava.Server[kanava.None] {
		srv := kanava.NewServer(kanava.Options[kanava.None]{})
		for i, route := range routes {
			srv.Wire(kanava.Wiring[kanava.None, kanava.None]{
				Name: fmt.Sprintf("c%d", i), Route: route, Public: true,
				OnMessage: kanava.Func(func(_ context.Context, ch *kanava.Channel[kanava.None, kanava.None], _ kanava.None) (string, error) {
					return route, nil
				}),
			})
		}
		return srv
	}
	for _, tt := range []struct {
		proves string
		srv    *kanava.Server[kanava.None]
		stage  string
		want   string // the route, "" for 404
	}{
		{"the stage is the path", several("/chat", "/jobs"), "jobs", "/jobs"},
		{"the only channel", several("/chat"), "prod", "/chat"},
		{"the only channel by its path", several("/chat"), "chat", "/chat"},
		{"another stage of several channels", several("/chat", "/jobs"), "prod", ""},
	} {
		w := newWorld(t, tt.srv, nil)
		w.stage = tt.stage
		c, err := w.dial(transporttest.Request{})
		if (err == nil) != (tt.want != "") {
			t.Errorf("%s: %v", tt.proves, err)
		}
		if err == nil {
			c.say("{}")
			c.want(`"` + tt.want + `"`)
		}
	}
}

func TestRouteResponse(t *testing.T) {
	srv, _ := newServer(t, nil, nil)
	w := newWorld(t, srv, func(o *awslambda.Options) { o.RouteResponse = true })
	c, other := w.dialIn("one"), w.dialIn("one")
	before := w.posts
	c.say(`{"text":"echo"}`)
	c.want(`{"text":"echo"}`)
	if w.posts != before {
		t.Errorf("%d posts for a reply that the function returns", w.posts-before)
	}
	c.say(`{"action":"say","text":"hello"}`)
	other.want(`{"topic":"room:one","data":{"text":"hello"}}`)
	a, b := c.next(), c.next()
	if a > b {
		a, b = b, a
	}
	if a != `{"action":"say"}` || b != `{"topic":"room:one","data":{"text":"hello"}}` {
		t.Errorf("got %s and %s", a, b)
	}
}

// A function that takes too long is told so in time for its client to be told.
func TestDeadline(t *testing.T) {
	srv, _ := newServer(t, nil, nil)
	w := newWorld(t, srv, nil)
	c := w.dialIn("one")
	w.eventTime = 600 * time.Millisecond
	c.say(`{"action":"slow"}`)
	if got := c.next(); !strings.Contains(got, `"error":{"code":"deadline_exceeded"`) {
		t.Errorf("got %s", got)
	}
	if w.fails > 0 {
		t.Error("the event failed")
	}
}

// A connection of which nothing is kept is closed.
func TestUnknownConnection(t *testing.T) {
	srv, _ := newServer(t, nil, nil)
	w := newWorld(t, srv, nil)
	c := w.dialIn("one")
	srv, _ = newServer(t, nil, nil)
	other := newWorld(t, srv, nil) // has another store
	o := w.options()
	o.Store = other.store
	w.fn = awslambda.Handler(srv, o)
	c.say(`{"text":"hello"}`)
	c.want("closed 1001")
}

// Emulators deliver binary messages, which AWS refuses.
func TestBinaryMessage(t *testing.T) {
	srv, _ := newServer(t, nil, nil)
	w := newWorld(t, srv, nil)
	for name, body := range map[string]string{
		"in base64": `"eA==","isBase64Encoded":true`, "as an object": `{"type":"Buffer"},"isBase64Encoded":false`,
	} {
		c := w.dialIn("one")
		ev, err := json.Marshal(c.event("MESSAGE", "$default"))
		if err != nil {
			t.Fatal(err)
		}
		payload := strings.TrimSuffix(strings.Replace(string(ev), `"isBase64Encoded":false`, `"body":`+body, 1), "")
		if _, err := w.fn.Invoke(t.Context(), []byte(payload)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		c.want("closed 1001")
	}
}

// A message that is too large for the platform is not sent, and its client is told.
func TestTooLarge(t *testing.T) {
	srv, _ := newServer(t, nil, nil)
	w := newWorld(t, srv, nil)
	c := w.dialIn("one")
	c.say(`{"action":"large","bytes":30000}`) // 180,000 bytes when encoded
	if got := c.next(); !strings.HasPrefix(got, `{"action":"large","error":{"code":"too_large"`) {
		t.Errorf("got %.200s", got)
	}
}

// AWS's own samples lead to the right connection.
func TestSamples(t *testing.T) {
	srv, a := newServer(t, nil, nil)
	var calls []string
	w := newWorld(t, srv, func(o *awslambda.Options) {
		o.Endpoint = ""
		o.Config.HTTPClient = doer(func(req *http.Request) (*http.Response, error) {
			calls = append(calls, req.Method+" "+req.URL.String())
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
		})
	})
	const connection = "R1kmxc2VNjMCFIA="
	connect := strings.NewReplacer("TWegAcC4EowCHnA=", connection, `"name"`, `"room"`, "*.execute-api.eu-central-1", "dl7ptocha9.execute-api.ap-northeast-1", `"testStage"`, `"prod"`).
		Replace(string(sample(t, "apigw-websocket-request")))
	for _, event := range []struct{ payload, answer string }{
		{connect, `{"statusCode":200}`},
		{string(sample(t, "apigw-websocket-request-send-message")), `{"statusCode":200}`},
		{string(sample(t, "apigw-websocket-request-disconnect")), `{"statusCode":200}`},
	} {
		answer, err := w.fn.Invoke(t.Context(), []byte(event.payload))
		if err != nil || string(answer) != event.answer {
			t.Fatalf("%s came to %s, %v", event.payload, answer, err)
		}
	}
	if code := <-a.left; code != kanava.CloseGoingAway {
		t.Errorf("OnDisconnect saw %d", code)
	}
	want := "POST https://dl7ptocha9.execute-api.ap-northeast-1.amazonaws.com/prod/@connections/R1kmxc2VNjMCFIA%3D"
	if len(calls) != 2 || calls[0] != want || calls[1] != want { // the welcome, and that {"a":1} is not valid
		t.Errorf("calls %q\nwant %q twice", calls, want)
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(req *http.Request) (*http.Response, error) { return d(req) }

// Where the gateway is: of which events say enough, and where they do not.
func TestEndpoints(t *testing.T) {
	for _, tt := range []struct {
		proves, domain, region, endpoint, want string
	}{
		{"the API's own domain", "abc.execute-api.us-east-1.amazonaws.com", "eu-north-1", "", "https://abc.execute-api.us-east-1.amazonaws.com/test/"},
		{"a domain of one's own", "chat.example.com", "eu-north-1", "", "https://api.execute-api.eu-north-1.amazonaws.com/test/"},
		{"China", "chat.example.com", "cn-north-1", "", "https://api.execute-api.cn-north-1.amazonaws.com.cn/test/"},
		{"a domain that only looks like AWS's", "amazonaws.com.example.com", "eu-north-1", "", "https://api.execute-api.eu-north-1.amazonaws.com/test/"},
		{"one that is configured", "abc.execute-api.us-east-1.amazonaws.com", "eu-north-1", "https://vpce.example.com/x/", "https://vpce.example.com/x/"},
		{"one as the console shows it", "abc.execute-api.us-east-1.amazonaws.com", "eu-north-1", "https://vpce.example.com/x/@connections", "https://vpce.example.com/x/"},
	} {
		srv, _ := newServer(t, nil, nil)
		var got string
		w := newWorld(t, srv, func(o *awslambda.Options) {
			o.Endpoint, o.Config.Region = tt.endpoint, tt.region
			o.Config.HTTPClient = doer(func(req *http.Request) (*http.Response, error) {
				got = req.URL.String()
				return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
			})
		})
		c := &client{w: w, id: "L0="}
		ev := c.event("CONNECT", "$connect")
		ev.RequestContext.DomainName = tt.domain
		ev.QueryStringParameters = map[string]string{"room": "one"}
		message := c.event("MESSAGE", "other")
		message.RequestContext.DomainName, message.Body = tt.domain, `{"text":"x"}`
		for _, e := range []*events.APIGatewayWebsocketProxyRequest{ev, message} {
			if _, err := w.invoke(e); err != nil {
				t.Errorf("%s: %v", tt.proves, err)
			}
		}
		if want := tt.want + "@connections/L0%3D"; got != want {
			t.Errorf("%s: called %s, want %s", tt.proves, got, want)
		}
	}
}
