package redis_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/redis"
	"github.com/kanava-go/kanava/internal/testport"
)

// newSentinels starts sentinels that look after a master and its replicas, and
// returns their addresses.
func newSentinels(tb testing.TB, master *server, replicas int) (addrs []string) {
	tb.Helper()
	host, masterPort, err := net.SplitHostPort(master.addr)
	if err != nil {
		tb.Fatal(err)
	}
	const sentinels = 3
	var all []*server
	for range sentinels {
		addr, dir := testport.Address(tb), tb.TempDir()
		config := filepath.Join(dir, "sentinel.conf")
		text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nrequirepass watch\nsentinel monitor main %s %s 2\nsentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n", portOf(addr), dir, host, masterPort)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
		s := &server{tb: tb, addr: addr, dir: dir, args: []string{config, "--sentinel", "--requirepass", "watch"}}
		s.start()
		tb.Cleanup(s.kill)
		all = append(all, s)
		addrs = append(addrs, s.addr)
	}
	for _, s := range all {
		s.eventually("sentinel that knows all", func() bool {
			text, err := s.try("INFO", "sentinel")
			return err == nil && strings.Contains(text, fmt.Sprintf("status=ok,address=%s,slaves=%d,sentinels=%d", master.addr, replicas, sentinels))
		})
	}
	return addrs
}

// TestSentinels proves that an engine finds the server by its sentinels, which have
// a password of their own.
func TestSentinels(t *testing.T) {
	master := newServer(t)
	n := join(t, redis.Options{Addrs: newSentinels(t, master, 0), Master: "main", SentinelPassword: "watch"})
	for _, class := range []engine.Class{engine.Volatile, engine.Latest, engine.Ordered, engine.Recoverable} {
		top := topic(class)
		n.subscribe(top)
		n.publish(top, "1", "2")
		n.next(top, 2)
	}
	if err := n.Probe(within(t)); err != nil {
		t.Error(err)
	}
}
