package tsgen

import (
	"slices"
	"strings"

	"github.com/kanava-go/kanava/manifest"
)

// Times travel as strings. With Options.Dates clients get Date objects: a
// function for each type that has times in it turns them, and calls that bring
// such types go through it.

// findDates marks the types with times in them.
func (w *writer) findDates() {
	for again := w.o.Dates; again; {
		again = false
		for _, t := range w.list {
			if !t.dates && w.hasDates(t.schema) {
				t.dates, again = true, true
			}
		}
	}
}

func (w *writer) hasDates(s *manifest.Schema) bool {
	if s == nil {
		return false
	}
	if name := s.Refers(); name != "" {
		return w.byName[name].dates
	}
	if s.Format == "date-time" && s.Const == nil && s.Enum == nil {
		return true
	}
	for _, p := range s.Properties {
		if w.hasDates(p.Schema) {
			return true
		}
	}
	if slices.ContainsFunc(slices.Concat(s.OneOf, s.AnyOf), w.hasDates) {
		return true
	}
	return w.hasDates(s.Items) || w.hasDates(s.Additional)
}

// revive returns a function, as an expression, that turns the times in a value;
// "" if there are none to turn.
func (w *writer) revive(s *manifest.Schema) string {
	if s == nil || !w.o.Dates || !w.hasDates(s) {
		return ""
	}
	s, _ = s.NotNull()
	switch {
	case s.Refers() != "":
		return "revive" + w.byName[s.Refers()].name
	case s.Format == "date-time":
		return "toDate"
	case s.Items != nil:
		return "inEach(" + w.revive(s.Items) + ")"
	case s.Additional != nil:
		return "inValues(" + w.revive(s.Additional) + ")"
	case len(s.OneOf) > 0:
		return w.reviveVariants(s)
	}
	var members []string
	for _, p := range s.Properties {
		if f := w.revive(p.Schema); f != "" {
			members = append(members, entry(p.Name, f))
		}
	}
	return "inMembers(() => " + literalObject(members) + ")"
}

// reviveVariants is revive for a union: its variants are told apart by a member
// that is a constant in each.
func (w *writer) reviveVariants(s *manifest.Schema) string {
	property := ""
	var variants []string
	for _, one := range s.OneOf {
		object := one
		if name := one.Refers(); name != "" {
			object = w.byName[name].schema
		}
		for _, p := range object.Properties {
			tag, ok := manifest.Text(p.Schema.Const)
			if !ok || property != "" && p.Name != property {
				continue
			}
			property = p.Name
			if f := w.revive(one); f != "" {
				variants = append(variants, entry(tag, f))
			}
			break
		}
	}
	return "inVariants(" + quote(property) + ", () => " + literalObject(variants) + ")"
}

// literalObject returns an object of entries, one a line if they are many.
func literalObject(entries []string) string {
	one := "({ " + strings.Join(entries, ", ") + " })"
	if len(one) <= width-60 {
		return one
	}
	return "({\n  " + strings.Join(entries, ",\n  ") + ",\n})"
}

// revivers writes the functions of the types.
func (w *writer) revivers() {
	for _, t := range w.list {
		if f := w.revive(t.schema); f != "" && !t.opening {
			w.line("")
			if !strings.Contains(f, "() => ") {
				f = "(value) => " + f + "(value)" // what it names may come later in the file
			}
			if w.o.JS {
				w.linef("const revive%s = %s;", t.name, f)
			} else {
				w.linef("const revive%s: KanavaRevive = %s;", t.name, f)
			}
		}
	}
}
