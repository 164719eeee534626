package nats

import (
	"context"
	"sync"
	"time"
)

// clockLasts is how long what is known of the servers' clocks is used.
const clockLasts = 5 * time.Minute

// clock is the servers', as far as it is known here.
type clock struct {
	mu     sync.Mutex // guards what follows
	ahead  time.Duration
	synced time.Time
}

// now returns the time on the servers.
func (e *Engine) now(ctx context.Context, s *stream) (time.Time, error) {
	c := &e.clock
	c.mu.Lock()
	ahead, fresh := c.ahead, time.Since(c.synced) < clockLasts
	c.mu.Unlock()
	if fresh {
		return time.Now().Add(ahead), nil
	}
	name, err := e.known(ctx, s)
	if err != nil {
		return time.Time{}, err
	}
	var info struct {
		Time time.Time `json:"ts"`
	}
	sent := time.Now()
	if err := e.api(ctx, "STREAM.INFO."+name, struct{}{}, &info); err != nil {
		return time.Time{}, err
	}
	came := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.synced = came
	c.ahead = info.Time.Sub(sent.Add(came.Sub(sent) / 2))
	return came.Add(c.ahead), nil
}
