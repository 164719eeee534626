package dynamodb

import (
	"context"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// Trim removes events that a topic has too many, as after 64 more at another time.
func (e *Engine) Trim(ctx context.Context, t engine.Topic, now time.Time) error {
	h, err := e.table.head(ctx, t.Name)
	if err == nil {
		h.batch.events = make([]entry, 64)
		e.trim(ctx, t, h, now)
	}
	return err
}

// Prolong lets entries last that have to, as it is done every 6 hours.
func (e *Engine) Prolong(ctx context.Context) { e.prolong(ctx) }

// Lasting returns how many entries of leases the engine remembers.
func (e *Engine) Lasting() int {
	e.said.mu.Lock()
	defer e.said.mu.Unlock()
	return len(e.said.entries)
}
