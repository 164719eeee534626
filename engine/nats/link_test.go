package nats_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/nats"
	"github.com/kanava-go/kanava/internal/badnet"
)

// TestBlackHole: while nothing comes through, all methods end when their context
// does, the probe fails, and memory is bounded; then all goes on by itself.
func TestBlackHole(t *testing.T) {
	server := startServers(t, 1, "")[0]
	p := badnet.To(t, server.address)
	n := connect(t, "nats://"+p.Addr())
	topic := topicOf(engine.Recoverable)
	n.subscribe(topic)
	n.publish(topic, "before")
	n.got(topic, 1)
	p.Fail(badnet.Fault{Hole: true})
	large := make([]byte, 1<<20)
	for name, method := range map[string]func(context.Context) error{
		"Publish":   func(ctx context.Context) error { return n.Publish(ctx, topic, engine.Event{Data: large}) },
		"Subscribe": func(ctx context.Context) error { return n.Subscribe(ctx, topicOf(engine.Ordered)) },
		"Positions": func(ctx context.Context) error { _, err := n.Positions(ctx, []engine.Topic{topic}); return err },
		"Read":      func(ctx context.Context) error { _, err := n.Read(ctx, topic, engine.Position{}, 1); return err },
		"Probe":     n.Probe,
		"Renew":     func(ctx context.Context) error { _, err := n.Renew(ctx, "o", time.Minute); return err },
		"Owners":    func(ctx context.Context) error { _, err := n.Owners(ctx); return err },
		"Put":       func(ctx context.Context) error { return n.Put(ctx, engine.Entry{Group: "g", Member: "m", Owner: "o"}) },
		"Entries": func(ctx context.Context) error {
			for _, err := range n.Entries(ctx, "g") {
				return err
			}
			return nil
		},
		"Keep":   func(ctx context.Context) error { _, err := n.Keep(ctx, "k", nil, time.Minute); return err },
		"Forget": func(ctx context.Context) error { return n.Forget(ctx, "k") },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		begun := time.Now()
		err := method(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(), "nats: "+strings.ToLower(name)+": ") {
			t.Errorf("%s: %v", name, err)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
	refused := 0
	for range 64 { // more than may wait
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if err := n.Publish(ctx, topic, engine.Event{Data: large}); err != nil && strings.Contains(err.Error(), "too much waits") {
			refused++
		}
		cancel()
	}
	if refused == 0 {
		t.Error("64 MiB are on their way to a server that takes nothing")
	}
	p.Heal()
	n.do("probe", n.Probe)
	after := fmt.Sprint("after ", time.Now())
	n.publish(topic, after)
	n.wait("the event", func() bool { return slices.Contains(texts(n.events[topic.Name]), after) })
}

// TestRefused: an engine that a server does not let in goes on trying, and says
// why it is not connected, without its password.
func TestRefused(t *testing.T) {
	server := startServers(t, 1, "")[0]
	const secret = "hunter2"
	server.configure(t, "authorization {user: me, password: another}")
	n := connect(t, "nats://"+server.address, func(o *nats.Options) { o.User, o.Password = "me", secret })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := n.Probe(ctx); err == nil || !strings.Contains(err.Error(), "Authorization Violation") || strings.Contains(err.Error(), secret) {
		t.Fatalf("probe: %v", err)
	}
	server.configure(t, "authorization {user: me, password: "+secret+"}")
	n.do("probe", n.Probe)
}

// TestCut: a connection that is lost comes back with its subscriptions, and the
// hub is told.
func TestCut(t *testing.T) {
	server := startServers(t, 1, "")[0]
	p := badnet.To(t, server.address)
	n, other := connect(t, "nats://"+p.Addr()), connect(t, "nats://"+server.address)
	topics := []engine.Topic{topicOf(engine.Recoverable), topicOf(engine.Volatile)}
	for _, topic := range topics {
		n.subscribe(topic)
	}
	at := n.position(topics[0])
	p.Fail(badnet.Fault{Cut: true})
	other.publish(topics[0], "missed")
	p.Heal()
	n.wait("Resumed", func() bool { return n.resumed > 0 })
	if got := texts(n.read(topics[0], at).Events); !slices.Equal(got, []string{"missed"}) {
		t.Fatalf("read %q", got)
	}
	for _, topic := range topics {
		other.publish(topic, "then")
		if got := texts(n.got(topic, 1)); !slices.Equal(got, []string{"then"}) {
			t.Fatalf("got %q", got)
		}
	}
}

// TestCloseEnds: waiting methods end with the engine, and later ones say that it
// is closed.
func TestCloseEnds(t *testing.T) {
	e, err := nats.New(nats.Options{URLs: []string{"nats://127.0.0.1:1"}, Logger: logger(t)})
	n := start(t, e, err)
	ended := make(chan error)
	go func() { ended <- n.Publish(t.Context(), topicOf(engine.Ordered), engine.Event{}) }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := n.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, engine.ErrClosed) {
		t.Fatalf("publish ended with %v", err)
	}
	if err := n.Probe(ctx); !errors.Is(err, engine.ErrClosed) {
		t.Fatalf("probe: %v", err)
	}
}

// TestHubStandsStill: what a hub does not take is not piled up: the engine stops
// reading, and the server gives its connection up. When the hub goes on it is told.
func TestHubStandsStill(t *testing.T) {
	server := startServers(t, 1, "")[0]
	n, other := connect(t, "nats://"+server.address), connect(t, "nats://"+server.address)
	topic := topicOf(engine.Recoverable)
	topic.Size = 5
	n.subscribe(topic)
	before := heapNow()
	n.mu.Lock() // which Deliver waits for
	large := strings.Repeat("x", 1<<20)
	const events = 400 // 64 MiB are for the engine, as many for the server
	for range events {
		other.publish(topic, large)
	}
	if piled := heapNow() - before; piled > 200<<20 {
		t.Errorf("%d MiB on the heap", piled>>20)
	}
	n.mu.Unlock()
	n.wait("Resumed", func() bool { return n.resumed > 0 })
	other.publish(topic, "then")
	n.wait("the event", func() bool {
		all := n.events[topic.Name]
		return len(all) > 0 && string(all[len(all)-1].Data) == "then"
	})
	if got := len(n.got(topic, 1)); got > events {
		t.Errorf("%d events came of %d", got, events)
	}
}

func heapNow() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
