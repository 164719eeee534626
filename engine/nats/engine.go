package nats

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	natsgo "github.com/nats-io/nats.go"

	"github.com/kanava-go/kanava/engine"
)

// Engine is an [engine.Engine] on NATS servers. [New] makes one for servers that
// are there, [Embedded] one that is a server itself.
type Engine struct {
	names   names
	keep    Keeping
	log     *slog.Logger
	connect func() (*natsgo.Conn, error) // once more if it fails; set by New and Embedded
	shut    func()                       // what New or Embedded has begun; nil: nothing

	link       link
	calls      calls
	sending    sending
	topics     topics
	clock      clock
	everywhere stream // for confirmations only
	owners     owners

	handler engine.Handler
	started atomic.Bool
	closed  chan struct{} // closed by Close
	once    sync.Once
	running sync.WaitGroup // goroutines, all of which end when closed is

	mu      sync.Mutex // guards streams, and starting goroutines
	streams map[retention]*stream
}

var _ engine.Engine = (*Engine)(nil)

// New makes an engine for NATS servers of version 2.11 or newer, with JetStream.
// It looks at the options, and touches no network before Start.
func New(o Options) (*Engine, error) {
	options, err := o.check()
	if err != nil {
		return nil, err
	}
	e := newEngine(o.Prefix, o.Keep, o.Logger)
	e.connect = func() (*natsgo.Conn, error) {
		return natsgo.Connect(o.urls(), append(e.link.options(e), append(options, natsgo.SetCustomDialer(dialer{e}))...)...)
	}
	return e, nil
}

func newEngine(prefix string, keep Keeping, log *slog.Logger) *Engine {
	e := &Engine{names: names(prefix), keep: keep, log: orDefault(log), closed: make(chan struct{}), streams: make(map[retention]*stream)}
	e.link.init()
	e.calls.init()
	e.sending.init()
	e.topics.init(e.names)
	return e
}

// Start implements [engine.Broker].
func (e *Engine) Start(h engine.Handler) {
	e.handler = h
	e.started.Store(true)
	e.running.Go(e.deliver)
	e.running.Go(e.run)
}

// run connects, and sends what there is to be sent, until the end.
func (e *Engine) run() {
	nc := e.dial()
	if nc == nil {
		return
	}
	e.send(nc)
}

// spawn runs f on a goroutine, unless the engine is closed. f ends when it is.
func (e *Engine) spawn(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.over() {
		e.running.Go(f)
	}
}

// dial returns the connection, which comes back by itself from then on, or nil
// if the end came first.
func (e *Engine) dial() *natsgo.Conn {
	var backoff backoff
	for !e.over() {
		nc, err := e.connect()
		if err == nil {
			e.link.mu.Lock()
			e.link.conn = nc
			e.link.mu.Unlock()
			return nc
		}
		e.link.note(err)
		e.log.Warn("nats: cannot connect", "error", err)
		if !backoff.wait(e.closed) {
			break
		}
	}
	return nil
}

func (e *Engine) over() bool {
	select {
	case <-e.closed:
		return true
	default:
		return false
	}
}

// Probe implements [engine.Broker]: it sends a message to itself, which comes as
// events do.
func (e *Engine) Probe(ctx context.Context) error {
	if _, err := e.ask(ctx, outgoing{subject: e.topics.probe}, nil); err != nil {
		return fmt.Errorf("nats: probe: %w", err)
	}
	return nil
}

// usable waits for a connection.
func (e *Engine) usable(ctx context.Context) error {
	if e.over() {
		return engine.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-e.link.connected():
		return nil
	default:
	}
	select {
	case <-e.link.connected():
		return nil
	case <-e.closed:
		return engine.ErrClosed
	case <-ctx.Done():
		if err := e.link.lastError(); err != nil {
			return fmt.Errorf("not connected: %w (%w)", ctx.Err(), err)
		}
		return fmt.Errorf("not connected: %w", ctx.Err())
	}
}

// Close implements [engine.Broker].
func (e *Engine) Close(ctx context.Context) error {
	var err error
	e.once.Do(func() {
		if e.started.Load() {
			err = e.drain(ctx)
		}
		e.mu.Lock()
		close(e.closed)
		e.mu.Unlock()
		e.calls.failAll(engine.ErrClosed)
		done := make(chan struct{})
		go func() { // ends when the client and the server have, which nobody can hurry
			defer close(done)
			e.link.close()
			e.running.Wait()
			if e.shut != nil {
				e.shut()
			}
		}()
		select {
		case <-done:
		case <-ctx.Done():
			if err == nil {
				err = ctx.Err()
			}
		}
		e.topics.silence()
	})
	if err != nil {
		return fmt.Errorf("nats: close: %w", err)
	}
	return nil
}

// drain waits until what has been handed over is sent.
func (e *Engine) drain(ctx context.Context) error {
	if e.sending.idle() {
		return nil
	}
	if err := e.usable(ctx); err != nil {
		return err
	}
	select {
	case <-e.sending.sealed():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
