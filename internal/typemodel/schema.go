package typemodel

import (
	"cmp"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Schemas makes the JSON Schemas (draft 2020-12) of several models that share
// definitions: one for each struct, union and enum, by the name of its type. It
// is deterministic: the same models in the same order give the same text. It is
// not safe for concurrent use.
//
// A schema says what [Model.Decode] accepts, but for what JSON Schema cannot
// say: that integers are written without point and exponent, the range of
// numbers in strings and of floats, and what types that decode themselves, and
// Validate methods, demand. Opening data has the names that clients know: a
// field without a JSON name has that of its path, query or header tag. Every integer has the bounds of its type and its
// format, such as int64.
type Schemas struct {
	prefix string
	rename map[string]string // names of the caller's, by what they would be
	taken  map[string]bool
	byType map[reflect.Type][]*definition
	all    []*definition
}

// Definition is the schema of a type that others refer to.
type Definition struct {
	Name   string
	Schema jsontext.Value
	Type   reflect.Type // a struct, or the interface of a union
	Use    Use          // the first one; others that agree with it share the definition
	Fields []DefinitionField
}

// DefinitionField says which Go field a member of a struct comes from.
type DefinitionField struct {
	Name  string       // of the member
	Owner reflect.Type // the struct that has the field: another than Definition.Type where it is embedded
	Go    string       // name of the field
}

// definition is a Definition that may still be in the making: types contain
// themselves.
type definition struct {
	Definition
	node *node
}

// NewSchemas returns a collection whose definitions will be found behind prefix,
// such as "#/$defs/".
func NewSchemas(prefix string) *Schemas {
	return &Schemas{prefix: prefix, taken: map[string]bool{}, byType: map[reflect.Type][]*definition{}}
}

// Renamed returns an empty collection like s, which gives the definitions that
// s named by a key of names the name that stands there. It is for who names
// definitions once all are known: the same models in the same order then have
// the same definitions.
func (s *Schemas) Renamed(names map[string]string) *Schemas {
	next := NewSchemas(s.prefix)
	next.rename = names
	return next
}

// Of returns the schema of m. It refers to definitions, which s has from then
// on.
func (s *Schemas) Of(m *Model) jsontext.Value {
	return schemaText(s.node(m.root, m.use))
}

// Definitions returns the definitions ordered by name.
func (s *Schemas) Definitions() []Definition {
	list := make([]Definition, len(s.all))
	for i, d := range s.all {
		list[i] = d.Definition
	}
	slices.SortFunc(list, func(a, b Definition) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Schema returns the JSON Schema of the type as a document of its own. See
// [Schemas] for what it says.
func (m *Model) Schema() jsontext.Value {
	s := NewSchemas("#/$defs/")
	doc := append([]schemaKeyword{{"$schema", `"https://json-schema.org/draft/2020-12/schema"`}}, s.node(m.root, m.use)...)
	var defs []schemaKeyword
	for _, d := range s.Definitions() {
		defs = append(defs, schemaKeyword{d.Name, string(d.Schema)})
	}
	if defs != nil {
		doc = append(doc, schemaKeyword{"$defs", string(schemaText(defs))})
	}
	return schemaText(doc)
}

// Given returns the model of what clients give. Its JSON has the fields by their
// JSON names, whatever path, query or header they come from.
func (p *OpeningPlan) Given() *Model { return p.model }

// schemaText returns the schema with these keywords; without any it allows
// everything.
func schemaText(keywords []schemaKeyword) jsontext.Value {
	if len(keywords) == 0 {
		return jsontext.Value("true")
	}
	b := []byte{'{'}
	for i, k := range keywords {
		if i > 0 {
			b = append(b, ',')
		}
		b, _ = jsontext.AppendQuote(b, k.name)
		b = append(append(b, ':'), k.value...)
	}
	return append(b, '}')
}

// node returns the schema of n.
func (s *Schemas) node(n *node, use Use) []schemaKeyword {
	keywords := s.present(n, use)
	// Opening data comes from a request, which has no null.
	if len(keywords) == 0 || !n.nullable || use == Opening {
		return keywords
	}
	listed := slices.ContainsFunc(keywords, func(k schemaKeyword) bool { return k.name == "enum" || k.name == "const" })
	if keywords[0].name == "type" && !listed {
		keywords[0].value = "[" + keywords[0].value + `,"null"]`
		return keywords
	}
	return []schemaKeyword{{"anyOf", "[" + string(schemaText(keywords)) + `,{"type":"null"}]`}}
}

// present is node without null. What it returns is the caller's.
func (s *Schemas) present(n *node, use Use) []schemaKeyword {
	if n.enum != nil && !n.quoted {
		return append(s.ref(n.bareEnum(), use), n.keywords...)
	}
	switch n.shape {
	case shapeStruct, shapeUnion:
		return s.ref(n, use)
	case shapeMap:
		out := []schemaKeyword{{"type", `"object"`}}
		if names := s.names(n.key, use); names != nil {
			out = append(out, schemaKeyword{"propertyNames", string(schemaText(names))})
		}
		return append(append(out, schemaKeyword{"additionalProperties", string(schemaText(s.node(n.elem, use)))}), n.keywords...)
	case shapeArray:
		return s.array(n, use)
	}
	return n.scalarSchema()
}

// names returns the schema of the names of a map; nil allows all.
func (s *Schemas) names(key *node, use Use) []schemaKeyword {
	if key.enum != nil && !key.quoted {
		return s.present(key, use)
	}
	return keySchema(key)
}

// ref returns the schema that refers to the definition of n.
func (s *Schemas) ref(n *node, use Use) []schemaKeyword {
	return []schemaKeyword{{"$ref", quoteJSON(s.prefix + url.PathEscape(s.define(n, use).Name))}}
}

func (s *Schemas) array(n *node, use Use) []schemaKeyword {
	out := []schemaKeyword{{"type", `"array"`}, {"items", string(schemaText(s.node(n.elem, use)))}}
	if n.length < 0 {
		return append(out, n.keywords...)
	}
	length := strconv.Itoa(n.length)
	out = append(out, schemaKeyword{"minItems", length}, schemaKeyword{"maxItems", length})
	for _, k := range n.keywords {
		if k.name == "uniqueItems" {
			out = append(out, k)
		}
	}
	return out
}

// define returns the definition of a struct, union or enum. Uses that make no
// difference to it share one.
func (s *Schemas) define(n *node, use Use) *definition {
	for _, d := range s.byType[n.typ] {
		nulls := n.enum == nil && (use == Opening) != (d.Use == Opening)
		if d.Use == use || sameDefinition(d.node, n) && !nulls {
			return d
		}
	}
	d := &definition{Definition{Name: s.free(definitionName(n.typ)), Type: n.typ, Use: use}, n}
	s.byType[n.typ] = append(s.byType[n.typ], d)
	s.all = append(s.all, d)
	if n.enum != nil {
		d.Schema = schemaText(n.scalarSchema())
		return d
	}
	if n.shape == shapeUnion {
		var of []string
		for _, o := range n.variants {
			of = append(of, string(schemaText(s.node(&node{shape: shapeStruct, typ: o.typ, object: o}, use))))
		}
		d.Schema = schemaText([]schemaKeyword{{"oneOf", "[" + strings.Join(of, ",") + "]"}})
		return d
	}
	d.Schema, d.Fields = s.object(n.object, use), n.object.goFields(use)
	return d
}

// goFields says which Go fields the members come from.
func (o *object) goFields(use Use) []DefinitionField {
	var list []DefinitionField
	for i := range o.fields {
		f := &o.fields[i]
		if f.index == nil {
			continue // a discriminator
		}
		owner := o.typ
		for _, at := range f.index[:len(f.index)-1] {
			if owner = owner.Field(at).Type; owner.Kind() == reflect.Pointer {
				owner = owner.Elem()
			}
		}
		name := o.nameFor(f, use)
		list = append(list, DefinitionField{name, owner, f.goName})
	}
	return list
}

func (s *Schemas) object(o *object, use Use) jsontext.Value {
	var properties []schemaKeyword
	var required []string
	for i := range o.fields {
		f := &o.fields[i]
		name := o.nameFor(f, use)
		properties = append(properties, schemaKeyword{name, string(s.field(f, use))})
		if f.required {
			required = append(required, quoteJSON(name))
		}
	}
	out := []schemaKeyword{{"type", `"object"`}}
	if properties != nil {
		out = append(out, schemaKeyword{"properties", string(schemaText(properties))})
	}
	if required != nil {
		out = append(out, schemaKeyword{"required", "[" + strings.Join(required, ",") + "]"})
	}
	return schemaText(append(out, schemaKeyword{"additionalProperties", "false"}))
}

// field returns the schema of a member: its node's and what describes it.
func (s *Schemas) field(f *field, use Use) jsontext.Value {
	out := s.node(f.node, use)
	if f.doc != "" {
		out = append(out, schemaKeyword{"description", quoteJSON(f.doc)})
	}
	if f.deprecated {
		out = append(out, schemaKeyword{"deprecated", "true"})
	}
	if f.hasDefault {
		out = append(out, schemaKeyword{"default", string(f.defaultJSON)})
	}
	if f.hasExample {
		if raw, message := f.node.tagJSON(f.example); message == "" {
			out = append(out, schemaKeyword{"examples", "[" + string(raw) + "]"})
		}
	}
	return schemaText(out)
}

// free returns name, or with a number if another type has it.
func (s *Schemas) free(name string) string {
	found := name
	for i := 2; s.taken[found]; i++ {
		found = name + strconv.Itoa(i)
	}
	s.taken[found] = true
	if name, ok := s.rename[found]; ok {
		return name
	}
	return found
}

var (
	localSuffix = regexp.MustCompile(`·\d+`)
	qualifier   = regexp.MustCompile(`\w+\.`)
	notInName   = regexp.MustCompile(`\W+`)
)

// definitionName returns the name of t without packages, as an identifier that
// URIs need not escape: Page[shop.Item] is Page_Item.
func definitionName(t reflect.Type) string {
	if t.Name() == "" {
		return "Object"
	}
	name := qualifier.ReplaceAllString(localSuffix.ReplaceAllString(rootName(t), ""), "")
	if name = strings.Trim(notInName.ReplaceAllString(name, "_"), "_"); name == "" {
		return "Object"
	}
	return name
}
