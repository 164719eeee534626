package typemodel

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"strconv"
)

// numRange is minimum and maximum, in the type of the field: exact for every
// integer.
type numRange[N cmp.Ordered] struct {
	min, max         N
	minText, maxText string
}

func hasRange(n *node) bool {
	return n.shape == shapeInt || n.shape == shapeUint || n.shape == shapeFloat || n.shape == shapeNumber
}

func compileRange(n *node, tags map[string]string) error {
	n.sayBounds(tags, "minimum", "maximum")
	switch n.shape {
	case shapeInt:
		low, high := intRange(n.typ)
		return addRange(&n.checks.ints, n.typ, tags, low, high, parseInt)
	case shapeUint:
		return addRange(&n.checks.uints, n.typ, tags, 0, uintMax(n.typ), parseUint)
	case shapeNumber:
		return n.addDecimalBounds(tags, "minimum", "maximum")
	default:
		return addRange(&n.checks.float, n.typ, tags, math.Inf(-1), math.Inf(1), parseFloat)
	}
}

func addRange[N cmp.Ordered](to *[]check[N], t reflect.Type, tags map[string]string, low, high N, parse func(reflect.Type, string) (N, error)) error {
	c := numRange[N]{min: low, max: high, minText: tags["minimum"], maxText: tags["maximum"]}
	for name, v := range map[string]*N{"minimum": &c.min, "maximum": &c.max} {
		text, ok := tags[name]
		if !ok {
			continue
		}
		var err error
		if *v, err = parse(t, text); err != nil {
			return fmt.Errorf("%s:%q is no %s", name, text, typeName(t))
		}
	}
	if c.min > c.max {
		return fmt.Errorf("minimum %s is more than maximum %s", c.minText, c.maxText)
	}
	*to = append(*to, c)
	return nil
}

func (c numRange[N]) fault(v N) string {
	switch {
	case v < c.min:
		return "must be at least " + c.minText
	case v > c.max:
		return "must be at most " + c.maxText
	}
	return ""
}

// Numbers in tags are written as in JSON: the schema repeats them.

func parseInt(t reflect.Type, s string) (int64, error) {
	if !isJSONNumber([]byte(s)) {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseInt(s, 10, t.Bits())
}

func parseUint(t reflect.Type, s string) (uint64, error) {
	if !isJSONNumber([]byte(s)) {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseUint(s, 10, t.Bits())
}

func parseFloat(t reflect.Type, s string) (float64, error) {
	if !isJSONNumber([]byte(s)) {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseFloat(s, t.Bits())
}
