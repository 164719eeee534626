package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// environ is what main.bicep gives the program.
func environ(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"CHAT_WEBPUBSUB":  "Endpoint=https://name.webpubsub.azure.com;AccessKey=c2VjcmV0;Version=1.0;",
		"CHAT_SECOND_KEY": "c2Vjb25k", "CHAT_DATABASE": "postgres://chat:password@db.example.com/chat?sslmode=verify-full",
		"CHAT_SECRET": "a secret of the tests, 32 bytes and more", "CHAT_ORIGINS": "https://chat.example.com",
	} {
		t.Setenv(name, value)
	}
}

// The program answers what needs no database: it allows its own service to post
// events, and no other one, and signs people in.
func TestHandler(t *testing.T) {
	environ(t)
	handler, closeHub, err := newHandler()
	if err != nil {
		t.Fatal(err)
	}
	defer closeHub()
	for _, tt := range []struct {
		proves, method, path, origin string
		status                       int
		body                         string
	}{
		{"the service may post", http.MethodOptions, "/api/webpubsub", "name.webpubsub.azure.com", 200, ""},
		{"another one may not", http.MethodOptions, "/api/webpubsub", "other.webpubsub.azure.com", 403, ""},
		{"an event without a signature", http.MethodPost, "/api/webpubsub", "name.webpubsub.azure.com", 400, ""},
		{"a token", http.MethodGet, "/api/token?user=alice", "", 200, `{"token":"`},
		{"no user", http.MethodGet, "/api/token", "", 400, "user is missing"},
	} {
		r := httptest.NewRequest(tt.method, tt.path, http.NoBody)
		if tt.origin != "" {
			r.Header.Set("WebHook-Request-Origin", tt.origin)
		}
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, r)
		if rec.Code != tt.status || !strings.Contains(rec.Body.String(), tt.body) {
			t.Errorf("%s: %d %s", tt.proves, rec.Code, rec.Body)
		}
	}
}

// Without what it needs the program does not start.
func TestEnvironment(t *testing.T) {
	for _, missing := range []string{"CHAT_WEBPUBSUB", "CHAT_DATABASE", "CHAT_SECRET"} {
		environ(t)
		t.Setenv(missing, "")
		if _, _, err := newHandler(); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("without %s: %v", missing, err)
		}
	}
}
