package kanava

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// CloseCode says why a connection ended, as a WebSocket close code (RFC 6455
// section 7.4 and docs/protocol.md section 6). 4000 to 4199 are the program's
// own codes after which clients stay away; after 4200 to 4399 they reconnect.
type CloseCode uint16

// The close codes that Kanava uses. The comment says what clients do next.
const (
	CloseNormal          CloseCode = 1000 // done: stop
	CloseGoingAway       CloseCode = 1001 // the peer left: reconnect
	CloseProtocolError   CloseCode = 1002 // broken WebSocket frame: stop
	CloseUnsupportedData CloseCode = 1003 // stop
	CloseNoStatus        CloseCode = 1005 // never sent: the close frame had no code
	CloseAbnormal        CloseCode = 1006 // never sent: the connection was lost
	CloseInvalidText     CloseCode = 1007 // text that is not UTF-8, or a message that does not decompress: stop
	CloseTooBig          CloseCode = 1009 // message over the limit: stop
	CloseBadRequest      CloseCode = 4400 // protocol error or opening data: stop
	CloseUnauthenticated CloseCode = 4401 // session missing, refused or expired: authenticate, reconnect
	CloseForbidden       CloseCode = 4403 // stop
	CloseTimeout         CloseCode = 4408 // no sign of life: reconnect
	CloseSlowConsumer    CloseCode = 4409 // the client read too slowly: reconnect
	CloseUpgradeRequired CloseCode = 4426 // protocol or contract too old: stop
	CloseRateLimited     CloseCode = 4429 // reconnect later
	CloseInternal        CloseCode = 4500 // reconnect
	CloseDraining        CloseCode = 4503 // the server shuts down: reconnect within the range of the reason
)

var closeNames = map[CloseCode]string{
	CloseNormal:          "done",
	CloseGoingAway:       "going_away",
	CloseProtocolError:   "protocol_error",
	CloseUnsupportedData: "unsupported_data",
	CloseInvalidText:     "invalid_data",
	CloseTooBig:          "too_large",
	CloseBadRequest:      "bad_request",
	CloseUnauthenticated: "unauthenticated",
	CloseForbidden:       "permission_denied",
	CloseTimeout:         "timeout",
	CloseSlowConsumer:    "slow_consumer",
	CloseUpgradeRequired: "upgrade_required",
	CloseRateLimited:     "rate_limited",
	CloseInternal:        "internal",
	CloseDraining:        "draining",
}

// String returns the name that goes into the reason of a close frame, such as
// "slow_consumer", or the number.
func (c CloseCode) String() string {
	if s, ok := closeNames[c]; ok {
		return s
	}
	return fmt.Sprintf("%d", uint16(c))
}

// then returns what a client does after c, as the comments above say.
func (c CloseCode) then() string {
	switch c {
	case CloseUnauthenticated:
		return "authenticate"
	case CloseGoingAway, CloseNoStatus, CloseAbnormal, CloseTimeout, CloseSlowConsumer, CloseRateLimited, CloseInternal, CloseDraining:
		return "reconnect"
	}
	return "stop"
}

// sendable reports whether a program may end a connection with c.
func (c CloseCode) sendable() bool {
	_, known := closeNames[c]
	return known || c >= 4000 && c <= 4399
}

// closeFor returns the close code for a connection that could not start
// because of e.
func closeFor(e *Error) CloseCode {
	switch e.Code {
	case CodeUnauthenticated:
		return CloseUnauthenticated
	case CodePermissionDenied:
		return CloseForbidden
	case CodeResourceExhausted:
		return CloseRateLimited
	case CodeUnavailable:
		return CloseDraining
	}
	if e.HTTPStatus() < 500 {
		return CloseBadRequest
	}
	return CloseInternal
}

// closingFor returns the end that goes with e. If e says when to come back, the
// reason is the name of the code and the range of milliseconds in which to do
// so.
func closingFor(e *Error) Closing {
	code := closeFor(e)
	end := Closing{Code: code, Reason: code.String()}
	if ms := e.RetryAfter.Milliseconds(); ms > 0 {
		end.Reason = fmt.Sprintf("%s %d-%d", code, ms, 2*ms)
		end.from, end.to = e.RetryAfter, 2*e.RetryAfter
	}
	return end
}

// fitReason makes text fit into a close frame: UTF-8 of at most 123 bytes (RFC
// 6455 section 5.5).
func fitReason(text string) string {
	const most = 123
	text = strings.ToValidUTF8(text, "\ufffd")
	if len(text) <= most {
		return text
	}
	end := most
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
