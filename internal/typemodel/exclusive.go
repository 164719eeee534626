package typemodel

import (
	"cmp"
	"fmt"
	"reflect"
)

// above is exclusiveMinimum and below exclusiveMaximum, in the type of the field.
type (
	above[N cmp.Ordered] struct {
		bound N
		text  string
	}
	below[N cmp.Ordered] above[N]
)

func compileExclusive(n *node, tags map[string]string) error {
	for name, other := range map[string]string{"exclusiveMinimum": "minimum", "exclusiveMaximum": "maximum"} {
		_, ok := tags[name]
		if _, both := tags[other]; ok && both {
			return fmt.Errorf("%s and %s stand side by side; keep one", other, name)
		}
	}
	n.sayBounds(tags, "exclusiveMinimum", "exclusiveMaximum")
	switch n.shape {
	case shapeInt:
		return addExclusive(&n.checks.ints, n.typ, tags, parseInt)
	case shapeUint:
		return addExclusive(&n.checks.uints, n.typ, tags, parseUint)
	case shapeNumber:
		return n.addDecimalBounds(tags, "exclusiveMinimum", "exclusiveMaximum")
	default:
		return addExclusive(&n.checks.float, n.typ, tags, parseFloat)
	}
}

func addExclusive[N cmp.Ordered](to *[]check[N], t reflect.Type, tags map[string]string, parse func(reflect.Type, string) (N, error)) error {
	bounds := map[string]N{}
	for _, name := range []string{"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"} {
		text, ok := tags[name]
		if !ok {
			continue
		}
		v, err := parse(t, text)
		if err != nil {
			return fmt.Errorf("%s:%q is no %s", name, text, typeName(t))
		}
		bounds[name] = v
		switch name {
		case "exclusiveMinimum":
			*to = append(*to, above[N]{v, text})
		case "exclusiveMaximum":
			*to = append(*to, below[N]{v, text})
		}
	}
	for _, pair := range [][2]string{{"minimum", "exclusiveMaximum"}, {"exclusiveMinimum", "maximum"}, {"exclusiveMinimum", "exclusiveMaximum"}} {
		low, hasLow := bounds[pair[0]]
		high, hasHigh := bounds[pair[1]]
		if hasLow && hasHigh && low >= high {
			return fmt.Errorf("%s %s is not less than %s %s", pair[0], tags[pair[0]], pair[1], tags[pair[1]])
		}
	}
	return nil
}

func (c above[N]) fault(v N) string {
	if v > c.bound {
		return ""
	}
	return "must be more than " + c.text
}

func (c below[N]) fault(v N) string {
	if v < c.bound {
		return ""
	}
	return "must be less than " + c.text
}
