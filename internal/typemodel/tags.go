package typemodel

import (
	"fmt"
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
	{[]string{"uniqueItems"}, hasUnique, "slices and arrays of strings, numbers and booleans", compileUnique},
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
// constraints. It returns the tags that this package knows.
func (b *builder) readTags(tag reflect.StructTag, n *node) (map[string]string, error) {
	keys, err := tagKeys(tag)
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, key := range keys {
		if advice, ok := unsupported[key]; ok {
			if advice != "" {
				advice = "; " + advice
			}
			return nil, fmt.Errorf("the tag %s is not supported%s", key, advice)
		}
		name := keyword(key)
		if name == "" {
			continue
		}
		if name != key {
			return nil, fmt.Errorf("the tag %s is written %s", key, name)
		}
		tags[key] = tag.Get(key)
	}
	if b.stored() { // the tags must be right, but what was stored comes back
		unchecked := *n
		n = &unchecked
	}
	for _, c := range constraints {
		i := slices.IndexFunc(c.tags, func(name string) bool { _, ok := tags[name]; return ok })
		if i < 0 {
			continue
		}
		if !c.applies(n) {
			return nil, fmt.Errorf("the tag %s applies to %s, not to %s", c.tags[i], c.to, typeName(n.typ))
		}
		if err := c.compile(n, tags); err != nil {
			return nil, err
		}
	}
	return tags, nil
}

// keyword returns how key is really written if it is one of ours in any case
// and with any separators, else "".
func keyword(key string) string {
	fold := func(s string) string {
		return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(s))
	}
	folded := fold(key)
	for _, name := range annotations {
		if fold(name) == folded {
			return name
		}
	}
	for _, c := range constraints {
		for _, name := range c.tags {
			if fold(name) == folded {
				return name
			}
		}
	}
	return ""
}

// firstKeyword returns a tag of tag that this package would have to obey.
func firstKeyword(tag reflect.StructTag) string {
	keys, _ := tagKeys(tag)
	for _, key := range keys {
		if _, ok := unsupported[key]; ok || keyword(key) != "" && key != "doc" {
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
