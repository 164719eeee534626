package httpfunc

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/httperr"
)

// body reads the body of a request, at most Limits.Message of it, or answers
// what is wrong with it and reports false. nil is no body.
func (h *handler) body(w http.ResponseWriter, r *http.Request, call *kanava.HTTPCall) (body []byte, ok bool) {
	limit := int64(call.Limits().Message)
	switch {
	case r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody:
		return nil, true
	case !call.Body():
		refuseStatus(w, r, http.StatusBadRequest, "a "+r.Method+" request has no body here")
		return nil, false
	case !isJSON(r.Header):
		refuseStatus(w, r, http.StatusUnsupportedMediaType, "the body must be application/json in UTF-8, without a Content-Encoding")
		return nil, false
	case r.ContentLength > limit:
		leaveBody(w, r)
		httperr.Write(w, tooLarge(limit))
		return nil, false
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(h.o.BodyTime)) // not every server has one
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	_ = control.SetReadDeadline(time.Time{})
	if err != nil {
		httperr.Write(w, bodyError(err, limit))
		return nil, false
	}
	return buf.Bytes(), true
}

func bodyError(err error, limit int64) error {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return tooLarge(limit)
	case errors.As(err, &timeout) && timeout.Timeout():
		return kanava.Errorf(kanava.CodeDeadlineExceeded, "the body took too long")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return kanava.Errorf(kanava.CodeInvalidArgument, "the body is shorter than its Content-Length")
	}
	return kanava.Errorf(kanava.CodeInvalidArgument, "the body cannot be read")
}

func tooLarge(limit int64) error {
	return kanava.Errorf(kanava.CodeTooLarge, "the body has more than %d bytes", limit)
}

// leaveBody keeps net/http from waiting for a body that nobody wants.
func leaveBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
	}
}

// isJSON reports whether the body is said to be JSON in UTF-8.
func isJSON(h http.Header) bool {
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset := params["charset"]
	return err == nil && media == "application/json" && (charset == "" || strings.EqualFold(charset, "utf-8")) && h.Get("Content-Encoding") == ""
}

// takesEvents reports whether the client takes server-sent events.
func takesEvents(r *http.Request) bool {
	accepted := r.Header.Values("Accept")
	if len(accepted) == 0 {
		return true
	}
	for part := range strings.SplitSeq(strings.Join(accepted, ","), ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil || strings.Trim(params["q"], "0.") == "" && params["q"] != "" {
			continue
		}
		if media == "text/event-stream" || media == "text/*" || media == "*/*" {
			return true
		}
	}
	return false
}
