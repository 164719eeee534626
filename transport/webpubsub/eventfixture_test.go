package webpubsub_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kanava-go/kanava/transport/webpubsub"
)

const (
	host = "name.webpubsub.azure.com"

	// HMAC-SHA256 of "conn-1" with key and key2, made with Python's hmac.
	signature1 = "sha256=5c8571ca85902bbff0897cb93a1fbc11331be5a03969614c6fdcd21a0abd4c13"
	signature2 = "sha256=b3c69c6e5cd85e494ce5db385d508e5472f0151d4d6eb4a003ef6584522f1095"
)

// eventRequest is an event of the connection conn-1 in the hub chat, signed with
// both keys, as the service sends it.
func eventRequest(eventType, contentType, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/upstream", strings.NewReader(body))
	name := eventType[strings.LastIndexByte(eventType, '.')+1:]
	for _, f := range [][2]string{
		{"WebHook-Request-Origin", host},
		{"Content-Type", contentType},
		{"ce-specversion", "1.0"},
		{"ce-awpsversion", "1.0"},
		{"ce-type", eventType},
		{"ce-source", "/hubs/chat/client/conn-1"},
		{"ce-id", "1"},
		{"ce-time", "2021-01-01T00:00:00Z"},
		{"ce-signature", signature1 + "," + signature2},
		{"ce-userId", "ann"},
		{"ce-connectionId", "conn-1"},
		{"ce-hub", "chat"},
		{"ce-eventName", name},
	} {
		r.Header.Set(f[0], f[1])
	}
	return r
}

func connectRequest() *http.Request {
	return eventRequest("azure.webpubsub.sys.connect", "application/json; charset=utf-8",
		`{"claims":{},"query":{},"headers":{},"subprotocols":["kanava.v1","kanava.plain"],"clientCertificates":[]}`)
}

func userRequest() *http.Request {
	return eventRequest("azure.webpubsub.user.message", "text/plain", "hello")
}

// upstream is an event handler under test: it keeps the events and answers each of
// them alike.
type upstream struct {
	http.Handler
	events []*webpubsub.Event
	log    bytes.Buffer
}

func newUpstream(res *webpubsub.Response, err error) *upstream {
	u := &upstream{}
	u.Handler = webpubsub.EventHandler(func(_ context.Context, ev *webpubsub.Event) (*webpubsub.Response, error) {
		u.events = append(u.events, ev)
		return res, err
	}, webpubsub.EventOptions{
		Hub: "chat", Hosts: []string{host}, AccessKeys: []string{key, key2},
		Logger: slog.New(slog.NewTextHandler(&u.log, nil)),
	})
	return u
}

// send has u answer a request: "status content-type state body".
func (u *upstream) send(t testing.TB, r *http.Request) (got string) {
	t.Helper()
	w := httptest.NewRecorder()
	u.ServeHTTP(w, r)
	res := w.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %q %q %s", res.StatusCode, res.Header.Get("Content-Type"), res.Header.Values("ce-connectionState"), body)
}
