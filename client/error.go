package client

import (
	"errors"
	"time"
)

// Code says what kind of error it is. A program may have codes of its own,
// which begin with "x_".
type Code string

// The codes that servers and this package use.
const (
	CodeInvalidArgument    Code = "invalid_argument"    // the input is malformed or breaks a rule; see Error.Details
	CodeUnauthenticated    Code = "unauthenticated"     // no session, or an expired one
	CodePermissionDenied   Code = "permission_denied"   // the session may not do this
	CodeNotFound           Code = "not_found"           // no such thing, no such action
	CodeAborted            Code = "aborted"             // ended from outside, for instance by another sign-in
	CodeAlreadyExists      Code = "already_exists"      //
	CodeFailedPrecondition Code = "failed_precondition" // not in this state
	CodeTooLarge           Code = "too_large"           // larger than the server takes
	CodeResourceExhausted  Code = "resource_exhausted"  // a limit was reached; see Error.RetryAfter
	CodeCanceled           Code = "canceled"            // the context was canceled; it is in the error's chain
	CodeInternal           Code = "internal"            // the server's own fault
	CodeUnimplemented      Code = "unimplemented"       // the server cannot do this
	CodeUnavailable        Code = "unavailable"         // no connection, or it was lost; see Error.OutcomeUnknown
	CodeDeadlineExceeded   Code = "deadline_exceeded"   // no answer in time; context.DeadlineExceeded is in the error's chain
	CodeInvalidFrame       Code = "invalid_frame"       // the server sent what this client cannot read
)

// Detail is one fault of an input: where it is, and what is wrong there.
type Detail struct {
	Pointer string `json:"pointer"` // JSON pointer (RFC 6901) into the input; "" is the whole
	Message string `json:"message"`
}

// Error is the error of every call: the server's own, or one that the client
// found.
type Error struct {
	Code    Code
	Message string
	Details []Detail
	// RetryAfter is after how long to try again, if the server said so.
	RetryAfter time.Duration
	// OutcomeUnknown says that the call was sent and no answer came: it may
	// have run.
	OutcomeUnknown bool

	cause error
}

// Error returns the code and the message, and the cause where there is one.
func (e *Error) Error() string {
	text := string(e.Code) + ": " + e.Message
	if e.OutcomeUnknown {
		text += " (outcome unknown)"
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.cause }

func fault(code Code, message string) *Error { return &Error{Code: code, Message: message} }

func (e *Error) because(cause error) *Error {
	e.cause = cause
	return e
}

// wireError is an error as it goes over the wire.
type wireError struct {
	Code       Code     `json:"code"`
	Message    string   `json:"message"`
	Details    []Detail `json:"details,omitempty"`
	RetryAfter float64  `json:"retryAfter,omitzero"` // milliseconds
}

func (w *wireError) told() *Error {
	return &Error{Code: w.Code, Message: w.Message, Details: w.Details, RetryAfter: millis(w.RetryAfter)}
}

// wire returns what of an error of the program is for the server: no more than
// that it failed, unless it is an *Error.
func wire(err error) wireError {
	if e, ok := errors.AsType[*Error](err); ok {
		return wireError{Code: e.Code, Message: e.Message, Details: e.Details}
	}
	return wireError{Code: CodeInternal, Message: "the handler failed"}
}

// longest bounds every time that a server tells.
const longest = 24 * time.Hour

func millis(ms float64) time.Duration {
	if !(ms > 0) {
		return 0
	}
	return time.Duration(min(ms, float64(longest/time.Millisecond)) * float64(time.Millisecond))
}
