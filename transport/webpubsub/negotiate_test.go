package webpubsub_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava/transport/webpubsub"
)

// Clients get an address that is theirs, or the reason why not.
func TestNegotiate(t *testing.T) {
	h := webpubsub.Negotiate(clientOf(t, always(http.StatusOK, "")), func(_ context.Context, r *http.Request) (webpubsub.Access, error) {
		switch name := r.Header.Get("X-Name"); name {
		case "":
			return webpubsub.Access{}, &webpubsub.RefusalError{Status: http.StatusUnauthorized, Text: "who are you"}
		case "broken":
			return webpubsub.Access{}, errors.New(hidden)
		default:
			return webpubsub.Access{UserID: name}, nil
		}
	})
	ask := func(method, query, name string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "/negotiate?"+query, http.NoBody)
		r.Header.Set("X-Name", name)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s ?%s may be stored", method, query)
		}
		return rec
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		rec := ask(method, "channel=%2Frooms%2F7&id=mine", "ann")
		var answer struct {
			URL string `json:"url"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != http.StatusOK || rec.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("%s: %d %s: %v", method, rec.Code, rec.Body, err)
		}
		u, err := url.Parse(answer.URL)
		if err != nil {
			t.Fatal(err)
		}
		query := u.Query()
		if c := claims(t, query.Get("access_token"), endpoint+"/client/hubs/chat"); c["sub"] != "ann" {
			t.Errorf("the token is one of %v", c["sub"])
		}
		query.Del("access_token")
		u.RawQuery = query.Encode()
		if got := u.String(); got != "wss://name.webpubsub.azure.com/client/hubs/chat?channel=%2Frooms%2F7" {
			t.Errorf("%s: %s", method, got)
		}
	}
	for _, tt := range []struct {
		method, query, name string
		status              int
		says                string
	}{
		{http.MethodGet, "", "", 401, "who are you"},
		{http.MethodGet, "", "broken", 500, ""},
		{http.MethodGet, "%zz", "ann", 400, "the query cannot be read"},
		{http.MethodPut, "", "ann", 405, "ask by GET or POST"},
	} {
		if rec := ask(tt.method, tt.query, tt.name); rec.Code != tt.status || rec.Body.String() != tt.says || strings.Contains(rec.Body.String(), hidden) {
			t.Errorf("%s ?%s: %d %s", tt.method, tt.query, rec.Code, rec.Body)
		}
	}
}
