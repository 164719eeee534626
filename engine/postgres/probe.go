package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kanava-go/kanava/engine"
)

// patience is how long what a probe has sent is awaited before the connection by
// which it should have come is given up.
const patience = 3 * time.Second

var probes atomic.Uint64

var errSilent = errors.New("what was sent does not come back")

// Probe implements [engine.Broker].
func (e *Engine) Probe(ctx context.Context) error {
	if err := e.probe(ctx); err != nil {
		if e.life.Err() != nil { // which is what ends connections then
			err = engine.ErrClosed
		}
		return fmt.Errorf("postgres: probe: %w", err)
	}
	return nil
}

func (e *Engine) probe(ctx context.Context) error {
	if err := e.usable(ctx); err != nil {
		return err
	}
	ctx, cancel := e.bound(ctx)
	defer cancel()
	c, err := e.link.connected(ctx)
	if err != nil {
		return err
	}
	what := strconv.FormatUint(probes.Add(1), 36)
	came := make(chan struct{})
	c.mu.Lock()
	c.probes[what] = came
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.probes, what)
		c.mu.Unlock()
	}()
	err = e.call(ctx, func(ctx context.Context, conn *pgx.Conn) error {
		seen := e.log.seen()
		var at *string
		err := conn.QueryRow(ctx, e.sql("SELECT {schema}.enter($1::text::pg_lsn)::text FROM pg_notify($2::text, $3::text)"), seen, e.opts.probeChannel(e.id), what).Scan(&at)
		if err == nil {
			e.log.entered(seen, at)
		}
		return err
	})
	if err != nil {
		return err
	}
	sent := time.Now()
	select {
	case <-came:
		return nil
	case <-c.gone:
		return errLost
	case <-ctx.Done():
		if time.Since(sent) > patience {
			c.fail(errSilent)
		}
		return e.ended(ctx)
	}
}

// probed takes what has come back.
func (c *conn) probed(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if came := c.probes[what]; came != nil {
		close(came)
		delete(c.probes, what)
	}
}
