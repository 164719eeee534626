package httpfunc_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/httpfunc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type (
	user struct {
		ID    string    `json:"id"`
		Perms []string  `json:"perms"`
		Until time.Time `json:"until"`
	}
	item struct {
		ID    string   `json:"id" path:"id" minLength:"2"`
		Count int      `json:"count" query:"n" default:"1" maximum:"9"`
		Lang  *string  `json:"lang" header:"X-Lang"`
		Tags  []string `json:"tags" query:"tag" maxItems:"2"`
	}
	change struct {
		item
		Name string `json:"name" minLength:"1"`
		Note *int   `json:"note,omitzero"`
	}
	name struct {
		Name string `json:"name"`
	}
)

func get(_ context.Context, in item) (item, error)     { return in, nil }
func put(_ context.Context, in change) (change, error) { return in, nil }
func greet(_ context.Context, in name) (string, error) { return "Hello, " + in.Name, nil }
func remove(context.Context, item) error               { return nil }
func panics(context.Context, kanava.None) error        { panic("secret") }
func exits(context.Context, kanava.None) error         { runtime.Goexit(); return nil }
func fails(context.Context, kanava.None) error         { return errors.New("secret") }
func missing(context.Context, kanava.None) error {
	return kanava.Errorf(kanava.CodeNotFound, "no such thing")
}
func coded(context.Context, kanava.None) error           { return kanava.Errorf("x_mine", "mine") }
func large(context.Context, kanava.None) (string, error) { return strings.Repeat("x", 2<<20), nil }

func whoami(ctx context.Context, _ kanava.None) (string, error) {
	u, _ := kanava.SessionFrom[user](ctx)
	return u.ID, nil
}

func busy(context.Context, kanava.None) error {
	e := kanava.Errorf(kanava.CodeUnavailable, "later")
	e.RetryAfter = 1500 * time.Millisecond
	return e
}

// authenticate knows everyone by the name that the token is, and lets nobody in
// who is called mallory.
func authenticate(_ context.Context, r *kanava.OpenRequest) (*user, error) {
	if r.Token == "exit" {
		runtime.Goexit()
	}
	switch id, role, _ := strings.Cut(r.Token, "/"); {
	case id == "":
		return nil, nil
	case id == "mallory":
		return nil, errors.New("secret")
	case role == "expired":
		return &user{ID: id, Until: time.Unix(1, 0)}, nil
	default:
		return &user{ID: id, Perms: []string{role}}, nil
	}
}

// newServer returns a server with all of the above.
func newServer(opts kanava.Options[user]) *kanava.Server[user] {
	opts.Authenticate = authenticate
	opts.Identify = func(u user) kanava.Identity {
		return kanava.Identity{UserID: u.ID, Permissions: u.Perms, Expires: u.Until}
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	srv := kanava.NewServer(opts)
	public := kanava.Public()
	srv.WireHTTP("GET /items/{id}", kanava.PlainFunc(get, public))
	srv.WireHTTP("PUT /items/{id}", kanava.PlainFunc(put, public))
	srv.WireHTTP("DELETE /items/{id}", kanava.PlainDo(remove, kanava.Allow("admin")))
	srv.WireHTTP("POST /greet", kanava.PlainFunc(greet, public))
	srv.WireHTTP("POST /panics", kanava.PlainDo(panics, public))
	srv.WireHTTP("POST /exits", kanava.PlainDo(exits, public))
	srv.WireHTTP("POST /fails", kanava.PlainDo(fails, public))
	srv.WireHTTP("POST /missing", kanava.PlainDo(missing, public))
	srv.WireHTTP("POST /coded", kanava.PlainDo(coded, public))
	srv.WireHTTP("POST /large", kanava.PlainFunc(large, public))
	srv.WireHTTP("POST /busy", kanava.PlainDo(busy, public))
	srv.WireHTTP("GET /me", kanava.PlainFunc(whoami))
	return srv
}

// serve puts a server on the loopback, and shuts it down with the test.
func serve(t *testing.T, srv *kanava.Server[user], o httpfunc.Options) (url string) {
	t.Helper()
	web := httptest.NewServer(httpfunc.Handler(srv, o))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		web.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return web.URL
}

// ask sends a request; header is names and values. The answer is its status and
// body.
func ask(t *testing.T, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	var from io.Reader
	if body != "" {
		from = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, from)
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(raw)
}

func invalid(details string) string {
	return `{"error":{"code":"invalid_argument","message":"invalid input","details":[` + details + `]}}`
}

func TestP22Calls(t *testing.T) {
	url := serve(t, newServer(kanava.Options[user]{}), httpfunc.Options{})
	for _, tc := range []struct {
		proves       string
		method, path string
		body         string
		header       []string
		status       int
		want         string
	}{
		{"path, query and header fill the input", "GET", "/items/ab?n=3&tag=x&tag=y", "", []string{"X-Lang", "fi"}, 200, `{"id":"ab","count":3,"lang":"fi","tags":["x","y"]}`},
		{"what is absent has its default, or is null or empty", "GET", "/items/ab", "", nil, 200, `{"id":"ab","count":1,"lang":null,"tags":[]}`},
		{"a path is decoded", "GET", "/items/a%2Fb%20c", "", nil, 200, `{"id":"a/b c","count":1,"lang":null,"tags":[]}`},
		{"every fault, with its pointer and source", "GET", "/items/a?n=ten&tag=1&tag=2&tag=3", "", nil, 400, invalid(`{"pointer":"/id","message":"path \"id\" must have at least 2 characters"},{"pointer":"/count","message":"query \"n\" must be an integer"},{"pointer":"/tags","message":"query \"tag\" must have at most 2 elements"}`)},
		{"twice is once too often", "GET", "/items/ab?n=1&n=2", "", nil, 400, invalid(`{"pointer":"/count","message":"query \"n\" is given more than once"}`)},
		{"the rest comes from the body", "PUT", "/items/ab?n=2", `{"name":"x","note":5}`, nil, 200, `{"id":"ab","count":2,"lang":null,"tags":[],"name":"x","note":5}`},
		{"faults of both", "PUT", "/items/ab?n=x", `{"name":"","what":1}`, nil, 400, invalid(`{"pointer":"/count","message":"query \"n\" must be an integer"},{"pointer":"/name","message":"must have at least 1 character"},{"pointer":"/what","message":"unknown member \"what\""}`)},
		{"what has a place in the request is not in the body", "PUT", "/items/ab", `{"name":"x","id":"cd"}`, nil, 400, invalid(`{"pointer":"/id","message":"path \"id\" is the place for it, not the body"}`)},
		{"nor by another spelling", "PUT", "/items/ab", `{"name":"x","\u0069d":"cd"}`, nil, 400, invalid(`{"pointer":"/id","message":"path \"id\" is the place for it, not the body"}`)},
		{"nor what the query could have", "PUT", "/items/ab", `{"name":"x","count":2}`, nil, 400, invalid(`{"pointer":"/count","message":"query \"n\" is the place for it, not the body"}`)},
		{"no body is an empty object", "PUT", "/items/ab", "", nil, 400, invalid(`{"pointer":"/name","message":"is missing"}`)},
		{"a body is an object", "PUT", "/items/ab", `[]`, nil, 400, invalid(`{"pointer":"","message":"must be an object, not an array"}`)},
		{"malformed JSON", "PUT", "/items/ab", `{"name":`, nil, 400, `{"error":{"code":"invalid_argument","message":"malformed JSON at byte 8"}}`},
		{"members that stand twice", "PUT", "/items/ab", `{"name":"x","name":"y"}`, nil, 400, invalid(`{"pointer":"/name","message":"stands twice"}`)},
		{"bytes that are not UTF-8", "POST", "/greet", "{\"name\":\"\xff\"}", nil, 400, `{"error":{"code":"invalid_argument","message":"invalid UTF-8 at byte 9"}}`},
		{"depth", "POST", "/greet", `{"name":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, nil, 400, `{"error":{"code":"invalid_argument","message":"nested deeper than 64 at byte 71"}}`},
		{"a result that is no object", "POST", "/greet", `{"name":"Ann"}`, nil, 200, `"Hello, Ann"`},
		{"a charset", "POST", "/greet", `{"name":"Ann"}`, []string{"Content-Type", "application/json; charset=UTF-8"}, 200, `"Hello, Ann"`},
		{"no result", "DELETE", "/items/ab", "", []string{"Authorization", "Bearer ann/admin"}, 204, ""},
		{"HEAD is GET without the body", "HEAD", "/items/ab", "", nil, 200, ""},

		{"a form of the page of another site", "POST", "/greet", `{"name":"Ann"}`, []string{"Content-Type", "text/plain"}, 415, `{"error":{"code":"invalid_argument","message":"the body must be application/json in UTF-8, without a Content-Encoding"}}`},
		{"another charset", "POST", "/greet", `{"name":"Ann"}`, []string{"Content-Type", "application/json; charset=latin1"}, 415, `{"error":{"code":"invalid_argument","message":"the body must be application/json in UTF-8, without a Content-Encoding"}}`},
		{"a compressed body", "POST", "/greet", `{"name":"Ann"}`, []string{"Content-Encoding", "gzip"}, 415, `{"error":{"code":"invalid_argument","message":"the body must be application/json in UTF-8, without a Content-Encoding"}}`},
		{"a body of GET", "GET", "/items/ab", `{}`, nil, 400, `{"error":{"code":"invalid_argument","message":"a GET request has no body here"}}`},
		{"a body over Limits.Message", "POST", "/greet", `{"name":"` + strings.Repeat("x", 64<<10) + `"}`, nil, 413, `{"error":{"code":"too_large","message":"the body has more than 65536 bytes"}}`},
		{"another method", "POST", "/items/ab", `{}`, nil, 405, `{"error":{"code":"invalid_argument","message":"this path takes DELETE, GET, HEAD, PUT, OPTIONS"}}`},
		{"another path", "GET", "/nowhere", "", nil, 404, `{"error":{"code":"not_found","message":"no function has this path"}}`},
		{"a path that the mux would clean", "GET", "//me", "", nil, 404, `{"error":{"code":"not_found","message":"no function has this path"}}`},

		{"a session", "GET", "/me", "", []string{"Authorization", "bearer ann"}, 200, `"ann"`},
		{"no session", "GET", "/me", "", nil, 401, `{"error":{"code":"unauthenticated","message":"sign in first"}}`},
		{"one that has expired", "GET", "/me", "", []string{"Authorization", "Bearer ann/expired"}, 401, `{"error":{"code":"unauthenticated","message":"the session has expired"}}`},
		{"one that is refused, also where none is needed", "GET", "/items/ab", "", []string{"Authorization", "Bearer mallory"}, 401, `{"error":{"code":"unauthenticated","message":"authentication failed"}}`},
		{"no permission", "DELETE", "/items/ab", "", []string{"Authorization", "Bearer ann/guest"}, 403, `{"error":{"code":"permission_denied","message":"this needs a permission that the session does not have"}}`},

		{"a function that ends its goroutine", "POST", "/exits", "", nil, 500, `{"error":{"code":"internal","message":"internal error"}}`},
		{"an Authenticate that ends its goroutine", "GET", "/me", "", []string{"Authorization", "Bearer exit"}, 500, `{"error":{"code":"internal","message":"internal error"}}`},
		{"a panic", "POST", "/panics", "", nil, 500, `{"error":{"code":"internal","message":"internal error"}}`},
		{"an error of the program's", "POST", "/fails", "", nil, 500, `{"error":{"code":"internal","message":"internal error"}}`},
		{"an error for the client", "POST", "/missing", "", nil, 404, `{"error":{"code":"not_found","message":"no such thing"}}`},
		{"a code of the program's", "POST", "/coded", "", nil, 400, `{"error":{"code":"x_mine","message":"mine"}}`},
		{"a result over Limits.Reply", "POST", "/large", "", nil, 413, `{"error":{"code":"too_large","message":"the message to the client has 2097154 bytes; the limit is 1048576"}}`},
		{"when to come again", "POST", "/busy", "", nil, 503, `{"error":{"code":"unavailable","message":"later","retryAfter":1500}}`},
	} {
		t.Run(tc.proves, func(t *testing.T) {
			res, got := ask(t, tc.method, url+tc.path, tc.body, tc.header...)
			if res.StatusCode != tc.status || got != tc.want {
				t.Fatalf("%d %s\nwant %d %s", res.StatusCode, got, tc.status, tc.want)
			}
			if got != "" && res.Header.Get("Content-Type") != "application/json" || res.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("header %v", res.Header)
			}
		})
	}
}

// A function that ends its goroutine takes the connection with it: the client is
// told, or its next request might go out on one that is being closed.
func TestP22EndedGoroutineEndsTheConnection(t *testing.T) {
	url := serve(t, newServer(kanava.Options[user]{}), httpfunc.Options{})
	for path, ends := range map[string]bool{"/exits": true, "/panics": false} {
		if res, _ := ask(t, "POST", url+path, ""); res.Close != ends {
			t.Errorf("%s: the response says that the connection ends: %t, want %t", path, res.Close, ends)
		}
	}
}

func TestP22HeaderFields(t *testing.T) {
	url := serve(t, newServer(kanava.Options[user]{}), httpfunc.Options{})
	for _, tc := range []struct{ proves, method, path, field, want string }{
		{"results are not kept", "GET", "/items/ab", "Cache-Control", "no-store"},
		{"nor guessed at", "GET", "/items/ab", "X-Content-Type-Options", "nosniff"},
		{"HEAD tells the length", "HEAD", "/items/ab", "Content-Length", "43"},
		{"which methods there are", "PATCH", "/items/ab", "Allow", "DELETE, GET, HEAD, PUT, OPTIONS"},
		{"also to who asks", "OPTIONS", "/items/ab", "Allow", "DELETE, GET, HEAD, PUT, OPTIONS"},
		{"when to come again, in seconds", "POST", "/busy", "Retry-After", "2"},
	} {
		if res, _ := ask(t, tc.method, url+tc.path, ""); res.Header.Get(tc.field) != tc.want {
			t.Errorf("%s: %v", tc.proves, res.Header)
		}
	}
}

func TestS1Origin(t *testing.T) {
	url := serve(t, newServer(kanava.Options[user]{Origins: []string{"https://app.example.com"}}), httpfunc.Options{})
	host := strings.TrimPrefix(url, "http://")
	for _, tc := range []struct {
		proves string
		method string
		header []string
		status int
		shared string
	}{
		{"no browser", "GET", nil, 200, ""},
		{"the same host and port", "GET", []string{"Origin", "http://" + host}, 200, "http://" + host},
		{"a page that is listed", "GET", []string{"Origin", "https://app.example.com"}, 200, "https://app.example.com"},
		{"it may read errors too", "PATCH", []string{"Origin", "https://app.example.com"}, 405, "https://app.example.com"},
		{"a page that is not", "GET", []string{"Origin", "https://evil.example.com"}, 403, ""},
		{"nor may it learn which methods there are", "PATCH", []string{"Origin", "https://evil.example.com"}, 403, ""},
		{"a page without an origin", "GET", []string{"Origin", "null"}, 403, ""},
		{"an image on a page of another site", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, 403, ""},
		{"or of a neighbour", "GET", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"}, 403, ""},
		{"its own page", "GET", []string{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors"}, 200, ""},
		{"a link that is followed", "GET", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200, ""},
		{"a form is no link", "DELETE", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 403, ""},
		{"preflight of a page that is listed", "OPTIONS", []string{"Origin", "https://app.example.com", "Access-Control-Request-Method", "PUT"}, 204, "https://app.example.com"},
		{"preflight of a page that is not", "OPTIONS", []string{"Origin", "https://evil.example.com", "Access-Control-Request-Method", "PUT"}, 403, ""},
	} {
		res, body := ask(t, tc.method, url+"/items/ab", "", tc.header...)
		if res.StatusCode != tc.status || res.Header.Get("Access-Control-Allow-Origin") != tc.shared {
			t.Errorf("%s: %d %s %v", tc.proves, res.StatusCode, body, res.Header)
		}
	}
	res, _ := ask(t, "OPTIONS", url+"/items/ab", "", "Origin", "https://app.example.com", "Access-Control-Request-Method", "PUT", "Access-Control-Request-Headers", "content-type")
	if h := res.Header; h.Get("Access-Control-Allow-Methods") != "DELETE, GET, HEAD, PUT, OPTIONS" || h.Get("Access-Control-Allow-Headers") != "content-type" ||
		h.Get("Access-Control-Allow-Credentials") != "true" || h.Get("Vary") != "Origin" {
		t.Errorf("preflight: %v", h)
	}
}

// A body that does not end is not waited for.
func TestBodyTime(t *testing.T) {
	url := serve(t, newServer(kanava.Options[user]{}), httpfunc.Options{BodyTime: 50 * time.Millisecond})
	reader, writer := io.Pipe()
	defer writer.Close()
	go func() { _, _ = writer.Write([]byte(`{"name":`)) }()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/greet", reader)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if raw, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusGatewayTimeout || !strings.Contains(string(raw), "the body took too long") {
		t.Errorf("%d %s", res.StatusCode, raw)
	}
}

func TestFallback(t *testing.T) {
	other := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	url := serve(t, newServer(kanava.Options[user]{}), httpfunc.Options{Fallback: other})
	for _, tc := range []struct {
		proves, method, path string
		header               []string
		status               int
	}{
		{"another path", "GET", "/nowhere", nil, http.StatusTeapot},
		{"another method", "PATCH", "/items/ab", nil, http.StatusTeapot},
		{"but not the question which there are", "OPTIONS", "/items/ab", nil, 204},
		{"a connection by server-sent events", "POST", "/greet", []string{"Kanava-Protocol", "kanava.v1"}, http.StatusTeapot},
		{"what a client of one sends", "POST", "/greet", []string{"Kanava-Up", "x"}, http.StatusTeapot},
		{"a function", "GET", "/items/ab", nil, 200},
	} {
		if res, body := ask(t, tc.method, url+tc.path, "", tc.header...); res.StatusCode != tc.status {
			t.Errorf("%s: %d %s", tc.proves, res.StatusCode, body)
		}
	}
}

func TestWrongOptions(t *testing.T) {
	srv := newServer(kanava.Options[user]{})
	for want, f := range map[string]func(){
		"Handler has no HTTPDispatcher":  func() { httpfunc.Handler(nil, httpfunc.Options{}) },
		"Options.BodyTime is negative":   func() { httpfunc.Handler(srv, httpfunc.Options{BodyTime: -1}) },
		"Options.KeepAlive is negative":  func() { httpfunc.Handler(srv, httpfunc.Options{KeepAlive: -1}) },
		"Options.WriteStall is negative": func() { httpfunc.Handler(srv, httpfunc.Options{WriteStall: -1}) },
	} {
		func() {
			defer func() {
				if p, _ := recover().(string); p != "httpfunc: "+want {
					t.Errorf("panicked with %q, want %q", p, want)
				}
			}()
			f()
		}()
	}
}
