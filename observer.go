package kanava

import (
	"context"
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
	// OpenRefused reports a client that was turned away.
	OpenRefused(route string, err *Error)
	// CallStarted comes when a function's turn has come. The context it
	// returns is the function's: tracing puts its span there. ended is called
	// once, with "" for success or the code the client was told.
	CallStarted(ctx context.Context, c CallInfo) (_ context.Context, ended func(Code))
	// Published reports one event: its size and the number of subscribers.
	Published(topic string, bytes, subscribers int)
}

// ConnInfo identifies a connection.
type ConnInfo struct{ ID, Channel string }

// CallInfo identifies a call.
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
