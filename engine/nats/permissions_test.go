package nats_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/nats"
)

// TestPermissions: what the package's comment says a user needs is enough.
func TestPermissions(t *testing.T) {
	server := startServers(t, 1, "")[0]
	server.configure(t, `authorization {users: [{user: me, password: secret, permissions: {
		publish: ["kanava.>", "_INBOX.>", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.PURGE.*", "$JS.API.STREAM.DELETE.*", "$JS.API.DIRECT.GET.*"]
		subscribe: ["kanava.>", "_INBOX.>", "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.*"]
	}}]}`)
	var log safeBuilder
	n := connect(t, "nats://"+server.address, func(o *nats.Options) {
		o.User, o.Password = "me", "secret"
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	for _, class := range []engine.Class{engine.Volatile, engine.Latest, engine.Ordered, engine.Recoverable} {
		topic := topicOf(class)
		n.subscribe(topic)
		n.publish(topic, "allowed")
		n.got(topic, 1)
		n.position(topic)
		n.read(topic, engine.Position{})
	}
	n.do("probe", n.Probe)
	n.do("renew", func(ctx context.Context) error { _, err := n.Renew(ctx, "o", time.Minute); return err })
	n.do("put", func(ctx context.Context) error { return n.Put(ctx, engine.Entry{Group: "g", Member: "m", Owner: "o"}) })
	n.do("owners", func(ctx context.Context) error { _, err := n.Owners(ctx); return err })
	n.do("keep", func(ctx context.Context) error { _, err := n.Keep(ctx, "k", nil, time.Minute); return err })
	if text := log.String(); strings.Contains(strings.ToLower(text), "violation") {
		t.Fatal(text)
	}
}

// safeBuilder is a strings.Builder for several goroutines.
type safeBuilder struct {
	mu   sync.Mutex // guards text
	text strings.Builder
}

func (b *safeBuilder) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *safeBuilder) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
