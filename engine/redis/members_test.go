package redis_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine/redis"
)

// TestMembersOverRestart is that those who go through members miss none when the
// server is another one in the middle: each counts them in an order of its own.
func TestMembersOverRestart(t *testing.T) {
	s := newServer(t, "--appendonly", "yes", "--appendfsync", "always")
	n := join(t, redis.Options{Addrs: []string{s.addr}})
	const number = 5000
	args := []string{"ZADD", "kanava:m{g}"}
	for i := range number {
		args = append(args, fmt.Sprint(time.Now().Add(time.Hour).UnixMilli()), fmt.Sprint("member ", i))
	}
	s.do(args...)
	seen := make(map[string]int)
	for m, err := range n.Members(within(t), "g") {
		if err != nil {
			t.Fatal(err)
		}
		if seen[m]++; len(seen) == 1500 {
			s.restart(true)
		}
	}
	if len(seen) != number {
		t.Errorf("%d of %d members have come", len(seen), number)
	}
	for m, times := range seen {
		if times > 1 || !strings.HasPrefix(m, "member ") {
			t.Fatalf("%q has come %d times", m, times)
		}
	}
}
