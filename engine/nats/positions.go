package nats

import (
	"context"
	"fmt"
	"sync"

	natsgo "github.com/nats-io/nats.go"

	"github.com/kanava-go/kanava/engine"
)

// Positions implements [engine.Broker].
func (e *Engine) Positions(ctx context.Context, topics []engine.Topic) ([]engine.Position, error) {
	at := make([]engine.Position, len(topics))
	of := make(map[retention][]int)
	for i, t := range topics {
		if t.Class != engine.Volatile {
			r := retentionOf(t)
			of[r] = append(of[r], i)
		}
	}
	for r, indices := range of {
		s := e.stream(r)
		find := e.findPositions
		if r == ofLatest {
			find = e.findLatestPositions
		}
		for len(indices) > 0 {
			n := min(len(indices), mostSubjects)
			if err := find(ctx, s, topics, indices[:n], at); err != nil {
				return nil, fmt.Errorf("nats: positions: %w", err)
			}
			indices = indices[n:]
		}
	}
	return at, nil
}

// findPositions sets those of the topics with these indices. Of topics that are
// subscribed to it asks only for what the stream has got since it was asked last:
// an answer is the last event, with its data.
func (e *Engine) findPositions(ctx context.Context, s *stream, topics []engine.Topic, indices []int, at []engine.Position) error {
	name, err := e.known(ctx, s)
	if err != nil {
		return err
	}
	subjects := make([]string, len(indices))
	for n, i := range indices {
		subjects[n] = e.names.kept(s.retention, topics[i].Name)
	}
	after := e.topics.checked(epochIn(name), topics, indices, e.names)
	last := make(map[string]uint64)
	each := func(subject string, m *natsgo.Msg) { last[subject] = sequence(m) }
	found, err := e.lastOf(ctx, s, subjects, after, each)
	if err != nil {
		return err
	}
	if found.stream != name { // another one: what was found before does not count
		clear(last)
		if found, err = e.lastOf(ctx, s, subjects, 0, each); err != nil {
			return err
		}
	}
	epoch := epochIn(found.stream)
	for n, i := range indices {
		stands := engine.Position{Epoch: epoch, Offset: last[subjects[n]]}
		at[i] = e.topics.stands(e.names.live(topics[i].Name), stands, found.upTo)
	}
	return nil
}

// findLatestPositions is findPositions for Latest topics, whose keys have
// subjects of their own.
func (e *Engine) findLatestPositions(ctx context.Context, s *stream, topics []engine.Topic, indices []int, at []engine.Position) error {
	if _, err := e.caughtUp(ctx, s); err != nil {
		return err
	}
	const atOnce = 32
	var (
		group  sync.WaitGroup
		mu     sync.Mutex // guards failed
		failed error
	)
	places := make(chan struct{}, atOnce)
	for _, i := range indices {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			var err error
			if at[i], err = e.latestPosition(ctx, s, topics[i].Name); err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return failed
}

func (e *Engine) latestPosition(ctx context.Context, s *stream, topic string) (engine.Position, error) {
	found, err := e.get(ctx, s, get{LastFor: e.names.kept(s.retention, topic) + ".*"})
	if err != nil {
		return engine.Position{}, err
	}
	at := engine.Position{Epoch: epochIn(found.stream)}
	if len(found.messages) > 0 {
		at.Offset = sequence(found.messages[0])
	}
	return e.topics.stands(e.names.live(topic), at, 0), nil
}

// checked returns up to where the stream has been searched for events of all of
// these topics, 0 if one of them is not known.
func (ts *topics) checked(epoch string, topics []engine.Topic, indices []int, n names) uint64 {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	least := uint64(1<<64 - 1)
	for _, index := range indices {
		i := ts.of[n.live(topics[index].Name)]
		if i == nil || i.found.Epoch != epoch {
			return 0
		}
		least = min(least, i.checked)
	}
	return least
}

// stands notes what has been found, and returns that, or what was delivered if
// it is more: the server keeps the last event of a topic for a time only.
func (ts *topics) stands(subject string, at engine.Position, checked uint64) engine.Position {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	i := ts.of[subject]
	switch {
	case i == nil:
		return at
	case i.found.Epoch != at.Epoch:
		i.found, i.checked = at, checked
	default:
		i.found.Offset = max(i.found.Offset, at.Offset)
		i.checked = max(i.checked, checked)
	}
	if i.at.Epoch == at.Epoch {
		i.found.Offset = max(i.found.Offset, i.at.Offset)
	}
	return i.found
}
