package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kanava-go/kanava/engine"
)

var errNotStarted = errors.New("not started")

// notSent is the error of a call that has had no connection: the server knows
// nothing of it.
type notSentError struct{ error }

func (e notSentError) Unwrap() error { return e.error }

// finalError is the error of a call that would fail again.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// call runs f with a connection of the pool, and again as long as that fails in a
// way that passes, until ctx ends. What f does may be done twice.
func (e *Engine) call(ctx context.Context, f func(ctx context.Context, conn *pgx.Conn) error) error {
	if err := e.usable(ctx); err != nil {
		return err
	}
	ctx, cancel := e.bound(ctx)
	defer cancel()
	for attempt := 0; ; attempt++ {
		err := e.try(ctx, f)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil && !passes(err) {
			return err
		}
		if ctx.Err() == nil {
			e.troubled(err)
		}
		if !pause(ctx, attempt) {
			return e.ended(ctx)
		}
	}
}

// usable returns why there can be no call.
func (e *Engine) usable(ctx context.Context) error {
	select {
	case <-e.closing:
		return engine.ErrClosed
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.started {
		return errNotStarted
	}
	return nil
}

// bound makes a context end with the engine, too.
func (e *Engine) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	release := context.AfterFunc(e.life, cancel)
	return ctx, func() { release(); cancel() }
}

// ended returns why a call has ended whose context has.
func (e *Engine) ended(ctx context.Context) error {
	if e.life.Err() != nil {
		return engine.ErrClosed
	}
	return e.because(ctx.Err())
}

// try runs f once. The schema is made where it is missing.
func (e *Engine) try(ctx context.Context, f func(ctx context.Context, conn *pgx.Conn) error) error {
	conn, err := e.pool.Acquire(ctx)
	if err != nil {
		return notSentError{err}
	}
	defer conn.Release()
	if err = f(ctx, conn.Conn()); err == nil {
		e.trouble.Store(nil)
		return nil
	}
	switch {
	case code(err) == "25006": // it takes no writes any more: another connection may lead to one that does
		conn.Conn().Close(ctx) //nolint:errcheck // it is not used any more
	case conn.Conn().IsClosed() && ctx.Err() == nil: // others are as good
		e.pool.Reset()
	}
	if undefined(err) {
		if entered := e.enter(ctx, conn.Conn()); entered != nil {
			return notSentError{entered}
		}
		return notSentError{err}
	}
	return err
}

// code returns the SQLSTATE of an error that the server has returned, "" for
// others.
func code(err error) string {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pe.Code
	}
	return ""
}

// undefined tells whether the schema is not there, or not all of it.
func undefined(err error) bool {
	switch code(err) {
	case "3F000", "42P01", "42883": // of schemas, tables, functions
		return true
	}
	return false
}

// undone tells whether what has failed has left nothing behind, and may succeed
// another time.
func undone(err error) bool {
	var none notSentError
	if errors.As(err, &none) || pgconn.SafeToRetry(err) {
		return true
	}
	switch code(err) {
	case "40001", "40P01", "55P03", // others were there before
		"25006",                   // the server takes no writes (any more)
		"53100", "53200", "53300", // disk, memory, connections
		"57P03": // it is starting
		return true
	}
	return queueFull(err)
}

// queueFull tells whether the server keeps all the notifications that it has room
// for, which it says before it commits. The same SQLSTATE is that of what is too
// large, by other files of the server.
func queueFull(err error) bool {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pe.Code == "54000" && pe.File == "async.c"
}

// passes tells whether what has failed may succeed another time: what has no
// SQLSTATE is of the connection, as a rule.
func passes(err error) bool {
	if _, final := errors.AsType[finalError](err); final {
		return false
	}
	c := code(err)
	return undone(err) || c == "" || strings.HasPrefix(c, "57P") || strings.HasPrefix(c, "08")
}
