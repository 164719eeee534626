package kanava

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"
)

// Observer is told what happens, for metrics and tracing. Its methods are
// called on the goroutines that do the work and must return quickly; they may
// be called concurrently. Embed [NopObserver] to implement a part of it and to
// stay compatible when methods are added.
type Observer interface {
	// ConnOpened follows a successful open; the connection is not yet started.
	ConnOpened(c ConnInfo)
	// ConnClosed comes last, after OnDisconnect.
	ConnClosed(c ConnInfo, code CloseCode, lasted time.Duration)
	// OpenRefused reports a client that was turned away: route is that of the
	// channel, or the pattern of a function over HTTP; "" where there is none.
	OpenRefused(route string, err *Error)
	// CallStarted comes when a function's turn has come. The context it
	// returns is the function's: tracing puts its span there. ended is called
	// once, with "" for success or the code the client was told.
	CallStarted(ctx context.Context, c CallInfo) (_ context.Context, ended func(Code))
	// Published reports one event: its size and the number of subscribers; of
	// this node, where there are several.
	Published(topic string, bytes, subscribers int)
	// EngineChanged reports that the engine which joins the nodes does not answer
	// any more, or with nil that it does. Ready of the hub tells it at any time.
	EngineChanged(err error)
	// Dropped reports what was dropped because a client is slow: since the last
	// report for the connection, when its transport goes on, and at the end of
	// the connection, before ConnClosed. Conns.Backlogs tells it at any time.
	Dropped(c ConnInfo, d Dropped)
}

// ConnInfo identifies a connection.
type ConnInfo struct{ ID, Channel string }

// CallInfo identifies a call. Over HTTP Conn and Channel are "", and Action is
// the pattern.
type CallInfo struct {
	Conn, Channel, Action string
	Kind                  Kind
}

// NopObserver is an Observer that does nothing.
type NopObserver struct{}

// ConnOpened does nothing.
func (NopObserver) ConnOpened(ConnInfo) {}

// ConnClosed does nothing.
func (NopObserver) ConnClosed(ConnInfo, CloseCode, time.Duration) {}

// OpenRefused does nothing.
func (NopObserver) OpenRefused(string, *Error) {}

// CallStarted returns ctx.
func (NopObserver) CallStarted(ctx context.Context, _ CallInfo) (context.Context, func(Code)) {
	return ctx, nil
}

// Published does nothing.
func (NopObserver) Published(string, int, int) {}

// EngineChanged does nothing.
func (NopObserver) EngineChanged(error) {}

// Dropped does nothing.
func (NopObserver) Dropped(ConnInfo, Dropped) {}

// safeObserver keeps what panics in an Observer from ending the process, or a
// connection half done.
type safeObserver struct {
	Observer
	log *slog.Logger
}

func (o safeObserver) caught(method string) {
	if p := recover(); p != nil {
		o.log.Error("observer panicked", "method", method, "panic", p, "stack", string(debug.Stack()))
	}
}

func (o safeObserver) ConnOpened(c ConnInfo) {
	defer o.caught("ConnOpened")
	o.Observer.ConnOpened(c)
}

func (o safeObserver) ConnClosed(c ConnInfo, code CloseCode, lasted time.Duration) {
	defer o.caught("ConnClosed")
	o.Observer.ConnClosed(c, code, lasted)
}

func (o safeObserver) OpenRefused(route string, err *Error) {
	defer o.caught("OpenRefused")
	o.Observer.OpenRefused(route, err)
}

func (o safeObserver) CallStarted(ctx context.Context, c CallInfo) (observed context.Context, ended func(Code)) {
	defer func() {
		if observed == nil {
			observed = ctx
		}
		if f := ended; f != nil {
			ended = func(code Code) {
				defer o.caught("CallStarted's ended")
				f(code)
			}
		}
	}()
	defer o.caught("CallStarted")
	return o.Observer.CallStarted(ctx, c)
}

func (o safeObserver) Published(topic string, bytes, subscribers int) {
	defer o.caught("Published")
	o.Observer.Published(topic, bytes, subscribers)
}

func (o safeObserver) EngineChanged(err error) {
	defer o.caught("EngineChanged")
	o.Observer.EngineChanged(err)
}

func (o safeObserver) Dropped(c ConnInfo, d Dropped) {
	defer o.caught("Dropped")
	o.Observer.Dropped(c, d)
}
