// Package jsonplan encodes and decodes values of simple types as the JSON
// library does, and in less time: without its state machine, which is there for
// what simple types have not.
//
// Simple are strings, booleans, numbers, structs of simple types, and slices of
// them. A type with a method that encodes or decodes it is not, and neither is
// what takes more of a json tag than a name, omitempty and omitzero.
//
// The library stays the judge: whatever a plan is not certain of, it leaves to it.
// So a plan has no errors of its own, and where it succeeds, the library does
// too and with the same result.
package jsonplan

import (
	"encoding"
	stdjson "encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// Plan is how the values of one type become JSON, and the other way round. It
// does not change and is safe for concurrent use.
type Plan struct {
	typ  reflect.Type
	root node
}

// node is the plan of a type.
type node struct {
	kind   reflect.Kind // Int64, Uint64 and Float64 stand for all sizes
	bits   int          // of numbers
	elem   *node        // of slices
	fields []field      // of structs
}

// field is one member of an object.
type field struct {
	node
	name      string
	quoted    string // as JSON, with the colon
	index     int    // of the Go field
	omitzero  bool
	omitempty bool
}

// mostFields is how many a struct may have: they have one bit each in a word.
const mostFields = 64

// Of returns the plan of t, or nil if t is not simple.
func Of(t reflect.Type) *Plan {
	root, ok := nodeOf(t, nil)
	if !ok {
		return nil
	}
	return &Plan{typ: t, root: root}
}

// nodeOf is Of inside of other types.
func nodeOf(t reflect.Type, outer []reflect.Type) (n node, ok bool) {
	if implementsAny(t, ownForm) || t == durationType || t == numberType {
		return n, false
	}
	n.kind = t.Kind()
	switch n.kind {
	case reflect.Bool, reflect.String:
		return n, true
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n.kind, n.bits = reflect.Int64, t.Bits()
		return n, true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n.kind, n.bits = reflect.Uint64, t.Bits()
		return n, true
	case reflect.Float32, reflect.Float64:
		n.kind, n.bits = reflect.Float64, t.Bits()
		return n, true
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 { // base64
			return n, false
		}
		elem, ok := nodeOf(t.Elem(), outer)
		n.elem = &elem
		return n, ok
	case reflect.Struct:
		if slices.Contains(outer, t) { // it contains itself
			return n, false
		}
		n.fields, ok = fieldsOf(t, append(slices.Clip(outer), t))
		return n, ok
	}
	return n, false
}

func fieldsOf(t reflect.Type, outer []reflect.Type) (fields []field, ok bool) {
	names := map[string]bool{}
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, tagged := sf.Tag.Lookup("json")
		if tag == "-" || !sf.IsExported() && !sf.Anonymous && !tagged {
			continue
		}
		if !sf.IsExported() || sf.Anonymous {
			return nil, false
		}
		f := field{index: i}
		name, options, more := strings.Cut(tag, ",")
		if f.name = name; name == "" {
			f.name = sf.Name
		}
		if !isPlainName(f.name) || names[f.name] || len(fields) == mostFields || more && !f.take(options) {
			return nil, false
		}
		names[f.name] = true
		f.quoted = `"` + f.name + `":`
		if f.node, ok = nodeOf(sf.Type, outer); !ok {
			return nil, false
		}
		if f.omitempty && f.kind == reflect.Struct || f.omitzero && implementsAny(sf.Type, ownZero) {
			return nil, false
		}
		fields = append(fields, f)
	}
	return fields, len(fields) > 0 || t.NumField() == 0
}

// take reads the options of a json tag. It reports false if there is one that
// it does not know, or one twice.
func (f *field) take(options string) (ok bool) {
	for option := range strings.SplitSeq(options, ",") {
		switch {
		case option == "omitempty" && !f.omitempty:
			f.omitempty = true
		case option == "omitzero" && !f.omitzero:
			f.omitzero = true
		default:
			return false
		}
	}
	return true
}

// isPlainName reports whether a name stands in a tag, and in JSON, as it is.
func isPlainName(name string) bool {
	for _, c := range []byte(name) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"'`\\,-", c) >= 0 {
			return false
		}
	}
	return name != ""
}

var (
	ownForm = []reflect.Type{
		reflect.TypeFor[json.MarshalerTo](), reflect.TypeFor[json.Marshaler](),
		reflect.TypeFor[json.UnmarshalerFrom](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[encoding.TextAppender](), reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	}
	ownZero = []reflect.Type{reflect.TypeFor[interface{ IsZero() bool }]()}

	// These have no such methods, but the library treats them in a way of their own.
	durationType = reflect.TypeFor[time.Duration]()
	numberType   = reflect.TypeFor[stdjson.Number]()
)

// implementsAny reports whether t or a pointer to it implements one of ifaces.
func implementsAny(t reflect.Type, ifaces []reflect.Type) bool {
	for _, iface := range ifaces {
		if t.Implements(iface) || reflect.PointerTo(t).Implements(iface) {
			return true
		}
	}
	return false
}
