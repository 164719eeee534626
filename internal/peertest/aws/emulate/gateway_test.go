package emulate_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/kanava-go/kanava/internal/peertest/aws/emulate"
)

// traits are the points in which the emulators differ from each other and from
// AWS, whose own is beside each.
type traits struct {
	custom  string // AWS: "sendMessage". The route key of that route
	posted  int    // AWS: 200. The status of a post
	deleted int    // AWS: 204. The status of a delete
	looked  int    // AWS: 200. The status of a look at a connection
	gone    string // AWS: "GoneException". The code of a post to nobody, beside the status 410
	refused bool   // AWS: no. A status of 500 that a message's function returns shows the client an error
	domain  string // AWS: that of the API. What domainName starts with
	stage   string // AWS: that of the API
	reason  bool   // AWS: yes. $disconnect has a reason, though an empty one
	headers bool   // AWS: yes. $disconnect has the header Host
	http    string // AWS: "$default". The route key of any HTTP request
	base64  bool   // AWS: no. The body of a request is in base64 though it is text
}

// TestOffline shows what serverless-offline does. Beyond the table in traits:
//   - a client gets, for each message whose function failed, "Internal server
//     error" with the connection's id, as on AWS
//   - without RouteResponse, a body that the function returns goes nowhere
//   - events of one connection run at once and may overtake each other
//   - there is no limit to the size of a message or a frame
func TestOffline(t *testing.T) {
	w := newWitness(t)
	gw := emulate.Offline(t, emulate.Function{
		Bootstrap: bootstrap, Routes: []string{"sendMessage"}, Env: []string{"PROBE_WITNESS=" + w.url},
	})
	behaviours(t, gw, w, traits{
		custom: "sendMessage", posted: 204, deleted: 204, looked: 426, gone: "",
		domain: "localhost", stage: "local", headers: true, http: "$default",
	})
	t.Run("processes are warm", func(t *testing.T) {
		// A message may come before the process of the last one is done, and meets
		// another then.
		const n = 20
		c := dial(t, gw.URL)
		processes := map[int]bool{}
		for range n {
			processes[c.ask(order{Do: "echo"}).Process] = true
		}
		if len(processes) > n/2 {
			t.Errorf("%d messages met %d processes", n, len(processes))
		}
	})
	t.Run("killed in the midst of an event", func(t *testing.T) {
		c := dial(t, gw.URL)
		held, leave := make(chan struct{}, 1), make(chan struct{})
		hold := func(e seen) {
			if e.RequestContext.EventType == "MESSAGE" { // and not the end of another test's connection
				held <- struct{}{}
				<-leave
			}
		}
		w.hold.Store(&hold)
		c.send(order{Do: "echo"})
		<-held
		w.hold.Store(nil)
		if gw.Lambda.Kill() == 0 {
			t.Error("no process was killed")
		}
		close(leave)
		wantText(t, c.text(), "Internal server error")
		c.ask(order{Do: "echo"}) // meets another
	})
}

// TestSandbox shows what Architect's sandbox does. Beyond the table in traits:
//   - a client gets "Internal server error" also if the function returned a
//     status of 400 or more, which AWS does only for failures
//   - each event meets a new process, which is ended some 25 ms after its answer
//   - there is no limit to the size of a message or a frame
//   - the body of an HTTP request is in base64 unless its type is JSON, and it is
//     lost if the request does not say its length
//   - it dies of an HTTP response whose cookies are null, which is what nil in
//     aws-lambda-go's APIGatewayV2HTTPResponse becomes
//   - a DELETE is answered once the client has closed too
func TestSandbox(t *testing.T) {
	w := newWitness(t)
	gw := emulate.Sandbox(t, emulate.Function{
		Bootstrap: bootstrap, Routes: []string{"sendMessage"}, Env: []string{"PROBE_WITNESS=" + w.url},
	})
	behaviours(t, gw, w, traits{
		custom: "$sendMessage", posted: 200, deleted: 200, looked: 200, gone: "GoneException", refused: true,
		domain: "localhost:", stage: "testing", reason: true, headers: true, http: "ANY /{proxy+}", base64: true,
	})
	t.Run("processes are cold", func(t *testing.T) {
		c := dial(t, gw.URL)
		first := c.ask(order{Do: "echo"})
		if second := c.ask(order{Do: "echo"}); second.Process == first.Process || second.Event != 1 {
			t.Errorf("the second message met %+v, the first %+v: want a new process", second, first)
		}
	})
}

// behaviours are what both emulators do, each in its way.
func behaviours(t *testing.T, gw *emulate.Gateway, w *witness, like traits) {
	t.Helper()
	t.Run("connect and echo", func(t *testing.T) {
		c := dial(t, gw.URL+"?name=value")
		e := w.next(t, func(e seen) bool { return e.RequestContext.EventType == "CONNECT" })
		if at := e.RequestContext; at.RouteKey != "$connect" || at.ConnectionID != c.id || e.QueryStringParameters["name"] != "value" {
			t.Errorf("$connect was %+v", e)
		}
		if at := e.RequestContext; !strings.HasPrefix(at.DomainName, like.domain) || at.Stage != like.stage {
			t.Errorf("$connect is of domain %q and stage %q, want %q and %q", at.DomainName, at.Stage, like.domain, like.stage)
		}
		if r := c.ask(order{Do: "echo", Text: "zażółć 🙂"}); r.Text != "zażółć 🙂" || r.Route != "$default" || r.Connection != c.id {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("custom route", func(t *testing.T) {
		if r := dial(t, gw.URL).ask(order{Action: "sendMessage", Do: "echo"}); r.Route != like.custom {
			t.Errorf("route key %q, want %q", r.Route, like.custom)
		}
	})
	t.Run("refused connection", func(t *testing.T) {
		_, res, err := websocket.Dial(limit(t), gw.URL+"?refuse=1", nil)
		if err == nil || res == nil || res.StatusCode != http.StatusForbidden {
			t.Errorf("got %v and %v, want 403", res, err)
		}
	})
	t.Run("subprotocol", func(t *testing.T) {
		// AWS takes the one that $connect returns; both take the first.
		ws, _, err := websocket.Dial(limit(t), gw.URL+"?protocol=two", &websocket.DialOptions{Subprotocols: []string{"one", "two"}})
		if err != nil {
			t.Fatal(err)
		}
		defer ws.CloseNow()
		if got := ws.Subprotocol(); got != "one" {
			t.Errorf("got subprotocol %q", got)
		}
	})
	t.Run("post to another connection", func(t *testing.T) {
		a, b := dial(t, gw.URL), dial(t, gw.URL)
		if r := a.ask(order{Do: "post", To: b.id, Text: "from a"}); r.Status != 0 || r.Code != "" {
			t.Errorf("the post came to %+v", r)
		}
		if got := b.text(); got != "from a" {
			t.Errorf("b got %q", got)
		}
		if got := manage(t, gw, http.MethodPost, b.id); got != like.posted {
			t.Errorf("a post is answered with %d, want %d", got, like.posted)
		}
	})
	t.Run("look at a connection", func(t *testing.T) {
		a, b := dial(t, gw.URL), dial(t, gw.URL)
		if got := manage(t, gw, http.MethodGet, b.id); got != like.looked {
			t.Errorf("status %d, want %d", got, like.looked)
		}
		r := a.ask(order{Do: "get", To: b.id})
		if known := r.Text != ""; known != (like.looked == http.StatusOK) {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("close a connection", func(t *testing.T) {
		a, b, c := dial(t, gw.URL), dial(t, gw.URL), dial(t, gw.URL)
		closed := b.closed()
		if r := a.ask(order{Do: "delete", To: b.id}); r.Status != 0 || r.Code != "" {
			t.Errorf("the delete came to %+v", r)
		}
		// AWS closes with 1000 or 1001.
		if got := <-closed; got != websocket.StatusNoStatusRcvd {
			t.Errorf("the connection ended with %v", got)
		}
		closed = c.closed()
		if got := manage(t, gw, http.MethodDelete, c.id); got != like.deleted {
			t.Errorf("a delete is answered with %d, want %d", got, like.deleted)
		}
		<-closed
	})
	t.Run("disconnect, and gone", func(t *testing.T) {
		a, b := dial(t, gw.URL), dial(t, gw.URL)
		b.ws.Close(4001, "enough")
		e := w.next(t, func(e seen) bool {
			return e.RequestContext.EventType == "DISCONNECT" && e.RequestContext.ConnectionID == b.id
		})
		at := e.RequestContext
		if at.RouteKey != "$disconnect" {
			t.Errorf("route key %q", at.RouteKey)
		}
		// AWS has the code and the reason.
		if at.DisconnectStatusCode != 0 || (at.DisconnectReason != nil) != like.reason || (like.reason && *at.DisconnectReason != "") {
			t.Errorf("$disconnect with %d and %v", at.DisconnectStatusCode, at.DisconnectReason)
		}
		if _, has := header(e, "Host"); has != like.headers {
			t.Errorf("$disconnect with headers %v", e.Headers)
		}
		r := a.ask(order{Do: "post", To: b.id, Text: "too late"})
		if r.Status != http.StatusGone || (r.Code == "GoneException") != (like.gone != "") {
			t.Errorf("a post to a gone connection came to %+v, want 410 and %q", r, like.gone)
		}
	})
	t.Run("failures", func(t *testing.T) {
		c := dial(t, gw.URL)
		for _, do := range []string{"fail", "exit"} {
			c.send(order{Do: do, Text: "secret"})
			got := c.text()
			wantText(t, got, `"message":"Internal server error"`)
			wantText(t, got, c.id)
			if strings.Contains(got, "secret") {
				t.Errorf("the client got %q", got)
			}
		}
		c.send(order{Do: "refuse"})
		if like.refused {
			wantText(t, c.text(), `"message":"Internal server error"`)
		}
		c.ask(order{Do: "echo"}) // goes on, and nothing else has come
	})
	t.Run("messages at once", func(t *testing.T) {
		// The events wait for each other: each has a process of its own.
		const n = 5
		c := dial(t, gw.URL)
		var all sync.WaitGroup
		all.Add(n)
		hold := func(e seen) {
			if e.RequestContext.EventType == "MESSAGE" {
				all.Done()
				all.Wait()
			}
		}
		w.hold.Store(&hold)
		for range n {
			c.send(order{Do: "echo"})
		}
		processes := map[int]bool{}
		for range n {
			processes[c.result().Process] = true
		}
		w.hold.Store(nil)
		if len(processes) != n {
			t.Errorf("%d processes, want %d", len(processes), n)
		}
	})
	t.Run("50 clients at once", func(t *testing.T) {
		const n, each = 50, 3
		clients := make([]*client, n)
		for i := range clients {
			clients[i] = dial(t, gw.URL)
		}
		for range each {
			for _, c := range clients {
				c.send(order{Do: "echo", Text: c.id})
			}
		}
		for _, c := range clients {
			for range each {
				if r := c.result(); r.Text != c.id {
					t.Errorf("%s got the answer of %s", c.id, r.Text)
				}
			}
		}
	})
	t.Run("binary message", func(t *testing.T) {
		// AWS closes with 1003. Both send an object for a body.
		c := dial(t, gw.URL)
		if err := c.ws.Write(limit(t), websocket.MessageBinary, []byte(`{"do":"echo"}`)); err != nil {
			t.Fatal(err)
		}
		wantText(t, c.text(), "Internal server error")
		w.next(t, func(e seen) bool { _, object := e.Body.(map[string]any); return object })
	})
	t.Run("large message", func(t *testing.T) {
		// AWS closes with 1009: a frame may have 32 KB, a message 128.
		text := strings.Repeat("x", 200<<10)
		if r := dial(t, gw.URL).ask(order{Do: "echo", Text: text}); r.Text != text {
			t.Errorf("%d bytes came back, want %d", len(r.Text), len(text))
		}
	})
	t.Run("HTTP", func(t *testing.T) {
		res, err := http.Post(gw.HTTP+"/rooms/1?a=b", "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusAccepted || string(body) != "POST /rooms/1 hello" || res.Header.Get("X-Route") != like.http {
			t.Errorf("got %d, route %q, %q, %v", res.StatusCode, res.Header.Get("X-Route"), body, err)
		}
		e := w.next(t, func(e seen) bool { return e.RequestContext.HTTP.Path == "/rooms/1" })
		if e.Version != "2.0" || e.RawPath != "/rooms/1" || e.QueryStringParameters["a"] != "b" || e.IsBase64Encoded != like.base64 {
			t.Errorf("the event was %+v", e)
		}
	})
}

// manage calls the management API without the SDK, and returns the status.
func manage(t *testing.T, gw *emulate.Gateway, method, connection string) int {
	t.Helper()
	var body io.Reader
	if method == http.MethodPost {
		body = bytes.NewReader([]byte("managed"))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, gw.Management+"/@connections/"+connection, body)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// header returns a header, whatever the case of its name.
func header(e seen, name string) (string, bool) {
	for key, value := range e.Headers {
		if strings.EqualFold(key, name) {
			return value, true
		}
	}
	return "", false
}
