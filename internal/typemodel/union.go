package typemodel

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// union is an interface type whose values are one of several structs. On the
// wire each is its object with one more member, the discriminator.
type union struct {
	iface    reflect.Type
	property string
	variants []*variant     // ordered by tag
	byTag    map[string]int // index into variants
	byType   map[reflect.Type]*variant
	message  string // lists the tags
	quoted   string // the property as it stands in JSON
	place    string // where it was declared

	marshalers   *json.Marshalers
	unmarshalers *json.Unmarshalers
}

// variant is one struct of one or more unions. It has the same property and tag
// in all.
type variant struct {
	typ      reflect.Type // the struct
	property string
	tag      string
	unions   []*union
	fields   []encodedField
}

// registry holds every union and every enum of the process.
var registry = struct {
	sync.RWMutex
	unions   map[reflect.Type]*union
	variants map[reflect.Type]*variant
	enums    map[reflect.Type]*enum
	modelled map[reflect.Type]bool // types that have been part of a model as no variant and no enum
}{
	unions:   map[reflect.Type]*union{},
	variants: map[reflect.Type]*variant{},
	enums:    map[reflect.Type]*enum{},
	modelled: map[reflect.Type]bool{},
}

// RegisterUnion makes the interface type T a union for the whole process.
// Variants has a value of each struct, or a pointer to it, by its tag; only the
// types count, and decoded values come in that form. On the wire a variant is
// its object with the member property, which holds the tag, before its own
// members; it has that member wherever it stands, also where the static type is
// the struct itself, and decoding demands it there too. Only in a value of type
// any, which hides the type, it may be missing.
//
// A struct may be in several unions if property and tag are the same. T needs a
// method, so that not every type implements it. Place is where the caller
// declares it, for errors. RegisterUnion must be called before the first model
// that contains T or one of the structs.
func RegisterUnion[T any](place, property string, variants map[string]T) error {
	iface := reflect.TypeFor[T]()
	if err := within(rootName(iface), checkUnion(iface, property, len(variants))); err != nil {
		return err
	}
	u := &union{iface: iface, property: property, quoted: `"` + property + `"`, place: place}
	u.byTag, u.byType = map[string]int{}, map[reflect.Type]*variant{}
	forms := map[string]bool{} // whether values of the tag are pointers
	var quoted []string
	for _, tag := range slices.Sorted(maps.Keys(variants)) {
		v, isPtr, err := newVariant(property, tag, reflect.TypeOf(variants[tag]))
		if err != nil {
			return within(rootName(iface), err)
		}
		forms[tag] = isPtr
		u.byTag[tag] = len(u.variants)
		u.variants = append(u.variants, v)
		quoted = append(quoted, strconv.Quote(tag))
	}
	u.message = oneOfMessage(quoted)
	u.marshalers = json.JoinMarshalers(
		json.MarshalToFunc(func(enc *jsontext.Encoder, v *T) error { return encodeUnion(enc, u, reflect.ValueOf(v).Elem()) }),
		json.MarshalToFunc(func(enc *jsontext.Encoder, v T) error { return encodeVariant(enc, u, reflect.ValueOf(v)) }),
	)
	u.unmarshalers = json.UnmarshalFromFunc(func(dec *jsontext.Decoder, to *T) error {
		v, ptr, err := decodeVariant(dec, u)
		if err != nil {
			return err
		}
		if !forms[v.tag] {
			ptr = ptr.Elem()
		}
		*to, _ = reflect.TypeAssert[T](ptr)
		return nil
	})
	return within(rootName(iface), u.register())
}

// checkUnion checks what does not concern a single variant.
func checkUnion(iface reflect.Type, property string, n int) error {
	switch {
	case iface.Kind() != reflect.Interface:
		return errors.New("a union is an interface type; this is none")
	case iface.NumMethod() == 0:
		return errors.New("every type implements this interface; give it a method that only the variants have")
	case implementsAny(iface, marshalMethods...) || implementsAny(iface, unmarshalMethods...):
		return errors.New("a union has no methods that encode or decode")
	case plainName(property) == "":
		return fmt.Errorf("the property %q is empty or has characters that JSON escapes", property)
	case n == 0:
		return errors.New("there are no variants")
	}
	return nil
}

// newVariant makes the variant of one tag; t is the type of the value given for
// it.
func newVariant(property, tag string, t reflect.Type) (v *variant, isPtr bool, err error) {
	step := "(" + tag + ")"
	switch {
	case tag == "":
		return nil, false, errors.New("a tag is empty")
	case t == nil:
		return nil, false, within(step, errors.New("the variant is nil; give a value of its type"))
	}
	if t.Kind() == reflect.Pointer {
		t, isPtr = t.Elem(), true
	}
	if t.Kind() != reflect.Struct {
		return nil, false, within(step, fmt.Errorf("%s is no struct", typeName(t)))
	}
	if implementsAny(t, marshalMethods...) || implementsAny(t, unmarshalMethods...) {
		return nil, false, within(step, fmt.Errorf("%s encodes itself and so cannot get a discriminator; drop the methods or wrap it in a struct", typeName(t)))
	}
	fields, err := jsonFields(t)
	if err != nil {
		return nil, false, within(step, err)
	}
	v = &variant{typ: t, property: property, tag: tag}
	for _, f := range fields {
		if f.name == property {
			return nil, false, within(step, fieldError(f.goName, "the member %q is written for every variant; remove the field or give it another JSON name", property))
		}
		v.fields = append(v.fields, newEncodedField(f))
	}
	return v, isPtr, nil
}

// register adds u to the registry.
func (u *union) register() error {
	registry.Lock()
	defer registry.Unlock()
	if old := registry.unions[u.iface]; old != nil {
		return fmt.Errorf("the union is already declared at %s", old.place)
	}
	tags := map[reflect.Type]string{}
	for _, v := range u.variants {
		if other, ok := tags[v.typ]; ok {
			return fmt.Errorf("%s is the variant of both %q and %q", typeName(v.typ), other, v.tag)
		}
		tags[v.typ] = v.tag
		switch old := registry.variants[v.typ]; {
		case old != nil && (old.property != v.property || old.tag != v.tag):
			return fmt.Errorf("%s is already the variant %s=%q of %s, declared at %s; a struct has one discriminator", typeName(v.typ), old.property, old.tag, typeName(old.unions[0].iface), old.unions[0].place)
		case old == nil && registry.modelled[v.typ]:
			return fmt.Errorf("%s is already in use without a discriminator; register unions before anything else, best in a package variable", typeName(v.typ))
		}
	}
	for i, v := range u.variants {
		if old := registry.variants[v.typ]; old != nil {
			u.variants[i], v = old, old
		}
		registry.variants[v.typ], u.byType[v.typ] = v, v
		v.unions = append(slices.Clip(v.unions), u)
	}
	registry.unions[u.iface] = u
	return nil
}

func unionOf(t reflect.Type) *union {
	registry.RLock()
	defer registry.RUnlock()
	return registry.unions[t]
}

// variantOf returns the variant that t is, and its unions; nil if it is none, and
// then it cannot become one later.
func variantOf(t reflect.Type) (v *variant, unions []*union) {
	registry.Lock()
	defer registry.Unlock()
	if v = registry.variants[t]; v == nil {
		registry.modelled[t] = true
		return nil, nil
	}
	return v, v.unions
}

// variant returns the variant that t is, of u or of another union with the same
// discriminator, or nil.
func (u *union) variant(t reflect.Type) *variant {
	if v := u.byType[t]; v != nil {
		return v
	}
	registry.RLock()
	defer registry.RUnlock()
	return registry.variants[t]
}

// tagField returns the discriminator as a member of the variant's object.
func tagField(v *variant) field {
	return field{
		jsonField: jsonField{name: v.property, goName: v.property, typ: reflect.TypeFor[string]()},
		node:      &node{shape: shapeTag, typ: reflect.TypeFor[string](), tag: v.tag, noun: strconv.Quote(v.tag), length: -1},
		required:  true,
	}
}
