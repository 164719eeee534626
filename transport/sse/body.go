package sse

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/kanava-go/kanava"
)

// This file reads the bodies of requests: how long one may take, how large it
// may be, and which messages it holds.

const (
	typeJSON  = "application/json"
	typeBytes = "application/octet-stream"

	bodyTime = 15 * time.Second // from the header of a request to the end of its body
	smallMax = 64 << 10         // bytes of a body, where one message may not have more
	maxLines = 128              // messages of a body
)

// errHidden is the answer where something around this handler makes a stream
// impossible.
var errHidden = kanava.Errorf(kanava.CodeInternal,
	"this server cannot stream: a handler around this one hides what its http.ResponseWriter can do: Flush, or the deadlines of http.ResponseController")

// allowRead bounds the time for the body of the request, also of one that is
// refused: net/http reads it before it answers. Without a body there is no bound:
// the ReadTimeout of the http.Server would cut the stream.
func allowRead(w http.ResponseWriter, r *http.Request) error {
	var until time.Time
	if r.ContentLength != 0 {
		until = time.Now().Add(bodyTime)
	}
	if http.NewResponseController(w).SetReadDeadline(until) != nil && r.ContentLength != 0 {
		return errHidden
	}
	return nil
}

// readBody returns the body of a request, of at most limit bytes. What is
// larger is an error of CodeTooLarge.
func readBody(w http.ResponseWriter, r *http.Request, limit int) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, kanava.Errorf(kanava.CodeTooLarge, "a body has at most %d bytes here", limit)
	case err != nil:
		return nil, kanava.Errorf(kanava.CodeInvalidArgument, "the body did not come, or not in %v", bodyTime)
	}
	// What comes later is the next request, which has its own time.
	if r.ContentLength != 0 && http.NewResponseController(w).SetReadDeadline(time.Time{}) != nil {
		return nil, errHidden
	}
	return body, nil
}

// mediaType returns the type of the request's body, in lower case and without
// parameters; "" where it cannot be read.
func mediaType(r *http.Request) string {
	name, _ := mediaTypeOf(r.Header.Get("Content-Type"))
	return name
}

func mediaTypeOf(field string) (string, error) {
	name, _, err := mime.ParseMediaType(field)
	return name, err
}

var errNotText = kanava.Errorf(kanava.CodeInvalidArgument, "the body is not UTF-8")

// splitLines returns the messages of a body, one a line: a line ends in LF, the
// last one need not. An empty line is an empty message, which costs something
// and says nothing.
func splitLines(body []byte, limit int) ([][]byte, error) {
	if !utf8.Valid(body) {
		return nil, errNotText
	}
	n := bytes.Count(body, newLine)
	if len(body) > 0 && body[len(body)-1] != '\n' {
		n++
	}
	if n > maxLines {
		return nil, kanava.Errorf(kanava.CodeTooLarge, "a body has at most %d messages", maxLines)
	}
	lines := make([][]byte, 0, n)
	for len(body) > 0 {
		line, rest, _ := bytes.Cut(body, newLine)
		if len(line) > limit {
			return nil, kanava.Errorf(kanava.CodeTooLarge, "a message has at most %d bytes here", limit)
		}
		lines, body = append(lines, line), rest
	}
	return lines, nil
}

var newLine = []byte{'\n'}
