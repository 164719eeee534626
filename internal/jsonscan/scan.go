// Package jsonscan looks at one JSON text without decoding it: it checks the
// grammar, the depth and the number of values, and finds a few members of the
// top-level object.
package jsonscan

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// Kind is the kind of a JSON value.
type Kind byte

// The kinds. An error comes with the zero Kind.
const (
	KindObject Kind = '{'
	KindArray  Kind = '['
	KindString Kind = '"'
	KindNumber Kind = '0'
	KindBool   Kind = 't'
	KindNull   Kind = 'n'
)

// MaxDepth is the greatest depth that Scan can be asked for.
const MaxDepth = 1024

// Limits bounds what Scan accepts.
type Limits struct {
	// Depth is how deep the text may be nested; 1 is an object or array that
	// holds no other. MaxDepth bounds it.
	Depth int
	// Elements is how many values there may be at all depths together: objects,
	// arrays and scalars, the outermost too; names of members are none. 0 is no
	// limit.
	Elements int
}

// Member says where a member of the top-level object stands. The zero Member
// stands for one that is absent.
type Member struct {
	Start, End           int // from the quote that opens the name to the end of the value
	ValueStart, ValueEnd int // the value alone
}

// Found reports whether the member is there.
func (m Member) Found() bool { return m.End > 0 }

// Error says why a text was refused. Reason is fit for the client that sent it
// and does not repeat the text.
type Error struct {
	Offset int // in bytes
	Reason string
}

// Error returns the reason and the offset.
func (e *Error) Error() string {
	return e.Reason + " at byte " + strconv.Itoa(e.Offset)
}

const malformed = "malformed JSON"

// Scan checks that data is one JSON text (RFC 8259) in valid UTF-8, with
// nothing but white space around it, and within limits. Strings may not hold
// escapes of lone surrogates.
//
// It sets found[i] to the member of the top-level object whose decoded name is
// keys[i], and to the zero Member if there is none; found must not be shorter
// than keys. A second member of such a name is an error; other duplicates are
// not looked for. The error is an *Error. Scan does not allocate unless it
// returns one.
func Scan(data []byte, keys []string, found []Member, limits Limits) (Kind, error) {
	found = found[:len(keys)]
	clear(found)
	s := scanner{data: data, keys: keys, found: found, maxDepth: min(limits.Depth, MaxDepth), maxElements: cmp.Or(limits.Elements, math.MaxInt)}
	kind, ok := s.text()
	if !ok {
		if s.reason == "" {
			s.reason = malformed
		}
		return 0, &Error{Offset: s.pos, Reason: s.reason}
	}
	return kind, nil
}

// Blank overwrites m and one comma beside it with spaces, so that what is left
// is the object without the member and every other byte keeps its place.
// Several members may be blanked, in any order.
func Blank(data []byte, m Member) {
	for i := m.Start; i < m.End; i++ {
		data[i] = ' '
	}
	if i := skipSpace(data, m.End); i < len(data) && data[i] == ',' {
		data[i] = ' '
		return
	}
	i := m.Start - 1
	for i >= 0 && isSpace(data[i]) {
		i--
	}
	if i >= 0 && data[i] == ',' {
		data[i] = ' '
	}
}

// scanner is one call of Scan. After a failure pos is the offending byte.
type scanner struct {
	data        []byte
	pos         int
	maxDepth    int
	maxElements int
	keys        []string
	found       []Member
	reason      string // "" stands for malformed

	open int // the requested member whose value is being read, plus one
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\t' || c == '\r'
}

func skipSpace(data []byte, i int) int {
	for i < len(data) && isSpace(data[i]) {
		i++
	}
	return i
}

func kindOf(c byte) Kind {
	switch c {
	case '{', '[', '"', 'n':
		return Kind(c)
	case 't', 'f':
		return KindBool
	}
	return KindNumber
}

// text reads the whole text. It keeps one bit a level, set for an object.
func (s *scanner) text() (Kind, bool) {
	data := s.data
	s.pos = skipSpace(data, 0)
	if s.pos == len(data) {
		return 0, false
	}
	kind := kindOf(data[s.pos])
	var objects [MaxDepth / 64]uint64
	depth := 0
	for left := s.maxElements; ; left-- {
		// A value begins at pos, behind white space.
		if s.pos >= len(data) {
			return 0, false
		}
		if left == 0 {
			s.reason = "more than " + strconv.Itoa(s.maxElements) + " values"
			return 0, false
		}
		switch c := data[s.pos]; c {
		case '{', '[':
			if depth == s.maxDepth {
				s.reason = "nested deeper than " + strconv.Itoa(s.maxDepth)
				return 0, false
			}
			if c == '{' {
				objects[depth/64] |= 1 << (depth % 64)
			} else {
				objects[depth/64] &^= 1 << (depth % 64)
			}
			depth++
			s.pos = skipSpace(data, s.pos+1)
			if s.pos < len(data) && data[s.pos] == c+2 { // '}' is '{'+2, ']' is '['+2
				s.pos++
				depth--
				break
			}
			if c == '{' && !s.name(depth) {
				return 0, false
			}
			continue
		case '"':
			if !s.str() {
				return 0, false
			}
		default:
			if !s.scalar(c) {
				return 0, false
			}
		}
		// A value has ended at pos.
		for {
			if depth == 0 {
				s.pos = skipSpace(data, s.pos)
				return kind, s.pos == len(data)
			}
			if depth == 1 && s.open != 0 {
				m := &s.found[s.open-1]
				m.ValueEnd, m.End = s.pos, s.pos
				s.open = 0
			}
			if s.pos < len(data) && data[s.pos] <= ' ' {
				s.pos = skipSpace(data, s.pos)
			}
			if s.pos == len(data) {
				return 0, false
			}
			inObject := objects[(depth-1)/64]>>((depth-1)%64)&1 != 0
			c := data[s.pos]
			if c == ',' {
				s.pos++
				if s.pos < len(data) && data[s.pos] <= ' ' {
					s.pos = skipSpace(data, s.pos)
				}
				if inObject && !s.name(depth) {
					return 0, false
				}
				break
			}
			if inObject && c != '}' || !inObject && c != ']' {
				return 0, false
			}
			s.pos++
			depth--
		}
	}
}

// scalar reads a number or literal that begins with c.
func (s *scanner) scalar(c byte) bool {
	switch c {
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	}
	return s.number()
}

func (s *scanner) literal(word string) bool {
	if len(s.data)-s.pos < len(word) || string(s.data[s.pos:s.pos+len(word)]) != word {
		return false
	}
	s.pos += len(word)
	return true
}

func (s *scanner) number() bool {
	data, i := s.data, s.pos
	if i < len(data) && data[i] == '-' {
		i++
	}
	start := i
	i = skipDigits(data, i)
	if i == start || data[start] == '0' && i > start+1 {
		s.pos = start
		return false
	}
	if i < len(data) && data[i] == '.' {
		start = i + 1
		if i = skipDigits(data, start); i == start {
			s.pos = i
			return false
		}
	}
	if i < len(data) && data[i]|0x20 == 'e' {
		i++
		if i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		start = i
		if i = skipDigits(data, start); i == start {
			s.pos = i
			return false
		}
	}
	s.pos = i
	return true
}

func skipDigits(data []byte, i int) int {
	for i < len(data) && data[i]-'0' <= 9 {
		i++
	}
	return i
}

// name reads a member's name and the colon, up to the value. At the top level
// it looks the name up among the keys.
func (s *scanner) name(depth int) bool {
	start := s.pos
	if start >= len(s.data) || s.data[start] != '"' || !s.str() {
		return false
	}
	end := s.pos
	if s.pos < len(s.data) && s.data[s.pos] != ':' {
		s.pos = skipSpace(s.data, s.pos)
	}
	if s.pos >= len(s.data) || s.data[s.pos] != ':' {
		return false
	}
	s.pos++
	if s.pos < len(s.data) && s.data[s.pos] <= ' ' {
		s.pos = skipSpace(s.data, s.pos)
	}
	if depth > 1 {
		return true
	}
	for i, key := range s.keys {
		if !equalName(s.data[start+1:end-1], key) {
			continue
		}
		if s.found[i].ValueStart != 0 {
			s.pos, s.reason = start, "member "+strconv.Quote(key)+" twice"
			return false
		}
		s.found[i].Start, s.found[i].ValueStart = start, s.pos
		s.open = i + 1
		break
	}
	return true
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// PlainEnd returns the first index from i on of a byte that is not plain text
// of a JSON string: a quote, which ends it, a backslash, a control character, or
// no ASCII; len(data) if there is none.
func PlainEnd(data []byte, i int) int {
	for i+8 <= len(data) {
		w := binary.LittleEndian.Uint64(data[i:])
		quote, back := w^(ones*'"'), w^(ones*'\\')
		// Each term has the high bit of a byte that matches; a borrow can
		// only reach bytes above the first match.
		m := ((quote - ones) &^ quote) | ((back - ones) &^ back) | (w - ones*' ') | w
		if m &= highs; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
		i += 8
	}
	for i < len(data) && data[i] >= ' ' && data[i] < utf8.RuneSelf && data[i] != '"' && data[i] != '\\' {
		i++
	}
	return i
}

// str reads a string; pos is at its opening quote.
func (s *scanner) str() bool {
	data, i := s.data, s.pos+1
	for {
		i = PlainEnd(data, i)
		if i >= len(data) {
			s.pos = len(data)
			return false
		}
		switch c := data[i]; {
		case c == '"':
			s.pos = i + 1
			return true
		case c == '\\':
			n := escape(data[i:])
			if n == 0 {
				s.pos = i
				return false
			}
			i += n
		case c < ' ':
			s.pos = i
			return false
		default:
			r, n := utf8.DecodeRune(data[i:])
			if r == utf8.RuneError && n == 1 {
				s.pos, s.reason = i, "invalid UTF-8"
				return false
			}
			i += n
		}
	}
}
