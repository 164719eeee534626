package jsonscan

import (
	"encoding/binary"
	"math/bits"
)

// StringEnd returns the index behind the string whose opening quote is at
// data[i], and whether it holds an escape. It trusts data, which Scan must have
// accepted; in other data the result means nothing, but is at most len(data).
func StringEnd(data []byte, i int) (end int, escaped bool) {
	i++
	for {
		for i+8 <= len(data) {
			w := binary.LittleEndian.Uint64(data[i:])
			quote, back := w^(ones*'"'), w^(ones*'\\')
			m := ((quote - ones) &^ quote) | ((back - ones) &^ back)
			if m &= highs; m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		for i < len(data) && data[i] != '"' && data[i] != '\\' {
			i++
		}
		if i >= len(data) {
			return len(data), escaped
		}
		if data[i] == '"' {
			return i + 1, escaped
		}
		escaped = true
		i += 2
	}
}

// ValueEnd returns the index behind the value that begins at data[i]. It trusts
// data as StringEnd does.
func ValueEnd(data []byte, i int) int {
	depth := 0
	for i < len(data) {
		switch data[i] {
		case '"':
			i, _ = StringEnd(data, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\n', '\t', '\r':
			i++
			continue
		default:
			for i < len(data) && !delimits(data[i]) {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
	return i
}

// delimits reports whether c ends a number or a literal.
func delimits(c byte) bool {
	return c == ',' || c == '}' || c == ']' || isSpace(c)
}

// SpaceEnd returns the index of the first byte from i on that is no white
// space.
func SpaceEnd(data []byte, i int) int { return skipSpace(data, i) }
