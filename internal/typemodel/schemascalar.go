package typemodel

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// How numbers in strings are written.
const (
	intPattern   = `"^-?(?:0|[1-9][0-9]*)$"`
	uintPattern  = `"^(?:0|[1-9][0-9]*)$"`
	floatPattern = `"^-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"`
)

// scalarSchema returns the schema of what has no parts; nil allows everything.
func (n *node) scalarSchema() []schemaKeyword {
	text := []schemaKeyword{{"type", `"string"`}}
	switch n.shape {
	case shapeString, shapeText:
		return append(text, n.keywords...)
	case shapeTime:
		return append(text, schemaKeyword{"format", `"date-time"`})
	case shapeURL:
		if !n.says("format") {
			text = append(text, schemaKeyword{"format", `"uri-reference"`})
		}
		return append(text, n.keywords...)
	case shapeBytes:
		return append(text, base64Schema(n.length)...)
	case shapeTag:
		return append(text, schemaKeyword{"const", quoteJSON(n.tag)})
	case shapeBool:
		return append([]schemaKeyword{{"type", `"boolean"`}}, n.keywords...)
	case shapeNumber:
		return append([]schemaKeyword{{"type", `"number"`}}, n.keywords...)
	case shapeInt, shapeUint, shapeFloat:
		if n.quoted {
			return append(text, n.quotedSchema()...)
		}
		return n.numberSchema()
	}
	return nil
}

func (n *node) numberSchema() []schemaKeyword {
	out := []schemaKeyword{{"type", `"integer"`}, {"format", quoteJSON(numberFormat(n.typ))}}
	var low, high string
	switch n.shape {
	case shapeInt:
		least, most := intRange(n.typ)
		low, high = strconv.FormatInt(least, 10), strconv.FormatInt(most, 10)
	case shapeUint:
		low, high = "0", strconv.FormatUint(uintMax(n.typ), 10)
	default:
		out[0].value = `"number"`
	}
	if low != "" && !n.says("minimum", "exclusiveMinimum", "enum", "const") {
		out = append(out, schemaKeyword{"minimum", low})
	}
	if high != "" && !n.says("maximum", "exclusiveMaximum", "enum", "const") {
		out = append(out, schemaKeyword{"maximum", high})
	}
	return append(out, n.keywords...)
}

// quotedSchema is for a number in a string: keywords for numbers do not reach
// into it.
func (n *node) quotedSchema() []schemaKeyword {
	format := schemaKeyword{"format", quoteJSON(numberFormat(n.typ))}
	for _, k := range n.keywords {
		if k.name == "enum" || k.name == "const" {
			return []schemaKeyword{format, k}
		}
	}
	if n.enum != nil {
		return []schemaKeyword{format, {"enum", jsonList(n.enumValues())}}
	}
	pattern := floatPattern
	switch n.shape {
	case shapeInt:
		pattern = intPattern
	case shapeUint:
		pattern = uintPattern
	}
	return []schemaKeyword{format, {"pattern", pattern}}
}

func (n *node) says(names ...string) bool {
	return slices.ContainsFunc(n.keywords, func(k schemaKeyword) bool { return slices.Contains(names, k.name) })
}

// numberFormat returns the format that OpenAPI's registry has for a number type.
func numberFormat(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Float32:
		return "float"
	case reflect.Float64:
		return "double"
	case reflect.Int, reflect.Uint:
		return t.Kind().String() + strconv.Itoa(t.Bits())
	}
	return t.Kind().String()
}

// base64Schema is for standard base64 with padding, of length bytes if that is
// not negative.
func base64Schema(length int) []schemaKeyword {
	out := []schemaKeyword{{"contentEncoding", `"base64"`}}
	if length < 0 {
		return append(out, schemaKeyword{"pattern", `"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"`})
	}
	size := strconv.Itoa((length + 2) / 3 * 4)
	padding := strings.Repeat("=", (3-length%3)%3)
	return append(out, schemaKeyword{"minLength", size}, schemaKeyword{"maxLength", size},
		schemaKeyword{"pattern", `"^[A-Za-z0-9+/]*` + padding + `$"`})
}

// keySchema returns the schema of the names of a map that have no definition;
// nil allows all.
func keySchema(key *node) []schemaKeyword {
	switch key.shape {
	case shapeInt, shapeUint:
		schema := key.quotedSchema()
		return schema[len(schema)-1:] // the values or the pattern, without the format
	case shapeTime:
		return []schemaKeyword{{"format", `"date-time"`}}
	}
	return key.keywords
}
