package webpubsub_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava/transport/webpubsub"
)

func TestPreflight(t *testing.T) {
	for name, tc := range map[string]struct {
		origin  []string
		status  int
		allowed string
	}{
		"the service":          {[]string{host}, 200, host},
		"whatever the case":    {[]string{"NAME.webpubsub.azure.com"}, 200, "NAME.webpubsub.azure.com"},
		"another service":      {[]string{"other.webpubsub.azure.com"}, 403, ""},
		"a longer name":        {[]string{host + ".example"}, 403, ""},
		"everybody":            {[]string{"*"}, 403, ""},
		"nobody":               {nil, 400, ""},
		"the service, and one": {[]string{host, "other"}, 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(nil, nil)
			r := httptest.NewRequest(http.MethodOptions, "/upstream/validate", nil)
			r.Header["Webhook-Request-Origin"] = tc.origin
			w := httptest.NewRecorder()
			u.ServeHTTP(w, r)
			if got := w.Header().Get("WebHook-Allowed-Origin"); w.Code != tc.status || got != tc.allowed {
				t.Errorf("%d, allowed origin %q; want %d, %q", w.Code, got, tc.status, tc.allowed)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	twice := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Add(name, value) }
	}
	not := func(name string) func(*http.Request) { return func(r *http.Request) { r.Header.Del(name) } }
	body := func(s string) func(*http.Request) {
		return func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(s)), -1
		}
	}
	connect, user := connectRequest, userRequest
	for name, tc := range map[string]struct {
		request func() *http.Request
		change  func(*http.Request)
		status  int
	}{
		"GET":                         {user, func(r *http.Request) { r.Method = http.MethodGet }, 405},
		"PUT":                         {user, func(r *http.Request) { r.Method = http.MethodPut }, 405},
		"no origin":                   {user, not("WebHook-Request-Origin"), 400},
		"another service's origin":    {user, set("WebHook-Request-Origin", "other.webpubsub.azure.com"), 403},
		"no signature":                {user, not("ce-signature"), 401},
		"signature of nothing":        {user, set("ce-signature", "sha256="), 401},
		"signature without algorithm": {user, set("ce-signature", signature1[len("sha256="):]), 401},
		"signature of another one":    {user, set("ce-connectionId", "conn-2"), 401},
		"signature cut short":         {user, set("ce-signature", signature1[:40]), 401},
		"signature with one bit off":  {user, set("ce-signature", signature1[:len(signature1)-1]+"2"), 401},
		"the fifth of five":           {user, set("ce-signature", strings.Repeat("sha256=00,", 4)+signature1), 401},
		"another hub":                 {user, set("ce-hub", "other"), 404},
		"no hub":                      {user, not("ce-hub"), 404},
		"no CloudEvent":               {user, not("ce-specversion"), 400},
		"a later CloudEvent":          {user, set("ce-specversion", "2.0"), 400},
		"no type":                     {user, not("ce-type"), 400},
		"another product's type":      {user, set("ce-type", "azure.signalr.user.message"), 400},
		"unknown system event":        {user, set("ce-type", "azure.webpubsub.sys.joined"), 400},
		"user event without a name":   {user, set("ce-type", "azure.webpubsub.user."), 400},
		"no id":                       {user, not("ce-id"), 400},
		"a long id":                   {user, set("ce-id", strings.Repeat("1", 513)), 400},
		"no connection":               {user, not("ce-connectionId"), 400},
		"a long connection":           {user, set("ce-connectionId", strings.Repeat("c", 513)), 400},
		"no time":                     {user, not("ce-time"), 400},
		"time that is none":           {user, set("ce-time", "yesterday"), 400},
		"two connections":             {user, twice("ce-connectionId", "conn-2"), 400},
		"two states":                  {user, twice("ce-connectionState", "a"), 0},
		"two users":                   {user, twice("ce-userId", "bob"), 400},
		"a user that is not UTF-8":    {user, set("ce-userId", "\xff"), 400},
		"no content type":             {user, not("Content-Type"), 415},
		"XML":                         {user, set("Content-Type", "application/xml"), 415},
		"protobuf":                    {user, set("Content-Type", "application/x-protobuf"), 415},
		"another charset":             {user, set("Content-Type", "text/plain; charset=latin1"), 415},
		"compressed":                  {user, set("Content-Encoding", "gzip"), 415},
		"system event in text":        {connect, set("Content-Type", "text/plain"), 415},
		"connect without a body":      {connect, body(""), 400},
		"connect that is not JSON":    {connect, body("hello"), 400},
		"connect that is an array":    {connect, body("[]"), 400},
		"connect with a wrong type":   {connect, body(`{"claims":{"a":"b"}}`), 400},
		"connect with a name twice":   {connect, body(`{"query":{"a":["1"],"a":["2"]}}`), 400},
		"connect, not UTF-8":          {connect, body("{\"query\":{\"a\":[\"\xff\"]}}"), 400},
		"too much, as it says":        {user, func(r *http.Request) { r.ContentLength = 2 << 20 }, 413},
		"too much, as it comes":       {user, body(strings.Repeat("x", 2<<20)), 413},
		"body that breaks off":        {user, func(r *http.Request) { r.Body = io.NopCloser(io.MultiReader(strings.NewReader("h"), broken{})) }, 400},
		// These are right, so that the table itself is proven.
		"nothing wrong":           {user, func(*http.Request) {}, 204},
		"nothing wrong (connect)": {connect, func(*http.Request) {}, 204},
		"only the first key":      {user, set("ce-signature", signature1), 204},
		"only the second key":     {user, set("ce-signature", signature2), 204},
		"spaces, other digits":    {user, set("ce-signature", "sha256=zz, "+strings.ToUpper(signature2[7:])+", "+signature1), 204},
		"the hub in capitals":     {user, set("ce-hub", "CHAT"), 204},
		"nobody":                  {user, not("ce-userId"), 204},
		"1 MiB":                   {user, body(strings.Repeat("x", 1<<20)), 204},
		"charset in capitals":     {user, set("Content-Type", "text/plain;charset=UTF-8"), 204},
		"members of a newer time": {connect, body(`{"claims":null,"mqtt":{"protocolVersion":5}}`), 204},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(nil, nil)
			r := tc.request()
			tc.change(r)
			if name == "two states" { // the request has none yet
				r.Header.Add("ce-connectionState", "b")
				tc.status = 400
			}
			w := httptest.NewRecorder()
			u.ServeHTTP(w, r)
			if w.Code != tc.status {
				t.Errorf("%d %s; want %d", w.Code, w.Body, tc.status)
			}
			if handled := len(u.events); handled != 0 && tc.status != 204 || handled != 1 && tc.status == 204 {
				t.Errorf("%d events were handled", handled)
			}
			if allow := w.Header().Get("Allow"); (allow == "OPTIONS, POST") != (tc.status == 405) {
				t.Errorf("Allow: %q", allow)
			}
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("secret of the network") }

// What a function does wrong, and errors that are not for the service, give 500
// without a word, and stand in the log.
func TestFailures(t *testing.T) {
	newline, umlaut := "a\nb", "ä"
	for name, tc := range map[string]struct {
		request *http.Request
		res     *webpubsub.Response
		err     error
	}{
		"an error":              {userRequest(), nil, errors.New("the store is away")},
		"a refusal with 500":    {userRequest(), nil, &webpubsub.RefusalError{Status: 500, Text: "secret"}},
		"a refusal with 200":    {connectRequest(), nil, &webpubsub.RefusalError{Status: 200, Text: "secret"}},
		"a refusal with 408":    {userRequest(), nil, &webpubsub.RefusalError{Status: 408, Text: "secret"}},
		"state of two lines":    {userRequest(), &webpubsub.Response{State: &newline}, nil},
		"state beyond ASCII":    {connectRequest(), &webpubsub.Response{State: &umlaut}, nil},
		"subprotocol of no one": {connectRequest(), &webpubsub.Response{Accept: webpubsub.Accept{Subprotocol: "other"}}, nil},
		"a user not in UTF-8":   {connectRequest(), &webpubsub.Response{Accept: webpubsub.Accept{UserID: "\xff"}}, nil},
		"a message of no type":  {userRequest(), &webpubsub.Response{Message: webpubsub.Message{Data: []byte("x")}}, nil},
		"too large a message":   {userRequest(), &webpubsub.Response{Message: webpubsub.Message{Type: webpubsub.Text, Data: make([]byte, webpubsub.MaxMessage+1)}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(tc.res, tc.err)
			if got := u.send(t, tc.request); got != `500 "" [] ` {
				t.Errorf("answer %s", got)
			}
			if log := u.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "connection=conn-1") {
				t.Errorf("log: %q", log)
			}
		})
	}
}

func TestWrongOptionsPanic(t *testing.T) {
	handle := func(context.Context, *webpubsub.Event) (*webpubsub.Response, error) { return nil, nil }
	good := webpubsub.EventOptions{Hub: "chat", Hosts: []string{host}, AccessKeys: []string{key}}
	for name, tc := range map[string]struct {
		handle webpubsub.HandleFunc
		change func(*webpubsub.EventOptions)
	}{
		"no function": {nil, func(*webpubsub.EventOptions) {}},
		"no hub":      {handle, func(o *webpubsub.EventOptions) { o.Hub = "" }},
		"no host":     {handle, func(o *webpubsub.EventOptions) { o.Hosts = nil }},
		"no key":      {handle, func(o *webpubsub.EventOptions) { o.AccessKeys = nil }},
		"an empty key, which would sign for everybody": {handle, func(o *webpubsub.EventOptions) { o.AccessKeys = []string{key, ""} }},
	} {
		o := good
		tc.change(&o)
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.HasPrefix(text, "webpubsub: ") {
					t.Errorf("%s: panic %q", name, text)
				}
			}()
			webpubsub.EventHandler(tc.handle, o)
		}()
	}
}

// A body that stops coming does not hold the handler, and not the server either.
func TestSlowBody(t *testing.T) {
	h := webpubsub.EventHandler(func(context.Context, *webpubsub.Event) (*webpubsub.Response, error) {
		t.Error("handled an event without its body")
		return nil, nil
	}, webpubsub.EventOptions{Hub: "chat", Hosts: []string{host}, AccessKeys: []string{key}, Logger: slog.New(slog.DiscardHandler)})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("ce-id") != "refused" {
			w = hasty{w}
		}
		h.ServeHTTP(w, r)
	}))
	defer srv.Close()
	for name, tc := range map[string]struct {
		id, signature string
		status        int
	}{
		"an event":                               {"1", signature1, http.StatusBadRequest},
		"one whose body nobody wants, after 0 s": {"refused", "sha256=00", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			rest, stuck := io.Pipe()
			defer stuck.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL, io.MultiReader(strings.NewReader("he"), rest))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = userRequest().Header
			req.Header.Set("ce-id", tc.id)
			req.Header.Set("ce-signature", tc.signature)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != tc.status {
				t.Errorf("%s", res.Status)
			}
		})
	}
}

// hasty has deadlines come 15 s earlier.
type hasty struct{ http.ResponseWriter }

func (h hasty) SetReadDeadline(at time.Time) error {
	if !at.IsZero() {
		at = at.Add(-15 * time.Second)
	}
	return http.NewResponseController(h.ResponseWriter).SetReadDeadline(at)
}

// When the body is there, nothing presses the function: net/http takes a deadline
// of reading for a client that has left.
func TestFunctionHasTime(t *testing.T) {
	w := &timed{ResponseRecorder: httptest.NewRecorder()}
	h := webpubsub.EventHandler(func(context.Context, *webpubsub.Event) (*webpubsub.Response, error) {
		if len(w.deadlines) != 2 || w.deadlines[0].IsZero() || !w.deadlines[1].IsZero() {
			t.Errorf("deadlines %v", w.deadlines)
		}
		return nil, nil
	}, webpubsub.EventOptions{Hub: "chat", Hosts: []string{host}, AccessKeys: []string{key}})
	h.ServeHTTP(w, userRequest())
	if w.Code != http.StatusNoContent {
		t.Errorf("%d", w.Code)
	}
}

// timed keeps what deadlines are set.
type timed struct {
	*httptest.ResponseRecorder
	deadlines []time.Time
}

func (t *timed) SetReadDeadline(at time.Time) error {
	t.deadlines = append(t.deadlines, at)
	return nil
}
