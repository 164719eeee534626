package redis_test

import (
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/redis"
	"github.com/kanava-go/kanava/internal/badnet"
)

// TestStampWhoseAnswerIsLost is that a publication is told from another one with its
// ID, and from itself.
func TestStampWhoseAnswerIsLost(t *testing.T) {
	s := newServer(t)
	network := badnet.To(t, s.addr)
	n, other := join(t, redis.Options{Addrs: []string{network.Addr()}}), join(t, redis.Options{Addrs: []string{s.addr}})
	top := topic(engine.Recoverable)
	n.publish(top, "0") // it is connected, and the server knows the script
	other.subscribe(top)
	lost := network.LoseAnswerAfter("mine", func() { other.publish(top, "between") })
	stamped, published, err := n.PublishStamped(within(t), top, engine.Event{ID: "1", Data: []byte("mine")})
	if err != nil || !published || !lost() {
		t.Fatalf("PublishStamped: published %v, %v; an answer was lost: %v", published, err, lost())
	}
	if got := other.next(top, 2); got[0].At != stamped.At || got[0].Prev != stamped.Prev || !got[0].Time.Equal(stamped.Time) {
		t.Errorf("it was stamped %+v and delivered %+v", stamped, got)
	}
	if _, published, err = other.PublishStamped(within(t), top, engine.Event{ID: "1", Data: []byte("again")}); err != nil || published {
		t.Errorf("the same ID again: published %v, %v", published, err)
	}
}

// TestSaveWhoseAnswerIsLost is that Save finds what it has written, and succeeds.
func TestSaveWhoseAnswerIsLost(t *testing.T) {
	network := badnet.To(t, newServer(t).addr)
	n := join(t, redis.Options{Addrs: []string{network.Addr()}})
	version, err := n.Save(within(t), "a", []byte("before"), 0, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	lost := network.LoseAnswer("mine")
	saved, err := n.Save(within(t), "a", []byte("mine"), version, time.Minute)
	if err != nil || !lost() {
		t.Fatalf("Save: %v; an answer was lost: %v", err, lost())
	}
	if records, err := n.Load(within(t), []string{"a"}); err != nil || records[0].Version != saved || string(records[0].Data) != "mine" {
		t.Errorf("Save returned version %d, and %q of version %d is kept, %v", saved, records[0].Data, records[0].Version, err)
	}
}
