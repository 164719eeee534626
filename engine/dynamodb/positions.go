package dynamodb

import (
	"context"
	"errors"
	"sync"

	"github.com/kanava-go/kanava/engine"
)

var errMoved = errors.New("the topic begins another epoch again and again")

// Positions implements [engine.Broker].
func (e *Engine) Positions(ctx context.Context, topics []engine.Topic) (at []engine.Position, err error) {
	err = e.call(ctx, "positions", func(ctx context.Context) (err error) {
		at, err = e.positions(ctx, topics)
		return err
	})
	return at, err
}

func (e *Engine) positions(ctx context.Context, topics []engine.Topic) ([]engine.Position, error) {
	places := make(map[string][]int, len(topics)) // a topic may be named twice, a key not
	var names []string
	var keys []item
	for i, t := range topics {
		if err := checkNames(t.Name); err != nil {
			return nil, err
		}
		if places[t.Name] == nil {
			names = append(names, t.Name)
			keys = append(keys, key(kindTopic+t.Name, alone))
		}
		places[t.Name] = append(places[t.Name], i)
	}
	heads, err := e.heads(ctx, keys)
	if err != nil {
		return nil, err
	}
	at := make([]engine.Position, len(topics))
	err = atOnce(ctx, len(names), func(ctx context.Context, i int) error {
		h, err := e.used(ctx, names[i], heads[names[i]])
		if err == nil {
			for _, place := range places[names[i]] {
				at[place] = h.position()
			}
		}
		return err
	})
	return at, err
}

// heads returns heads by topic, as far as there are some.
func (e *Engine) heads(ctx context.Context, keys []item) (map[string]*head, error) {
	heads := make(map[string]*head, len(keys))
	var mu sync.Mutex
	err := e.table.getAll(ctx, keys, func(it item) error {
		h := e.table.headOf(it)
		if h == nil {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		heads[string(bytesIn(it, partition)[len(kindTopic):])] = h
		return nil
	})
	return heads, err
}

// headOf returns the head of a topic that is used: there is one then.
func (e *Engine) headOf(ctx context.Context, t engine.Topic) (*head, error) {
	h, err := e.table.head(ctx, t.Name)
	if err != nil {
		return nil, err
	}
	return e.used(ctx, t.Name, h)
}

// used makes the head of a topic if there is none, and lets it last.
func (e *Engine) used(ctx context.Context, topic string, h *head) (*head, error) {
	if h == nil {
		return e.table.makeHead(ctx, topic)
	}
	return h, e.table.touch(ctx, topic, h)
}
