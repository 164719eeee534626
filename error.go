package kanava

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Code says what kind of error a client is told of. Its text goes over the
// wire. A program may define codes of its own; they begin with "x_".
type Code string

// The codes that Kanava itself uses. Each has the HTTP status that
// [Error.HTTPStatus] returns.
const (
	CodeInvalidArgument    Code = "invalid_argument"    // 400: the input is malformed or breaks a rule
	CodeUnauthenticated    Code = "unauthenticated"     // 401: no session, or an expired one
	CodePermissionDenied   Code = "permission_denied"   // 403: the session may not do this
	CodeNotFound           Code = "not_found"           // 404: no such thing, no such action
	CodeAborted            Code = "aborted"             // 409: ended from outside, for instance by another sign-in
	CodeAlreadyExists      Code = "already_exists"      // 409
	CodeFailedPrecondition Code = "failed_precondition" // 412: not in this state
	CodeTooLarge           Code = "too_large"           // 413
	CodeResourceExhausted  Code = "resource_exhausted"  // 429: a limit was reached; see Error.RetryAfter
	CodeCanceled           Code = "canceled"            // 499
	CodeInternal           Code = "internal"            // 500: the text of the cause stays in the log
	CodeUnimplemented      Code = "unimplemented"       // 501
	CodeUnavailable        Code = "unavailable"         // 503: the server is shutting down; try again
	CodeDeadlineExceeded   Code = "deadline_exceeded"   // 504
	CodeInvalidFrame       Code = "invalid_frame"       // 400: a message that is no frame of kanava.v1
)

var httpStatus = map[Code]int{
	CodeInvalidArgument:    http.StatusBadRequest,
	CodeUnauthenticated:    http.StatusUnauthorized,
	CodePermissionDenied:   http.StatusForbidden,
	CodeNotFound:           http.StatusNotFound,
	CodeAborted:            http.StatusConflict,
	CodeAlreadyExists:      http.StatusConflict,
	CodeFailedPrecondition: http.StatusPreconditionFailed,
	CodeTooLarge:           http.StatusRequestEntityTooLarge,
	CodeResourceExhausted:  http.StatusTooManyRequests,
	CodeCanceled:           499,
	CodeInternal:           http.StatusInternalServerError,
	CodeUnimplemented:      http.StatusNotImplemented,
	CodeUnavailable:        http.StatusServiceUnavailable,
	CodeDeadlineExceeded:   http.StatusGatewayTimeout,
	CodeInvalidFrame:       http.StatusBadRequest,
}

// Detail is one fault of an input: where it is, and what is wrong there.
type Detail struct {
	Pointer string `json:"pointer"` // JSON pointer (RFC 6901) into the input; "" is the whole
	Message string `json:"message"`
}

// Error is an error that a client may read. Code, Message, Details and
// RetryAfter are sent; the cause given to [Error.Because] is logged only. Any
// other error that a function returns reaches the client as CodeInternal with
// a fixed text.
type Error struct {
	Code       Code
	Message    string
	Details    []Detail
	RetryAfter time.Duration // sent in milliseconds; 0 is not sent
	cause      error
}

// Errorf makes an Error with a text for the client. The format is that of
// [fmt.Sprintf]; %w is not special, use [Error.Because] for causes.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Invalid makes an Error with CodeInvalidArgument and one detail at pointer, a
// JSON pointer into the input. It is what a Validate method usually returns.
func Invalid(pointer, format string, args ...any) *Error {
	return &Error{
		Code:    CodeInvalidArgument,
		Message: "invalid input",
		Details: []Detail{{Pointer: pointer, Message: fmt.Sprintf(format, args...)}},
	}
}

// Because returns a copy of e with a cause that is logged and found by
// [errors.Is] and [errors.As], and never sent to a client.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// Error returns the code and the message, and the cause where there is one. It
// is for logs: clients are sent the fields.
func (e *Error) Error() string {
	if e == nil {
		return "nil *kanava.Error"
	}
	if e.cause != nil {
		return string(e.Code) + ": " + e.Message + ": " + e.cause.Error()
	}
	return string(e.Code) + ": " + e.Message
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.cause
}

// size is how many bytes of text a client is told.
func (e *Error) size() int {
	n := len(e.Code) + len(e.Message)
	for _, d := range e.Details {
		n += len(d.Pointer) + len(d.Message)
	}
	return n
}

// HTTPStatus returns the HTTP status that goes with the code; 400 for a code
// of the program's own, 500 for anything else that is unknown.
func (e *Error) HTTPStatus() int {
	if s, ok := httpStatus[e.Code]; ok {
		return s
	}
	if len(e.Code) > 2 && e.Code[:2] == "x_" {
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

// ErrClosed is returned by what sends to a connection that has ended, by a
// Stream after its function has returned, and by a hub that was closed.
var ErrClosed = errors.New("kanava: closed")
