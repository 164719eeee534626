package postgres

import (
	"context"
	"crypto/rand"
	"fmt"
	mrand "math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kanava-go/kanava/engine"
)

// Engine is an [engine.Engine] that stands on PostgreSQL. It is an [engine.Stamper]
// and an [engine.Store], too: methods of the latter need Start as all others do.
type Engine struct {
	opts   Options
	id     string // among all engines
	pooled *pgxpool.Config
	direct *pgx.ConnConfig

	life    context.Context //nolint:containedctx // ends with the engine
	stop    context.CancelFunc
	closing chan struct{} // closed when Close begins

	handler engine.Handler
	pool    *pgxpool.Pool // set by Start

	entered atomic.Bool           // the schema has been there
	trouble atomic.Pointer[error] // why there is no connection, if there is none
	log     serverLog
	pending pending
	subs    subscriptions
	link    link

	mu      sync.Mutex
	started bool           // guarded by mu
	closed  bool           // guarded by mu
	running sync.WaitGroup // goroutines; added to under mu, unless closed
}

var (
	_ engine.Engine  = (*Engine)(nil)
	_ engine.Stamper = (*Engine)(nil)
	_ engine.Store   = (*Engine)(nil)
)

// New returns an engine. It refuses options that cannot be meant, and touches
// no network.
func New(opts Options) (*Engine, error) {
	if err := opts.complete(); err != nil {
		return nil, fmt.Errorf("postgres: options: %w", err)
	}
	e := &Engine{opts: opts, id: strings.ToLower(rand.Text()[:12]), closing: make(chan struct{})}
	var err error
	if e.pooled, err = opts.pool(e.enter); err != nil {
		return nil, fmt.Errorf("postgres: options: %w", err)
	}
	if e.direct, err = opts.listener(); err != nil {
		return nil, fmt.Errorf("postgres: options: %w", err)
	}
	e.life, e.stop = context.WithCancel(context.Background())
	e.pending.init(opts.Conns)
	e.subs.by = make(map[string]*subscription)
	e.link.init(e)
	return e, nil
}

// Start implements [engine.Broker].
func (e *Engine) Start(h engine.Handler) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started || e.closed {
		panic("postgres: Start of an engine that has been started or closed")
	}
	pool, err := pgxpool.NewWithConfig(e.life, e.pooled)
	if err != nil {
		panic("postgres: " + err.Error()) // New has seen that there is a configuration
	}
	e.started, e.handler, e.pool = true, h, pool
	e.running.Go(func() { e.link.run(e.life) })
	e.running.Go(func() { e.tend(e.life) })
}

// spawn runs f, which Close waits for. It is false after Close.
func (e *Engine) spawn(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed && e.life.Err() != nil {
		return false
	}
	e.running.Go(f)
	return true
}

// Close implements [engine.Broker].
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return fmt.Errorf("postgres: close: %w", engine.ErrClosed)
	}
	e.closed = true
	close(e.closing)
	started := e.started
	e.mu.Unlock()
	err := e.pending.drain(ctx)
	e.mu.Lock()
	e.stop()
	e.mu.Unlock()
	e.running.Wait()
	if started {
		e.closePool(ctx)
	}
	if err != nil {
		return fmt.Errorf("postgres: close: %w", err)
	}
	return nil
}

// closePool ends the connections of the pool. Where the server does not answer it
// does not wait for longer than ctx: they end by themselves then.
func (e *Engine) closePool(ctx context.Context) {
	closed := make(chan struct{})
	go func() {
		e.pool.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-ctx.Done():
	}
}

// troubled notes why there is no connection.
func (e *Engine) troubled(err error) {
	if e.life.Err() != nil {
		return
	}
	if old := e.trouble.Swap(&err); old == nil || (*old).Error() != err.Error() {
		e.opts.Logger.Warn("postgres: no connection", "error", err)
	}
}

// because adds to the end of a context why there was no answer, if that is
// known.
func (e *Engine) because(err error) error {
	if cause := e.trouble.Load(); cause != nil {
		return fmt.Errorf("%w: %w", err, *cause)
	}
	return err
}

// pause waits before another attempt: longer after many, up to 1 s, and each
// time another while, so that nodes do not come at once. It is false if ctx ends.
func pause(ctx context.Context, attempt int) bool {
	most := min(time.Second, 10*time.Millisecond<<min(attempt, 10))
	t := time.NewTimer(most/2 + mrand.N(most/2+1)) //nolint:gosec // spreads attempts
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
