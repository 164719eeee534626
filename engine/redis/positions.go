package redis

import (
	"context"
	"fmt"

	"github.com/kanava-go/kanava/engine"
	"github.com/redis/rueidis"
)

// positionsMost bounds the topics of one run of the script: a server does
// nothing else meanwhile.
const positionsMost = 64

// Positions implements [engine.Broker].
func (e *Engine) Positions(ctx context.Context, topics []engine.Topic) ([]engine.Position, error) {
	positions, err := e.positions(ctx, topics)
	if err != nil {
		return nil, fmt.Errorf("redis: positions: %w", err)
	}
	return positions, nil
}

func (e *Engine) positions(ctx context.Context, topics []engine.Topic) ([]engine.Position, error) {
	if _, err := e.connected(ctx); err != nil || len(topics) == 0 {
		return nil, err
	}
	var runs []run
	var of [][]int // by run: the topics that it is about
	open := make(map[uint16]int)
	for i, t := range topics {
		meta := e.opts.topicKey(t.Name)
		var slot uint16
		if e.cluster {
			slot = slotOf(meta)
		}
		n, ok := open[slot]
		if !ok || len(of[n]) == positionsMost {
			n = len(runs)
			open[slot] = n
			runs = append(runs, e.topicRun())
			of = append(of, nil)
		}
		r := &runs[n]
		r.keys = append(append(r.keys, meta), keptKeys(meta, t.Class)...)
		r.args = append(r.args, classes[t.Class])
		of[n] = append(of[n], i)
	}
	answers, err := e.eval(ctx, positionsScript, runs...)
	if err != nil {
		return nil, err
	}
	positions := make([]engine.Position, len(topics))
	for n, answer := range answers {
		each, err := answer.ToArray()
		if err != nil {
			return nil, err
		}
		for k, i := range of[n] {
			if positions[i], err = position(each[2*k:]); err != nil {
				return nil, err
			}
		}
	}
	return positions, nil
}

// position reads epoch and offset, as scripts return them.
func position(m []rueidis.RedisMessage) (at engine.Position, err error) {
	if len(m) < 2 {
		return at, errShort
	}
	if at.Epoch, err = m[0].ToString(); err != nil {
		return at, err
	}
	at.Offset, err = m[1].AsUint64()
	return at, err
}
