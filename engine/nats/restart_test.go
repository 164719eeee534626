package nats_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/kanava-go/kanava/engine"
)

// TestD2_RestartWithData: what was kept is there again, in the same epoch, and
// the hub is told that it may have missed something.
func TestD2_RestartWithData(t *testing.T) {
	server := startServers(t, 1, "")[0]
	n := connect(t, "nats://"+server.address)
	topic := topicOf(engine.Recoverable)
	n.subscribe(topic)
	n.publish(topic, "before")
	before := n.position(topic)
	server.restart(true)
	n.wait("Resumed", func() bool { return n.resumed > 0 })
	n.publish(topic, "after")
	page := n.read(topic, engine.Position{Epoch: before.Epoch})
	if got := texts(page.Events); page.Lost || !slices.Equal(got, []string{"before", "after"}) {
		t.Fatalf("lost %v, got %q", page.Lost, got)
	}
	if got := texts(n.got(topic, 2)); !slices.Equal(got, []string{"before", "after"}) {
		t.Fatalf("delivered %q", got)
	}
}

// TestD2_RestartWithoutData: another epoch begins, also for a hub that has
// noticed nothing but a lost connection.
func TestD2_RestartWithoutData(t *testing.T) {
	server := startServers(t, 1, "")[0]
	n := connect(t, "nats://"+server.address)
	for _, class := range []engine.Class{engine.Recoverable, engine.Ordered, engine.Latest} {
		topic := topicOf(class)
		n.subscribe(topic)
		n.publish(topic, "before")
		n.got(topic, 1)
		before := n.position(topic)
		n.mu.Lock()
		resumed := n.resumed
		n.mu.Unlock()
		server.restart(false)
		n.wait("Resumed", func() bool { return n.resumed > resumed })
		if at := n.position(topic); at.Epoch == before.Epoch || at.Offset != 0 {
			t.Fatalf("%s: at %v, was at %v", class, at, before)
		}
		n.publish(topic, "after")
		ev := n.got(topic, 2)[1]
		if at := n.position(topic); string(ev.Data) != "after" || ev.At != at || at.Epoch == before.Epoch {
			t.Fatalf("%s: %q at %v, the topic at %v", class, ev.Data, ev.At, at)
		}
		if page := n.read(topic, before); !page.Lost {
			t.Fatalf("%s: nothing is lost since %v: %+v", class, before, page)
		}
	}
}

// TestD2_StreamLosesItsEnd: a server whose disk has forgotten the last events
// gives their offsets a second time. A hub that has seen them begins another epoch.
func TestD2_StreamLosesItsEnd(t *testing.T) {
	server := startServers(t, 1, "")[0]
	n := connect(t, "nats://"+server.address)
	other := connect(t, "nats://"+server.address) // has not seen them
	topic, unseen := topicOf(engine.Recoverable), topicOf(engine.Recoverable)
	n.subscribe(topic)
	other.subscribe(unseen)
	n.publish(topic, "kept")
	server.kill()
	image := filepath.Join(t.TempDir(), "image")
	if err := os.CopyFS(image, os.DirFS(server.dir)); err != nil {
		t.Fatal(err)
	}
	server.start()
	n.publish(topic, "forgotten")
	n.got(topic, 2)
	before := n.position(topic)

	server.kill()
	if err := os.RemoveAll(server.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(image, server.dir); err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	resumed := n.resumed
	n.mu.Unlock()
	server.start()
	n.wait("Resumed", func() bool { return n.resumed > resumed })
	n.do("another epoch", func(context.Context) error { // one of the nodes finds out, and ends the stream
		if n.position(topic).Epoch == before.Epoch {
			return errors.New("the same still")
		}
		return nil
	})
	other.publish(topic, "another")
	ev := n.got(topic, 3)[2]
	if string(ev.Data) != "another" || ev.At.Epoch == before.Epoch {
		t.Fatalf("%q at %v, after %v", ev.Data, ev.At, before)
	}
	for _, reader := range []*node{n, other} {
		page := reader.read(topic, before)
		if got := texts(page.Events); !page.Lost || page.At != ev.At || !slices.Equal(got, []string{"another"}) {
			t.Fatalf("read %q, %+v; the event at %v", got, page, ev.At)
		}
	}
}
