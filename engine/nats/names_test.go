package nats

import (
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"pgregory.net/rapid"

	"github.com/kanava-go/kanava/engine"
)

// TestTokens: every name has a token, which is one to the server, and no two
// names have the same.
func TestTokens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(
			rapid.StringN(0, 170, 512),
			rapid.StringMatching(`[=A-Za-z0-9_-]{0,20}`),
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 512), func(b []byte) string { return string(b) }),
		).Draw(t, "name")
		coded := token(name)
		if strings.ContainsAny(coded, ".*>") || !natsserver.IsValidLiteralSubject("a."+coded+".b") {
			t.Fatalf("%q: token %q is none", name, coded)
		}
		if back, ok := untoken(coded); !ok || back != name { // and so others have others
			t.Fatalf("%q: token %q stands for %q", name, coded, back)
		}
	})
}

// TestRetentions: what a stream keeps is in its name.
func TestRetentions(t *testing.T) {
	r := retentionOf(engine.Topic{Class: engine.Recoverable, Size: 7, TTL: 90 * time.Second})
	if size, ttl := r.parse(); size != 7 || ttl != 90*time.Second {
		t.Fatalf("%s: %d, %s", r, size, ttl)
	}
	for _, prefix := range []string{"kanava", "a_b-c"} {
		epoch := newEpoch()
		name := prefix + "_" + string(r) + "_" + epoch
		if epochIn(name) != epoch || retentionIn(name) != r {
			t.Fatalf("%s: epoch %s, retention %s", name, epochIn(name), retentionIn(name))
		}
	}
}

// TestEpochs: no two are the same, and they are what engine.Position wants.
func TestEpochs(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		epoch := newEpoch()
		if seen[epoch] || len(epoch) > 16 || strings.Trim(epoch, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			t.Fatal(epoch)
		}
		seen[epoch] = true
	}
}
