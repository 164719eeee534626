package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// Keep implements [engine.Registry].
func (e *Engine) Keep(ctx context.Context, key string, value []byte, ttl time.Duration) ([]byte, error) {
	m, err := e.evalOne(ctx, keepScript, []string{e.opts.keepKey(key)}, string(value), millis(ttl))
	if err != nil {
		return nil, fmt.Errorf("redis: keep: %w", err)
	}
	kept, err := m.AsBytes()
	if err != nil {
		return nil, fmt.Errorf("redis: keep: %w", err)
	}
	return kept, nil
}

// Forget implements [engine.Registry].
func (e *Engine) Forget(ctx context.Context, key string) error {
	if err := e.forget(ctx, key); err != nil {
		return fmt.Errorf("redis: forget: %w", err)
	}
	return nil
}

func (e *Engine) forget(ctx context.Context, key string) error {
	client, err := e.connected(ctx)
	if err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		results, err := e.answer(ctx, func() []rueidis.RedisResult {
			return []rueidis.RedisResult{client.Do(context.Background(), client.B().Del().Key(e.opts.keepKey(key)).Build())}
		})
		if err != nil {
			return err
		}
		if err = results[0].Error(); err == nil || !passes(err, true) {
			return err
		}
		if !e.pause(ctx, attempt) {
			return e.failed(ctx, err)
		}
	}
}

// millis is a duration as scripts want it: 1 ms at the least.
func millis(d time.Duration) string {
	return strconv.FormatInt(max(min(d, ttlMost).Milliseconds(), 1), 10)
}
