package typemodel

import (
	"context"
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
)

// ValidateError is the error of a Validate method.
type ValidateError struct {
	Pointer string // JSON pointer (RFC 6901) to the value whose method it was
	Err     error  // as the method returned it
}

// Error returns the text of the method's error.
func (e *ValidateError) Error() string { return e.Err.Error() }

// Unwrap returns the method's error.
func (e *ValidateError) Unwrap() error { return e.Err }

// validator is implemented by types that check their decoded values.
type validator interface{ Validate(context.Context) error }

// markValidators finds out for each object whether a walk below it would meet a
// Validate method, and answers the same for n.
func (b *builder) markValidators(n *node) bool {
	for changed := true; changed; {
		changed = false
		for _, o := range b.objects {
			if o.validate {
				continue
			}
			o.embedded = embeddedValidators(o.typ)
			o.validate = validates(o.typ) || len(o.embedded) > 0 ||
				slices.ContainsFunc(o.fields, func(f field) bool { return f.node.validates() })
			changed = changed || o.validate
		}
	}
	for _, n := range b.nodes {
		n.validate = n.validates()
	}
	return n.validate
}

// validates reports whether a walk below n would meet a Validate method.
func (n *node) validates() bool {
	if n.typ.Kind() != reflect.Interface && validates(n.typ) {
		return true
	}
	switch n.shape {
	case shapeStruct:
		return n.object.validate
	case shapeUnion:
		return slices.ContainsFunc(n.variants, func(o *object) bool { return o.validate })
	case shapeArray:
		return n.elem.validates()
	case shapeMap:
		return n.elem.validates()
	}
	return false
}

// embeddedValidators returns the indexes of the embedded structs of t whose
// Validate methods count on their own. Usually there are none: the method of an
// embedded struct is that of t, unless t has one of its own, which then has to
// call it, as everywhere in Go. Only where two embedded structs have one each
// does t have none.
func embeddedValidators(t reflect.Type) (found []int) {
	if t.Kind() != reflect.Struct || validates(t) {
		return nil
	}
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Anonymous && sf.IsExported() && sf.Tag.Get("json") == "" && validates(sf.Type) {
			found = append(found, i)
		}
	}
	return found
}

// validation walks over a decoded value and calls Validate methods.
type validation struct {
	path []byte // JSON pointer
}

// value calls the methods at and below v, which is addressable.
func (w *validation) value(ctx context.Context, n *node, v reflect.Value) error {
	if !n.validate {
		return nil
	}
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	if err := w.parts(ctx, n, v); err != nil {
		return err
	}
	if n.shape == shapeUnion {
		return nil
	}
	return w.call(ctx, v)
}

func (w *validation) parts(ctx context.Context, n *node, v reflect.Value) error {
	switch n.shape {
	case shapeStruct:
		return w.fields(ctx, n.object, v)
	case shapeUnion:
		return w.variant(ctx, n, v)
	case shapeArray:
		for i := range v.Len() {
			if err := w.at(ctx, strconv.Itoa(i), n.elem, v.Index(i)); err != nil {
				return err
			}
		}
	case shapeMap:
		return w.entries(ctx, n, v)
	}
	return nil
}

// at is value one step further down.
func (w *validation) at(ctx context.Context, name string, n *node, v reflect.Value) error {
	depth := len(w.path)
	w.path = appendEscaped(append(w.path, '/'), name)
	err := w.value(ctx, n, v)
	w.path = w.path[:depth]
	return err
}

func (w *validation) fields(ctx context.Context, o *object, v reflect.Value) error {
	if !o.validate {
		return nil
	}
	for i := range o.fields {
		f := &o.fields[i]
		if !f.node.validate {
			continue
		}
		value, ok := fieldAt(v, f.index)
		if !ok {
			continue
		}
		if err := w.at(ctx, f.name, f.node, value); err != nil {
			return err
		}
	}
	for _, i := range o.embedded {
		e := v.Field(i)
		if e.Kind() == reflect.Pointer {
			if e.IsNil() {
				continue
			}
			e = e.Elem()
		}
		if err := w.call(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// entries walks over a map. Its values cannot be addressed, so methods see
// copies.
func (w *validation) entries(ctx context.Context, n *node, v reflect.Value) error {
	for iter := v.MapRange(); iter.Next(); {
		value := reflect.New(v.Type().Elem()).Elem()
		value.Set(iter.Value())
		if err := w.at(ctx, keyText(iter.Key()), n.elem, value); err != nil {
			return err
		}
	}
	return nil
}

// keyText returns the key of a map as the name it has in JSON.
func keyText(key reflect.Value) string {
	if m, ok := reflect.TypeAssert[encoding.TextMarshaler](key); ok {
		if text, err := m.MarshalText(); err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(key.Interface())
}

// variant walks over the value of a union.
func (w *validation) variant(ctx context.Context, n *node, v reflect.Value) error {
	if v.IsNil() {
		return nil
	}
	if v = v.Elem(); v.Kind() == reflect.Pointer {
		v = v.Elem()
	} else {
		addressable := reflect.New(v.Type()).Elem()
		addressable.Set(v)
		v = addressable
	}
	for _, o := range n.variants {
		if o.typ == v.Type() {
			if err := w.fields(ctx, o, v); err != nil {
				return err
			}
			return w.call(ctx, v)
		}
	}
	return nil
}

// call calls the method of v itself, if it has one.
func (w *validation) call(ctx context.Context, v reflect.Value) error {
	if !v.CanAddr() {
		return nil
	}
	method, ok := reflect.TypeAssert[validator](v.Addr())
	if !ok {
		return nil
	}
	if err := method.Validate(ctx); err != nil {
		return &ValidateError{Pointer: string(w.path), Err: err}
	}
	return nil
}
