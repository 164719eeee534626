package chat

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/kanava-go/kanava/internal/peertest/aws/emulate"
)

// stay keeps what TestPlain has started there, for people to look at.
var stay = flag.Bool("stay", false, "let the emulators run after TestPlain, until the test is interrupted")

// gateways are both emulators, each with a new process for every event: all that one
// event leaves to the next is in the table.
func gateways(t *testing.T, test func(t *testing.T, gw *emulate.Gateway, fn emulate.Function)) {
	t.Run("serverless-offline", func(t *testing.T) {
		fn := function(t)
		fn.Fresh = true
		test(t, emulate.Offline(t, fn), fn)
	})
	t.Run("sandbox", func(t *testing.T) {
		fn := function(t)
		test(t, emulate.Sandbox(t, fn), fn)
	})
}

// The chat, in the plain form. A session that one event has set is there in the next.
func TestPlain(t *testing.T) {
	gateways(t, func(t *testing.T, gw *emulate.Gateway, _ emulate.Function) {
		conversation(t, gw)
		if *stay {
			interrupted := make(chan os.Signal, 1)
			signal.Notify(interrupted, os.Interrupt)
			fmt.Fprintf(os.Stdout, "connect to %s/chat?room=general\nget a token from %s/token?user=alice\n", gw.URL, gw.HTTP)
			<-interrupted
		}
	})
}

func conversation(t *testing.T, gw *emulate.Gateway) {
	alice, bob, guest, elsewhere := join(t, gw, "general"), join(t, gw, "general"), join(t, gw, "general"), join(t, gw, "other")
	alice.send(`{"action":"whoami"}`)
	alice.want(`{"userId":"","role":"","action":"whoami"}`)
	alice.send(`{"action":"sendMessage","message":"hello"}`)
	alice.want(`"code":"unauthenticated"`, `"action":"sendMessage"`)
	alice.signIn(gw, "alice", "member")
	bob.signIn(gw, "bob", "admin")
	alice.send(`{"action":"whoami"}`)
	alice.want(`{"userId":"alice","role":"member","action":"whoami"}`)

	alice.send(`{"action":"sendMessage","message":"hello"}`)
	alice.want(`"message":"hello"`, `"action":"sendMessage"`)
	for _, c := range []*plain{bob, guest} {
		c.want(`"topic":"room:general"`, `"message":"hello","userId":"alice"`)
	}
	bob.send(`{"action":"sendMessage","message":"hello, alice"}`)
	alice.want(`"message":"hello, alice","userId":"bob"`)
	guest.want(`"message":"hello, alice","userId":"bob"`)
	bob.want(`"action":"sendMessage"`)

	alice.send(`{"action":"broadcast","room":"general","message":"all"}`)
	alice.want(`"action":"broadcast"`, `"code":"permission_denied"`)
	bob.send(`{"action":"broadcast","room":"general","message":"all"}`)
	for _, c := range []*plain{alice, bob, guest} { // the whole room
		c.want(`"message":"all","userId":"bob"`)
	}
	bob.want(`{"action":"broadcast"}`)

	late := join(t, gw, "general")
	late.send(`{"action":"history","limit":2}`)
	text := late.want(`"action":"history"`, `"older":true`)
	if a, b := strings.Index(text, `"hello, alice"`), strings.Index(text, `"all"`); a < 0 || b < a || strings.Contains(text, `"message":"hello"`) {
		t.Errorf("the history is %s", text)
	}
	late.send(`{"action":"who"}`)
	late.want(`{"names":["alice","bob"],"count":2,"action":"who"}`)

	alice.send(`{"action":"process","jobId":"j1"}`)
	alice.want(`{"type":"processing","step":"Loading data"}`)
	alice.want(`{"type":"processing","step":"Processing"}`)
	alice.want(`{"type":"complete","result":{"jobId":"j1","records":6}}`)
	alice.want(`{"action":"process"}`)

	alice.send(`{"action":"logout"}`)
	alice.want(`{"action":"logout"}`)
	alice.send(`{"action":"sendMessage","message":"hello"}`)
	alice.want(`"code":"unauthenticated"`, `"action":"sendMessage"`)
	for _, c := range []*plain{alice, bob, guest, elsewhere, late} {
		c.nothingElse()
	}
}

// Errors say nothing of what is inside: neither those of a client, nor those of the
// program, nor those of a table that is not there.
func TestErrors(t *testing.T) {
	fn := function(t)
	t.Run("of clients", func(t *testing.T) {
		gw := emulate.Sandbox(t, fn)
		c := join(t, gw, "general")
		for _, tt := range []struct{ send, want string }{
			{`{"action":"sendMessage","message":`, `"code":"invalid_argument"`},
			{`{"action":"authenticate","token":"bad"}`, `"code":"unauthenticated"`},
			{`{"action":"history","limit":201}`, `"code":"invalid_argument"`},
			{`[[[[[[[[`, `"code":"invalid_argument"`},
		} {
			c.send(tt.send)
			discreet(t, c.want(tt.want))
		}
		for _, query := range []string{"", "?room=", "?room=a&room=b", "?room=" + strings.Repeat("x", 65)} {
			if status := refused(t, gw, query); status != http.StatusBadRequest {
				t.Errorf("%q is answered with %d", query, status)
			}
		}
	})
	t.Run("of the program", func(t *testing.T) {
		fn.Env = append(fn.Env, "CHAT_TABLE=missing")
		gw := emulate.Sandbox(t, fn)
		if status := refused(t, gw, "?room=general"); status != http.StatusServiceUnavailable {
			t.Errorf("without a table a client is answered with %d", status)
		}
	})
}

// refused returns the status of a client that is refused.
func refused(t *testing.T, gw *emulate.Gateway, query string) int {
	t.Helper()
	ws, res, err := websocket.Dial(limit(t), gw.URL+query, nil)
	if err == nil {
		ws.CloseNow()
		t.Errorf("%q was let in", query)
		return 0
	}
	if res == nil {
		t.Fatalf("%q: %v", query, err)
	}
	text := fmt.Sprint(res.Header)
	if res.Body != nil {
		body := make([]byte, 4096)
		n, _ := res.Body.Read(body)
		text += string(body[:n])
	}
	discreet(t, text)
	return res.StatusCode
}

// discreet demands that a text says nothing of what is inside.
func discreet(t *testing.T, text string) {
	t.Helper()
	for _, word := range []string{"dynamo", "Dynamo", "lambda", "ResourceNotFound", "table", ".go:", "goroutine", "127.0.0.1", "kanava-go"} {
		if strings.Contains(text, word) {
			t.Errorf("the client was told %q", text)
		}
	}
}
