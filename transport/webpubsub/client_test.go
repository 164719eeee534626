package webpubsub_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kanava-go/kanava/transport/webpubsub"
)

// Requests and answers are those of the API's definition, version 2024-12-01:
// github.com/Azure/azure-rest-api-specs, specification/webpubsub/data-plane/WebPubSub/stable/2024-12-01/webpubsub.json;
// what a real service answered stands in the recordings of Microsoft's own client:
// github.com/Azure/azure-sdk-for-go, sdk/messaging/azwebpubsub/testdata/recordings.
func TestRequests(t *testing.T) {
	const api = endpoint + "/api/hubs/chat"
	text := webpubsub.Message{Type: webpubsub.Text, Data: []byte("Hello world!")}
	for _, tc := range []struct {
		name   string
		do     func(ctx context.Context, c *webpubsub.Client) error
		answer int
		want   sent
	}{
		{
			"text to all", func(ctx context.Context, c *webpubsub.Client) error { return c.SendToAll(ctx, text) },
			202,
			sent{Method: "POST", URL: api + "/:send?api-version=2024-12-01", Type: "text/plain", Body: "Hello world!"},
		},
		{
			"JSON to all but two", func(ctx context.Context, c *webpubsub.Client) error {
				return c.SendToAll(ctx, webpubsub.Message{Type: webpubsub.JSON, Data: []byte("true")}, "conn1", "conn2")
			},
			202,
			sent{Method: "POST", URL: api + "/:send?api-version=2024-12-01&excluded=conn1&excluded=conn2", Type: "application/json", Body: "true"},
		},
		{
			"bytes to a connection", func(ctx context.Context, c *webpubsub.Client) error {
				return c.SendToConnection(ctx, "conn1", webpubsub.Message{Type: webpubsub.Binary, Data: []byte{0, 255}})
			},
			202,
			sent{Method: "POST", URL: api + "/connections/conn1/:send?api-version=2024-12-01", Type: "application/octet-stream", Body: "\x00\xff"},
		},
		{
			"to a user, whose name is escaped as Microsoft's clients do", func(ctx context.Context, c *webpubsub.Client) error { return c.SendToUser(ctx, "a b/ä@x", text) },
			202,
			sent{Method: "POST", URL: api + "/users/a%20b%2F%C3%A4%40x/:send?api-version=2024-12-01", Type: "text/plain", Body: "Hello world!"},
		},
		{
			"to a group without one connection", func(ctx context.Context, c *webpubsub.Client) error {
				return c.SendToGroup(ctx, "room:1", text, "a&b c")
			},
			202,
			sent{Method: "POST", URL: api + "/groups/room%3A1/:send?api-version=2024-12-01&excluded=a%26b%20c", Type: "text/plain", Body: "Hello world!"},
		},
		{
			"close a connection", func(ctx context.Context, c *webpubsub.Client) error {
				return c.CloseConnection(ctx, "conn1", "TestClient_CloseConnections")
			},
			204,
			sent{Method: "DELETE", URL: api + "/connections/conn1?api-version=2024-12-01&reason=TestClient_CloseConnections"},
		},
		{
			"close without a reason", func(ctx context.Context, c *webpubsub.Client) error { return c.CloseConnection(ctx, "conn1", "") },
			204,
			sent{Method: "DELETE", URL: api + "/connections/conn1?api-version=2024-12-01"},
		},
		{
			"close a user's connections", func(ctx context.Context, c *webpubsub.Client) error { return c.CloseUser(ctx, "user1", "gone away") },
			204,
			sent{Method: "POST", URL: api + "/users/user1/:closeConnections?api-version=2024-12-01&reason=gone%20away"},
		},
		{
			"close a group's connections", func(ctx context.Context, c *webpubsub.Client) error { return c.CloseGroup(ctx, "group1", "") },
			204,
			sent{Method: "POST", URL: api + "/groups/group1/:closeConnections?api-version=2024-12-01"},
		},
		{
			"into a group", func(ctx context.Context, c *webpubsub.Client) error { return c.AddToGroup(ctx, "group1", "conn1") },
			200,
			sent{Method: "PUT", URL: api + "/groups/group1/connections/conn1?api-version=2024-12-01"},
		},
		{
			"out of a group", func(ctx context.Context, c *webpubsub.Client) error { return c.RemoveFromGroup(ctx, "group1", "conn1") },
			204,
			sent{Method: "DELETE", URL: api + "/groups/group1/connections/conn1?api-version=2024-12-01"},
		},
		{
			"out of all groups", func(ctx context.Context, c *webpubsub.Client) error { return c.RemoveFromAllGroups(ctx, "conn1") },
			204,
			sent{Method: "DELETE", URL: api + "/connections/conn1/groups?api-version=2024-12-01"},
		},
		{
			"is a connection open", func(ctx context.Context, c *webpubsub.Client) error {
				open, err := c.ConnectionExists(ctx, "conn1")
				if !open {
					t.Error("200 is not taken for an open connection")
				}
				return err
			},
			200,
			sent{Method: "HEAD", URL: api + "/connections/conn1?api-version=2024-12-01"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := always(tc.answer, "")
			if err := tc.do(t.Context(), clientOf(t, s)); err != nil {
				t.Fatal(err)
			}
			all := s.requests()
			if len(all) != 1 {
				t.Fatalf("%d requests, not one", len(all))
			}
			got := all[0]
			token, _ := strings.CutPrefix(got.Header.Get("Authorization"), "Bearer ")
			claims(t, token, tc.want.URL)
			got.Header, got.At = nil, tc.want.At
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestGone(t *testing.T) {
	// A recorded answer: TestClient_ManagePermissions.json.
	s := always(404, `{"code":"Info.Connection.NotExisted","message":"Connection `+"`conn1`"+` is not found.","target":"Connection","details":null,"innererror":null}`,
		"X-Ms-Error-Code", "Info.Connection.NotExisted")
	c := clientOf(t, s)
	err := c.AddToGroup(t.Context(), "group1", "conn1")
	if !errors.Is(err, webpubsub.ErrGone) {
		t.Errorf("AddToGroup: %v, not ErrGone", err)
	}
	var refused *webpubsub.ResponseError
	if !errors.As(err, &refused) || refused.Status != 404 || refused.Code != "Info.Connection.NotExisted" || refused.Message != "Connection `conn1` is not found." {
		t.Errorf("AddToGroup: %+v", refused)
	}
	if open, err := c.ConnectionExists(t.Context(), "conn1"); open || err != nil {
		t.Errorf("ConnectionExists: %v, %v; want false", open, err)
	}
	if n := len(s.requests()); n != 2 {
		t.Errorf("%d requests: a 404 is not to be tried again", n)
	}
}

func TestOtherAnswersAreNotGone(t *testing.T) {
	for _, status := range []int{301, 307, 400, 401, 403, 409, 410, 413, 415, 500} {
		s := always(status, "<html>not JSON</html>", "Location", "https://other.example/api")
		err := clientOf(t, s).SendToConnection(t.Context(), "conn1", webpubsub.Message{Type: webpubsub.Text})
		var refused *webpubsub.ResponseError
		if !errors.As(err, &refused) || refused.Status != status || errors.Is(err, webpubsub.ErrGone) {
			t.Errorf("%d: %v", status, err)
		}
		if n := len(s.requests()); n != 1 {
			t.Errorf("%d: %d tries, not one", status, n)
		}
	}
}

func TestResponseError(t *testing.T) {
	for name, tc := range map[string]struct {
		body   string
		header []string
		want   webpubsub.ResponseError
	}{
		"nothing but a status":         {"", nil, webpubsub.ResponseError{Status: 400}},
		"a code in a header":           {"", []string{"X-Ms-Error-Code", "A"}, webpubsub.ResponseError{Status: 400, Code: "A"}},
		"a code in the body":           {`{"code":"B","message":"m"}`, nil, webpubsub.ResponseError{Status: 400, Code: "B", Message: "m"}},
		"two codes":                    {`{"code":"B"}`, []string{"X-Ms-Error-Code", "A"}, webpubsub.ResponseError{Status: 400, Code: "A"}},
		"a long text":                  {`{"message":"` + strings.Repeat("x", 2000) + `"}`, nil, webpubsub.ResponseError{Status: 400, Message: strings.Repeat("x", 1024)}},
		"a wait":                       {"", []string{"Retry-After", "5"}, webpubsub.ResponseError{Status: 400, RetryAfter: 5 * time.Second}},
		"a wait that is less than 0":   {"", []string{"Retry-After", "-5"}, webpubsub.ResponseError{Status: 400}},
		"a wait until a time gone by":  {"", []string{"Retry-After", "Sat, 01 Jan 1994 00:00:00 GMT"}, webpubsub.ResponseError{Status: 400}},
		"a wait that nobody can count": {"", []string{"Retry-After", "99999999999999999999"}, webpubsub.ResponseError{Status: 400}},
	} {
		err := clientOf(t, always(400, tc.body, tc.header...)).SendToAll(t.Context(), hello)
		var got *webpubsub.ResponseError
		if !errors.As(err, &got) || *got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

func TestNothingIsSent(t *testing.T) {
	s := always(202, "")
	c := clientOf(t, s)
	fits := webpubsub.Message{Type: webpubsub.Text, Data: make([]byte, webpubsub.MaxMessage)}
	big := webpubsub.Message{Type: webpubsub.Text, Data: make([]byte, webpubsub.MaxMessage+1)}
	for name, err := range map[string]error{
		"to all":          c.SendToAll(t.Context(), big),
		"to a connection": c.SendToConnection(t.Context(), "conn1", big),
		"to a user":       c.SendToUser(t.Context(), "ann", big),
		"to a group":      c.SendToGroup(t.Context(), "g", big),
	} {
		if !errors.Is(err, webpubsub.ErrTooLarge) || !strings.Contains(err.Error(), "1000001 bytes of at most 1000000") {
			t.Errorf("%s: %v, not ErrTooLarge with both numbers", name, err)
		}
	}
	for name, err := range map[string]error{
		"no name":       c.SendToConnection(t.Context(), "", fits),
		"the hub":       c.SendToGroup(t.Context(), "..", fits),
		"the group":     c.CloseGroup(t.Context(), ".", ""),
		"no user":       c.CloseUser(t.Context(), "", ""),
		"no connection": c.AddToGroup(t.Context(), "g", ".."),
		"no type":       c.SendToAll(t.Context(), webpubsub.Message{Data: []byte("x")}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if n := len(s.requests()); n != 0 {
		t.Fatalf("%d requests were made", n)
	}
	if err := c.SendToAll(t.Context(), fits); err != nil || len(s.requests()) != 1 {
		t.Errorf("a message of MaxMessage bytes: %v", err)
	}
}

func TestOptionsThatMakeNoSense(t *testing.T) {
	for name, o := range map[string]webpubsub.ClientOptions{
		"no endpoint":                   {Hub: "chat", AccessKey: key},
		"endpoint without scheme":       {Endpoint: "name.webpubsub.azure.com", Hub: "chat", AccessKey: key},
		"endpoint with a path":          {Endpoint: endpoint + "/client", Hub: "chat", AccessKey: key},
		"endpoint with a password":      {Endpoint: "https://a:b@name.webpubsub.azure.com", Hub: "chat", AccessKey: key},
		"no hub":                        {Endpoint: endpoint, AccessKey: key},
		"hub that leads elsewhere":      {Endpoint: endpoint, Hub: "a/../b", AccessKey: key},
		"hub that begins with a digit":  {Endpoint: endpoint, Hub: "1a", AccessKey: key},
		"neither key nor tokens":        {Endpoint: endpoint, Hub: "chat"},
		"key and tokens":                {Endpoint: endpoint, Hub: "chat", AccessKey: key, Tokens: entra("t")},
		"tokens over http":              {Endpoint: "http://name.example", Hub: "chat", Tokens: entra("t")},
		"a negative number":             {Endpoint: endpoint, Hub: "chat", AccessKey: key, Parallel: -1},
		"a name that looks as loopback": {Endpoint: "http://127.0.0.1.example", Hub: "chat", Tokens: entra("t")},
	} {
		if _, err := webpubsub.NewClient(o); err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), key) {
			t.Errorf("%s: the error tells the key", name)
		}
	}
	for name, o := range map[string]webpubsub.ClientOptions{
		"key over http":              {Endpoint: "http://emulator:8080", Hub: "chat", AccessKey: key},
		"tokens to the same machine": {Endpoint: "http://127.0.0.1:8080", Hub: "chat", Tokens: entra("t")},
		"endpoint that ends in /":    {Endpoint: endpoint + "/", Hub: "chat", AccessKey: key},
	} {
		if _, err := webpubsub.NewClient(o); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseConnectionString(t *testing.T) {
	for _, tc := range []struct{ in, endpoint, key string }{
		{"Endpoint=https://name.webpubsub.azure.com;AccessKey=a+b/c==;Version=1.0;", "https://name.webpubsub.azure.com", "a+b/c=="},
		{"AccessKey=k; endpoint=https://name.webpubsub.azure.com/", "https://name.webpubsub.azure.com", "k"},
		{"Endpoint=http://localhost;AccessKey=k;Port=8080;Version=1.0;", "http://localhost:8080", "k"},
	} {
		e, k, err := webpubsub.ParseConnectionString(tc.in)
		if e != tc.endpoint || k != tc.key || err != nil {
			t.Errorf("%s: %q, %q, %v", tc.in, e, k, err)
		}
	}
	for _, in := range []string{"", "secret", "AccessKey=secret", "Endpoint=https://x", "Endpoint=:secret;AccessKey=secret", "Endpoint=ftp://x;AccessKey=secret"} {
		_, _, err := webpubsub.ParseConnectionString(in)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// Whatever goes wrong, an error shows neither the key nor a token.
func TestErrorsTellNoSecret(t *testing.T) {
	fails := &service{answer: func(int, *http.Request) (*http.Response, error) { return nil, errors.New("reset") }}
	for name, s := range map[string]*service{"no answer": fails, "refused": always(401, `{"message":"no"}`)} {
		c := clientOf(t, s, func(o *webpubsub.ClientOptions) { o.Tries = 1 })
		err := c.SendToAll(t.Context(), webpubsub.Message{Type: webpubsub.Text, Data: []byte("payload")})
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		token, _ := strings.CutPrefix(s.requests()[0].Header.Get("Authorization"), "Bearer ")
		for _, secret := range []string{key, token, "payload"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error contains %q", name, secret)
			}
		}
	}
}
