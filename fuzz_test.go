package kanava_test

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// answersAction finds the answers of the actions that are wired.
var answersAction = regexp.MustCompile(`"action":"(echo|(un)?subscribe)"`)

// Whatever a client sends, it gets one frame for it: JSON that is malformed
// after the JSON library is CodeInvalidArgument, anything else reaches its
// function or is refused; and the next message is answered as ever.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"action":"echo","message":"hi"}`, `{"\u0061ction":"echo","message":"hi"}`, `{"action":"echo","action":"echo"}`,
		`[1,2,{"a":null}]`, `"\ud800"`, `{"action":{"a":[]},"b":1e400}`, `{"a":1,"a":2}`, ` {"action" : "echo" , "message":"x"} `, `{"action":"nope"}`, `01`, `{}`,
		`{"action":"subscribe","topic":"open:a"}`, `{"action":"unsubscribe","topic":["open:a"]}`,
	} {
		f.Add(seed)
	}
	srv := kanava.NewServer(kanava.Options[account]{
		Limits: kanava.Limits{Rate: kanava.Unlimited},
		Logger: slog.New(slog.DiscardHandler),
	})
	srv.Wire(wiring{
		Name: "fuzz", Route: "/fuzz", Public: true, Messages: by(kanava.On("echo", echo)),
		Declares:  []kanava.Declared{kanava.NewTopic[text](srv.EventHub(), "open", kanava.ClientSubscribable())},
		OnMessage: kanava.Func(func(_ context.Context, _ *line, in jsontext.Value) (jsontext.Value, error) { return in, nil }),
	})
	f.Fuzz(func(t *testing.T, message string) {
		if len(message) == 0 || len(message) > 64<<10 || !utf8.ValidString(message) {
			return // ignored, or closed by the transport
		}
		c := kanavatest.Dial(t, srv, "/fuzz")
		c.SendText(message)
		got := c.Next()
		if !jsontext.Value(got).IsValid() {
			t.Fatalf("%q is answered by what is no JSON: %q", message, got)
		}
		refused := strings.Contains(got, `"error":{"code":"invalid_argument"`)
		want, err := json.Marshal(jsontext.Value(message)) // compact, with as few escapes as can be
		switch {
		case err != nil && !refused:
			t.Fatalf("malformed %q is answered %s", message, got)
		case err == nil && !refused && !answersAction.MatchString(got) && got != string(want):
			t.Fatalf("%q is echoed as %s, want %s", message, got, want)
		}
		c.SendText(`{"action":"echo","message":"next"}`)
		c.Expect(`{"message":"next","action":"echo"}`)
	})
}
