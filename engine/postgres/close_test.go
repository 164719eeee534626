package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/postgres"
	"github.com/kanava-go/kanava/internal/badnet"
)

// TestCloseWithoutAnswer is that Close returns in time when the server does not
// answer, whatever is under way.
func TestCloseWithoutAnswer(t *testing.T) {
	s := newServer(t, "-c", "fsync=off")
	network := badnet.To(t, s.addr)
	n := join(t, postgres.Options{URL: urlAt(network.Addr())})
	top := topic(engine.Recoverable)
	n.subscribe(top)
	n.publish(top, "1")
	n.next(top, 1)
	network.Fail(badnet.Fault{Hole: true})
	failed := make(chan error, 3)
	go func() { failed <- n.Publish(within(t), top, engine.Event{Data: []byte("2")}) }()
	go func() { _, err := n.Positions(within(t), []engine.Topic{top}); failed <- err }()
	go func() { failed <- n.Probe(within(t)) }()
	short, cancel := shortly(t) // in which they are sent
	defer cancel()
	<-short.Done()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	begun := time.Now()
	n.Close(ctx)
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("Close took %v, and had a second", took)
	}
	for range 3 {
		if err := <-failed; err == nil {
			t.Error("a method succeeds without an answer")
		}
	}
}
