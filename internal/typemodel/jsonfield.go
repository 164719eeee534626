package typemodel

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// jsonField is one JSON member of a struct, as the JSON library sees it.
type jsonField struct {
	name      string // of the member
	goName    string // of the Go field
	index     []int  // for reflect.Value.FieldByIndex; nil for a discriminator
	typ       reflect.Type
	tag       reflect.StructTag
	named     bool // by the json tag
	viaPtr    bool // inside an embedded pointer: absent while that is nil
	omitzero  bool
	omitempty bool
	quote     bool // ",string"
}

// jsonFields returns the members of a struct in the order in which they are
// encoded. It follows the rules of the JSON library for embedding and for names
// that occur twice, and refuses what that would refuse when it runs.
func jsonFields(root reflect.Type) ([]jsonField, error) {
	type level struct {
		typ    reflect.Type
		index  []int
		viaPtr bool
		walk   bool
	}
	var all []jsonField
	seen := map[reflect.Type]bool{root: true}
	for queue := []level{{typ: root, walk: true}}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		names := map[string]string{}
		for i := range at.typ.NumField() {
			sf := at.typ.Field(i)
			f, skip, err := parseJSONTag(sf)
			if err != nil {
				return nil, fieldError(sf.Name, "%w", err)
			}
			if skip {
				continue
			}
			f.index = append(slices.Clone(at.index), i)
			f.viaPtr = at.viaPtr
			if sf.Anonymous && !f.named {
				inner, isPtr, err := embedded(sf, f)
				if err != nil {
					return nil, err
				}
				if at.walk {
					queue = append(queue, level{inner, f.index, at.viaPtr || isPtr, !seen[inner]})
				}
				seen[inner] = true
				continue
			}
			if !sf.IsExported() {
				return nil, fieldError(sf.Name, "an embedded field of an unexported type has no JSON name of its own; export the type or drop the name")
			}
			if other, ok := names[f.name]; ok {
				return nil, fieldError(sf.Name, "the JSON name %q is also that of %s", f.name, other)
			}
			names[f.name] = sf.Name
			all = append(all, f)
		}
	}
	return dominant(all), nil
}

// dominant keeps of the fields with one name the shallowest, or the only one
// with a tag among those, or none; in the order of the source.
func dominant(all []jsonField) []jsonField {
	rank := func(named bool) int {
		if named {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(all, func(x, y jsonField) int {
		return cmp.Or(strings.Compare(x.name, y.name), cmp.Compare(len(x.index), len(y.index)),
			cmp.Compare(rank(x.named), rank(y.named)))
	})
	var kept []jsonField
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].name == all[0].name {
			n++
		}
		if n == 1 || len(all[0].index) != len(all[1].index) || all[0].named != all[1].named {
			kept = append(kept, all[0])
		}
		all = all[n:]
	}
	slices.SortFunc(kept, func(x, y jsonField) int { return slices.Compare(x.index, y.index) })
	return kept
}

// embedded returns the struct whose members sf brings along.
func embedded(sf reflect.StructField, f jsonField) (t reflect.Type, isPtr bool, err error) {
	t = sf.Type
	if t.Kind() == reflect.Pointer && t.Name() == "" {
		t, isPtr = t.Elem(), true
	}
	switch {
	case t.Kind() != reflect.Struct:
		err = fieldError(sf.Name, "an embedded field that is no struct needs a JSON name; add one with a json tag")
	case isPtr && !sf.IsExported():
		err = fieldError(sf.Name, "an embedded pointer to an unexported struct cannot be decoded; embed the struct itself")
	case f.omitzero || f.omitempty || f.quote:
		err = fieldError(sf.Name, "an embedded struct takes no json options")
	case t == urlType || implementsAny(t, marshalMethods...) || implementsAny(t, unmarshalMethods...):
		err = fieldError(sf.Name, "%s encodes itself and so cannot be embedded; make it a named field", typeName(t))
	default:
		if tag := firstKeyword(sf.Tag); tag != "" {
			err = fieldError(sf.Name, "the tag %s does not apply to an embedded struct", tag)
		}
	}
	return t, isPtr, err
}

// parseJSONTag reads the json tag of one Go field.
func parseJSONTag(sf reflect.StructField) (f jsonField, skip bool, err error) {
	tag, has := sf.Tag.Lookup("json")
	if tag == "-" {
		return f, true, nil
	}
	if !sf.IsExported() && !sf.Anonymous {
		if has {
			return f, true, fmt.Errorf("an unexported field cannot have the tag json:%q", tag)
		}
		return f, true, nil
	}
	f = jsonField{name: sf.Name, goName: sf.Name, typ: sf.Type, tag: sf.Tag}
	name, options, _ := strings.Cut(tag, ",")
	if name != "" {
		if strings.ContainsAny(name, "\\'\"`") || !utf8.ValidString(name) {
			return f, false, fmt.Errorf("the JSON name %q has characters that a json tag cannot hold", name)
		}
		f.name, f.named = name, true
	}
	if has && strings.HasSuffix(tag, ",") {
		return f, false, fmt.Errorf("the tag json:%q ends in a comma", tag)
	}
	for options != "" {
		var option string
		option, options, _ = strings.Cut(options, ",")
		target := map[string]*bool{"omitzero": &f.omitzero, "omitempty": &f.omitempty, "string": &f.quote}[option]
		switch {
		case target == nil:
			return f, false, fmt.Errorf("the json option %q is not supported; omitempty, omitzero and string are", option)
		case *target:
			return f, false, fmt.Errorf("the json option %q stands twice", option)
		}
		*target = true
	}
	return f, false, nil
}
