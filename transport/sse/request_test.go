package sse_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/sse"
)

func TestRequestsThatAreNone(t *testing.T) {
	w := newWorld(t, sse.Options{}, kanava.Limits{})
	events := []string{"Accept", "text/event-stream"}
	v1 := []string{"Accept", "text/event-stream", "Kanava-Protocol", "kanava.v1", "Content-Type", "application/json"}
	for _, tt := range []struct {
		proves string
		method string
		path   string
		body   string
		fields []string
		status int
		code   kanava.Code
	}{
		{"another method", "PUT", "/line", "", events, 405, "invalid_argument"},
		{"DELETE", "DELETE", "/line", "", events, 405, "invalid_argument"},
		{"no Accept", "GET", "/line", "", nil, 406, "invalid_argument"},
		{"anything is not events", "GET", "/line", "", []string{"Accept", "text/html, */*;q=0.8"}, 406, "invalid_argument"},
		{"Accept that cannot be read", "GET", "/line", "", []string{"Accept", ";;;"}, 406, "invalid_argument"},
		{"a handshake of WebSocket without its Upgrade", "GET", "/line", "", []string{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}, 426, "failed_precondition"},
		{"GET with a body", "GET", "/line", "x", events, 400, "invalid_argument"},
		{"POST without a purpose", "POST", "/line", "{}", events, 400, "invalid_argument"},
		{"a hello without Accept", "POST", "/line", "{}", []string{"Kanava-Protocol", "kanava.v1"}, 406, "invalid_argument"},
		{"a hello of another type", "POST", "/line", "{}", append(events, "Kanava-Protocol", "kanava.v1", "Content-Type", "text/plain"), 415, "invalid_argument"},
		{"a hello without a type", "POST", "/line", "{}", append(events, "Kanava-Protocol", "kanava.v1"), 415, "invalid_argument"},
		{"kanava.v1 by GET", "GET", "/line", "", append(events, "Kanava-Protocol", "kanava.v1"), 405, "invalid_argument"},
		{"the plain form by POST", "POST", "/line", "{}", append(events, "Kanava-Protocol", "kanava.plain", "Content-Type", "application/json"), 405, "invalid_argument"},
		{"a hello without a word", "POST", "/line", "", v1, 400, "invalid_argument"},
		{"no such channel", "GET", "/nowhere", "", events, 404, "not_found"},
		{"no such channel for kanava.v1", "POST", "/nowhere", `{"hello":{}}`, v1, 404, "not_found"},
		{"a hello that is too large", "POST", "/line", `{"hello":{}}` + strings.Repeat(" ", 64<<10), v1, 413, "too_large"},
		{"S1 a foreign page", "GET", "/line", "", append(events, "Origin", "https://evil.example"), 403, "permission_denied"},
		{"S1 a foreign page asks before it sends", "OPTIONS", "/line", "", []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "POST"}, 403, "permission_denied"},
	} {
		t.Run(tt.proves, func(t *testing.T) {
			var body *strings.Reader
			res := func() *http.Response {
				if tt.body == "" {
					return w.do(tt.method, tt.path, nil, tt.fields...)
				}
				body = strings.NewReader(tt.body)
				return w.do(tt.method, tt.path, body, tt.fields...)
			}()
			w.wantError(res, tt.status, tt.code)
			if allow := res.Header.Get("Allow"); (allow == "GET, POST, OPTIONS") != (tt.status == 405) {
				t.Errorf("Allow is %q", allow)
			}
		})
	}
	if n := w.srv.Conns().Count(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// A page of a listed origin may read the answers, whatever they are, and a page
// of another one may not.
func TestS1_Pages(t *testing.T) {
	w := newWorld(t, sse.Options{}, kanava.Limits{})
	const page = "https://app.example.com"
	res := w.do("OPTIONS", "/line", nil, "Origin", page, "Access-Control-Request-Method", "POST",
		"Access-Control-Request-Headers", "content-type,kanava-up,kanava-seq")
	w.wantStatus(res, 204)
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": page, "Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Methods": "GET, POST", "Access-Control-Allow-Headers": "content-type,kanava-up,kanava-seq",
		"Access-Control-Max-Age": "600",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := res.Header.Values("Vary"); strings.Join(got, ", ") != "Origin, Access-Control-Request-Headers" {
		t.Errorf("Vary is %q", got)
	}

	c := w.plain()
	up := []string{"Kanava-Up", c.secret, "Kanava-Seq", "1", "Content-Type", "application/json"}
	for _, tt := range []struct {
		proves string
		method string
		fields []string
		origin string
		status int
		shared bool
	}{
		{"a stream", "GET", []string{"Accept", "text/event-stream"}, page, 200, true},
		{"a refusal", "GET", nil, page, 406, true},
		{"a message of a foreign page", "POST", up, "https://evil.example", 403, false},
		{"a message of a page without an origin", "POST", up, "null", 403, false},
		{"a message", "POST", up, page, 204, true},
		{"a message to a connection that has gone", "POST", []string{"Kanava-Up", "x"}, page, 404, true},
		{"a page of the server's own", "GET", nil, "http://kanava.test", 406, true},
		{"no page", "GET", nil, "", 406, false},
	} {
		t.Run(tt.proves, func(t *testing.T) {
			fields := tt.fields
			if tt.origin != "" {
				fields = append(fields, "Origin", tt.origin)
			}
			res := w.wantStatus(w.do(tt.method, "/line", nil, fields...), tt.status)
			got, credentials := res.Header.Get("Access-Control-Allow-Origin"), res.Header.Get("Access-Control-Allow-Credentials")
			if tt.shared && (got != tt.origin || credentials != "true" || !strings.Contains(res.Header.Get("Access-Control-Expose-Headers"), "Kanava-Up")) ||
				!tt.shared && (got != "" || credentials != "") {
				t.Errorf("the page may read: %v", res.Header)
			}
			if res.Header.Get("Vary") != "Origin" {
				t.Errorf("Vary is %q", res.Header.Values("Vary"))
			}
		})
	}
}

// Handlers around this one that hide what a stream needs are told so.
func TestHiddenResponseWriter(t *testing.T) {
	for _, tt := range []struct {
		proves string
		hide   func(http.ResponseWriter) http.ResponseWriter
		ok     bool
	}{
		{"Flush is hidden", func(w http.ResponseWriter) http.ResponseWriter { return struct{ http.ResponseWriter }{w} }, false},
		{"the deadlines are hidden", func(w http.ResponseWriter) http.ResponseWriter {
			return struct {
				http.ResponseWriter
				http.Flusher
			}{w, w.(http.Flusher)}
		}, false},
		{"Unwrap shows both", func(w http.ResponseWriter) http.ResponseWriter { return wrapped{struct{ http.ResponseWriter }{w}, w} }, true},
	} {
		t.Run(tt.proves, func(t *testing.T) {
			w := newWorld(t, sse.Options{}, kanava.Limits{}, func(s *http.Server) {
				next := s.Handler
				s.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { next.ServeHTTP(tt.hide(rw), r) })
			})
			if tt.ok {
				w.plain().leave()
				return
			}
			w.wantError(w.do("GET", "/line", nil, "Accept", "text/event-stream"), 500, "internal")
		})
	}
	rec := httptest.NewRecorder()
	srv := kanava.NewServer(kanava.Options[none]{})
	sse.Handler(srv, sse.Options{}).ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x")))
	if rec.Code != 500 {
		t.Errorf("without a read deadline: %d", rec.Code)
	}
}

type wrapped struct {
	http.ResponseWriter
	inner http.ResponseWriter
}

func (w wrapped) Unwrap() http.ResponseWriter { return w.inner }
