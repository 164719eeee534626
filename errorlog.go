package kanava

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"github.com/kanava-go/kanava/internal/form"
)

// This file decides what of an error a client is told, and what is logged.

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

// running is a call as the log sees it.
type running interface {
	stopped() error // why its context has ended, nil if it has not
	kind() Kind
	gone() bool // nobody hears what it sends
	attrs(more ...any) []any
}

// toError turns what a function returned into what the client is told.
func (s *core) toError(x running, err error) (e *Error) {
	log := s.logger
	defer func() { // the methods of err can panic: usually it holds a nil pointer
		if p := recover(); p != nil {
			log.Error("function returned an error whose methods panic", x.attrs("type", fmt.Sprintf("%T", err), "panic", p)...)
			e = errInternal
		}
	}()
	switch {
	case errors.As(err, &e) && e != nil:
		level := slog.LevelDebug
		if x.kind() == KindDisconnect || e.Code == CodeInternal || errors.Is(err, errOverReply) {
			level = slog.LevelError
		}
		log.Log(context.Background(), level, "function returned an error", x.attrs("error", err)...)
		return e
	case errors.Is(err, errPanicked):
		return errInternal
	case errors.Is(err, context.DeadlineExceeded) && x.stopped() != nil:
		log.Warn("function passed its deadline", x.attrs("error", err)...)
		return Errorf(CodeDeadlineExceeded, "the function took too long")
	case errors.Is(err, context.Canceled) && x.stopped() != nil,
		errors.Is(err, ErrClosed) && x.gone():
		if x.kind() != KindDisconnect {
			return Errorf(CodeCanceled, "canceled")
		}
	}
	log.Error("function failed", x.attrs("error", err)...)
	return errInternal
}

func (s *core) panicked(x running, p any) error {
	s.logger.Error("function panicked", x.attrs(slog.Any("panic", p), slog.String("stack", string(debug.Stack())))...)
	return errPanicked
}

// errPanicked stands for a panic that is logged already.
var errPanicked = errors.New("panic")

// errInternal is all that a client is told of an error that is not an *Error.
var errInternal = Errorf(CodeInternal, "internal error")

// asError is toError for the program's hooks at opening, with a code of its own
// for other errors.
func asError(err error, otherwise *Error) *Error {
	if e, panicked := find(err); e != nil {
		return e
	} else if panicked != nil {
		return errInternal
	}
	return otherwise.Because(err)
}

// find returns the *Error that err is or wraps, or what the methods of err
// panic with.
func find(err error) (e *Error, panicked any) {
	defer func() { panicked = recover() }()
	if errors.As(err, &e) && e != nil {
		return e, nil
	}
	_ = err.Error()
	return nil, nil
}

func (s *core) logRefusal(c *conn, route form.Route, e *Error) {
	if s.logger.Enabled(context.Background(), slog.LevelDebug) {
		s.logger.Debug("message refused", "conn", c.id.String(), "channel", c.def.name, "action", route.Action, "error", e)
	}
}
