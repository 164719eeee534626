package postgres_test

import (
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine/postgres"
	"github.com/kanava-go/kanava/internal/badnet"
)

// TestRenewWhoseAnswerIsLost is that a lease is not said to have been there when
// Renew began it itself, at a first try that had no answer.
func TestRenewWhoseAnswerIsLost(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	network := badnet.To(t, s.addr)
	n := join(t, postgres.Options{URL: urlAt(network.Addr()) + "&default_query_exec_mode=exec"}) // statements are sent each time
	renew := func() bool {
		t.Helper()
		held, err := n.Renew(within(t), "o", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return held
	}
	renew()
	if !renew() {
		t.Fatal("a lease that has just begun is not held")
	}
	s.do("UPDATE kanava.owners SET ends = now() - interval '1 hour'")
	lost := network.LoseAnswer("renew(")
	if renew() {
		t.Error("a lease that had ended is held")
	}
	if !lost() {
		t.Error("no answer was lost")
	}
	if !renew() {
		t.Error("the new lease is not held")
	}
}
