package emulate_test

import (
	"net/http"
	"testing"

	"github.com/coder/websocket"

	"github.com/kanava-go/kanava/internal/peertest/aws/emulate"
)

// What only serverless-offline has: an authorizer, and route responses. And its
// processes are fresh here.
func TestOfflineOnly(t *testing.T) {
	w := newWitness(t)
	gw := emulate.Offline(t, emulate.Function{
		Bootstrap: bootstrap, Authorizer: bootstrap, RouteResponse: true, Fresh: true, Env: []string{"PROBE_WITNESS=" + w.url},
	})
	t.Run("authorizer", func(t *testing.T) {
		_, res, err := websocket.Dial(limit(t), gw.URL+"?token=bad", nil)
		if err == nil || res == nil || res.StatusCode != http.StatusUnauthorized {
			t.Errorf("got %v and %v, want 401", res, err)
		}
		// AWS answers 401 itself where the token is missing; here the authorizer is
		// asked all the same.
		_, res, err = websocket.Dial(limit(t), gw.URL, nil)
		if err == nil || res == nil || res.StatusCode != http.StatusUnauthorized {
			t.Errorf("got %v and %v, want 401", res, err)
		}
		c := dial(t, gw.URL+"?token=good")
		for _, kind := range []string{"CONNECT", "MESSAGE"} {
			e := w.next(t, func(e seen) bool { return e.Type == "" && e.RequestContext.EventType == kind })
			if at := e.RequestContext.Authorizer; at["principalId"] != "alice" || at["name"] != "Alice" {
				t.Errorf("%s of %s has authorizer %v", kind, c.id, at)
			}
		}
	})
	t.Run("route response", func(t *testing.T) {
		c := dial(t, gw.URL+"?token=good")
		c.send(order{Do: "return", Text: "a body"})
		if got := c.text(); got != "a body" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("processes are fresh", func(t *testing.T) {
		c := dial(t, gw.URL+"?token=good")
		for range 3 {
			if r := c.ask(order{Do: "echo"}); r.Event != 1 {
				t.Errorf("the message was number %d of its process", r.Event)
			}
		}
	})
}
