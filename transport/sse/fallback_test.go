package sse_test

import (
	"net/http"
	"testing"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/sse"
	"github.com/kanava-go/kanava/transport/ws"
)

// One route has both transports; who asks for neither is told what there is.
func TestFallbackOfWebSocket(t *testing.T) {
	w := newWorld(t, sse.Options{}, kanava.Limits{})
	w.web.Handler = ws.Handler(w.srv, ws.Options{Fallback: w.web.Handler})

	upgrade := w.do("GET", "/line", nil, "Connection", "Upgrade", "Upgrade", "websocket",
		"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	w.wantStatus(upgrade, http.StatusSwitchingProtocols)
	<-w.joined
	plain, v1 := w.plain(), w.envelope()
	plain.post(204, `"hi"`)
	plain.want(event{data: `"hi"`})
	v1.post(204, `{"do":"","in":"hi","id":1}`)
	v1.want(event{data: `{"re":1,"out":"hi"}`})
	if n := w.srv.Conns().Count(); n != 3 {
		t.Errorf("%d connections", n)
	}
	w.wantStatus(w.do("OPTIONS", "/line", nil, "Origin", "https://app.example.com", "Access-Control-Request-Method", "POST"), 204)
	w.wantError(w.do("GET", "/line", nil), 406, "invalid_argument")
	w.wantError(w.do("GET", "/line", nil, "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), 426, "failed_precondition")
	_ = upgrade.Body.Close()
	plain.leave()
	v1.leave()
}
