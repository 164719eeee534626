package typemodel

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json"
)

// enum is a named type whose values are listed: reflection does not see the
// constants of a type.
type enum struct {
	texts []string // of strings what they hold, of integers their digits
	place string   // where it was declared
}

// RegisterEnum makes values all that T may be in inputs and opening data, for
// the whole process. T is a named type of strings or integers; if it has
// MarshalText and UnmarshalText, its values are the strings that those make of
// them. Place is where the caller declares it, for errors. RegisterEnum must be
// called before the first model that contains T.
func RegisterEnum[T comparable](place string, values []T) error {
	t := reflect.TypeFor[T]()
	e := &enum{place: place}
	if err := checkEnum(t, len(values)); err != nil {
		return within(rootName(t), err)
	}
	for i := range values {
		text, err := enumText(reflect.ValueOf(&values[i]))
		if err != nil {
			return within(rootName(t), fmt.Errorf("value %d: %w", i+1, err))
		}
		if before := slices.Index(e.texts, text); before >= 0 {
			return within(rootName(t), fmt.Errorf("the values %d and %d are both %q", before+1, i+1, text))
		}
		e.texts = append(e.texts, text)
	}
	return within(rootName(t), e.register(t))
}

func checkEnum(t reflect.Type, n int) error {
	out, in := selfEncoding(t)
	switch {
	case !canBeEnum(t):
		return errors.New("an enum is a named type of strings or integers; this is none")
	case n == 0:
		return errors.New("there are no values")
	case out == formJSON || in == formJSON:
		return errors.New("the type encodes itself as JSON that nobody knows; give it MarshalText and UnmarshalText instead, or neither")
	case out != in:
		return errors.New("the type encodes itself one way and decodes itself another; give it both MarshalText and UnmarshalText, or neither")
	}
	return nil
}

func canBeEnum(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return t.PkgPath() != "" && t != durationType && t != numberType
	}
	return false
}

// enumText returns the text of the value that ptr points to.
func enumText(ptr reflect.Value) (string, error) {
	raw, err := json.Marshal(ptr.Interface())
	if err != nil {
		return "", err
	}
	if raw[0] != '"' {
		return string(raw), nil
	}
	var text string
	err = json.Unmarshal(raw, &text)
	return text, err
}

func (e *enum) register(t reflect.Type) error {
	registry.Lock()
	defer registry.Unlock()
	if old := registry.enums[t]; old != nil {
		return fmt.Errorf("the type is already declared at %s", old.place)
	}
	if registry.modelled[t] {
		return errors.New("the type is already in use without its values; declare enums before anything else, best in a package variable")
	}
	registry.enums[t] = e
	return nil
}

// enumOf returns the enum that t is, or nil; then it cannot become one later.
func enumOf(t reflect.Type) *enum {
	if !canBeEnum(t) {
		return nil
	}
	registry.Lock()
	defer registry.Unlock()
	e := registry.enums[t]
	if e == nil {
		registry.modelled[t] = true
	}
	return e
}

// declared demands of n, if its type is an enum, one of the values.
func (b *builder) declared(n *node) (err error) {
	e := enumOf(n.typ)
	if e == nil || b.stored() {
		return nil
	}
	n.enum = e
	_, err = n.allowOnly("the declared", e.texts)
	return err
}

// narrow prepares n for a tag that allows fewer values than its enum has.
func (n *node) narrow(tag string, texts []string) error {
	if n.enum == nil {
		return nil
	}
	for _, text := range texts {
		if !slices.Contains(n.enum.texts, text) {
			return fmt.Errorf("%s value %q is none of %s, which is declared at %s", tag, text, typeName(n.typ), n.enum.place)
		}
	}
	n.checks = checks{} // enum and const are the first constraints
	return nil
}

// bareEnum returns the enum of n as a node of its own, for its definition.
func (n *node) bareEnum() *node {
	bare := &node{shape: n.shape, typ: n.typ, enum: n.enum, length: -1}
	bare.say("enum", jsonList(n.enumValues()))
	return bare
}

// enumValues returns the values of the enum as JSON.
func (n *node) enumValues() []string {
	if n.kind() == Number {
		return n.enum.texts
	}
	values := make([]string, len(n.enum.texts))
	for i, text := range n.enum.texts {
		values[i] = quoteJSON(text)
	}
	return values
}
