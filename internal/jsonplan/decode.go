package jsonplan

import (
	"math"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava/internal/jsonscan"
)

// Decode decodes data into the value that into points to, which must be a zero
// value of the plan's type. Members that the type does not have are refused, as
// are members that stand twice; what is decoded shares nothing with data. It
// reports false, and the value is zero again, if the JSON library has to do it:
// above all where that would return an error. The scratch may be nil.
func (p *Plan) Decode(data []byte, into any, scratch *Scratch) (ok bool) {
	if into == nil {
		return false
	}
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Type().Elem() != p.typ {
		return false
	}
	v = v.Elem()
	d := decoder{data: data, scratch: scratch}
	d.space()
	if d.value(&p.root, v) {
		if d.space(); d.pos == len(data) {
			return true
		}
	}
	v.SetZero()
	return false
}

// decoder is one call of Decode. It takes nothing for granted.
type decoder struct {
	data    []byte
	pos     int
	scratch *Scratch
}

// next returns the byte at pos, 0 at the end.
func (d *decoder) next() byte {
	if d.pos < len(d.data) {
		return d.data[d.pos]
	}
	return 0
}

func (d *decoder) space() {
	if d.next() <= ' ' {
		d.pos = jsonscan.SpaceEnd(d.data, d.pos)
	}
}

// take moves behind c and the space that follows it. It reports false if c is
// not there.
func (d *decoder) take(c byte) bool {
	if d.next() != c {
		return false
	}
	d.pos++
	d.space()
	return true
}

// word moves behind a word.
func (d *decoder) word(w string) bool {
	if len(d.data)-d.pos < len(w) || string(d.data[d.pos:d.pos+len(w)]) != w {
		return false
	}
	d.pos += len(w)
	return true
}

// value decodes what stands at pos, and moves behind it.
func (d *decoder) value(n *node, v reflect.Value) bool {
	switch n.kind {
	case reflect.String:
		s, ok := d.str()
		if ok {
			v.SetString(s)
		}
		return ok
	case reflect.Bool:
		if d.next() == 't' {
			v.SetBool(true)
			return d.word("true")
		}
		return d.word("false")
	case reflect.Int64:
		i, ok := d.integer(n.bits)
		if ok {
			v.SetInt(i)
		}
		return ok
	case reflect.Uint64:
		u, ok := d.digits()
		ok = ok && u <= math.MaxUint64>>(64-n.bits)
		if ok {
			v.SetUint(u)
		}
		return ok
	case reflect.Float64:
		f, ok := d.float(n.bits)
		if ok {
			v.SetFloat(f)
		}
		return ok
	case reflect.Struct:
		return d.object(n, v)
	}
	return d.array(n, v)
}

func (d *decoder) object(n *node, v reflect.Value) bool {
	if !d.take('{') {
		return false
	}
	if d.next() == '}' {
		d.pos++
		return true
	}
	seen := uint64(0)
	for next := 0; ; next++ {
		if next = d.name(n, next); next < 0 || seen>>next&1 != 0 {
			return false
		}
		seen |= 1 << next
		f := &n.fields[next]
		if !d.value(&f.node, v.Field(f.index)) {
			return false
		}
		d.space()
		if !d.take(',') {
			break
		}
	}
	return d.end('}')
}

// end moves behind c.
func (d *decoder) end(c byte) bool {
	if d.next() != c {
		return false
	}
	d.pos++
	return true
}

// name moves behind the name of a member and its colon, and returns the index
// of the field, or -1. It tries next first: members mostly come in order.
func (d *decoder) name(n *node, next int) int {
	if next < len(n.fields) && d.word(n.fields[next].quoted) {
		d.space()
		return next
	}
	if d.next() != '"' {
		return -1
	}
	from := d.pos + 1
	to := jsonscan.PlainEnd(d.data, from)
	if d.pos = to; !d.take('"') {
		return -1
	}
	if !d.take(':') {
		return -1
	}
	for i := range n.fields {
		if n.fields[i].name == string(d.data[from:to]) {
			return i
		}
	}
	return -1
}

func (d *decoder) array(n *node, v reflect.Value) bool {
	if !d.take('[') {
		return false
	}
	if d.next() == ']' {
		d.pos++
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		return true
	}
	for i := 0; ; i++ {
		if i == v.Cap() {
			v.Grow(1)
		}
		v.SetLen(i + 1)
		if !d.value(n.elem, v.Index(i)) {
			return false
		}
		d.space()
		if !d.take(',') {
			break
		}
	}
	return d.end(']')
}

// str returns the text of a string.
func (d *decoder) str() (string, bool) {
	if d.next() != '"' {
		return "", false
	}
	from := d.pos
	end := jsonscan.PlainEnd(d.data, from+1)
	if end < len(d.data) && d.data[end] == '"' {
		d.pos = end + 1
		return d.scratch.str(d.data[from+1 : end]), true
	}
	end, escaped := jsonscan.StringEnd(d.data, from)
	d.pos = end
	if !escaped && end-from >= 2 && d.data[end-1] == '"' {
		if s := d.data[from+1 : end-1]; isText(s) {
			return d.scratch.str(s), true
		}
		return "", false
	}
	return d.unescaped(d.data[from:end])
}

// unescaped returns the text of a string with escapes.
func (d *decoder) unescaped(raw []byte) (string, bool) {
	var text []byte
	if d.scratch != nil && len(raw) <= mostText {
		text = d.scratch.text[:0]
	}
	text, err := jsontext.AppendUnquote(text, raw)
	if err != nil {
		return "", false
	}
	if d.scratch != nil && cap(text) <= mostText {
		d.scratch.text = text
	}
	return d.scratch.str(text), true
}

// isText reports whether s is UTF-8 without control characters.
func isText(s []byte) bool {
	for _, c := range s {
		if c < ' ' {
			return false
		}
	}
	return utf8.Valid(s)
}

// digits returns the value of an integer without sign, fraction and exponent.
// It leaves those of more than 19 digits to the library.
func (d *decoder) digits() (u uint64, ok bool) {
	from := d.pos
	for d.pos < len(d.data) && d.data[d.pos]-'0' <= 9 {
		u = u*10 + uint64(d.data[d.pos]-'0')
		d.pos++
	}
	n := d.pos - from
	return u, (n == 1 || n > 1 && n <= 19 && d.data[from] != '0') && d.delimited()
}

// delimited reports whether a number ends at pos.
func (d *decoder) delimited() bool {
	switch c := d.next(); c {
	case ',', '}', ']':
		return true
	default:
		return c <= ' '
	}
}

func (d *decoder) integer(bits int) (i int64, ok bool) {
	most := uint64(math.MaxInt64 >> (64 - bits))
	negative := d.next() == '-'
	if negative {
		d.pos++
		most++
	}
	u, ok := d.digits()
	if !ok || u > most {
		return 0, false
	}
	if negative {
		return -int64(u), true
	}
	return int64(u), true
}

func (d *decoder) float(bits int) (f float64, ok bool) {
	from := d.pos
	if d.next() == '-' {
		d.pos++
	}
	whole := d.pos
	if !d.skipDigits() || d.data[whole] == '0' && d.pos > whole+1 {
		return 0, false
	}
	if d.next() == '.' {
		if d.pos++; !d.skipDigits() {
			return 0, false
		}
	}
	if d.next()|0x20 == 'e' {
		d.pos++
		if c := d.next(); c == '+' || c == '-' {
			d.pos++
		}
		if !d.skipDigits() {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(string(d.data[from:d.pos]), bits)
	return f, err == nil && d.delimited()
}

// skipDigits moves behind digits. It reports false if there are none.
func (d *decoder) skipDigits() bool {
	from := d.pos
	for d.pos < len(d.data) && d.data[d.pos]-'0' <= 9 {
		d.pos++
	}
	return d.pos > from
}
