package dynamodb_test

import (
	"context"
	"crypto/rand"
	"sync"
	"testing"
	"time"

	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/kanava-go/kanava/engine"
)

// hub is a node and what it has told its hub.
type hub struct {
	*node

	tb      testing.TB
	mu      sync.Mutex // guards what follows
	changed *sync.Cond
	events  map[string][]engine.Event
	resumed map[string]int // "" is all topics
}

// join starts an engine that ends with the test.
func join(tb testing.TB, s *server, poll time.Duration) *hub {
	tb.Helper()
	h := &hub{node: newNode(tb, s, poll), tb: tb, events: make(map[string][]engine.Event), resumed: make(map[string]int)}
	h.changed = sync.NewCond(&h.mu)
	h.Start(h)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		h.Close(ctx)
	})
	return h
}

func (h *hub) Deliver(topic string, events []engine.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events[topic] = append(h.events[topic], events...)
	h.changed.Broadcast()
}

func (h *hub) Resumed(topics ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(topics) == 0 {
		topics = []string{""}
	}
	for _, t := range topics {
		h.resumed[t]++
	}
	h.changed.Broadcast()
}

// until waits until is returns true: it is asked after all that happens.
func (h *hub) until(what string, is func() bool) {
	h.tb.Helper()
	over := false
	late := time.AfterFunc(60*time.Second, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		over = true
		h.changed.Broadcast()
	})
	defer late.Stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	for !is() {
		if over {
			h.tb.Fatalf("not within 60 s: %s", what)
		}
		h.changed.Wait()
	}
}

// next waits for n events of a topic, and returns all that have come.
func (h *hub) next(t engine.Topic, count int) (events []engine.Event) {
	h.tb.Helper()
	h.until("events of "+t.Name, func() bool {
		events = h.events[t.Name]
		return len(events) >= count
	})
	return events
}

func (h *hub) subscribe(topics ...engine.Topic) {
	h.tb.Helper()
	for _, t := range topics {
		if err := h.Subscribe(within(h.tb), t); err != nil {
			h.tb.Fatal(err)
		}
	}
}

func (h *hub) publish(t engine.Topic, texts ...string) {
	h.tb.Helper()
	for _, text := range texts {
		if err := h.Publish(within(h.tb), t, engine.Event{Data: []byte(text)}); err != nil {
			h.tb.Fatal(err)
		}
	}
}

func (h *hub) position(t engine.Topic) engine.Position {
	h.tb.Helper()
	at, err := h.Positions(within(h.tb), []engine.Topic{t})
	if err != nil {
		h.tb.Fatal(err)
	}
	return at[0]
}

func (h *hub) read(t engine.Topic, since engine.Position) engine.Page {
	h.tb.Helper()
	page, err := h.Read(within(h.tb), t, since, 1000)
	if err != nil {
		h.tb.Fatal(err)
	}
	return page
}

// topic returns a topic nobody has used.
func topic(class engine.Class) engine.Topic {
	t := engine.Topic{Name: "test:" + rand.Text(), Class: class}
	if class == engine.Recoverable {
		t.Size, t.TTL = 1000, time.Hour
	}
	return t
}

func texts(events []engine.Event) (texts []string) {
	for _, ev := range events {
		texts = append(texts, string(ev.Data))
	}
	return texts
}

// items returns the items of a table.
func items(tb testing.TB, client *awsdynamodb.Client, table string) (all []map[string]types.AttributeValue) {
	tb.Helper()
	pages := awsdynamodb.NewScanPaginator(client, &awsdynamodb.ScanInput{TableName: &table})
	for pages.HasMorePages() {
		page, err := pages.NextPage(within(tb))
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, page.Items...)
	}
	return all
}

// part returns the partition of an item.
func part(it map[string]types.AttributeValue) string {
	return string(it["pk"].(*types.AttributeValueMemberB).Value)
}
