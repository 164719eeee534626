package wsframe

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/google/go-cmp/cmp"
)

const fuzzLimit = 300

// FuzzSplit proves that only the bytes count, not how they are split, and that
// they mean what gobwas/ws reads in them.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{
		frame(true, ws.OpText, "hello") + frame(true, ws.OpPing, "x"),
		frame(false, ws.OpText, "\xe2\x82") + frame(true, ws.OpPong, "") + frame(true, 0, "\xac"),
		frame(false, ws.OpBinary, "ab") + frame(true, ws.OpText, "c"),
		frame(true, ws.OpBinary, string(make([]byte, 200))) + frame(true, ws.OpClose, "\x03\xe8bye") + "x",
		string(AppendServer(nil, ws.OpText, []byte("from a server"))),
		"\x82\xff\x00\x00\x00\x00\x00\x00\x00\x02abcdxy",
		"\x88\xff\x00\x00\x00\x00\x00\x00\x00\x00abcd", // a control frame's length has 7 bits
	} {
		f.Add([]byte(s), []byte{1, 2, 3}, false)
		f.Add([]byte(s), []byte{}, true)
	}
	f.Fuzz(func(t *testing.T, data, pieces []byte, client bool) {
		role := Server
		if client {
			role = Client
		}
		p := NewParser(role, fuzzLimit)
		whole := parse(&p, data)

		var splits []int
		for at, i := 0, 0; i < len(pieces); i++ {
			if at += int(pieces[i]); at > len(data) {
				break
			}
			splits = append(splits, at)
		}
		for _, splits := range [][]int{splits, every(1, len(data))} {
			p = NewParser(role, fuzzLimit)
			if diff := cmp.Diff(whole, parse(&p, data, splits...)); diff != "" {
				t.Errorf("split at %v (-whole +split):\n%s", splits, diff)
			}
		}
		want, exact := reference(role, data)
		if !exact {
			whole.Code = want.Code // a header that is cut off: the parser may see a fault in it already
		}
		whole.Text = ""
		if diff := cmp.Diff(want, whole); diff != "" {
			t.Errorf("gobwas/ws reads something else (-gobwas +ours):\n%s", diff)
		}
	})
}

// reference reads data with the frame reader of gobwas/ws. Exact is false if
// data ends in a header.
func reference(role Role, data []byte) (r result, exact bool) {
	in := bytes.NewReader(data)
	state := ws.State(role)
	var kind ws.OpCode
	var message []byte
	for in.Len() > 0 {
		start := data[len(data)-in.Len():]
		h, err := ws.ReadHeader(in)
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return r, false
		case err != nil || ws.CheckHeader(h, state) != nil || h.OpCode.IsControl() && start[1]&0x7f > 125:
			r.Code = ws.StatusProtocolError
			return r, true
		case h.OpCode.IsData() && h.Length > int64(fuzzLimit-len(message)):
			r.Code = ws.StatusMessageTooBig
			return r, true
		}
		payload := make([]byte, min(int(h.Length), in.Len()))
		_, _ = io.ReadFull(in, payload)
		if h.Masked {
			ws.Cipher(payload, h.Mask, 0)
		}
		complete := len(payload) == int(h.Length)

		if h.OpCode.IsControl() {
			if !complete {
				return r, true
			}
			if h.OpCode == ws.OpClose {
				if r.Code = closeFault(payload); r.Code != 0 {
					return r, true
				}
			}
			r.Messages = append(r.Messages, Message{h.OpCode, payload})
			if h.OpCode == ws.OpClose {
				return r, true
			}
			continue
		}
		if h.OpCode != ws.OpContinuation {
			kind, state = h.OpCode, state.Set(ws.StateFragmented)
		}
		message = slices.Concat(message, payload)
		complete = complete && h.Fin
		if kind == ws.OpText && !validPrefix(message, complete) {
			r.Code = ws.StatusInvalidFramePayloadData
			return r, true
		}
		if complete {
			r.Messages = append(r.Messages, Message{kind, append([]byte{}, message...)})
			message, state = nil, state.Clear(ws.StateFragmented)
		}
	}
	return r, true
}

func closeFault(body []byte) ws.StatusCode {
	if len(body) == 0 {
		return 0
	}
	code, reason := ws.ParseCloseFrameData(body)
	switch {
	case len(body) == 1, code > 4999:
		return ws.StatusProtocolError
	case code >= 1012 && code <= 1014: // of the registry; gobwas/ws knows the RFC only
		code = ws.StatusNormalClosure
	}
	switch ws.CheckCloseFrameData(code, reason) {
	case nil:
		return 0
	case ws.ErrProtocolInvalidUTF8:
		return ws.StatusInvalidFramePayloadData
	}
	return ws.StatusProtocolError
}

// validPrefix decodes character by character.
func validPrefix(b []byte, whole bool) bool {
	for len(b) > 0 {
		if !whole && !utf8.FullRune(b) {
			return true
		}
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			return false
		}
		b = b[n:]
	}
	return true
}
