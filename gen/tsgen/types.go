package tsgen

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava/manifest"
)

// namedType is a type of the manifest.
type namedType struct {
	name   string // in TypeScript
	schema *manifest.Schema
	dates  bool // whether it has times in it
	// opening says that it is opening data: what clients give, and never get.
	opening bool
}

// collect names the types.
func (w *writer) collect(names *names) error {
	for _, name := range slices.Sorted(maps.Keys(w.m.Types)) {
		s, err := manifest.ParseSchema(w.m.Types[name])
		if err != nil {
			return fmt.Errorf("type %q: %w", name, err)
		}
		t := &namedType{name: names.take(pascal(name)), schema: s}
		w.byName[name] = t
		w.list = append(w.list, t)
	}
	return nil
}

func (w *writer) types() {
	for _, t := range w.list {
		w.line("")
		w.doc("", t.schema.Doc, t.schema.Deprecated)
		w.named(t.name, t.schema)
	}
}

func (w *writer) named(name string, s *manifest.Schema) {
	if _, nullable := s.NotNull(); !nullable && isObject(s) && len(s.Properties) > 0 {
		w.linef("export interface %s {", name)
		for _, p := range s.Properties {
			w.doc("  ", p.Schema.Doc, p.Schema.Deprecated)
			mark := ""
			if p.Optional {
				mark = "?"
			}
			w.linef("  %s%s: %s;", member(p.Name), mark, w.typeText(p.Schema, "  "))
		}
		w.line("}")
		return
	}
	w.linef("export type %s =%s;", name, w.alternatives(s))
}

// alternatives returns a type behind "=": on a line of its own each if they are
// too many for one.
func (w *writer) alternatives(s *manifest.Schema) string {
	text := " " + w.typeText(s, "")
	if len(text) < width-40 {
		return text
	}
	var b strings.Builder
	for _, part := range w.union(s) {
		b.WriteString("\n  | " + part)
	}
	if b.Len() == 0 {
		return text
	}
	return b.String()
}

func isObject(s *manifest.Schema) bool {
	return s.Ref == "" && slices.Equal(s.Type, []string{"object"}) && s.Additional == nil && s.Const == nil && s.Enum == nil
}

// typeText returns a schema as a type. indent is that of the line where it
// stands.
func (w *writer) typeText(s *manifest.Schema, indent string) string {
	if rest, nullable := s.NotNull(); nullable {
		return w.typeText(rest, indent) + " | null"
	}
	if parts := w.union(s); parts != nil {
		return strings.Join(parts, " | ")
	}
	if name := s.Refers(); name != "" {
		return w.byName[name].name // the manifest was checked
	}
	if s.Never {
		return "never"
	}
	if len(s.Type) == 0 {
		return "unknown"
	}
	var all []string
	for _, t := range s.Type {
		all = append(all, w.oneType(t, s, indent))
	}
	return strings.Join(all, " | ")
}

// union returns the parts of what is one of several, nil for anything else.
func (w *writer) union(s *manifest.Schema) []string {
	var parts []string
	if s.Const != nil {
		return append(parts, literal(s.Const))
	}
	for _, v := range s.Enum {
		parts = append(parts, literal(v))
	}
	if parts == nil {
		for _, one := range append(slices.Clone(s.OneOf), s.AnyOf...) {
			parts = append(parts, w.typeText(one, ""))
		}
	}
	return parts
}

// literal returns a JSON value as a type.
func literal(v jsontext.Value) string {
	if text, ok := manifest.Text(v); ok {
		return quote(text)
	}
	switch v.Kind() {
	case '0', 't', 'f', 'n':
		return string(v) // a number, true, false or null: JSON is what the language has
	}
	return "unknown"
}

func (w *writer) oneType(t string, s *manifest.Schema, indent string) string {
	switch t {
	case "string":
		if w.o.Dates && s.Format == "date-time" {
			return "Date"
		}
		return "string"
	case "integer", "number":
		return "number"
	case "boolean":
		return "boolean"
	case "null":
		return "null"
	case "array":
		return w.array(s, indent)
	case "object":
		if s.Additional != nil {
			return w.record(s, indent)
		}
		return w.inline(s, indent)
	}
	return "unknown"
}

func (w *writer) array(s *manifest.Schema, indent string) string {
	item := "unknown"
	if s.Items != nil {
		item = w.typeText(s.Items, indent)
	}
	const longest = 8
	if n, fixed := s.Length(); fixed && n > 0 && n <= longest {
		return "[" + strings.TrimSuffix(strings.Repeat(item+", ", n), ", ") + "]"
	}
	if isUnion(item) {
		item = "(" + item + ")"
	}
	return item + "[]"
}

// isUnion reports whether a type has alternatives at its top.
func isUnion(text string) bool {
	depth, quoted := 0, false
	for i, r := range text {
		switch {
		case r == '\'' && (i == 0 || text[i-1] != '\\'):
			quoted = !quoted
		case quoted:
		case strings.ContainsRune("<{[(", r):
			depth++
		case strings.ContainsRune(">}])", r):
			depth--
		case r == '|' && depth == 0:
			return true
		}
	}
	return false
}

func (w *writer) record(s *manifest.Schema, indent string) string {
	value := w.typeText(s.Additional, indent)
	if s.Names != nil {
		if keys := w.typeText(s.Names, indent); keys != "unknown" && keys != "string" && keys != "Date" {
			return "Partial<Record<" + keys + ", " + value + ">>"
		}
	}
	return "Record<string, " + value + ">"
}

func (w *writer) inline(s *manifest.Schema, indent string) string {
	if len(s.Properties) == 0 {
		return "Record<string, never>"
	}
	var b strings.Builder
	b.WriteString("{\n")
	for _, p := range s.Properties {
		mark := ""
		if p.Optional {
			mark = "?"
		}
		fmt.Fprintf(&b, "%s  %s%s: %s;\n", indent, member(p.Name), mark, w.typeText(p.Schema, indent+"  "))
	}
	b.WriteString(indent + "}")
	return b.String()
}
