package wsframe

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
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
		compressed(false, ws.OpText, packed("Hello, Hello")[:5]) + frame(true, ws.OpPing, "") + frame(true, 0, packed("Hello, Hello")[5:]),
		compressed(true, ws.OpBinary, bomb(200)),
		compressed(true, ws.OpText, packed("\xff")),
		compressed(true, ws.OpPing, ""),
	} {
		f.Add([]byte(s), []byte{1, 2, 3}, false, true)
		f.Add([]byte(s), []byte{}, true, false)
	}
	f.Fuzz(func(t *testing.T, data, pieces []byte, client, inflate bool) {
		role := Server
		if client {
			role = Client
		}
		newParser := func() Parser {
			p := NewParser(role, fuzzLimit)
			if inflate {
				p.Inflate()
			}
			return p
		}
		p := newParser()
		whole := parse(&p, data)

		var splits []int
		for at, i := 0, 0; i < len(pieces); i++ {
			if at += int(pieces[i]); at > len(data) {
				break
			}
			splits = append(splits, at)
		}
		for _, splits := range [][]int{splits, every(1, len(data))} {
			p = newParser()
			if diff := cmp.Diff(whole, parse(&p, data, splits...)); diff != "" {
				t.Errorf("split at %v (-whole +split):\n%s", splits, diff)
			}
		}
		want, exact := reference(role, inflate, data)
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
func reference(role Role, inflate bool, data []byte) (r result, exact bool) {
	in := bytes.NewReader(data)
	state := ws.State(role)
	var kind ws.OpCode
	var message []byte
	var packed wsflate.MessageState
	if inflate {
		state = state.Set(ws.StateExtended)
	}
	for in.Len() > 0 {
		start := data[len(data)-in.Len():]
		h, err := ws.ReadHeader(in)
		limit := fuzzLimit
		if err == nil && inflate {
			if h, err = packed.UnsetBits(h); err == nil && h.Rsv != 0 {
				err = ws.ErrProtocolNonZeroRsv
			}
			if packed.IsCompressed() {
				limit += fuzzLimit/8 + 64
			}
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return r, false
		case err != nil || ws.CheckHeader(h, state) != nil || h.OpCode.IsControl() && start[1]&0x7f > 125:
			r.Code = ws.StatusProtocolError
			return r, true
		case h.OpCode.IsData() && h.Length > int64(limit-len(message)):
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
		switch {
		case packed.IsCompressed() && !complete:
			continue
		case packed.IsCompressed():
			if message, r.Code = referenceInflate(message); r.Code != 0 {
				return r, true
			}
		}
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

// referenceInflate decompresses with the standard library.
func referenceInflate(payload []byte) ([]byte, ws.StatusCode) {
	in := strings.NewReader(string(payload) + "\x00\x00\xff\xff" + "\x01\x00\x00\xff\xff")
	var content []byte
	for {
		b, err := io.ReadAll(io.LimitReader(flate.NewReader(in), int64(fuzzLimit+1-len(content))))
		content = append(content, b...)
		switch {
		case len(content) > fuzzLimit:
			return nil, ws.StatusMessageTooBig
		case err != nil:
			return nil, ws.StatusInvalidFramePayloadData
		case in.Len() == 0, in.Len() == 5, in.Len() == 9:
			return content, 0
		}
	}
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

// FuzzInflate proves that what the standard library compresses becomes what it
// was, at every level, in fragments, and cut short by the limit alone.
func FuzzInflate(f *testing.F) {
	f.Add([]byte(""), byte(0), uint16(0))
	f.Add([]byte("Hello, Hello, Hello"), byte(9), uint16(7))
	f.Add(bytes.Repeat([]byte("abc"), 300), byte(1), uint16(300))
	f.Fuzz(func(t *testing.T, content []byte, level byte, split uint16) {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, int(level%12)-2)
		if err != nil {
			t.Fatal(err)
		}
		half := content[:min(int(split), len(content))]
		for _, part := range [][]byte{half, content[len(half):]} {
			if _, err := w.Write(part); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		payload := strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
		at := min(int(split), len(payload))
		in := compressed(false, ws.OpBinary, payload[:at]) + frame(true, 0, payload[at:])
		want := result{Messages: []Message{{ws.OpBinary, append([]byte{}, content...)}}}
		p := inflating(max(len(content), len(payload), 1))
		if diff := cmp.Diff(want, parse(&p, []byte(in))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if len(content) > 0 {
			p = inflating(len(content) - 1)
			if got := parse(&p, []byte(in)); got.Code != ws.StatusMessageTooBig || got.Messages != nil {
				t.Errorf("one byte too many: %v", got)
			}
		}
	})
}

// FuzzDeflate proves that the standard library reads what Deflate writes.
func FuzzDeflate(f *testing.F) {
	f.Add([]byte(""), byte(0))
	f.Add(bytes.Repeat([]byte("Hello, "), 10_000), byte(0))
	f.Add(sample(2000), byte(6))
	levels := make([]Deflate, MaxLevel+1)
	for i := range levels {
		levels[i] = NewDeflate(i)
	}
	f.Fuzz(func(t *testing.T, content []byte, level byte) {
		payload, smaller := levels[int(level)%len(levels)](nil, content)
		if !smaller {
			return
		}
		got, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))))
		if err != nil || !bytes.Equal(got, content) || len(payload) >= len(content) {
			t.Errorf("%d bytes became %d, and then %d, %v", len(content), len(payload), len(got), err)
		}
	})
}

// mayStand is RFC 6455 section 7.4, with the codes that the registry of its
// section 11.7 has got since.
func mayStand(code int) bool {
	switch {
	case code <= 999: // "not used"
		return false
	case code <= 2999: // "reserved for definition by this protocol"
		switch code {
		case 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011:
			return true
		case 1012, 1013, 1014: // service restart, try again later, bad gateway
			return true
		case 1004, 1005, 1006, 1015: // reserved
			return false
		}
		return false
	case code <= 3999: // "reserved for use by libraries, frameworks, and applications"
		return true
	case code <= 4999: // "reserved for private use"
		return true
	}
	return false
}

// FuzzClose proves that close frames are judged as RFC 6455 wants.
func FuzzClose(f *testing.F) {
	for _, s := range []string{"", "\x03", "\x03\xe8", "\x03\xe8bye", "\x03\xed", "\x03\xf6", "\x0f\xa0\xff", "\x13\x88", "\x0b\xb8\xed\xa0\x80", strings.Repeat("\x0b", 126)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var want ws.StatusCode
		switch {
		case len(body) > 125, len(body) == 1, len(body) > 1 && !mayStand(int(body[0])<<8|int(body[1])):
			want = ws.StatusProtocolError
		case len(body) > 2 && !validPrefix(body[2:], true):
			want = ws.StatusInvalidFramePayloadData
		}
		p := NewParser(Server, fuzzLimit)
		got := parse(&p, []byte(frame(true, ws.OpClose, string(body))+frame(true, ws.OpText, "ignored")))
		if got.Code != want {
			t.Fatalf("% x: code %d, want %d", body, got.Code, want)
		}
		if want != 0 {
			return
		}
		if diff := cmp.Diff([]Message{{ws.OpClose, append([]byte{}, body...)}}, got.Messages); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if code, reason := ParseClose(body); len(body) >= 2 && string(AppendCloseBody(nil, code, reason)) != string(body) || len(body) < 2 && code != ws.StatusNoStatusRcvd {
			t.Errorf("% x is code %d, reason %q", body, code, reason)
		}
	})
}
