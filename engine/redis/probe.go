package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/kanava-go/kanava/engine"
)

// Probe implements [engine.Broker].
func (e *Engine) Probe(ctx context.Context) error {
	err := e.probeAll(ctx)
	select {
	case <-e.done: // which is what ends connections then
		if err != nil {
			err = engine.ErrClosed
		}
	default:
	}
	if err != nil {
		return fmt.Errorf("redis: probe: %w", err)
	}
	return nil
}

func (e *Engine) probeAll(ctx context.Context) error {
	if _, err := e.connected(ctx); err != nil {
		return err
	}
	if err := e.links.await(ctx, e); err != nil {
		return err
	}
	links := e.links.list()
	errs := make(chan error, len(links))
	for _, l := range links {
		go func() { errs <- l.probe(ctx) }()
	}
	var all []error
	for range links {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

var probes atomic.Uint64

var errLost = errors.New("the connection was lost")

// probe sends something by the connection of a link and waits for it.
func (l *link) probe(ctx context.Context) error {
	c, err := l.connected(ctx)
	if err != nil {
		return err
	}
	channel := c.probe.Load()
	if channel == nil {
		return nil // no slots: no events come by it
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
	if err := c.client.Do(ctx, c.client.B().Spublish().Channel(*channel).Message(what).Build()).Error(); err != nil {
		return fmt.Errorf("%s: %w", c.addr, err)
	}
	select {
	case <-came:
		return nil
	case <-c.gone:
		return fmt.Errorf("%s: %w", c.addr, errLost)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", c.addr, ctx.Err())
	}
}

// connected returns the connection of a link, once there is one.
func (l *link) connected(ctx context.Context) (*conn, error) {
	for {
		l.e.subs.mu.RLock()
		c, up := l.conn, l.up
		l.e.subs.mu.RUnlock()
		if c != nil {
			return c, nil
		}
		select {
		case <-up:
		case <-l.e.done:
			return nil, engine.ErrClosed
		case <-ctx.Done():
			return nil, l.e.because(ctx.Err())
		}
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

// subscribeProbe subscribes to a channel that only this engine sends by, and
// that belongs to this server.
func (c *conn) subscribeProbe(ctx context.Context) error {
	e := c.link.e
	for n := range 16 * slots {
		channel := fmt.Sprintf("%sprobe{%s:%d}", e.opts.Prefix, e.id, n)
		if e.cluster && e.links.of(slotOf(channel)) != c.link {
			continue
		}
		c.probe.Store(&channel)
		if err := c.client.Do(ctx, c.client.B().Ssubscribe().Channel(channel).Build()).Error(); err != nil {
			c.probe.Store(nil)
			return err
		}
		return nil
	}
	return nil // it has none
}
