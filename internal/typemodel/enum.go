package typemodel

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// oneOf is enum for numbers.
type oneOf[N comparable] struct {
	values  []N
	message string
}

// oneOfText is enum for strings.
type oneOfText struct {
	values  []string
	message string
}

func hasEnum(n *node) bool { return hasText(n) || hasRange(n) }

func compileEnum(n *node, tags map[string]string) error {
	var texts []string
	for text := range strings.SplitSeq(tags["enum"], ",") {
		text = strings.TrimSpace(text)
		switch {
		case text == "":
			return fmt.Errorf("enum:%q has an empty value", tags["enum"])
		case slices.Contains(texts, text):
			return fmt.Errorf("enum has the value %q twice", text)
		}
		texts = append(texts, text)
	}
	return addOneOf(n, "enum", texts)
}

// addOneOf demands that n is one of texts; tag is how that was said.
func addOneOf(n *node, tag string, texts []string) error {
	if err := n.narrow(tag, texts); err != nil {
		return err
	}
	values, err := n.allowOnly(tag, texts)
	if err != nil {
		return err
	}
	if tag == "const" {
		n.say(tag, values[0])
		return nil
	}
	n.say(tag, jsonList(values))
	return nil
}

func jsonList(values []string) string { return "[" + strings.Join(values, ",") + "]" }

// allowOnly is addOneOf without the schema. It returns texts as JSON.
func (n *node) allowOnly(tag string, texts []string) (values []string, err error) {
	switch n.shape {
	case shapeInt:
		err = addEnum(&n.checks.ints, n.typ, tag, texts, parseInt)
	case shapeUint:
		err = addEnum(&n.checks.uints, n.typ, tag, texts, parseUint)
	case shapeFloat:
		err = addEnum(&n.checks.float, n.typ, tag, texts, parseFloat)
	case shapeNumber:
		err = n.addDecimals(tag, texts)
	default:
		return addTexts(n, tag, texts)
	}
	if err != nil || !n.quoted {
		return texts, err
	}
	for _, text := range texts {
		values = append(values, quoteJSON(text))
	}
	return values, nil
}

// addTexts is addOneOf for strings. It returns texts as JSON.
func addTexts(n *node, tag string, texts []string) (values []string, err error) {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](reflect.New(n.typ)); ok && n.shape == shapeText {
			if err := u.UnmarshalText([]byte(text)); err != nil {
				return nil, fmt.Errorf("%s value %q is no %s: %w", tag, text, typeName(n.typ), err)
			}
		}
		quoted[i] = quoteName(text)
		values = append(values, quoteJSON(text))
	}
	n.checks.text = append(n.checks.text, oneOfText{texts, oneOfMessage(quoted)})
	return values, nil
}

func addEnum[N comparable](to *[]check[N], t reflect.Type, tag string, texts []string, parse func(reflect.Type, string) (N, error)) error {
	c := oneOf[N]{message: oneOfMessage(texts)}
	for _, text := range texts {
		v, err := parse(t, text)
		if err != nil {
			return fmt.Errorf("%s value %q is no %s", tag, text, typeName(t))
		}
		if slices.Contains(c.values, v) {
			return fmt.Errorf("%s has the value %q twice", tag, text)
		}
		c.values = append(c.values, v)
	}
	*to = append(*to, c)
	return nil
}

// oneOfMessage lists what is allowed, as the client would write it.
func oneOfMessage(values []string) string {
	if len(values) == 1 {
		return "must be " + values[0]
	}
	const most, mostBytes = 20, 500
	size := 0
	for i, value := range values {
		if size += len(value); i == most || i > 0 && size > mostBytes {
			values = append(slices.Clip(values[:i]), "…")
			break
		}
	}
	return "must be one of " + strings.Join(values, ", ")
}

func (c oneOf[N]) fault(v N) string {
	if slices.Contains(c.values, v) {
		return ""
	}
	return c.message
}

func (c oneOfText) fault(text []byte) string {
	if slices.Contains(c.values, string(text)) {
		return ""
	}
	return c.message
}
