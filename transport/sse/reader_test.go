package sse_test

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// event is one server-sent event.
type event struct {
	name, data string
	id, retry  string
	hasID      bool
}

// reader reads server-sent events as the HTML standard says. It shares no code
// with the transport, and demands of the server what the standard leaves free:
// LF alone, and no fields that are unknown.
type reader struct{ r *bufio.Reader }

func newReader(r io.Reader) *reader { return &reader{bufio.NewReaderSize(r, 4<<10)} }

// next returns the next event. Comments and events without data are passed
// over.
func (r *reader) next() (event, error) {
	var e event
	var data []string
	for {
		line, err := r.r.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = line[:len(line)-1]
		if !utf8.ValidString(line) || strings.Contains(line, "\r") {
			return e, fmt.Errorf("a line that no server should send: %q", line)
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && data != nil:
			e.data = strings.Join(data, "\n")
			return e, nil
		case line == "":
			e = event{}
		case field == "":
		case field == "data":
			data = append(data, value)
		case field == "event":
			e.name = value
		case field == "id":
			e.id, e.hasID = value, true
		case field == "retry":
			e.retry = value
		default:
			return e, fmt.Errorf("an unknown field: %q", line)
		}
	}
}
