package main

import (
	"context"
	"strings"
	"testing"

	"github.com/kanava-go/kanava/transport/awslambda"
)

// environ is what Lambda and the template give the program.
func environ(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_REGION": "eu-north-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"CHAT_TABLE": "chat", "CHAT_SECRET": "a secret of the tests, 32 bytes and more", "CHAT_ORIGINS": "https://chat.example.com https://other.example.com",
	} {
		t.Setenv(name, value)
	}
}

// The program answers an event of the HTTP API, and one of a client that the channel
// refuses before it needs the table.
func TestHandler(t *testing.T) {
	environ(t)
	handler, err := newHandler(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	connect := func(query string) string {
		return `{"requestContext":{"eventType":"CONNECT","routeKey":"$connect","stage":"chat","connectionId":"L0="},` + query + `}`
	}
	for _, tt := range []struct{ proves, event, want string }{
		{"a token", `{"version":"2.0","rawPath":"/token","rawQueryString":"user=alice","requestContext":{"stage":"$default","http":{"method":"GET","path":"/token"}}}`, `{\"token\":\"`},
		{"no user", `{"version":"2.0","rawPath":"/token","requestContext":{"stage":"$default","http":{"method":"GET","path":"/token"}}}`, `"statusCode":400`},
		{"no room", connect(`"body":""`), `"statusCode":400`},
		{"a page that may not connect", connect(`"queryStringParameters":{"room":"a"},"headers":{"Origin":"https://evil.example.com"}`), `"statusCode":403`},
		{"a page that may, without its room", connect(`"headers":{"Origin":"https://other.example.com"}`), `"statusCode":400`},
	} {
		if got := invoke(t, handler, tt.event); !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %s, want %s in it", tt.proves, got, tt.want)
		}
	}
}

func invoke(t *testing.T, handler *awslambda.Function, event string) string {
	t.Helper()
	answer, err := handler.Invoke(t.Context(), []byte(event))
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// Without what it needs the program does not start.
func TestEnvironment(t *testing.T) {
	for _, missing := range []string{"CHAT_TABLE", "CHAT_SECRET"} {
		environ(t)
		t.Setenv(missing, "")
		if _, err := newHandler(context.Background()); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("without %s: %v", missing, err)
		}
	}
}
