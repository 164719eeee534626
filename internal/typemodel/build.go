package typemodel

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json"
)

// builder makes the nodes of one model.
type builder struct {
	use     Use
	objects map[reflect.Type]*object // by struct type: recursion ends here
	unions  map[*union]bool          // whose variants may occur
	numbers bool                     // encoding/json.Number occurs
	urls    bool                     // url.URL occurs
	types   map[reflect.Type]bool    // every type that has a node, without pointers
	nodes   []*node
	nested  int // slices and maps around the current type, without a struct between
}

// node returns a new node for t. The caller may add to it what tags say.
func (b *builder) node(t reflect.Type) (*node, error) {
	n := &node{typ: t, length: -1}
	for range 10 {
		if n.typ.Kind() == reflect.Pointer {
			n.typ, n.nullable = n.typ.Elem(), true
		}
	}
	if n.typ.Kind() == reflect.Pointer {
		return nil, fmt.Errorf("%s points to pointers without end", typeName(t))
	}
	special, err := b.special(n)
	if err == nil && !special {
		err = b.plain(n)
	}
	if err == nil {
		err = b.declared(n)
	}
	if err != nil {
		return nil, err
	}
	n.noun = b.noun(n)
	b.types[n.typ] = true
	b.nodes = append(b.nodes, n)
	return n, nil
}

// strangers finds a type that would be taken for a variant when it is encoded.
func (b *builder) strangers() error {
	var found []string
	for u := range b.unions {
		for t := range b.types {
			if t.Kind() != reflect.Interface && implementsAny(t, u.iface) && u.variant(t) == nil {
				found = append(found, fmt.Sprintf("%s implements %s and is no variant of it; register it or drop the method", typeName(t), typeName(u.iface)))
			}
		}
	}
	if found == nil {
		return nil
	}
	return errors.New(slices.Min(found))
}

// special handles the types that are not what their Go kind says.
func (b *builder) special(n *node) (done bool, err error) {
	switch n.typ {
	case rawType, stdRawType:
		n.shape, n.nullable = shapeAny, true
		return true, nil
	case timeType:
		n.shape = shapeTime
		return true, nil
	case urlType:
		n.shape, b.urls = shapeURL, true
		return true, nil
	case numberType:
		n.shape, b.numbers = shapeNumber, true
		return true, nil
	case durationType:
		return true, errors.New("time.Duration has no JSON form; use an integer, for instance of milliseconds, or a string")
	}
	if n.typ.Kind() == reflect.Interface {
		return true, b.iface(n)
	}
	out, in := selfEncoding(n.typ)
	encoding := in
	switch b.use {
	case Output:
		encoding = out
	case Stored, Opening, storedOpening:
		if in != out {
			return true, fmt.Errorf("%s encodes itself one way and decodes itself another; give it both MarshalJSON and UnmarshalJSON, or both MarshalText and UnmarshalText", typeName(n.typ))
		}
	}
	switch encoding {
	case formJSON:
		n.shape, n.nullable = shapeOpaque, true
	case formText:
		n.shape = shapeText
	}
	return encoding != formDefault, nil
}

// iface handles interfaces: unions, and any where it is allowed.
func (b *builder) iface(n *node) error {
	if u := unionOf(n.typ); u != nil {
		n.shape, n.union = shapeUnion, u
		b.unions[u] = true
		for _, v := range u.variants {
			o, err := b.object(v.typ)
			if err != nil {
				return within("("+rootName(v.typ)+")", err)
			}
			n.variants = append(n.variants, o)
		}
		return nil
	}
	if n.typ.NumMethod() > 0 {
		return fmt.Errorf("%s is an interface and no union; register its variants with kanava.OneOf, or use jsontext.Value for any JSON", typeName(n.typ))
	}
	if b.use == Input || b.opening() {
		return errors.New("any is not allowed here; use jsontext.Value for any JSON")
	}
	n.shape, n.nullable = shapeAny, true
	return nil
}

// plain handles what has the JSON of its Go kind.
func (b *builder) plain(n *node) (err error) {
	t := n.typ
	switch t.Kind() {
	case reflect.Bool:
		n.shape = shapeBool
	case reflect.String:
		n.shape = shapeString
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n.shape = shapeInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n.shape = shapeUint
	case reflect.Float32, reflect.Float64:
		n.shape = shapeFloat
	case reflect.Slice, reflect.Array:
		if t.Kind() == reflect.Array {
			n.length = t.Len()
		}
		if t.Elem().Kind() == reflect.Uint8 && t.Elem().PkgPath() == "" {
			n.shape = shapeBytes
			return nil
		}
		n.shape = shapeArray
		n.elem, err = b.elem(t.Elem())
		return within("[]", err)
	case reflect.Map:
		n.shape = shapeMap
		if n.key, err = b.mapKey(t.Key()); err != nil {
			return err
		}
		n.elem, err = b.elem(t.Elem())
		return within("{}", err)
	case reflect.Struct:
		n.shape = shapeStruct
		n.object, err = b.object(t)
		return err
	case reflect.Uintptr:
		return errors.New("uintptr has no JSON form; use uint64")
	default:
		return fmt.Errorf("%s has no JSON form; exclude the field with `json:\"-\"`", typeName(t))
	}
	return nil
}

// elem returns the node of what a slice or map holds.
func (b *builder) elem(t reflect.Type) (*node, error) {
	const most = 20
	if b.nested == most {
		return nil, errors.New("the type contains itself without a struct between; put one there")
	}
	b.nested++
	defer func() { b.nested-- }()
	return b.node(t)
}

// mapKey returns the node of a map's key: a string, an integer or a text type.
func (b *builder) mapKey(t reflect.Type) (*node, error) {
	if t != numberType && t.Kind() != reflect.Interface && t.Kind() != reflect.Pointer {
		n, err := b.node(t)
		if err != nil {
			return nil, fmt.Errorf("map key: %w", err)
		}
		switch n.shape {
		case shapeInt, shapeUint:
			n.quoted = true
			return n, nil
		case shapeString, shapeText, shapeTime:
			return n, nil
		}
	}
	return nil, fmt.Errorf("%s cannot be the key of a JSON object; use a string, an integer or a type with MarshalText and UnmarshalText", typeName(t))
}

// object returns the plan of a struct, which may still be incomplete if t
// contains itself.
func (b *builder) object(t reflect.Type) (*object, error) {
	if o := b.objects[t]; o != nil {
		return o, nil
	}
	o := &object{typ: t}
	b.objects[t] = o
	defer func(nested int) { b.nested = nested }(b.nested)
	b.nested = 0
	fields, err := jsonFields(t)
	if err == nil {
		err = b.allowed(t, fields)
	}
	if err != nil {
		return nil, err
	}
	variant, unions := variantOf(t)
	if variant != nil {
		for _, u := range unions {
			b.unions[u] = true
		}
		o.fields = append(o.fields, tagField(variant))
	}
	for _, jf := range fields {
		f, err := b.field(jf)
		if err != nil {
			return nil, within("."+jf.goName, err)
		}
		o.fields = append(o.fields, f)
	}
	o.finish()
	return o, nil
}

// allowed checks what concerns the struct as a whole.
func (b *builder) allowed(t reflect.Type, fields []jsonField) error {
	if t.NumField() > 0 && len(fields) == 0 && !hasJSONTag(t) {
		return fmt.Errorf("%s has no exported fields; export them, or exclude them with `json:\"-\"`", typeName(t))
	}
	if b.stored() || b.use == Opening {
		if err := lostField(t, map[reflect.Type]bool{}); err != nil {
			return err
		}
	}
	if _, in := selfEncoding(t); in != formDefault {
		return nil
	}
	// What the rules above have missed, the library says here rather than at
	// the first message.
	if err := json.Unmarshal([]byte("{}"), reflect.New(t).Interface()); err != nil {
		return fmt.Errorf("the JSON library refuses the type: %w", err)
	}
	return nil
}

func hasJSONTag(t reflect.Type) bool {
	for i := range t.NumField() {
		if sf := t.Field(i); sf.Tag.Get("json") != "" {
			return true
		} else if sf.Anonymous {
			return true // it was looked into
		}
	}
	return false
}

// lostField finds a field that a store would silently drop.
func lostField(t reflect.Type, seen map[reflect.Type]bool) error {
	seen[t] = true
	for i := range t.NumField() {
		sf := t.Field(i)
		if sf.Tag.Get("json") == "-" {
			continue
		}
		if sf.Anonymous {
			inner := sf.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if inner.Kind() == reflect.Struct && !seen[inner] && sf.Tag.Get("json") == "" {
				if err := lostField(inner, seen); err != nil {
					return within("."+sf.Name, err)
				}
			}
			continue
		}
		if !sf.IsExported() {
			return fieldError(sf.Name, "an unexported field is lost in the store; export it, or say so with `json:\"-\"`")
		}
	}
	return nil
}

// field returns the plan of one member.
func (b *builder) field(jf jsonField) (field, error) {
	f := field{jsonField: jf}
	n, err := b.node(jf.typ)
	if err != nil {
		return f, err
	}
	f.node = n
	if jf.quote {
		if n.shape != shapeInt && n.shape != shapeUint && n.shape != shapeFloat {
			return f, fmt.Errorf("the json option string applies to numbers, not to %s", typeName(n.typ))
		}
		n.quoted = true
		n.noun = b.noun(n)
	}
	if n.shape == shapeUnion && jf.omitempty {
		return f, errors.New("a union cannot be omitempty; use omitzero")
	}
	tags, err := b.readTags(jf.tag, n)
	if err != nil {
		return f, err
	}
	f.doc = tags["doc"]
	f.example, f.hasExample = tags["example"]
	if b.use == Input || b.use == Opening { // what is sent or stored has its value
		f.defaultText, f.hasDefault = tags["default"]
	}
	if f.deprecated, err = isTrue(tags, "deprecated"); err != nil {
		return f, err
	}
	if f.required, err = b.isRequired(jf, tags); err == nil && f.required && f.hasDefault {
		err = errors.New("a field cannot both be required and have a default")
	}
	return f, err
}

// noun returns what a value must be, for the client.
func (b *builder) noun(n *node) string {
	if n.nullable && !b.opening() { // in a query there is no null
		return n.name() + " or null"
	}
	return n.name()
}

// opening reports whether the type is that of opening data.
func (b *builder) opening() bool { return b.use == Opening || b.use == storedOpening }

// stored reports whether the JSON will be our own, read back from a store.
func (b *builder) stored() bool { return b.use == Stored || b.use == storedOpening }

func (b *builder) isRequired(jf jsonField, tags map[string]string) (bool, error) {
	written := !jf.omitempty && !jf.omitzero && !jf.viaPtr
	required, err := isTrue(tags, "required")
	switch _, ok := tags["required"]; {
	case err != nil:
		return false, err
	case b.stored():
		return written, nil
	case ok:
		return required, nil
	}
	_, hasDefault := tags["default"]
	switch b.use {
	case Input:
		return written && !hasDefault, nil
	case Opening:
		return written && !hasDefault && jf.typ.Kind() != reflect.Pointer && jf.typ.Kind() != reflect.Slice, nil
	}
	return written, nil
}

// isTrue reads a tag that is true or false; without it, it is false.
func isTrue(tags map[string]string, name string) (bool, error) {
	text, ok := tags[name]
	if ok && text != "true" && text != "false" {
		return false, fmt.Errorf("%s:%q is neither true nor false", name, text)
	}
	return text == "true", nil
}
