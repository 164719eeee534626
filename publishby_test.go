package kanava_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
)

// TestPublishBy is that PublishBy hands on what Publish would publish, and refuses
// what that refuses.
func TestPublishBy(t *testing.T) {
	en := memory.New().Engine()
	hub := kanava.NewEventHub(kanava.HubOptions{Engine: en})
	t.Cleanup(hub.Close)
	prices := kanava.NewTopic[string](hub, "price", kanava.LatestBy(func(s string) string { return s[:1] }))
	rooms := kanava.NewTopic[string](hub, "room", kanava.Recoverable(10, time.Hour))
	files := kanava.NewTopic[[]byte](hub, "file", kanava.Volatile())

	type handed struct {
		Topic engine.Topic
		Event engine.Event
	}
	var got []handed
	refused := errors.New("refused")
	by := func(_ context.Context, is engine.Engine, to engine.Topic, ev engine.Event) error {
		if is != engine.Engine(en) {
			t.Errorf("the engine is %v", is)
		}
		got = append(got, handed{to, ev})
		return refused
	}
	ctx := t.Context()
	for what, err := range map[string]error{
		"a Latest topic":      prices.PublishBy(ctx, "gold", "a1", by, kanava.Except("somebody")),
		"a Recoverable topic": rooms.PublishBy(ctx, "1", "hello", by, kanava.Once("id")),
		"bytes":               files.PublishBy(ctx, "2", []byte{1}, by),
	} {
		if !errors.Is(err, refused) {
			t.Errorf("%s: %v, want what by has returned", what, err)
		}
	}
	byName := map[string]handed{}
	for _, h := range got {
		byName[h.Topic.Name] = h
	}
	want := map[string]handed{
		"price:gold": {engine.Topic{Name: "price:gold", Class: engine.Latest}, engine.Event{Key: "a", Except: "somebody", Data: []byte(`"a1"`)}},
		"room:1":     {engine.Topic{Name: "room:1", Class: engine.Recoverable, Size: 10, TTL: time.Hour}, engine.Event{ID: "id", Data: []byte(`"hello"`)}},
		"file:2":     {engine.Topic{Name: "file:2", Class: engine.Volatile}, engine.Event{Data: []byte{1}, Binary: true}},
	}
	if d := cmp.Diff(want, byName); d != "" {
		t.Error(d)
	}

	got = nil
	ended, cancel := context.WithCancel(ctx)
	cancel()
	alone := kanava.NewEventHub(kanava.HubOptions{})
	t.Cleanup(alone.Close)
	for what, err := range map[string]error{
		"an event over the limit":    rooms.PublishBy(ctx, "1", strings.Repeat("x", 64<<10), by),
		"a key of control signs":     rooms.PublishBy(ctx, "\n", "x", by),
		"an id over the limit":       rooms.PublishBy(ctx, "1", "x", by, kanava.Once(strings.Repeat("x", 257))),
		"a context that has ended":   rooms.PublishBy(ended, "1", "x", by),
		"a hub that has no engine":   kanava.NewTopic[string](alone, "room").PublishBy(ctx, "1", "x", by),
		"a hub that has been closed": func() error { hub.Close(); return rooms.PublishBy(ctx, "1", "x", by) }(),
	} {
		if err == nil || errors.Is(err, refused) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if len(got) > 0 {
		t.Errorf("%v was handed on", got)
	}
}
