package gogen

import (
	"fmt"
	"go/token"
	"slices"
	"strconv"
	"strings"

	"github.com/kanava-go/kanava/manifest"
)

// named writes a type.
func (w *writer) named(t *namedType) error {
	w.doc("", t.schema.Doc, t.schema.Deprecated)
	switch {
	case t.isUnion():
		var names []string
		for _, v := range t.variants {
			names = append(names, v.typ.name)
		}
		if t.schema.Doc != "" {
			w.linef("//")
		}
		w.linef("// %s is one of %s.", t.name, strings.Join(names, ", "))
		w.linef("type %s interface{ is%s() }\n", t.name, t.name)
	case isObject(t.schema):
		return w.object(t)
	case t.schema.Enum != nil && len(t.schema.Type) == 1 && (t.schema.Type[0] == "string" || t.schema.Type[0] == "integer"):
		w.enum(t)
	default:
		typ, _ := w.typ(t.schema)
		w.linef("type %s = %s\n", t.name, typ)
	}
	return nil
}

func (w *writer) object(t *namedType) error {
	w.linef("type %s struct {", t.name)
	taken := newNames("MarshalJSONTo")
	for _, p := range t.schema.Properties {
		if p.Name == t.tagged {
			continue // its methods write it
		}
		typ, quoted := w.typ(p.Schema)
		options := ""
		if p.Optional {
			options = ",omitzero"
		}
		if quoted {
			options += ",string"
		}
		tag, err := jsonTag(p.Name, options)
		if err != nil {
			return err
		}
		w.doc("\t", p.Schema.Doc, p.Schema.Deprecated)
		w.linef("\t%s %s %s", taken.take(fieldName(t.schema, p.Name)), typ, tag)
	}
	w.linef("}\n")
	for _, u := range t.unions {
		w.linef("func (%s) is%s() {}\n", t.name, u.name)
	}
	if t.tagged == "" {
		return nil
	}
	tag, err := jsonTag(t.tagged, "")
	if err != nil {
		return err
	}
	w.linef("// MarshalJSONTo adds the member that tells which variant it is.")
	w.linef("func (v %s) MarshalJSONTo(enc *jsontext.Encoder) error {", t.name)
	w.linef("\ttype members %s", t.name)
	w.linef("\treturn json.MarshalEncode(enc, struct {\n\t\tTag string %s\n\t\tmembers\n\t}{%q, members(v)})", tag, t.tag)
	w.linef("}\n")
	return nil
}

// fieldName returns the name of a field: that of the server's type if it is
// known.
func fieldName(s *manifest.Schema, member string) string {
	if s.Go != nil {
		name := s.Go.Fields[member]
		name = name[strings.LastIndexByte(name, '.')+1:]
		if token.IsIdentifier(name) && token.IsExported(name) {
			return name
		}
	}
	return exported(member)
}

func (w *writer) enum(t *namedType) {
	base := "string"
	if t.schema.Type[0] == "integer" {
		base = number(t.schema)
	}
	w.linef("type %s %s\n", t.name, base)
	w.linef("// What a %s can be.\nconst (", t.name)
	for _, v := range t.schema.Enum {
		if text, ok := manifest.Text(v); ok && base == "string" {
			w.linef("\t%s %s = %q", w.names.take(t.name+strings.TrimPrefix(exported(text), "X")), t.name, text)
		} else if n, err := strconv.ParseInt(string(v), 10, 64); err == nil && base != "string" {
			w.linef("\t%s %s = %d", w.names.take(t.name+strings.ReplaceAll(strconv.FormatInt(n, 10), "-", "Minus")), t.name, n)
		}
	}
	w.linef(")\n")
}

// typ returns a schema as a type, and whether its numbers travel as strings.
func (w *writer) typ(s *manifest.Schema) (typ string, quoted bool) {
	s, nullable := s.NotNull()
	typ, quoted = w.present(s)
	// What can be nil can be null.
	if name := s.Refers(); nullable && typ != "jsontext.Value" && (name == "" || !w.byName[name].isUnion()) {
		typ = "*" + typ
	}
	return typ, quoted
}

func (w *writer) present(s *manifest.Schema) (typ string, quoted bool) {
	const anyJSON = "jsontext.Value"
	if name := s.Refers(); name != "" {
		return w.byName[name].name, false
	}
	if len(s.Type) != 1 {
		return anyJSON, false
	}
	switch s.Type[0] {
	case "boolean":
		return "bool", false
	case "integer", "number":
		if s.Type[0] == "number" && s.Format == "" { // a json.Number, whose digits a float64 would lose
			return anyJSON, false
		}
		return number(s), false
	case "string":
		switch {
		case s.Format == "date-time":
			return "time.Time", false
		case s.Encoding == "base64":
			return "[]byte", false
		case number(s) != "float64" || s.Format == "double":
			return number(s), true
		}
		return "string", false
	case "array":
		return w.array(s), false
	case "object":
		if s.Additional != nil {
			return w.dictionary(s), false
		}
	}
	return anyJSON, false
}

func (w *writer) array(s *manifest.Schema) string {
	item := "jsontext.Value"
	if s.Items != nil {
		item = w.inside(s.Items)
	}
	if n, fixed := s.Length(); fixed && n > 0 && n < 1000 {
		return fmt.Sprintf("[%d]%s", n, item)
	}
	return "[]" + item
}

func (w *writer) dictionary(s *manifest.Schema) string {
	key := "string"
	if s.Names != nil && s.Names.Refers() != "" {
		if t := w.byName[s.Names.Refers()]; slices.Equal(t.schema.Type, []string{"string"}) && t.schema.Enum != nil {
			key = t.name
		}
	}
	return "map[" + key + "]" + w.inside(s.Additional)
}

// inside returns the type of what a list or map holds, where no tag can say that
// numbers are strings.
func (w *writer) inside(s *manifest.Schema) string {
	typ, quoted := w.typ(s)
	if quoted {
		return "string"
	}
	return typ
}

// number returns the type of a number, float64 if the format says nothing.
func number(s *manifest.Schema) string {
	switch s.Format {
	case "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64":
		return s.Format
	case "float":
		return "float32"
	}
	if slices.Equal(s.Type, []string{"integer"}) {
		return "int64"
	}
	return "float64"
}

// unions writes how values of unions are decoded.
func (w *writer) unions() {
	var funcs []string
	for _, t := range w.list {
		if !t.isUnion() {
			continue
		}
		tag, err := jsonTag(t.property, "")
		if err != nil {
			continue // its variants have been refused
		}
		funcs = append(funcs, "json.UnmarshalFromFunc(decode"+t.name+")")
		w.linef("func decode%s(dec *jsontext.Decoder, v *%s) error {", t.name, t.name)
		w.linef("\traw, err := dec.ReadValue()\n\tif err != nil {\n\t\treturn err\n\t}")
		w.linef("\t*v = nil\n\tif raw.Kind() == 'n' {\n\t\treturn nil\n\t}")
		w.linef("\tvar which struct {\n\t\tTag string %s\n\t}", tag)
		w.linef("\tif err := json.Unmarshal(raw, &which); err != nil {\n\t\treturn err\n\t}\n\tswitch which.Tag {")
		for _, v := range t.variants {
			w.linef("\tcase %q:\n\t\tvar x %s\n\t\terr = json.Unmarshal(raw, &x, dec.Options())\n\t\t*v = x", v.tag, v.typ.name)
		}
		w.linef("\tdefault:\n\t\terr = fmt.Errorf(\"%s is %%q, which this client does not know\", which.Tag)\n\t}\n\treturn err\n}\n", t.name)
	}
	if funcs != nil {
		w.linef("// unions says how values are decoded that are one of several types.")
		w.linef("var unions = json.WithUnmarshalers(json.JoinUnmarshalers(%s))", strings.Join(funcs, ", "))
	}
}

// hasUnions reports whether values need help to be decoded.
func (w *writer) hasUnions() bool { return slices.ContainsFunc(w.list, (*namedType).isUnion) }
