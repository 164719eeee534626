package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Target is a server under load.
type Target struct {
	Addr    string
	Dialect *Dialect
}

// Work is load that goes on until Stop; the messages that have been answered or
// delivered so far can be read at any time.
type Work struct {
	messages atomic.Int64
	stopping atomic.Bool
	conns    []*conn
	wg       sync.WaitGroup

	mu        sync.Mutex
	err       error           // guarded by mu: the first
	latencies []time.Duration // guarded by mu until Stop has returned
}

// Messages returns how many messages there were: echoes, or deliveries.
func (w *Work) Messages() int64 { return w.messages.Load() }

// Stop ends the work and returns what went wrong: a message that is lost,
// doubled, out of order or not as it should be.
func (w *Work) Stop() error {
	w.stopping.Store(true)
	done := make(chan struct{})
	go func() { w.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		w.fail(errors.New("messages are missing: what was sent last has not come"))
	}
	w.Close()
	<-done
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Close ends the connections.
func (w *Work) Close() {
	for _, c := range w.conns {
		c.close()
	}
}

// Latencies returns how long each echo took; call it after Stop.
func (w *Work) Latencies() []time.Duration { return w.latencies }

func (w *Work) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

// open makes n connections at a path, some at a time, and says join on each
// unless it is "".
func (w *Work) open(ctx context.Context, t Target, path, join string, n int) error {
	const together = 64
	w.conns = make([]*conn, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(together, n) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || ctx.Err() != nil {
					return
				}
				c, err := t.Dialect.open(ctx, t.Addr, path)
				if err != nil {
					w.fail(err)
					return
				}
				w.conns[i] = c
				if join == "" {
					continue
				}
				if _, err := c.ask(join); err != nil {
					w.fail(err)
					return
				}
			}
		})
	}
	wg.Wait()
	w.mu.Lock()
	err := w.err
	w.mu.Unlock()
	if err = errors.Join(err, ctx.Err()); err != nil {
		var opened []*conn
		for _, c := range w.conns {
			if c != nil {
				opened = append(opened, c)
			}
		}
		w.conns = opened
		w.Close()
		return fmt.Errorf("open %d connections: %w", n, err)
	}
	return nil
}
