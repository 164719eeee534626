package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava/engine"
	"github.com/redis/rueidis"
)

// Engine is an [engine.Engine] that stands on Redis. It is an
// [engine.Stamper] and an [engine.Store], too: methods of the latter need Start as
// all others do.
type Engine struct {
	opts Options
	id   string // among all engines

	stop    context.CancelFunc // ends the goroutines; set by Start
	closing chan struct{}      // closed when Close begins
	done    chan struct{}      // closed when nothing is waited for any more
	ready   chan struct{}      // closed when client, cluster and queues are set

	handler engine.Handler
	client  rueidis.Client
	cluster bool

	trouble atomic.Pointer[error] // why there is no connection, if there is none
	calls   chan struct{}         // a place for each command that waits for its answer
	pending atomic.Int64          // bytes of publications that wait
	queues  []queue               // publications, by topic; set with client

	subs  subscriptions
	links links
	said  leases

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

var errNotStarted = errors.New("not started")

// callsMost bounds what waits for answers: less than the client library has
// room for on one connection, for beyond that it would wait without end.
const callsMost = 512

// New returns an engine. It refuses options that cannot be meant, and touches
// no network.
func New(opts Options) (*Engine, error) {
	if err := opts.complete(); err != nil {
		return nil, fmt.Errorf("redis: options: %w", err)
	}
	e := &Engine{
		opts:    opts,
		id:      rand.Text(),
		stop:    func() {},
		closing: make(chan struct{}),
		done:    make(chan struct{}),
		ready:   make(chan struct{}),
		calls:   make(chan struct{}, callsMost),
	}
	e.subs.by = make(map[string]*subscription)
	e.links.all = make(map[string]*link)
	e.links.kick = make(chan struct{}, 1)
	e.said.init()
	return e, nil
}

// Start implements [engine.Broker].
func (e *Engine) Start(h engine.Handler) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started || e.closed {
		panic("redis: Start of an engine that has been started or closed")
	}
	var ctx context.Context
	ctx, e.stop = context.WithCancel(context.Background())
	e.started, e.handler = true, h
	e.running.Go(func() {
		if e.connect(ctx) {
			e.watch(ctx)
		}
	})
	e.running.Go(func() { e.tendEntries(ctx) })
}

// connect finds the servers. It is false if the engine is closed first.
func (e *Engine) connect(ctx context.Context) bool {
	for attempt := 0; ; attempt++ {
		client, err := rueidis.NewClient(e.opts.client(ctx))
		if err == nil {
			e.cluster = client.Mode() == rueidis.ClientModeCluster
			n := 2 // while one batch is on its way the next one is made
			if e.cluster {
				n = 16 // a server that does not answer holds up its own part only
			}
			e.queues = make([]queue, n)
			e.client = client
			close(e.ready)
			return true
		}
		e.troubled(err)
		if !e.pause(ctx, attempt) {
			return false
		}
	}
}

// troubled notes why there is no connection.
func (e *Engine) troubled(err error) {
	if old := e.trouble.Swap(&err); old == nil || (*old).Error() != err.Error() {
		e.opts.Logger.Warn("redis: no connection", "error", err)
	}
}

// spawn runs f, which Close waits for. It is false after Close.
func (e *Engine) spawn(f func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.running.Go(f)
	return true
}

// connected returns the client, once there is one.
func (e *Engine) connected(ctx context.Context) (rueidis.Client, error) {
	select {
	case <-e.closing:
		return nil, engine.ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-e.ready:
		return e.client, nil
	default:
	}
	if !e.begun() {
		return nil, errNotStarted
	}
	select {
	case <-e.ready:
		return e.client, nil
	case <-e.done:
		return nil, engine.ErrClosed
	case <-ctx.Done():
		return nil, e.because(ctx.Err())
	}
}

func (e *Engine) begun() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.started
}

// because adds to the end of a context why there was no answer, if that is
// known.
func (e *Engine) because(err error) error {
	if cause := e.trouble.Load(); cause != nil {
		return fmt.Errorf("%w: %w", err, *cause)
	}
	return err
}

// answer sends commands, and returns when there are answers or ctx ends. What
// is sent has its place until it is answered, or its connection is closed.
func (e *Engine) answer(ctx context.Context, send func() []rueidis.RedisResult) ([]rueidis.RedisResult, error) {
	select {
	case e.calls <- struct{}{}:
	case <-e.done:
		return nil, engine.ErrClosed
	case <-ctx.Done():
		return nil, e.because(ctx.Err())
	}
	answers := make(chan []rueidis.RedisResult, 1)
	if !e.spawn(func() {
		defer func() { <-e.calls }()
		answers <- send()
	}) {
		<-e.calls
		return nil, engine.ErrClosed
	}
	select {
	case a := <-answers:
		return a, nil
	case <-e.done:
		return nil, engine.ErrClosed
	case <-ctx.Done():
		return nil, e.because(ctx.Err())
	}
}

// Close implements [engine.Broker].
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return fmt.Errorf("redis: close: %w", engine.ErrClosed)
	}
	e.closed = true
	close(e.closing)
	e.mu.Unlock()
	err := e.drain(ctx)
	close(e.done)
	e.stop()
	select {
	case <-e.ready:
		e.client.Close()
	default:
	}
	e.running.Wait()
	if err != nil {
		return fmt.Errorf("redis: close: %w", err)
	}
	return nil
}

// pause waits before another attempt: longer after many, up to 1 s, and each
// time another while, so that nodes do not come at once. It is false if ctx or
// the engine ends.
func (e *Engine) pause(ctx context.Context, attempt int) bool {
	most := min(time.Second, 10*time.Millisecond<<min(attempt, 10))
	t := time.NewTimer(most/2 + mrand.N(most/2+1)) //nolint:gosec // spreads attempts
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-e.done:
	}
	return false
}
