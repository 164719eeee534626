package memory_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a hub that writes down what its engine tells it.
type node struct {
	t *testing.T
	*memory.Engine

	mu      sync.Mutex
	came    []string // "topic offset data"
	resumed []string
}

func (n *node) Deliver(topic string, events []engine.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, ev := range events {
		n.came = append(n.came, fmt.Sprintf("%s %d %s", topic, ev.At.Offset, ev.Data))
	}
}

func (n *node) Resumed(topics ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.resumed = append(n.resumed, strings.Join(topics, " "))
}

func join(t *testing.T, b *memory.Backend) *node {
	n := &node{t: t, Engine: b.Engine()}
	n.Start(n)
	t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return n
}

func (n *node) subscribe(topic engine.Topic) {
	n.t.Helper()
	if err := n.Subscribe(n.t.Context(), topic); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) publish(topic engine.Topic, texts ...string) {
	n.t.Helper()
	for _, text := range texts {
		if err := n.Publish(n.t.Context(), topic, engine.Event{Data: []byte(text)}); err != nil {
			n.t.Fatal(err)
		}
	}
}

func (n *node) position(topic engine.Topic) engine.Position {
	n.t.Helper()
	at, err := n.Positions(n.t.Context(), []engine.Topic{topic})
	if err != nil {
		n.t.Fatal(err)
	}
	return at[0]
}

// expect waits until nothing moves, and compares what has come since the last
// time.
func (n *node) expect(what string, events ...string) {
	n.t.Helper()
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	if got, want := strings.Join(n.came, "; "), strings.Join(events, "; "); got != want {
		n.t.Errorf("%s: came %q, want %q", what, got, want)
	}
	n.came = nil
}

// expectResumed compares which calls of Resumed there were since the last time.
func (n *node) expectResumed(what string, calls ...string) {
	n.t.Helper()
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	if got, want := fmt.Sprintf("%q", n.resumed), fmt.Sprintf("%q", calls); got != want {
		n.t.Errorf("%s: Resumed was called %s, want %s", what, got, want)
	}
	n.resumed = nil
}

// room is a topic that keeps something.
func room(name string) engine.Topic {
	return engine.Topic{Name: name, Class: engine.Recoverable, Size: 100, TTL: time.Minute}
}
