package webpubsub_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kanava-go/kanava/transport/webpubsub"
)

// entra is a source of tokens that always gives the same.
type entra string

func (e entra) Token(context.Context) (string, error) { return string(e), nil }

type noToken struct{}

var errNoToken = errors.New("no identity here")

func (noToken) Token(context.Context) (string, error) { return "", errNoToken }

// The claims are those that Microsoft's clients sign: npm @azure/web-pubsub 1.2.0,
// getClientAccessToken.
func TestClientURLWithKey(t *testing.T) {
	s := always(500, "")
	c := clientOf(t, s)
	address, err := c.ClientURL(t.Context(), webpubsub.Access{
		UserID: "ann", Roles: []string{"webpubsub.joinLeaveGroup", "webpubsub.sendToGroup.news"}, Groups: []string{"news"}, Valid: 5 * time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "wss" || u.Host != "name.webpubsub.azure.com" || u.Path != "/client/hubs/chat" {
		t.Fatalf("%s: %v", address, err)
	}
	got := claims(t, u.Query().Get("access_token"), endpoint+"/client/hubs/chat")
	if valid := got["exp"].(float64) - got["iat"].(float64); valid != 300 {
		t.Errorf("valid for %v s", valid)
	}
	delete(got, "exp")
	delete(got, "iat")
	if diff := cmp.Diff(map[string]any{
		"aud": endpoint + "/client/hubs/chat", "sub": "ann",
		"role": []any{"webpubsub.joinLeaveGroup", "webpubsub.sendToGroup.news"}, "webpubsub.group": []any{"news"},
	}, map[string]any(got)); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}

	address, err = c.ClientURL(t.Context(), webpubsub.Access{})
	if err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(address, "access_token=")
	got = claims(t, token, endpoint+"/client/hubs/chat")
	if valid := got["exp"].(float64) - got["iat"].(float64); valid != 3600 || len(got) != 3 {
		t.Errorf("claims of nobody: %v", got)
	}
	if _, err := c.ClientURL(t.Context(), webpubsub.Access{Valid: -1}); err == nil {
		t.Error("a token that was never valid")
	}
	if n := len(s.requests()); n != 0 {
		t.Errorf("%d requests, where none is needed", n)
	}
}

func TestClientURLWithTokens(t *testing.T) {
	// The answer is that of WebPubSub_GenerateClientToken in the API's definition.
	s := always(200, `{"token":"ABC.DEF.GHI"}`)
	c := clientOf(t, s, func(o *webpubsub.ClientOptions) { o.AccessKey, o.Tokens = "", entra("entra-token") })
	address, err := c.ClientURL(t.Context(), webpubsub.Access{UserID: "ann", Roles: []string{"r1", "r2"}, Groups: []string{"g"}, Valid: 61 * time.Second})
	if err != nil || address != "wss://name.webpubsub.azure.com/client/hubs/chat?access_token=ABC.DEF.GHI" {
		t.Errorf("%s, %v", address, err)
	}
	got := s.requests()[0]
	if want := endpoint + "/api/hubs/chat/:generateToken?api-version=2024-12-01&group=g&minutesToExpire=2&role=r1&role=r2&userId=ann"; got.Method != http.MethodPost || got.URL != want {
		t.Errorf("%s %s, want %s", got.Method, got.URL, want)
	}
	if got := got.Header.Get("Authorization"); got != "Bearer entra-token" {
		t.Errorf("Authorization: %s", got)
	}
	for _, answer := range []string{"", "{}", `{"token":""}`, "ABC"} {
		c := clientOf(t, always(200, answer), func(o *webpubsub.ClientOptions) { o.AccessKey, o.Tokens = "", entra("t") })
		if address, err := c.ClientURL(t.Context(), webpubsub.Access{}); err == nil {
			t.Errorf("answer %q: %s", answer, address)
		}
	}
}

func TestTokenSourceFails(t *testing.T) {
	for name, source := range map[string]webpubsub.TokenSource{"an error": noToken{}, "an empty token": entra("")} {
		s := always(202, "")
		c := clientOf(t, s, func(o *webpubsub.ClientOptions) { o.AccessKey, o.Tokens = "", source })
		err := c.SendToAll(t.Context(), webpubsub.Message{Type: webpubsub.Text})
		if err == nil || len(s.requests()) != 0 {
			t.Errorf("%s: %v, and %d requests", name, err, len(s.requests()))
		}
		if (source == noToken{}) && !errors.Is(err, errNoToken) {
			t.Errorf("%s: %v does not tell the source's error", name, err)
		}
	}
}
