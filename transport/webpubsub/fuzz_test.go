package webpubsub_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kanava-go/kanava/transport/webpubsub"
)

// Whatever a signed request contains, it is refused with a status of 400 or more,
// or the event is one that a function can rely on.
func FuzzEvent(f *testing.F) {
	for _, seed := range [][4]string{
		{"azure.webpubsub.sys.connect", "application/json; charset=utf-8", "", `{"claims":{"a":["b"]},"query":{},"headers":{},"subprotocols":["x"],"clientCertificates":[{"thumbprint":"t"}]}`},
		{"azure.webpubsub.sys.connected", "application/json", "s", "{}"},
		{"azure.webpubsub.sys.disconnected", "application/json", "", `{"reason":"r"}`},
		{"azure.webpubsub.user.message", "text/plain", "eyJrZXkiOiJhIn0=", "hello"},
		{"azure.webpubsub.user.x.y", "application/octet-stream", "", "\x00"},
		{"azure.webpubsub.user.json", "application/json", "", "[1]"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, eventType, contentType, state, body string) {
		u := newUpstream(nil, nil)
		r := eventRequest("."+eventType, contentType, body)
		r.Header.Set("ce-type", eventType)
		r.Header.Set("ce-connectionState", state)
		w := httptest.NewRecorder()
		u.ServeHTTP(w, r)
		if len(u.events) == 0 {
			if w.Code < 400 || w.Code > 499 {
				t.Errorf("not handled, and answered with %d", w.Code)
			}
			return
		}
		if w.Code != 200 && w.Code != 204 {
			t.Errorf("handled, and answered with %d", w.Code)
		}
		ev := u.events[0]
		if ev.ConnectionID != "conn-1" || ev.Hub != "chat" || ev.UserID != "ann" || ev.State != state || ev.Name == "" || !strings.HasSuffix(eventType, "."+ev.Name) {
			t.Errorf("event %+v of %q", ev, eventType)
		}
		user := ev.Type == webpubsub.User
		switch ev.Message.Type {
		case webpubsub.Text, webpubsub.JSON, webpubsub.Binary:
			if !user || string(ev.Message.Data) != body {
				t.Errorf("message %q of %s with body %q", ev.Message.Data, ev.Type, body)
			}
		default:
			if user || ev.Message.Data != nil {
				t.Errorf("no message in %s", ev.Type)
			}
		}
		if (ev.Connecting != nil) != (ev.Type == webpubsub.Connect) {
			t.Errorf("connecting %+v of %s", ev.Connecting, ev.Type)
		}
		if ev.Connecting != nil && !json.Valid([]byte(body)) {
			t.Errorf("body %q is not JSON", body)
		}
	})
}
