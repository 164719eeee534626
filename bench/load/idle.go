package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Idle opens conns connections, each subscribed to one topic, of which there
// are many, and leaves them alone.
func Idle(ctx context.Context, t Target, conns int) (*Work, error) {
	w := &Work{}
	return w, w.open(ctx, t, "/topic", t.Dialect.join("idle"), conns)
}

// Open opens conns connections and leaves them open.
func Open(ctx context.Context, t Target, conns int) (*Work, error) {
	w := &Work{}
	err := w.open(ctx, t, "/echo", "", conns)
	w.messages.Store(int64(conns))
	return w, err
}

// Rounds connects, echoes once and disconnects, rounds times in all.
func Rounds(ctx context.Context, t Target, rounds int) error {
	message := `"` + sixtyFour[:62] + `"`
	var left atomic.Int64
	left.Store(int64(rounds))
	var wg sync.WaitGroup
	w := &Work{}
	for range 32 {
		wg.Go(func() {
			for left.Add(-1) >= 0 && ctx.Err() == nil {
				c, err := t.Dialect.open(ctx, t.Addr, "/echo")
				if err != nil {
					w.fail(err)
					return
				}
				if got, err := c.ask(message); err != nil || string(got) != message {
					w.fail(fmt.Errorf("echo: %s, %w", got, err))
				}
				c.close()
			}
		})
	}
	wg.Wait()
	return w.err
}

// Drop closes every second connection at once, waits, and opens as many again.
func (w *Work) Drop(ctx context.Context, t Target, wait time.Duration) error {
	half := &Work{}
	var stay []*conn
	for i, c := range w.conns {
		if i%2 == 0 {
			c.close()
		} else {
			stay = append(stay, c)
		}
	}
	gone := len(w.conns) - len(stay)
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := half.open(ctx, t, "/topic", t.Dialect.join("idle"), gone); err != nil {
		return err
	}
	w.conns = slices.Concat(stay, half.conns)
	return nil
}

// Alive asks each connection for something and fails if one does not answer.
func (w *Work) Alive(t Target) error {
	for i, c := range w.conns {
		if _, err := c.ask(t.Dialect.join("idle")); err != nil {
			return fmt.Errorf("connection %d of %d: %w", i, len(w.conns), err)
		}
	}
	return nil
}
