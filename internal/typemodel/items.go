package typemodel

import (
	"fmt"
	"math"
)

// items is minItems and maxItems: elements of slices and arrays, entries of
// maps.
type items struct {
	min, max  int
	one, many string
}

func hasItems(n *node) bool { return n.shape == shapeArray || n.shape == shapeMap }

func compileItems(n *node, tags map[string]string) (err error) {
	c := items{one: "element", many: "elements"}
	if n.shape == shapeMap {
		c.one, c.many = "entry", "entries"
	}
	if c.min, err = bound(tags, "minItems", 0); err != nil {
		return err
	}
	if c.max, err = bound(tags, "maxItems", math.MaxInt); err != nil {
		return err
	}
	if c.min > c.max {
		return fmt.Errorf("minItems %d is more than maxItems %d", c.min, c.max)
	}
	if n.length >= 0 && (n.length < c.min || n.length > c.max) {
		return fmt.Errorf("%s always has %d elements", typeName(n.typ), n.length)
	}
	n.checks.count = append(n.checks.count, c)
	return nil
}

func (c items) fault(n int) string {
	switch {
	case n < c.min:
		return "must have at least " + plural(c.min, c.one, c.many)
	case n > c.max:
		return "must have at most " + plural(c.max, c.one, c.many)
	}
	return ""
}
