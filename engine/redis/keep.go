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
	err := e.ask(ctx, true, func(client rueidis.Client) []rueidis.RedisResult {
		return []rueidis.RedisResult{client.Do(context.Background(), client.B().Del().Key(e.opts.keepKey(key)).Build())}
	}, func(results []rueidis.RedisResult) error { return results[0].Error() })
	if err != nil {
		return fmt.Errorf("redis: forget: %w", err)
	}
	return nil
}

// millis is a duration as scripts want it: 1 ms at the least.
func millis(d time.Duration) string {
	return strconv.FormatInt(max(min(d, ttlMost).Milliseconds(), 1), 10)
}
