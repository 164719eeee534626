// Package httperr answers HTTP requests with the error object of Kanava:
// {"error":{"code","message","details","retryAfter"}} (docs/protocol.md P3).
package httperr

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
)

type body struct {
	Error struct {
		Code    kanava.Code     `json:"code"`
		Message string          `json:"message"`
		Details []kanava.Detail `json:"details,omitempty"`

		RetryAfter int64 `json:"retryAfter,omitzero"` // milliseconds
	} `json:"error"`
}

// Write answers with err and the status that goes with its code. An error that
// is not a [*kanava.Error] becomes an internal one that tells nothing of it.
func Write(w http.ResponseWriter, err error) { write(w, 0, err) }

// WriteStatus is like Write, with another status than that of the code.
func WriteStatus(w http.ResponseWriter, status int, err error) { write(w, status, err) }

// Append appends the body of such an answer to dst.
func Append(dst []byte, e *kanava.Error) []byte {
	var b body
	b.Error.Code, b.Error.Message, b.Error.Details = e.Code, e.Message, e.Details
	b.Error.RetryAfter = e.RetryAfter.Milliseconds()
	data, err := json.Marshal(b, jsontext.AllowInvalidUTF8(true))
	if err != nil { // cannot be: a body is strings and a number
		panic(err)
	}
	return append(dst, data...)
}

func write(w http.ResponseWriter, status int, err error) {
	var e *kanava.Error
	if !errors.As(err, &e) {
		e = kanava.Errorf(kanava.CodeInternal, "internal error")
	}
	if status == 0 {
		status = e.HTTPStatus()
	}
	data := Append(nil, e)
	h := w.Header()
	h.Del("Content-Encoding")
	h.Del("Etag")
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(data)))
	h.Set("X-Content-Type-Options", "nosniff")
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((e.RetryAfter+time.Second-1)/time.Second), 10))
	}
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client may have gone
}
