package typemodel

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
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
	switch n.shape {
	case shapeInt:
		return addEnum(&n.checks.ints, n.typ, texts, parseInt)
	case shapeUint:
		return addEnum(&n.checks.uints, n.typ, texts, parseUint)
	case shapeFloat:
		return addEnum(&n.checks.float, n.typ, texts, parseFloat)
	}
	quoted := make([]string, len(texts))
	for i, text := range texts {
		if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](reflect.New(n.typ)); ok && n.shape == shapeText {
			if err := u.UnmarshalText([]byte(text)); err != nil {
				return fmt.Errorf("enum value %q is no %s: %w", text, typeName(n.typ), err)
			}
		}
		quoted[i] = strconv.Quote(text)
	}
	n.checks.text = append(n.checks.text, oneOfText{texts, oneOfMessage(quoted)})
	return nil
}

func addEnum[N comparable](to *[]check[N], t reflect.Type, texts []string, parse func(reflect.Type, string) (N, error)) error {
	c := oneOf[N]{message: oneOfMessage(texts)}
	for _, text := range texts {
		v, err := parse(t, text)
		if err != nil {
			return fmt.Errorf("enum value %q is no %s", text, typeName(t))
		}
		if slices.Contains(c.values, v) {
			return fmt.Errorf("enum has the value %q twice", text)
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
	const most = 20
	if len(values) > most {
		values = append(slices.Clip(values[:most]), "…")
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
