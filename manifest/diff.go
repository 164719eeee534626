package manifest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Change is one difference between two manifests.
type Change struct {
	Where    string // "chat: action sendMessage: input /message"
	What     string // "is required now"
	Breaking bool   // whether clients of the older one may fail
}

// String returns the change as a line for people.
func (c Change) String() string {
	mark := "compatible: "
	if c.Breaking {
		mark = "BREAKING:   "
	}
	return mark + c.Where + " " + c.What
}

// Diff compares what goes over the wire. What clients send may be allowed more
// and must not be allowed less; with what they get it is the other way round,
// but for members that they do not know, which they ignore.
func Diff(older, newer *Manifest) []Change {
	d := &differ{older: older.Types, newer: newer.Types}
	for _, c := range older.Channels {
		d.where = c.Name
		if i := slices.IndexFunc(newer.Channels, func(x Channel) bool { return x.Name == c.Name }); i >= 0 {
			d.channel(c, newer.Channels[i])
		} else {
			d.breaking("is no longer there")
		}
	}
	for _, c := range newer.Channels {
		if !slices.ContainsFunc(older.Channels, func(x Channel) bool { return x.Name == c.Name }) {
			d.where = c.Name
			d.fine("is new")
		}
	}
	d.where = "HTTP"
	match(d, " ", older.HTTP, newer.HTTP, HTTPFunc.name, d.http)
	return d.changes
}

type differ struct {
	older, newer Types
	where        string
	changes      []Change
	seen         map[[3]string]bool // pairs of types that are being compared
}

func (d *differ) breaking(format string, args ...any) { d.add(true, format, args) }
func (d *differ) fine(format string, args ...any)     { d.add(false, format, args) }

func (d *differ) add(breaking bool, format string, args []any) {
	d.changes = append(d.changes, Change{d.where, fmt.Sprintf(format, args...), breaking})
}

// at runs compare with more behind where.
func (d *differ) at(more string, compare func()) {
	before := d.where
	d.where += more
	compare()
	d.where = before
}

func (d *differ) channel(a, b Channel) {
	if a.Route != b.Route {
		d.breaking("has the route %s, not %s", b.Route, a.Route)
	}
	if a.Binary != b.Binary {
		d.add(a.Binary, "OnBinary is %s", []any{map[bool]string{true: "new", false: "no longer there"}[b.Binary]})
	}
	if !slices.Equal(a.Keys, b.Keys) && len(a.Keys) > 0 {
		if len(b.Keys) < len(a.Keys) || !slices.Equal(a.Keys, b.Keys[:len(a.Keys)]) {
			d.breaking("routes by %s, not %s", strings.Join(b.Keys, ", "), strings.Join(a.Keys, ", "))
		}
	}
	d.opening(a.Opening, b.Opening)
	var outA, outB jsontext.Value
	if a.Connect != nil {
		outA = a.Connect.Out
	}
	if b.Connect != nil {
		outB = b.Connect.Out
	}
	d.at(": result of OnConnect", func() { d.value(outA, outB, false) })
	match(d, ": OnMessage", optional(a.Message), optional(b.Message), func(*Function) string { return "" }, d.function)
	match(d, ": action ", a.Actions, b.Actions, func(x Action) string { return x.By + " " + x.Name },
		func(x, y Action) { d.function(&x.Function, &y.Function) })
	match(d, ": topic ", a.Topics, b.Topics, func(x Topic) string { return x.Name }, func(x, y Topic) {
		if x.Class != y.Class {
			d.breaking("is %s, not %s", y.Class, x.Class)
		}
		switch {
		case x.Subscribable && !y.Subscribable:
			d.breaking("is no longer for clients to subscribe to")
		case !x.Subscribable && y.Subscribable:
			d.fine("is for clients to subscribe to now")
		}
		d.value(x.Event, y.Event, false)
	})
	match(d, ": push ", a.Pushes, b.Pushes, func(x Push) string { return x.Name }, func(x, y Push) { d.value(x.Value, y.Value, false) })
	match(d, ": client function ", a.ClientFuncs, b.ClientFuncs, func(x ClientFunc) string { return x.Name }, func(x, y ClientFunc) {
		d.at(": input", func() { d.value(x.In, y.In, false) })
		d.at(": output", func() { d.value(x.Out, y.Out, true) })
	})
	match(d, ": presence ", a.Presences, b.Presences, func(x Presence) string { return x.Name }, func(x, y Presence) { d.value(x.Member, y.Member, false) })
}

// http compares functions over HTTP. A member whose place is no parameter's is
// one of the body.
func (d *differ) http(a, b HTTPFunc) {
	d.params(a.Params, b.Params)
	d.toBody(a.Params, b, d.newer)
	d.toBody(b.Params, a, d.older)
	d.function(&a.Function, &b.Function)
}

// toBody finds parameters that are members of the body in the other version.
func (d *differ) toBody(params []Param, other HTTPFunc, types Types) {
	in, err := ParseSchema(other.In)
	if err != nil {
		return
	}
	if in = resolve(types, in); in == nil {
		return
	}
	for _, p := range params {
		named := func(x Param) bool { return x.Name == p.Name }
		if !slices.ContainsFunc(other.Params, named) && slices.ContainsFunc(in.Properties, func(x Property) bool { return x.Name == p.Name }) {
			d.at(" /"+p.Name, func() { d.breaking("travels elsewhere") })
		}
	}
}

// params compares where members travel that both have.
func (d *differ) params(a, b []Param) {
	for _, p := range a {
		if i := slices.IndexFunc(b, func(x Param) bool { return x.Name == p.Name }); i >= 0 && b[i] != p {
			d.at(" /"+p.Name, func() { d.breaking("travels elsewhere") })
		}
	}
}

func optional(f *Function) []*Function {
	if f == nil {
		return nil
	}
	return []*Function{f}
}

// match compares the parts of two lists that have one name.
func match[T any](d *differ, what string, a, b []T, name func(T) string, compare func(x, y T)) {
	for _, x := range a {
		d.at(what+name(x), func() {
			if i := slices.IndexFunc(b, func(y T) bool { return name(y) == name(x) }); i >= 0 {
				compare(x, b[i])
			} else {
				d.breaking("is no longer there")
			}
		})
	}
	for _, y := range b {
		if !slices.ContainsFunc(a, func(x T) bool { return name(y) == name(x) }) {
			d.at(what+name(y), func() { d.fine("is new") })
		}
	}
}

func (d *differ) function(a, b *Function) {
	if a.Stream != b.Stream {
		d.breaking("is a stream in one and not in the other")
	}
	d.at(": input", func() { d.value(a.In, b.In, true) })
	d.at(": output", func() { d.value(a.Out, b.Out, false) })
}

func (d *differ) opening(a, b *Opening) {
	d.at(": opening data", func() {
		if a == nil {
			a = &Opening{Type: jsontext.Value(`{"type":"object"}`)}
		}
		if b == nil {
			b = &Opening{Type: jsontext.Value(`{"type":"object"}`)}
		}
		d.params(a.Params, b.Params)
		d.value(a.Type, b.Type, true)
	})
}

// value compares two schemas, nil for no value. sent says that clients send it.
func (d *differ) value(a, b jsontext.Value, sent bool) {
	switch {
	case a == nil && b == nil:
	case a == nil && sent:
		d.breaking("is there now")
	case a == nil:
		d.fine("is there now")
	case b == nil:
		d.breaking("is no longer there")
	default:
		x, errX := ParseSchema(a)
		y, errY := ParseSchema(b)
		if errX != nil || errY != nil {
			d.breaking("has a schema that cannot be read")
			return
		}
		d.schema(x, y, sent)
	}
}

func (d *differ) schema(a, b *Schema, sent bool) {
	ra, rb := a.Refers(), b.Refers()
	if ra != "" || rb != "" {
		key := [3]string{ra, rb, fmt.Sprint(sent)}
		if d.seen[key] {
			return
		}
		if d.seen == nil {
			d.seen = map[[3]string]bool{}
		}
		d.seen[key] = true
		defer delete(d.seen, key)
		a, b = resolve(d.older, a), resolve(d.newer, b)
		if a == nil || b == nil {
			return // types that are each other: there is no value of them
		}
	}
	a, nullA := a.NotNull()
	b, nullB := b.NotNull()
	if nullA != nullB {
		d.add(nullA == sent, "%s", []any{map[bool]string{true: "may be null now", false: "is never null now"}[nullB]})
	}
	if a.Ref != "" || b.Ref != "" {
		d.schema(a, b, sent)
		return
	}
	switch {
	case a.IsAny() && b.IsAny():
		return
	case a.IsAny():
		d.add(sent, "is no longer any JSON", nil)
		return
	case b.IsAny():
		d.add(!sent, "is any JSON now", nil)
		return
	}
	if !slices.Equal(a.Type, b.Type) {
		d.breaking("is %s, not %s", kind(b), kind(a))
		return
	}
	if a.Format != b.Format || a.Encoding != b.Encoding {
		d.add(true, "is %s, not %s", []any{kind(b), kind(a)})
	}
	d.values(a, b, sent)
	d.variants(a, b, sent)
	d.bounds(a, b, sent)
	d.members(a, b, sent)
	d.parts(a, b, sent)
}

func resolve(types Types, s *Schema) *Schema {
	for range len(types) + 1 {
		if s == nil || s.Ref == "" {
			return s
		}
		next, err := ParseSchema(types[s.Refers()])
		if err != nil {
			return nil
		}
		s = next
	}
	return nil
}

func kind(s *Schema) string {
	text := strings.Join(s.Type, " or ")
	if text == "" {
		text = "one of several"
	}
	if more := s.Format + s.Encoding; more != "" {
		text += " (" + more + ")"
	}
	return text
}

// values compares enums and constants.
func (d *differ) values(a, b *Schema, sent bool) {
	list := func(s *Schema) []string {
		var texts []string
		for _, v := range s.Enum {
			texts = append(texts, string(v))
		}
		if s.Const != nil {
			texts = append(texts, string(s.Const))
		}
		return texts
	}
	from, to := list(a), list(b)
	switch {
	case from == nil && to == nil:
	case from == nil:
		d.add(sent, "allows only some values now", nil)
	case to == nil:
		d.add(!sent, "allows every value now", nil)
	default:
		for _, v := range from {
			if !slices.Contains(to, v) {
				d.add(sent, "is never %s now", []any{v})
			}
		}
		for _, v := range to {
			if !slices.Contains(from, v) {
				d.add(!sent, "may be %s now", []any{v})
			}
		}
	}
}

// variants compares unions by the names of their types.
func (d *differ) variants(a, b *Schema, sent bool) {
	if a.OneOf == nil && b.OneOf == nil {
		return
	}
	for _, x := range a.OneOf {
		if i := slices.IndexFunc(b.OneOf, func(y *Schema) bool { return d.tag(d.newer, y) == d.tag(d.older, x) }); i >= 0 {
			d.at(" ("+d.tag(d.older, x)+")", func() { d.schema(x, b.OneOf[i], sent) })
		} else {
			d.add(sent, "is never %s now", []any{d.tag(d.older, x)})
		}
	}
	for _, y := range b.OneOf {
		if !slices.ContainsFunc(a.OneOf, func(x *Schema) bool { return d.tag(d.newer, y) == d.tag(d.older, x) }) {
			d.add(!sent, "may be %s now", []any{d.tag(d.newer, y)})
		}
	}
}

// tag returns what tells a variant from others: its constant members.
func (d *differ) tag(types Types, s *Schema) string {
	var tags []string
	if s = resolve(types, s); s == nil {
		return ""
	}
	for _, p := range s.Properties {
		if p.Schema.Const != nil {
			tags = append(tags, p.Name+" "+string(p.Schema.Const))
		}
	}
	return strings.Join(tags, ", ")
}

// bounds compares constraints, which matter where clients send.
func (d *differ) bounds(a, b *Schema, sent bool) {
	if !sent {
		return
	}
	for _, rule := range []struct {
		name     string
		from, to jsontext.Value
	}{
		{"minimum", a.Minimum, b.Minimum},
		{"maximum", a.Maximum, b.Maximum},
		{"exclusiveMinimum", a.ExclusiveMinimum, b.ExclusiveMinimum},
		{"exclusiveMaximum", a.ExclusiveMaximum, b.ExclusiveMaximum},
		{"multipleOf", a.MultipleOf, b.MultipleOf},
		{"minLength", a.MinLength, b.MinLength},
		{"maxLength", a.MaxLength, b.MaxLength},
		{"pattern", a.Pattern, b.Pattern},
		{"minItems", a.MinItems, b.MinItems},
		{"maxItems", a.MaxItems, b.MaxItems},
		{"uniqueItems", a.UniqueItems, b.UniqueItems},
		{"minProperties", a.MinProperties, b.MinProperties},
		{"maxProperties", a.MaxProperties, b.MaxProperties},
	} {
		name, from, to := rule.name, rule.from, rule.to
		if bytes.Equal(from, to) {
			continue
		}
		switch {
		case to == nil:
			d.fine("has no %s now", name)
		case weaker(name, from, to):
			d.fine("has %s %s, not %s", name, to, from)
		case from == nil:
			d.breaking("has %s %s", name, to)
		default:
			d.breaking("has %s %s, not %s", name, to, from)
		}
	}
}

// weaker reports whether a bound allows more than it did.
func weaker(name string, from, to jsontext.Value) bool {
	var x, y float64
	if json.Unmarshal(from, &x) != nil || json.Unmarshal(to, &y) != nil {
		return false
	}
	name = strings.ToLower(name)
	return strings.Contains(name, "max") && y >= x || strings.Contains(name, "min") && y <= x
}

func (d *differ) members(a, b *Schema, sent bool) {
	find := func(s *Schema, name string) *Property {
		if i := slices.IndexFunc(s.Properties, func(p Property) bool { return p.Name == name }); i >= 0 {
			return &s.Properties[i]
		}
		return nil
	}
	for _, x := range a.Properties {
		d.at(" /"+x.Name, func() {
			y := find(b, x.Name)
			switch {
			case y == nil:
				d.breaking("is no longer there")
				return
			case x.Optional && !y.Optional:
				d.add(sent, "is always there now", nil)
			case !x.Optional && y.Optional:
				d.add(!sent, "may be absent now", nil)
			}
			d.schema(x.Schema, y.Schema, sent)
		})
	}
	for _, y := range b.Properties {
		if find(a, y.Name) == nil {
			d.at(" /"+y.Name, func() {
				if y.Optional || !sent {
					d.fine("is new")
				} else {
					d.breaking("is new and has to be there")
				}
			})
		}
	}
}

func (d *differ) parts(a, b *Schema, sent bool) {
	for _, p := range []struct {
		name string
		a, b *Schema
	}{{" []", a.Items, b.Items}, {" {}", a.Additional, b.Additional}, {" names", a.Names, b.Names}} {
		if p.a != nil && p.b != nil {
			d.at(p.name, func() { d.schema(p.a, p.b, sent) })
		}
	}
}
