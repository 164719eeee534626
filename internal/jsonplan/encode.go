package jsonplan

import (
	"math"
	"reflect"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava/internal/jsonscan"
)

// Append appends v as JSON, which is a value of the plan's type or a pointer to
// one. It reports false, and returns dst as it was, if the JSON library has to
// do it: above all where that would return an error.
func (p *Plan) Append(dst []byte, v any) (_ []byte, ok bool) {
	if v == nil {
		return dst, false
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Pointer {
		rv = rv.Elem()
	}
	if !rv.IsValid() || rv.Type() != p.typ {
		return dst, false
	}
	out, ok := p.root.append(dst, rv)
	if !ok {
		return dst, false
	}
	return out, true
}

func (n *node) append(dst []byte, v reflect.Value) (_ []byte, ok bool) {
	switch n.kind {
	case reflect.String:
		return appendString(dst, v.String())
	case reflect.Bool:
		return strconv.AppendBool(dst, v.Bool()), true
	case reflect.Int64:
		return strconv.AppendInt(dst, v.Int(), 10), true
	case reflect.Uint64:
		return strconv.AppendUint(dst, v.Uint(), 10), true
	case reflect.Float64:
		return appendFloat(dst, v.Float(), n.bits)
	case reflect.Struct:
		return n.appendStruct(dst, v)
	}
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, ok = n.elem.append(dst, v.Index(i)); !ok {
			return dst, false
		}
	}
	return append(dst, ']'), true
}

func (n *node) appendStruct(dst []byte, v reflect.Value) (_ []byte, ok bool) {
	dst = append(dst, '{')
	first := true
	for i := range n.fields {
		f := &n.fields[i]
		fv := v.Field(f.index)
		if f.omitzero && fv.IsZero() || f.omitempty && f.isEmpty(fv) {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, f.quoted...)
		if dst, ok = f.append(dst, fv); !ok {
			return dst, false
		}
	}
	return append(dst, '}'), true
}

// isEmpty reports whether the JSON of v is "" or [].
func (f *field) isEmpty(v reflect.Value) bool {
	return (f.kind == reflect.String || f.kind == reflect.Slice) && v.Len() == 0
}

// appendString appends s as a JSON string. It reports false if s is not UTF-8;
// what it returns then is of no use.
func appendString(dst []byte, s string) (_ []byte, ok bool) {
	from := len(dst)
	dst = append(append(dst, '"'), s...)
	if jsonscan.PlainEnd(dst, from+1) == len(dst) {
		return append(dst, '"'), true
	}
	dst, err := jsontext.AppendQuote(dst[:from], s)
	return dst, err == nil
}

// appendFloat appends f as ECMAScript writes numbers. It reports false if f is
// none.
func appendFloat(dst []byte, f float64, bits int) (_ []byte, ok bool) {
	abs := math.Abs(f)
	if !(abs <= math.MaxFloat64) {
		return dst, false
	}
	format := byte('f')
	low, high := abs < 1e-6, abs >= 1e21
	if bits == 32 {
		low, high = float32(abs) < 1e-6, float32(abs) >= 1e21
	}
	if abs != 0 && (low || high) {
		format = 'e'
	}
	dst = strconv.AppendFloat(dst, f, format, -1, bits)
	if n := len(dst); format == 'e' && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' { // e-09
		dst = append(dst[:n-2], dst[n-1])
	}
	return dst, true
}
