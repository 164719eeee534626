package nats

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
)

type nobody struct{}

func (nobody) Deliver(string, []engine.Event) {}
func (nobody) Resumed(...string)              {}

// TestSweep: what a node that is gone has left behind goes, and nothing else.
func TestSweep(t *testing.T) {
	e, err := Embedded(EmbeddedOptions{Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	e.Start(nobody{})
	defer e.Close(ctx)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for owner, ttl := range map[string]time.Duration{"gone": time.Second, "here": time.Hour} {
		_, err := e.Renew(ctx, owner, ttl)
		must(err)
		for i := range 3 {
			must(e.Put(ctx, engine.Entry{Group: fmt.Sprint("g", i), Member: "m", Owner: owner}))
		}
	}
	e.clock.mu.Lock()
	e.clock.ahead += 2 * sweepEvery // all that time later
	e.clock.mu.Unlock()
	must(e.sweepOnce(ctx))
	var left []string
	for m, err := range e.all(ctx, e.stream(ofRegistry), string(e.names)+".registry.>") {
		must(err)
		left = append(left, m.Header.Get("Nats-Subject"))
	}
	slices.Sort(left)
	want := []string{e.names.entry("g0", "m", "here"), e.names.entry("g1", "m", "here"), e.names.entry("g2", "m", "here"), e.names.lease("here")}
	if !slices.Equal(left, want) {
		t.Fatalf("left are %q, want %q", left, want)
	}
}
