package awslambda_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/awslambda"
)

// httpAnswer is what the gateway makes a response of.
type httpAnswer struct {
	StatusCode      int               `json:"statusCode"`
	Headers         map[string]string `json:"headers"`
	Body            string            `json:"body"`
	IsBase64Encoded bool              `json:"isBase64Encoded"`
	Cookies         []string          `json:"cookies"`
}

// request makes an event of a request for this path of the API.
func request(method, target, body string) events.APIGatewayV2HTTPRequest {
	path, query, _ := strings.Cut(target, "?")
	return events.APIGatewayV2HTTPRequest{
		Version: "2.0", RawPath: path, RawQueryString: query, Body: body,
		Headers: map[string]string{"content-type": "application/json", "host": "api.execute-api.eu-north-1.amazonaws.com"},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			Stage: "$default", DomainName: "api.execute-api.eu-north-1.amazonaws.com",
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: method, Path: path, SourceIP: "192.0.2.1"},
		},
	}
}

// ask gives the function an event and returns the answer.
func (w *world) ask(ev any) httpAnswer {
	w.tb.Helper()
	data, err := w.invoke(ev)
	if err != nil {
		w.tb.Fatal(err)
	}
	if bytes.Contains(data, []byte(`"cookies":null`)) {
		w.tb.Errorf("null for cookies: %s", data)
	}
	var a httpAnswer
	if err := json.Unmarshal(data, &a, json.RejectUnknownMembers(true)); err != nil {
		w.tb.Fatalf("answer %.300s: %v", data, err)
	}
	return a
}

type sum struct {
	A int `json:"a"`
	B int `json:"b"`
}

// Functions that are wired to HTTP are there, and what they publish is sent when
// the answer is. A stream comes as a whole.
func TestWireHTTP(t *testing.T) {
	srv, a := newServer(t, nil, nil)
	srv.WireHTTP("POST /rooms/one/say", kanava.PlainFunc(func(ctx context.Context, in sum) (int, error) {
		return in.A + in.B, a.topic.Publish(ctx, "one", said{fmt.Sprint(in.A, " and ", in.B)})
	}, kanava.Public()))
	srv.WireHTTP("POST /fail", kanava.PlainDo(func(context.Context, kanava.None) error { return errors.New(hidden) }, kanava.Public()))
	srv.WireHTTP("GET /count", kanava.PlainStream(func(ctx context.Context, _ kanava.None, out *kanava.Stream[int]) error {
		return errors.Join(out.Send(ctx, 1), out.Send(ctx, 2))
	}, kanava.Public()))
	w := newWorld(t, srv, nil)
	c := w.dialIn("one")

	got := w.ask(request(http.MethodPost, "/rooms/one/say", `{"a":1,"b":2}`))
	want := httpAnswer{
		StatusCode: 200, Body: "3", Cookies: []string{},
		Headers: map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if n := len(c.inbox); n != 1 {
		t.Errorf("%d messages are there with the answer, want 1", n)
	}
	c.want(`{"topic":"room:one","data":{"text":"1 and 2"}}`)

	for _, tt := range []struct {
		proves       string
		method, path string
		body         string
		status       int
		want         string
	}{
		{"wrong input", "POST", "/rooms/one/say", `{"a":"x","b":2}`, 400, `"pointer":"/a"`},
		{"an error is not told", "POST", "/fail", `{}`, 500, `{"error":{"code":"internal","message":"internal error"}}`},
		{"nothing is wired", "GET", "/other", "", 404, `"code":"not_found"`},
		{"another method", "GET", "/fail", "", 405, `"code":"invalid_argument"`},
		{"a stream", "GET", "/count", "", 200, "data: 1\n\ndata: 2\n\nevent: end\ndata: {}\n\n"},
	} {
		if got := w.ask(request(tt.method, tt.path, tt.body)); got.StatusCode != tt.status || !strings.Contains(got.Body, tt.want) {
			t.Errorf("%s: got %+v, want %d %s", tt.proves, got, tt.status, tt.want)
		}
	}
}

// What a request is, as a handler sees it.
func TestRequest(t *testing.T) {
	var got *http.Request
	var body string
	srv, _ := newServer(t, nil, nil)
	w := newWorld(t, srv, func(o *awslambda.Options) {
		o.HTTP = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			read, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			got, body = r, string(read)
		})
	})
	ev := request(http.MethodPut, "/rooms/a%2Fb?q=1&q=2", base64.StdEncoding.EncodeToString([]byte("hello")))
	ev.IsBase64Encoded, ev.Cookies = true, []string{"a=b", "c=d"}
	if a := w.ask(ev); a.StatusCode != http.StatusOK || a.Body != "" {
		t.Errorf("got %+v", a)
	}
	if got.Method != http.MethodPut || got.URL.EscapedPath() != "/rooms/a%2Fb" || got.URL.Path != "/rooms/a/b" || !cmp.Equal(got.URL.Query(), url.Values{"q": {"1", "2"}}) ||
		got.Host != "api.execute-api.eu-north-1.amazonaws.com" || got.Header.Get("Host") != "" || got.Header.Get("Cookie") != "a=b; c=d" ||
		got.RemoteAddr != "192.0.2.1:0" || body != "hello" || got.ContentLength != 5 || got.RequestURI != "/rooms/a%2Fb?q=1&q=2" {
		t.Errorf("got %+v, body %q", got, body)
	}
	if _, ok := got.Context().Deadline(); !ok {
		t.Error("the context has no deadline")
	}

	for stage, want := range map[string]string{"/prod/rooms": "/rooms", "/prod": "/", "/production/rooms": "/production/rooms"} {
		ev := request(http.MethodGet, stage, "")
		ev.RequestContext.Stage = "prod"
		w.ask(ev)
		if got.URL.Path != want {
			t.Errorf("path %s of stage prod is %s, want %s", stage, got.URL.Path, want)
		}
	}

	for _, bad := range []events.APIGatewayV2HTTPRequest{
		request(http.MethodGet, "no slash", ""), request(http.MethodGet, "/%zz", ""), request("G T", "/", ""), request(http.MethodGet, "http://evil.example.com/", ""),
		{Version: "2.0", RawPath: "/", Body: "!", IsBase64Encoded: true, RequestContext: request(http.MethodPost, "/", "").RequestContext},
	} {
		got = nil
		if a := w.ask(bad); a.StatusCode != http.StatusBadRequest || got != nil || a.Body != `{"error":{"code":"invalid_argument","message":"the request is malformed"}}` {
			t.Errorf("%s %q: got %+v", bad.RequestContext.HTTP.Method, bad.RawPath, a)
		}
	}
}

// What a handler answers, as the gateway sees it.
func TestResponse(t *testing.T) {
	srv, _ := newServer(t, nil, nil)
	internal := httpAnswer{
		StatusCode: 500, Headers: map[string]string{"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"},
		Body: `{"error":{"code":"internal","message":"internal error"}}`, Cookies: []string{},
	}
	for _, tt := range []struct {
		proves  string
		method  string
		handler http.HandlerFunc
		want    httpAnswer
	}{
		{"nothing is 200", "GET", func(http.ResponseWriter, *http.Request) {}, httpAnswer{StatusCode: 200, Headers: map[string]string{}, Cookies: []string{}}},
		{
			"fields, and cookies by themselves", "GET", func(w http.ResponseWriter, _ *http.Request) {
				http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
				http.SetCookie(w, &http.Cookie{Name: "c", Value: "d"})
				w.Header().Add("Vary", "Origin")
				w.Header().Add("Vary", "Accept")
				w.WriteHeader(http.StatusCreated)
				w.Header().Set("X-Late", "x")
				w.WriteHeader(http.StatusTeapot)
			},
			httpAnswer{StatusCode: 201, Headers: map[string]string{"Vary": "Origin, Accept"}, Cookies: []string{"a=b", "c=d"}},
		},
		{"text", "GET", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<b>ż</b>") }, httpAnswer{StatusCode: 200, Headers: map[string]string{"Content-Type": "text/html; charset=utf-8"}, Body: "<b>ż</b>", Cookies: []string{}}},
		{"bytes", "GET", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte{0xff, 0, 1}) }, httpAnswer{StatusCode: 200, Headers: map[string]string{"Content-Type": "application/octet-stream"}, Body: "/wAB", IsBase64Encoded: true, Cookies: []string{}}},
		{"no body for HEAD", "HEAD", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "text") }, httpAnswer{StatusCode: 200, Headers: map[string]string{"Content-Type": "text/plain; charset=utf-8", "Content-Length": "4"}, Cookies: []string{}}},
		{"a panic", "GET", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x"); panic(hidden) }, internal},
		{"a handler that ends its goroutine", "GET", func(http.ResponseWriter, *http.Request) { runtime.Goexit() }, internal},
		{"too much", "GET", func(w http.ResponseWriter, _ *http.Request) {
			for range 7 {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
			panic("all was taken")
		}, internal},
		{"too much when encoded", "GET", func(w http.ResponseWriter, _ *http.Request) { w.Write(bytes.Repeat([]byte{0xff}, 5<<20)) }, internal},
		{"informational responses do not exist", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusAccepted)
		}, httpAnswer{StatusCode: 202, Headers: map[string]string{}, Cookies: []string{}}},
	} {
		w := newWorld(t, srv, func(o *awslambda.Options) { o.HTTP = tt.handler })
		if diff := cmp.Diff(tt.want, w.ask(request(tt.method, "/", ""))); diff != "" {
			t.Errorf("%s: -want +got\n%s", tt.proves, diff)
		}
	}
}

// AWS's own samples are requests.
func TestHTTPSamples(t *testing.T) {
	srv, _ := newServer(t, nil, nil)
	var got string
	w := newWorld(t, srv, func(o *awslambda.Options) {
		o.HTTP = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got = fmt.Sprint(r.Method, " ", r.URL, " ", r.Header.Get("User-Agent"), " ", r.RemoteAddr, " ", awslambda.Authorizer(&kanava.OpenRequest{Header: r.Header}))
		})
	})
	for name, want := range map[string]string{
		"apigw-v2-request-no-authorizer":     "GET / curl/7.58.0 1.2.3.4:0 map[]",
		"apigw-v2-request-jwt-authorizer":    "GET /my/path?parameter1=value1&parameter1=value2&parameter2=value  IP:0 map[jwt:map[claims:map[claim1:value1 claim2:value2] scopes:[scope1 scope2]]]",
		"apigw-v2-request-lambda-authorizer": "GET /my/path?parameter1=value1&parameter1=value2&parameter2=value  IP:0 map[lambda:map[key:value]]",
		"apigw-v2-request-iam":               "GET /my/path?parameter1=value1&parameter1=value2&parameter2=value  IP:0 map[iam:",
	} {
		got = ""
		if _, err := w.fn.Invoke(t.Context(), sample(t, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
