package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"github.com/kanava-go/kanava/engine"
)

// Engine is an [engine.Engine] that stands on DynamoDB.
type Engine struct {
	table  table
	eager  table // as it is read where somebody is to know of each failure
	poll   time.Duration
	logger *slog.Logger

	life context.Context //nolint:containedctx // ends with the engine
	stop context.CancelFunc

	handler engine.Handler // set by Start

	lanes   lanes
	follows follows
	said    said
	away    atomic.Bool  // the last call by which events come had no answer
	warned  atomic.Int64 // when it was last said that events come late, in ms

	mu         sync.Mutex
	started    bool           // guarded by mu
	closed     bool           // guarded by mu
	publishing sync.WaitGroup // calls that Close waits for; added to under mu, unless closed
	running    sync.WaitGroup // all calls and goroutines; as well
}

var (
	_ engine.Engine  = (*Engine)(nil)
	_ engine.Stamper = (*Engine)(nil)
)

// New returns an engine. It refuses options that cannot be meant, and touches
// no network.
func New(opts Options) (*Engine, error) {
	t, err := newTable(opts.Client, opts.Table)
	if err == nil {
		err = opts.complete()
	}
	if err != nil {
		return nil, fmt.Errorf("dynamodb: options: %w", err)
	}
	e := &Engine{table: t, eager: t.eager(), poll: opts.Poll, logger: opts.Logger}
	e.life, e.stop = context.WithCancel(context.Background())
	e.lanes.by = make(map[string]*lane)
	e.follows.init()
	e.said.entries = make(map[string]lasting)
	return e, nil
}

// Start implements [engine.Broker].
func (e *Engine) Start(h engine.Handler) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started || e.closed {
		panic("dynamodb: Start of an engine that has been started or closed")
	}
	e.started, e.handler = true, h
	e.running.Go(func() { e.enterAll(e.life) })
	e.running.Go(func() { e.pollAll(e.life) })
	e.running.Go(func() { e.prolongAll(e.life) })
}

var errNotStarted = errors.New("the engine has not been started")

// begin begins a call: its context ends with the engine, too. Close waits until end
// is called.
func (e *Engine) begin(ctx context.Context) (_ context.Context, end func(), err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return nil, nil, engine.ErrClosed
	case !e.started:
		return nil, nil, errNotStarted
	}
	e.running.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(e.life, cancel)
	return ctx, func() { stop(); cancel(); e.running.Done() }, nil
}

// call runs a method, and says in its error which one it was.
func (e *Engine) call(ctx context.Context, name string, f func(ctx context.Context) error) error {
	ctx, end, err := e.begin(ctx)
	if err == nil {
		err = f(ctx)
		end()
	}
	if err != nil && e.life.Err() != nil {
		err = engine.ErrClosed
	}
	if err != nil {
		return fmt.Errorf("dynamodb: %s: %w", name, err)
	}
	return nil
}

// Probe implements [engine.Broker]. It reads an item: events come by such calls.
func (e *Engine) Probe(ctx context.Context) error {
	return e.call(ctx, "probe", func(ctx context.Context) error {
		_, err := e.eager.get(ctx, key(kindLeases, alone))
		return err
	})
}

// Close implements [engine.Broker]. The client is the program's, and so are its
// connections.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return fmt.Errorf("dynamodb: close: %w", engine.ErrClosed)
	}
	e.closed = true
	e.mu.Unlock()
	sent := make(chan struct{})
	go func() {
		e.publishing.Wait()
		close(sent)
	}()
	var err error
	select {
	case <-sent:
	case <-ctx.Done():
		err = fmt.Errorf("dynamodb: close: %w", ctx.Err())
	}
	e.stop()
	e.running.Wait()
	<-sent
	return err
}

// warnTime is how long the same trouble is not logged again.
const warnTime = time.Minute

// noted notes how a call went by which events come, and logs what an operator should
// know. An error that DynamoDB has answered is no loss: nothing was missed.
func (e *Engine) noted(err error) {
	if err == nil || e.life.Err() != nil {
		return
	}
	res, answered := errors.AsType[*awshttp.ResponseError](err)
	answered = answered && res.HTTPStatusCode() >= 400 && res.HTTPStatusCode() < 500
	if !answered && !errors.Is(err, errForm) {
		e.away.Store(true)
	}
	if now := time.Now().UnixMilli(); now-e.warned.Load() > warnTime.Milliseconds() {
		e.warned.Store(now)
		e.logger.Warn("dynamodb: events do not come", "error", err)
	}
}

// back notes that DynamoDB has answered, and tells the hub if it had not before.
func (e *Engine) back() {
	if e.away.Swap(false) && e.life.Err() == nil {
		e.handler.Resumed()
	}
}
