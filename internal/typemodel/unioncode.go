package typemodel

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava/internal/jsonscan"
)

// encodedField is a field of a variant, as encodeVariant writes it.
type encodedField struct {
	jsonField
	isZero func(reflect.Value) bool // for omitzero
	sized  bool                     // the JSON is empty exactly if Len is 0
	full   bool                     // the JSON is never empty
}

func newEncodedField(f jsonField) encodedField {
	e := encodedField{jsonField: f, isZero: reflect.Value.IsZero}
	if f.typ.Implements(zeroerType) {
		e.isZero = func(v reflect.Value) bool {
			if (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil() {
				return true
			}
			return v.Interface().(interface{ IsZero() bool }).IsZero()
		}
	} else if reflect.PointerTo(f.typ).Implements(zeroerType) {
		e.isZero = func(v reflect.Value) bool { return v.Addr().Interface().(interface{ IsZero() bool }).IsZero() }
	}
	if implementsAny(f.typ, marshalMethods...) {
		return e
	}
	switch f.typ.Kind() {
	case reflect.String, reflect.Slice, reflect.Map, reflect.Array:
		e.sized = f.typ != numberType
	case reflect.Pointer, reflect.Interface, reflect.Struct:
	default:
		e.full = true
	}
	return e
}

// encodeUnion writes the value of an interface variable.
func encodeUnion(enc *jsontext.Encoder, u *union, v reflect.Value) error {
	if v.IsNil() {
		return fmt.Errorf("%s is nil; a union that may be absent is a pointer to the interface, or omitzero", typeName(u.iface))
	}
	v = v.Elem()
	if v.Kind() == reflect.Pointer {
		return encodeVariant(enc, u, v)
	}
	addressable := reflect.New(v.Type())
	addressable.Elem().Set(v)
	return encodeVariant(enc, u, addressable)
}

// encodeVariant writes the struct that ptr points to, its discriminator first.
func encodeVariant(enc *jsontext.Encoder, u *union, ptr reflect.Value) error {
	if ptr.Kind() != reflect.Pointer || ptr.IsNil() {
		return fmt.Errorf("%s is nil in %s", typeName(ptr.Type()), typeName(u.iface))
	}
	v := u.variant(ptr.Type().Elem())
	if v == nil {
		return fmt.Errorf("%s is no variant of %s", typeName(ptr.Type().Elem()), typeName(u.iface))
	}
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	if err := enc.WriteToken(jsontext.String(v.property)); err != nil {
		return err
	}
	if err := enc.WriteToken(jsontext.String(v.tag)); err != nil {
		return err
	}
	for i := range v.fields {
		if err := encodeField(enc, &v.fields[i], ptr.Elem()); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}

// fieldAt returns the field at index, or false if it is inside an embedded
// pointer that is nil.
func fieldAt(v reflect.Value, index []int) (reflect.Value, bool) {
	value, err := v.FieldByIndexErr(index)
	return value, err == nil
}

func encodeField(enc *jsontext.Encoder, f *encodedField, v reflect.Value) error {
	value, ok := fieldAt(v, f.index)
	if !ok {
		return nil
	}
	if f.omitzero && f.isZero(value) {
		return nil
	}
	if f.omitempty && !f.full {
		if !f.sized {
			return encodeUnlessEmpty(enc, f, value)
		}
		if value.Len() == 0 {
			return nil
		}
	}
	if err := enc.WriteToken(jsontext.String(f.name)); err != nil {
		return err
	}
	if f.quote {
		return json.MarshalEncode(enc, value.Addr().Interface(), json.StringifyNumbers(true))
	}
	return json.MarshalEncode(enc, value.Addr().Interface())
}

// encodeUnlessEmpty is encodeField for omitempty: nothing is written if the JSON
// would be null or an empty string, object or array.
func encodeUnlessEmpty(enc *jsontext.Encoder, f *encodedField, value reflect.Value) error {
	switch value.Kind() {
	case reflect.Pointer, reflect.Interface:
		if value.IsNil() {
			return nil
		}
	}
	raw, err := json.Marshal(value.Addr().Interface(), enc.Options(), json.StringifyNumbers(f.quote))
	if err != nil {
		return err
	}
	switch string(raw) {
	case "null", `""`, "{}", "[]":
		return nil
	}
	if err := enc.WriteToken(jsontext.String(f.name)); err != nil {
		return err
	}
	return enc.WriteValue(raw)
}

// decodeVariant reads a variant and returns a pointer to it. The walker has
// checked the discriminator; the decoder passes over it as it passes over
// unknown members.
func decodeVariant(dec *jsontext.Decoder, u *union) (*variant, reflect.Value, error) {
	if dec.PeekKind() != '{' {
		return nil, reflect.Value{}, errors.New("not an object")
	}
	data := dec.UnreadBuffer()
	i := 0
	for data[i] != '{' { // a colon, comma or white space
		i++
	}
	n := -1
	if tag := u.find(data, i, jsonscan.ValueEnd); tag.Found() {
		n = u.lookup(data[tag.ValueStart:tag.ValueEnd])
	}
	if n < 0 {
		return nil, reflect.Value{}, errors.New("no discriminator")
	}
	ptr := reflect.New(u.variants[n].typ)
	return u.variants[n], ptr, json.UnmarshalDecode(dec, ptr.Interface())
}

// lookup returns the index of the variant whose tag raw is, or -1.
func (u *union) lookup(raw []byte) int {
	text, ok := jsonscan.Unescaped(raw)
	if !ok {
		if text, ok = jsonscan.AppendString(nil, raw); !ok {
			return -1
		}
	}
	if n, ok := u.byTag[string(text)]; ok {
		return n
	}
	return -1
}
