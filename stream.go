package kanava

import (
	"context"
	"sync/atomic"
)

// Stream is where a stream function sends its values. It belongs to one call.
type Stream[Out any] struct {
	send func(ctx context.Context, out Out) error
}

// NewStream makes a Stream that hands each value to send: for tests, and for
// calling a stream function from other code.
func NewStream[Out any](send func(ctx context.Context, out Out) error) *Stream[Out] {
	mustFunc(send == nil, "NewStream", callerPlace(0))
	return &Stream[Out]{send}
}

// Send sends one value to the client that called. It waits while the client's
// queue has no room. It returns the error of ctx or of the call's context once
// one of them has ended, for instance because the client has canceled the call,
// [ErrClosed] when the connection has ended or the function has returned, and
// CodeTooLarge, with which the stream can go on, for more than Limits.Reply. The
// value is encoded before Send returns. Safe for concurrent use.
func (s *Stream[Out]) Send(ctx context.Context, out Out) error { return s.send(ctx, out) }

// streamEnd is the other end of a Stream: the running call.
type streamEnd struct {
	to    itemSender
	call  *call       // of a connection; nil over HTTP
	ended atomic.Bool // the function has returned
}

// itemSender is a running call of a stream function.
type itemSender interface {
	sendItem(ctx context.Context, v any) error
}

func streamTo[Out any](s *streamEnd) *Stream[Out] {
	return &Stream[Out]{func(ctx context.Context, out Out) error {
		if s.ended.Load() {
			return ErrClosed
		}
		return s.to.sendItem(ctx, out)
	}}
}
