package awslambda_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/transport/awslambda"
)

// FuzzInvoke gives the function any event: it answers in JSON or fails, and says
// nothing of what is inside.
func FuzzInvoke(f *testing.F) {
	names, err := filepath.Glob("testdata/aws/*.json")
	if err != nil || len(names) < 8 {
		f.Fatal(names, err)
	}
	for _, name := range names {
		f.Add(sample(f, strings.TrimSuffix(filepath.Base(name), ".json")))
	}
	for _, text := range []string{
		``, `null`, `{}`, `{"requestContext":null}`,
		`{"requestContext":{"connectionId":"L0=","eventType":"MESSAGE"},"body":{"type":"Buffer","data":[1]},"isBase64Encoded":true}`,
		`{"requestContext":{"connectionId":"L0=","eventType":"MESSAGE"},"body":"{\"action\":\"fail\"}"}`,
		`{"requestContext":{"connectionId":"L0=","eventType":"CONNECT"},"queryStringParameters":{"room":"broken"},"multiValueHeaders":{"sec-websocket-protocol":["kanava.v1, kanava.bearer.eA"]}}`,
		`{"requestContext":{"connectionId":"L0=","eventType":"DISCONNECT","disconnectStatusCode":99999,"disconnectReason":null}}`,
		`{"version":"2.0","rawPath":"//","requestContext":{"http":{"method":"","path":"%"}},"cookies":null,"body":"!","isBase64Encoded":true}`,
		"{\"version\":\"2.0\",\"rawPath\":\"/\",\"headers\":{\"a\\nb\":\"c\\nd\"},\"requestContext\":{\"http\":{\"method\":\"GET\"}}}",
	} {
		f.Add([]byte(text))
	}
	srv, a := newServer(f, nil, nil)
	w := newWorld(f, srv, func(o *awslambda.Options) { o.Store = memory.NewStore() })
	f.Fuzz(func(t *testing.T, payload []byte) {
		for len(a.left) > 0 {
			<-a.left
		}
		answer, err := w.fn.Invoke(t.Context(), payload)
		switch {
		case err != nil && answer != nil:
			t.Errorf("%s and the error %v", answer, err)
		case err == nil && !jsontext.Value(answer).IsValid():
			t.Errorf("answer %q", answer)
		case bytes.Contains(answer, []byte(hidden)):
			t.Errorf("answer %s", answer)
		}
	})
}
