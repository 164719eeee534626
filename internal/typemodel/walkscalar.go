package typemodel

import (
	"encoding"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/kanava-go/kanava/internal/jsonscan"
)

// str checks the string at pos and moves behind it.
func (w *walker) str(n *node) {
	start := w.pos
	end, escaped := jsonscan.StringEnd(w.data, start)
	w.pos = end
	if n.shape != shapeString || len(n.checks.text) > 0 {
		w.content(n, start, end, escaped)
	}
}

// content checks what the string in data[start:end] stands for.
func (w *walker) content(n *node, start, end int, escaped bool) {
	text := w.inner(start, end, escaped)
	switch n.shape {
	case shapeTime:
		if !isTime(text) {
			w.fault(start, "must be a time as in RFC 3339, such as 2006-01-02T15:04:05Z")
		}
	case shapeURL:
		if !isURLText(string(text)) {
			w.fault(start, "must be a URL")
			return // its format would say the same
		}
	case shapeBytes:
		if message := base64Fault(text, n.length); message != "" {
			w.fault(start, message)
		}
	case shapeTag:
		if string(text) != n.tag {
			w.fault(start, "must be "+n.noun)
		}
	case shapeInt, shapeUint:
		w.checkInteger(n, start, text)
	case shapeFloat:
		w.checkFloat(n, start, text)
	}
	before := len(w.faults)
	for _, c := range n.checks.text {
		if message := c.fault(text); message != "" {
			w.fault(start, message)
		}
	}
	if n.shape == shapeText {
		w.texts = true
		if w.judge && len(w.faults) == before && !n.takesText(text) {
			w.fault(start, "is not valid for "+rootName(n.typ))
		}
	}
}

// takesText asks a type with text methods.
func (n *node) takesText(text []byte) bool {
	v, ok := reflect.TypeAssert[encoding.TextUnmarshaler](reflect.New(n.typ))
	return !ok || v.UnmarshalText(text) == nil
}

// number returns the text of the number at pos and moves behind it.
func (w *walker) number() []byte {
	start := w.pos
	for {
		switch c := w.data[w.pos]; {
		case c-'0' <= 9, c == '-', c == '+', c == '.', c|0x20 == 'e':
			w.pos++
			if w.pos < len(w.data) {
				continue
			}
		}
		return w.data[start:w.pos]
	}
}

// integer checks the integer at pos, which is a number or, if n is quoted, a
// string.
func (w *walker) integer(n *node) {
	if n.quoted {
		w.str(n)
		return
	}
	start := w.pos
	w.checkInteger(n, start, w.number())
}

func (w *walker) checkInteger(n *node, start int, text []byte) {
	negative := len(text) > 0 && text[0] == '-'
	digits := text
	if negative {
		digits = text[1:]
	}
	v, ok, overflow := parseDigits(digits)
	if !ok {
		w.fault(start, "must be "+n.noun)
		return
	}
	if n.shape == shapeUint {
		w.checkUint(n, start, v, overflow, negative)
		return
	}
	low, high := intRange(n.typ)
	if overflow || negative && v > uint64(high)+1 || !negative && v > uint64(high) {
		w.fault(start, "must be between "+strconv.FormatInt(low, 10)+" and "+strconv.FormatInt(high, 10))
		return
	}
	value := int64(v)
	if negative {
		value = -value
	}
	for _, c := range n.checks.ints {
		if message := c.fault(value); message != "" {
			w.fault(start, message)
		}
	}
}

func (w *walker) checkUint(n *node, start int, v uint64, overflow, negative bool) {
	if high := uintMax(n.typ); overflow || negative || v > high {
		w.fault(start, "must be between 0 and "+strconv.FormatUint(high, 10))
		return
	}
	for _, c := range n.checks.uints {
		if message := c.fault(v); message != "" {
			w.fault(start, message)
		}
	}
}

// parseDigits parses an integer as JSON writes it: no sign, no leading zero, no
// point and no exponent. It is what the JSON library takes for integers.
func parseDigits(text []byte) (v uint64, ok, overflow bool) {
	if len(text) == 0 || text[0] == '0' && len(text) > 1 {
		return 0, false, false
	}
	const safe = 19 // digits that fit every uint64
	for i, c := range text {
		if c -= '0'; c > 9 {
			return 0, false, false
		}
		if i >= safe && v > (math.MaxUint64-uint64(c))/10 {
			overflow = true
		}
		v = v*10 + uint64(c)
	}
	return v, true, overflow
}

// float checks the number at pos, which is a number or, if n is quoted, a
// string.
func (w *walker) float(n *node) {
	if n.quoted {
		w.str(n)
		return
	}
	start := w.pos
	text := w.number()
	if n.shape == shapeFloat {
		w.checkFloat(n, start, text)
		return
	}
	w.checkExact(n, start, text)
}

func (w *walker) checkExact(n *node, start int, text []byte) {
	for _, c := range n.checks.exact {
		if message := c.fault(text); message != "" {
			w.fault(start, message)
		}
	}
}

func (w *walker) checkFloat(n *node, start int, text []byte) {
	if n.quoted && !isJSONNumber(text) {
		w.fault(start, "must be "+n.noun)
		return
	}
	const short = 20 // digits, without exponent: in the range of every float
	if len(n.checks.float) == 0 && len(n.checks.exact) == 0 && len(text) <= short && !hasExponent(text) {
		return
	}
	v, err := nearestFloat(text, n.typ.Bits())
	if err != nil {
		w.fault(start, "must be a number that fits "+strconv.Itoa(n.typ.Bits())+" bits")
		return
	}
	for _, c := range n.checks.float {
		if message := c.fault(v); message != "" {
			w.fault(start, message)
		}
	}
	w.checkExact(n, start, text)
}

// nearestFloat is strconv.ParseFloat for numbers as JSON writes them, in a
// fraction of the time for those with few digits.
func nearestFloat(text []byte, bits int) (float64, error) {
	const most = 16 // bytes: up to 15 digits with a point; they and the power of ten are exact as a float64
	digits, scale, power := uint64(0), uint64(1), uint64(1)
	short := bits == 64 && len(text) <= most
	for i := 0; short && i < len(text); i++ {
		switch c := text[i]; {
		case c-'0' <= 9:
			digits, scale = digits*10+uint64(c-'0'), scale*power
		case c == '.':
			power = 10
		default: // a sign or an exponent
			short = false
		}
	}
	if !short {
		return strconv.ParseFloat(string(text), bits)
	}
	return float64(digits) / float64(scale), nil
}

// boolean checks the boolean at pos.
func (w *walker) boolean(n *node, v bool) {
	for _, c := range n.checks.bools {
		if message := c.fault(v); message != "" {
			w.fault(w.pos, message)
		}
	}
}

func hasExponent(text []byte) bool {
	for _, c := range text {
		if c|0x20 == 'e' {
			return true
		}
	}
	return false
}

// isJSONNumber reports whether text, from inside a string, is a number as JSON
// writes it.
func isJSONNumber(text []byte) bool {
	if len(text) == 0 || !isNumber(text[0]) || text[len(text)-1]-'0' > 9 {
		return false // white space around a number is fine for Scan only
	}
	kind, err := jsonscan.Scan(text, nil, nil, jsonscan.Limits{Depth: 1})
	return err == nil && kind == jsonscan.KindNumber
}

// isTime reports whether text is what the JSON library takes for a time: RFC
// 3339, more strictly than package time reads it.
func isTime(text []byte) bool {
	var t time.Time
	if t.UnmarshalText(text) != nil {
		return false
	}
	const hour, fraction = len("2006-01-02T"), len("2006-01-02T15:04:05")
	if text[hour+1] == ':' || text[fraction] == ',' {
		return false
	}
	if zone := text[len(text)-len("07:00"):]; text[len(text)-1] != 'Z' {
		return (zone[0]-'0')*10+zone[1]-'0' < 24 && (zone[3]-'0')*10+zone[4]-'0' < 60
	}
	return true
}

// base64Fault says what is wrong with text as standard base64 with padding, of
// length bytes if that is not negative.
func base64Fault(text []byte, length int) string {
	n := len(text)
	padding := 0
	for padding < 2 && padding < n && text[n-1-padding] == '=' {
		padding++
	}
	ok := n%4 == 0
	for _, c := range text[:n-padding] {
		ok = ok && (c|0x20 >= 'a' && c|0x20 <= 'z' || c-'0' <= 9 || c == '+' || c == '/')
	}
	switch {
	case !ok:
		return "must be base64 with padding"
	case length >= 0 && n/4*3-padding != length:
		return "must be base64 of exactly " + plural(length, "byte", "bytes")
	}
	return ""
}
