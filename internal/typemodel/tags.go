package typemodel

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// constraint is one idea of JSON Schema: the tags that express it and what
// compiles them into checks.
type constraint struct {
	tags    []string
	applies func(*node) bool
	to      string // what it applies to, for errors
	compile func(n *node, tags map[string]string) error
}

// constraints are all that is supported. A new one is a file of its own and a
// line here.
var constraints = []constraint{
	{[]string{"enum"}, hasEnum, "strings and numbers", compileEnum}, // enum and const first: see narrow
	{[]string{"const"}, hasConst, "strings, numbers and booleans", compileConst},
	{[]string{"minLength", "maxLength"}, hasText, "strings", compileLength},
	{[]string{"pattern"}, hasText, "strings", compilePattern},
	{[]string{"minimum", "maximum"}, hasRange, "numbers", compileRange},
	{[]string{"exclusiveMinimum", "exclusiveMaximum"}, hasRange, "numbers", compileExclusive},
	{[]string{"multipleOf"}, hasRange, "numbers", compileMultiple},
	{[]string{"format"}, hasText, "strings", compileFormat},
	{[]string{"minItems", "maxItems"}, hasItems, "slices and arrays", compileItems},
	{[]string{"uniqueItems"}, hasItems, "slices and arrays", compileUnique},
	{[]string{"minProperties", "maxProperties"}, hasProperties, "maps", compileProperties},
}

// annotations are tags that say something else about a field.
var annotations = []string{"doc", "required", "default", "deprecated", "example"}

// unsupported are keywords of JSON Schema, and of libraries like it, that are
// refused rather than silently ignored. The text is advice.
var unsupported = map[string]string{
	"readOnly": "", "writeOnly": "", "examples": "use example",
	"title": "use doc", "description": "use doc", "nullable": "use a pointer",
	"contains": "", "minContains": "", "maxContains": "", "propertyNames": "", "patternProperties": "",
	"additionalProperties": "", "dependentRequired": "",
	"contentEncoding": "", "contentMediaType": "", "oneOf": "", "anyOf": "", "allOf": "",
}

// readTags checks the tags of a field whose node is n and compiles the
// constraints. It returns the tags of the field itself that this package knows.
func (b *builder) readTags(tag reflect.StructTag, n *node) (map[string]string, error) {
	keys, err := tagKeys(tag)
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, key := range keys {
		part, last := "", key
		if i := strings.LastIndexByte(key, '.'); i >= 0 {
			part, last = key[:i+1], key[i+1:]
		}
		if advice, ok := unsupported[last]; ok {
			if advice != "" {
				advice = "; " + advice
			}
			return nil, fmt.Errorf("the tag %s is not supported%s", key, advice)
		}
		name := keyword(last)
		switch {
		case name == "":
			if meant := misspelt(last); meant != "" {
				return nil, fmt.Errorf("the tag %s is unknown; did you mean %s?", key, part+meant)
			}
			continue
		case name != last:
			return nil, fmt.Errorf("the tag %s is written %s", key, part+name)
		case part != "" && slices.Contains(annotations, name):
			return nil, fmt.Errorf("the tag %s is for the field itself, as %s", key, name)
		}
		tags[key] = tag.Get(key)
	}
	return tags, b.constrain(n, tags, "")
}

// constrain compiles the constraints of n and of what it holds; their tags
// begin with part.
func (b *builder) constrain(n *node, tags map[string]string, part string) error {
	own, inner := map[string]string{}, map[string]map[string]string{}
	for key, value := range tags {
		before, after, ok := strings.Cut(key, ".")
		if !ok {
			own[key] = value
			continue
		}
		if inner[before] == nil {
			inner[before] = map[string]string{}
		}
		inner[before][after] = value
	}
	for _, step := range slices.Sorted(maps.Keys(inner)) {
		held := n.held(step)
		if held == nil {
			return fmt.Errorf("the tag %s.%s does not apply to %s; slices and arrays have items, maps have keys and values",
				part+step, slices.Min(slices.Collect(maps.Keys(inner[step]))), typeName(n.typ))
		}
		if err := b.constrain(held, inner[step], part+step+"."); err != nil {
			return err
		}
	}
	if b.stored() { // the tags must be right, but what was stored comes back
		unchecked := *n
		n = &unchecked
	}
	for _, c := range constraints {
		i := slices.IndexFunc(c.tags, func(name string) bool { _, ok := own[name]; return ok })
		if i < 0 {
			continue
		}
		if !c.applies(n) {
			return fmt.Errorf("the tag %s applies to %s, not to %s", part+c.tags[i], c.to, typeName(n.typ))
		}
		if err := c.compile(n, own); err != nil {
			if part != "" {
				return fmt.Errorf("%s: %w", strings.TrimSuffix(part, "."), err)
			}
			return err
		}
	}
	return nil
}

// held returns the node of the items of a slice or array, or of the keys or
// values of a map; nil if n has none.
func (n *node) held(step string) *node {
	switch {
	case step == "items" && n.shape == shapeArray, step == "values" && n.shape == shapeMap:
		return n.elem
	case step == "keys" && n.shape == shapeMap:
		return n.key
	}
	return nil
}

// keyword returns how key is really written if it is one of ours in any case
// and with any separators, else "".
func keyword(key string) string {
	fold := func(s string) string {
		return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(s))
	}
	folded := fold(key)
	for _, name := range keywords() {
		if fold(name) == folded {
			return name
		}
	}
	return ""
}

// misspelt returns the keyword that key is nearly, or "". Short ones are left
// out: other packages have tags that are as near.
func misspelt(key string) string {
	const shortest = 7
	for _, name := range keywords() {
		if len(name) >= shortest && distance(strings.ToLower(key), strings.ToLower(name)) <= len(name)/4 {
			return name
		}
	}
	return ""
}

// keywords returns all tags of this package.
func keywords() []string {
	names := slices.Clone(annotations)
	for _, c := range constraints {
		names = append(names, c.tags...)
	}
	return names
}

// firstKeyword returns a tag of tag that this package would have to obey.
func firstKeyword(tag reflect.StructTag) string {
	keys, _ := tagKeys(tag)
	for _, key := range keys {
		last := key[strings.LastIndexByte(key, '.')+1:]
		if _, ok := unsupported[last]; ok || keyword(last) != "" && key != "doc" {
			return key
		}
	}
	return ""
}

// tagKeys returns the keys of a struct tag in order. Unlike the reflect package
// it does not pass over what is malformed.
func tagKeys(tag reflect.StructTag) ([]string, error) {
	var keys []string
	rest := strings.TrimLeft(string(tag), " ")
	for rest != "" {
		key, value, ok := strings.Cut(rest, ":")
		quoted, err := strconv.QuotedPrefix(value)
		if !ok || err != nil || key == "" || quoted[0] != '"' || strings.ContainsAny(key, " \"`") {
			return nil, fmt.Errorf("the struct tag `%s` is malformed", tag)
		}
		if slices.Contains(keys, key) {
			return nil, fmt.Errorf("the tag %s stands twice", key)
		}
		keys = append(keys, key)
		rest = strings.TrimLeft(value[len(quoted):], " ")
	}
	return keys, nil
}

// bound parses the tag name as a length or count. Without the tag it returns
// otherwise.
func bound(tags map[string]string, name string, otherwise int) (int, error) {
	text, ok := tags[name]
	if !ok {
		return otherwise, nil
	}
	v, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%s:%q is no number from 0 on", name, text)
	}
	return int(v), nil
}

// plural returns "1 thing" or "n things".
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}
