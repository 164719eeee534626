package typemodel

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"github.com/go-json-experiment/json"
)

// Append appends the JSON of v to dst and returns the extended slice. v is a
// value of the model's type or a pointer to one; pointers are cheaper. On an
// error dst is returned as it was. Nil slices become [] and nil maps {}.
func (m *Model) Append(dst []byte, v any) ([]byte, error) {
	if m.plan != nil {
		if out, ok := m.plan.Append(dst, v); ok {
			return out, nil
		}
	}
	if err := m.holds(v); err != nil {
		return dst, err
	}
	out, err := m.encode(dst, v)
	if err != nil {
		return dst, fmt.Errorf("encode %s: %w", typeName(m.typ), err)
	}
	return out, nil
}

func (m *Model) encode(dst []byte, v any) ([]byte, error) {
	prefix := m.prefix(v)
	if prefix == nil {
		return write(dst, v, m.encoding)
	}
	dst = append(dst, prefix...)
	out, err := write(dst, v, nil)
	if err != nil {
		return nil, err
	}
	return join(out, len(dst)), nil
}

// prefix returns what goes before v if it is encoded directly, or nil.
func (m *Model) prefix(v any) []byte {
	if len(m.direct) == 0 || v == nil {
		return nil
	}
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		if reflect.ValueOf(v).IsNil() {
			return nil
		}
		t = t.Elem()
	}
	return m.direct[t]
}

// write appends v as the JSON library encodes it.
func write(dst []byte, v any, options json.Options) (out []byte, err error) {
	const room = 256 // less would make the library grow it in small steps
	if cap(dst)-len(dst) < room {
		dst = slices.Grow(dst, 2*room)
	}
	w := buffers.Get().(*bytes.Buffer)
	*w = *bytes.NewBuffer(dst)
	if options == nil {
		err = json.MarshalWrite(w, v)
	} else {
		err = json.MarshalWrite(w, v, options)
	}
	out = w.Bytes()
	*w = bytes.Buffer{} // dst is not ours
	buffers.Put(w)
	return out, err
}

// holds checks that v is a value of the type or points to one.
func (m *Model) holds(v any) error {
	t := reflect.TypeOf(v)
	switch {
	case t == m.typ, t == nil && m.root.nullable:
		return nil
	case t == nil:
	case t.Kind() == reflect.Pointer && t.Elem() == m.typ,
		m.typ.Kind() == reflect.Interface && t.Implements(m.typ):
		if t.Kind() != reflect.Pointer || !reflect.ValueOf(v).IsNil() {
			return nil
		}
	default:
		return fmt.Errorf("encode %s: the value is a %s", typeName(m.typ), typeName(t))
	}
	return fmt.Errorf("encode %s: the value is nil", typeName(m.typ))
}

// buffers holds headers only: the library writes to a bytes.Buffer without
// copying.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
