package jsonscan

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// String returns the text of raw, a JSON string in quotes. The second result is
// false if raw is no string. It allocates the string it returns.
func String(raw []byte) (string, bool) {
	if b, ok := Unescaped(raw); ok {
		return string(b), true
	}
	b, ok := AppendString(nil, raw)
	return string(b), ok
}

// Unescaped returns the bytes between the quotes of raw if raw is a JSON string
// without escapes: they alias raw and are the text itself, so that a lookup
// m[string(b)] does not allocate. It does not check the grammar of raw.
func Unescaped(raw []byte) ([]byte, bool) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return nil, false
	}
	inner := raw[1 : len(raw)-1]
	return inner, bytes.IndexByte(inner, '\\') < 0
}

// AppendString appends the text of raw, a JSON string in quotes, with its escapes
// decoded. The second result is false, and dst unchanged, if raw is no string.
func AppendString(dst, raw []byte) ([]byte, bool) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return dst, false
	}
	n := len(dst)
	for in := raw[1 : len(raw)-1]; len(in) > 0; {
		if in[0] == '"' {
			return dst[:n], false
		}
		if in[0] != '\\' {
			dst = append(dst, in[0])
			in = in[1:]
			continue
		}
		r, size := unescape(in)
		if size == 0 {
			return dst[:n], false
		}
		dst = utf8.AppendRune(dst, r)
		in = in[size:]
	}
	return dst, true
}

// equalName reports whether in, what stands between the quotes of a valid JSON
// string, is the text of key.
func equalName(in []byte, key string) bool {
	if string(in) == key {
		// An escape is never shorter than what it stands for, but a key with a
		// backslash of its own may look like one.
		return bytes.IndexByte(in, '\\') < 0
	}
	if len(in) <= len(key) {
		return false
	}
	escaped := false
	for len(in) > 0 {
		if in[0] != '\\' {
			if key == "" || key[0] != in[0] {
				return false
			}
			in, key = in[1:], key[1:]
			continue
		}
		escaped = true
		r, n := unescape(in)
		in = in[n:]
		var buf [utf8.UTFMax]byte
		size := utf8.EncodeRune(buf[:], r)
		if len(key) < size || key[:size] != string(buf[:size]) {
			return false
		}
		key = key[size:]
	}
	return escaped && key == ""
}

// escape returns the length of the escape at the start of in, 0 if it is
// malformed or stands for a lone surrogate.
func escape(in []byte) int {
	if len(in) > 1 && in[1] != 'u' {
		switch in[1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			return 2
		}
		return 0
	}
	_, n := unescape(in)
	return n
}

// unescape returns the character of the escape at the start of in and the
// escape's length, 0 if it is malformed or stands for a lone surrogate.
func unescape(in []byte) (rune, int) {
	if len(in) < 2 {
		return 0, 0
	}
	switch in[1] {
	case '"', '\\', '/':
		return rune(in[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r, ok := hex4(in)
		if !ok {
			return 0, 0
		}
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		low, ok := hex4(in[6:])
		if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
			return 0, 0
		}
		return r, 12
	}
	return 0, 0
}

// hex4 reads an escape of the form \uXXXX.
func hex4(in []byte) (rune, bool) {
	if len(in) < 6 || in[0] != '\\' || in[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range in[2:6] {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c|0x20-'a' <= 5:
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
