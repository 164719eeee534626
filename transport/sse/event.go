package sse

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava"
)

// This file writes server-sent events as the HTML standard has them. Lines end
// in LF alone.

// appendFrame appends a frame as an event. A frame that is nothing but its mark
// becomes an event that no reader passes on; its id counts all the same.
func appendFrame(dst []byte, f kanava.Frame, envelope bool) []byte {
	if m := f.Mark; m != nil {
		dst = append(append(append(dst, "id: "...), m.ID...), '\n')
		if m.Lost {
			dst = append(dst, "event: lost\n"...)
		}
	}
	switch {
	case f.Mark != nil && f.Data == nil && !f.Binary:
		return append(dst, '\n')
	case !f.Binary:
		return appendText(dst, f.Data)
	case envelope:
		dst = append(dst, `data: {"bin":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, f.Data)
		return append(dst, "\"}\n\n"...)
	}
	dst = append(dst, "event: binary\ndata: "...)
	dst = base64.StdEncoding.AppendEncode(dst, f.Data)
	return append(dst, "\n\n"...)
}

// appendText appends an event without a name. Where the text has several lines
// so has the event, and its reader puts them together again.
func appendText(dst, text []byte) []byte {
	dst = append(dst, "data: "...)
	for {
		end := bytes.IndexAny(text, "\r\n")
		if end < 0 {
			break
		}
		dst = append(append(dst, text[:end]...), "\ndata: "...)
		if bytes.HasPrefix(text[end:], []byte("\r\n")) {
			end++
		}
		text = text[end+1:]
	}
	return append(append(dst, text...), "\n\n"...)
}

// appendUp appends the event that tells a page its secret, which cannot read the
// header of what an EventSource is answered.
func appendUp(dst []byte, secret string) []byte {
	return append(append(append(dst, "event: up\ndata: "...), secret...), "\n\n"...)
}

// comment is a sign of life that no reader passes on.
const comment = ":\n\n"

// appendClose appends how the connection ends, and when to come back where that
// is known: an EventSource does so by itself.
func appendClose(dst []byte, end *kanava.Closing) []byte {
	if from, to, ok := end.ComeBack(); ok {
		in := from + rand.N(max(to-from, 1)) //nolint:gosec // spreads clients over a time
		dst = append(strconv.AppendInt(append(dst, "retry: "...), in.Milliseconds(), 10), '\n')
	}
	body, err := json.Marshal(struct {
		Code   kanava.CloseCode `json:"code"`
		Reason string           `json:"reason"`
	}{end.Code, end.Reason})
	if err != nil { // cannot be: reasons are UTF-8
		panic(err)
	}
	return append(append(append(dst, "event: close\ndata: "...), body...), "\n\n"...)
}

// appendAway appends the same for kanava.v1, where the core has not said it.
func appendAway(dst []byte, code kanava.CloseCode) []byte {
	dst = strconv.AppendUint(append(dst, `data: {"away":{"code":`...), uint64(code), 10)
	return append(dst, "}}\n\n"...)
}
