package typemodel

import (
	"encoding"
	stdjson "encoding/json"
	"net/url"
	"reflect"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

var (
	jsonMarshal   = []reflect.Type{reflect.TypeFor[json.MarshalerTo](), reflect.TypeFor[json.Marshaler]()}
	jsonUnmarshal = []reflect.Type{reflect.TypeFor[json.UnmarshalerFrom](), reflect.TypeFor[json.Unmarshaler]()}
	textMarshal   = []reflect.Type{reflect.TypeFor[encoding.TextAppender](), reflect.TypeFor[encoding.TextMarshaler]()}
	textUnmarshal = []reflect.Type{reflect.TypeFor[encoding.TextUnmarshaler]()}

	marshalMethods   = append(append([]reflect.Type(nil), jsonMarshal...), textMarshal...)
	unmarshalMethods = append(append([]reflect.Type(nil), jsonUnmarshal...), textUnmarshal...)

	validatorType = reflect.TypeFor[validator]()
	zeroerType    = reflect.TypeFor[interface{ IsZero() bool }]()

	rawType      = reflect.TypeFor[jsontext.Value]()
	stdRawType   = reflect.TypeFor[stdjson.RawMessage]()
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	urlType      = reflect.TypeFor[url.URL]()
	numberType   = reflect.TypeFor[stdjson.Number]()
)

// implementsAny reports whether t or a pointer to it implements one of ifaces.
func implementsAny(t reflect.Type, ifaces ...reflect.Type) bool {
	for _, iface := range ifaces {
		if t.Implements(iface) || reflect.PointerTo(t).Implements(iface) {
			return true
		}
	}
	return false
}

// form is how a type turns itself into JSON, or back.
type form uint8

const (
	formDefault form = iota
	formText
	formJSON
)

// selfEncoding returns how values of t encode and decode themselves. The JSON
// library prefers JSON methods, and so do we.
func selfEncoding(t reflect.Type) (out, in form) {
	pick := func(asJSON, asText []reflect.Type) form {
		switch {
		case implementsAny(t, asJSON...):
			return formJSON
		case implementsAny(t, asText...):
			return formText
		}
		return formDefault
	}
	return pick(jsonMarshal, textMarshal), pick(jsonUnmarshal, textUnmarshal)
}

// validates reports whether values of t have a Validate method.
func validates(t reflect.Type) bool { return implementsAny(t, validatorType) }
