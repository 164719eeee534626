package kanava_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

type everything struct {
	ID     string     `json:"id" path:"id" minLength:"2"`
	Page   int        `json:"page" query:"page" default:"1" minimum:"1"`
	Deep   bool       `json:"deep" query:"deep" required:"false"`
	Since  *time.Time `json:"since" query:"since"`
	Tags   []string   `json:"tags" query:"tag" maxItems:"2"`
	Host   string     `json:"host" header:"Host"`
	Client string     `json:"client" header:"X-Client" query:"client" required:"false"`
}

func serveEverything(t *testing.T) *server {
	srv := serve(t, kanava.Options[account]{}, wiring{})
	srv.Wire(kanava.Wiring[everything, account]{
		Name: "all", Route: "/all/{id}", Public: true,
		OnConnect: kanava.ConnectFunc(func(_ context.Context, ch *kanava.Channel[everything, account]) (everything, error) {
			return ch.Opening(), nil
		}),
	})
	return srv
}

func TestP2_OpeningData(t *testing.T) {
	srv := serveEverything(t)
	c := kanavatest.Dial(t, srv, "/all/a%2Fb?page=3&deep=1&since=2026-01-02T03:04:05Z&tag=x&tag=y&client=q&unknown=1")
	c.Expect(`{"id":"a/b","page":3,"deep":true,"since":"2026-01-02T03:04:05Z","tags":["x","y"],"host":"kanava.test","client":"q"}`)
	req := request("/all/ab")
	req.Header.Set("X-Client", "h")
	d, err := kanavatest.DialRequest(t, srv, req)
	if err != nil {
		t.Fatal(err)
	}
	d.Expect(`{"id":"ab","page":1,"deep":false,"since":null,"tags":[],"host":"kanava.test","client":"h"}`)
}

func TestP2_OpeningDataFaultsAllAtOnce(t *testing.T) {
	_, err := kanavatest.DialRequest(t, serveEverything(t), request("/all/a?page=0&deep=maybe&since=yesterday&tag=1&tag=2&tag=3&client=a&client=b"))
	var e *kanava.Error
	if !errors.As(err, &e) || e.Code != kanava.CodeInvalidArgument || e.HTTPStatus() != http.StatusBadRequest {
		t.Fatalf("got %v", err)
	}
	got := map[string]bool{}
	for _, d := range e.Details {
		got[d.Pointer] = d.Message != ""
	}
	for _, want := range []string{"/id", "/page", "/deep", "/since", "/tags", "/client"} {
		if !got[want] {
			t.Errorf("no fault at %s: %+v", want, e.Details)
		}
	}
}

func TestNoSuchRoute(t *testing.T) {
	srv := serveEverything(t)
	for _, target := range []string{"/", "/other", "/all", "/all/", "/all/x/y", "/TEST", "/test/"} {
		_, err := kanavatest.DialRequest(t, srv, request(target))
		var e *kanava.Error
		if !errors.As(err, &e) || e.Code != kanava.CodeNotFound {
			t.Errorf("%s: %v", target, err)
		}
	}
}

func TestS1_Origins(t *testing.T) {
	for _, tc := range []struct {
		host, origin string
		allowed      []string
		ok           bool
	}{
		{"app.example.com", "", nil, true},
		{"app.example.com", "https://app.example.com", nil, true},
		{"app.example.com:8080", "http://app.example.com:8080", nil, true},
		{"APP.example.com", "https://app.EXAMPLE.com", nil, true},
		{"app.example.com:443", "https://app.example.com", nil, true},
		{"app.example.com:80", "http://app.example.com", nil, true},
		{"app.example.com", "https://app.example.com:8443", nil, false},
		{"app.example.com", "https://evil.example.com", nil, false},
		{"app.example.com", "https://app.example.com.evil.org", nil, false},
		{"app.example.com", "null", nil, false},
		{"app.example.com", "not a url", nil, false},
		{"app.example.com", "null", []string{"null"}, true},
		{"app.example.com", "https://other.org", []string{"*"}, true},
		{"app.example.com", "https://other.org", []string{"https://other.org"}, true},
		{"app.example.com", "http://other.org", []string{"https://other.org"}, false},
		{"app.example.com", "https://a.b.other.org", []string{"https://*.other.org"}, true},
		{"app.example.com", "https://other.org", []string{"https://*.other.org"}, false},
		{"app.example.com", "https://evilother.org", []string{"https://*.other.org"}, false},
		{"app.example.com", "null", []string{"https://*.other.org"}, false},
	} {
		srv := serve(t, kanava.Options[account]{Origins: tc.allowed}, wiring{Public: true})
		req := request("/test")
		req.Host = tc.host
		if tc.origin != "" {
			req.Header.Set("Origin", tc.origin)
		}
		_, err := kanavatest.DialRequest(t, srv, req)
		var e *kanava.Error
		if tc.ok != (err == nil) || err != nil && (!errors.As(err, &e) || e.Code != kanava.CodePermissionDenied) {
			t.Errorf("host %s, origin %s, allowed %v: %v, want ok %v", tc.host, tc.origin, tc.allowed, err, tc.ok)
		}
	}
	req := request("/test")
	req.Header["Origin"] = []string{"https://kanava.test", "https://evil.org"}
	if _, err := kanavatest.DialRequest(t, serve(t, kanava.Options[account]{}, wiring{}), req); err == nil {
		t.Error("two Origin headers were let in")
	}
}

func TestP1_Subprotocols(t *testing.T) {
	srv := serve(t, kanava.Options[account]{Subprotocols: []string{"mine"}}, wiring{Public: true})
	for _, tc := range []struct {
		offered []string
		want    string
		refused bool
	}{
		{nil, "", false},
		{[]string{"kanava.plain"}, "kanava.plain", false},
		{[]string{"other", "mine"}, "mine", false},
		{[]string{"other"}, "", false},
		{[]string{"kanava.v9", "kanava.plain"}, "kanava.plain", false},
		{[]string{"kanava.v9"}, "kanava.v9", true},
		{[]string{"kanava.v9", "kanava.v1", "kanava.plain"}, "kanava.v1", false},
	} {
		req := request("/test")
		req.Subprotocols = tc.offered
		p := newPeer()
		link, err := srv.Open(context.Background(), req, p)
		if err != nil {
			t.Fatal(err)
		}
		if got := link.Subprotocol(); got != tc.want {
			t.Errorf("%v: answered %q, want %q", tc.offered, got, tc.want)
		}
		frames, closing := link.Take(nil, 1<<10)
		if tc.refused { // told first
			if len(frames) != 1 || string(frames[0].Data) != `{"away":{"code":4426}}` {
				t.Errorf("%v: got %v", tc.offered, frames)
			}
			_, closing = link.Take(nil, 1<<10)
		}
		if refused := closing != nil && closing.Code == kanava.CloseUpgradeRequired; refused != tc.refused {
			t.Errorf("%v: closing %+v, want refused %v", tc.offered, closing, tc.refused)
		}
		link.Disconnect(kanava.CloseNormal, "")
		receive(t, link.Done())
	}
}

func TestPanicsAtOpeningAreInternal(t *testing.T) {
	var log logBuffer
	srv := serve(t, kanava.Options[account]{Logger: log.logger(), Authenticate: func(context.Context, *kanava.OpenRequest) (*account, error) {
		panic("secret")
	}}, wiring{})
	_, err := kanavatest.DialRequest(t, srv, request("/test"))
	var e *kanava.Error
	if !errors.As(err, &e) || e.Code != kanava.CodeInternal || strings.Contains(e.Message, "secret") || !strings.Contains(log.String(), "secret") {
		t.Errorf("got %v; log %s", err, log.String())
	}
}
