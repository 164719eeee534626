package typemodel

import (
	"fmt"
	"math"
)

// items is minItems and maxItems of slices and arrays, and minProperties and
// maxProperties of maps.
type items struct {
	min, max  int
	one, many string
}

func hasItems(n *node) bool { return n.shape == shapeArray }

func compileItems(n *node, tags map[string]string) error {
	c, err := readItems(n, tags, "minItems", "maxItems")
	if err != nil {
		return err
	}
	c.one, c.many = "element", "elements"
	if n.length >= 0 && (n.length < c.min || n.length > c.max) {
		return fmt.Errorf("%s always has %d elements", typeName(n.typ), n.length)
	}
	n.checks.count = append(n.checks.count, c)
	return nil
}

func hasProperties(n *node) bool { return n.shape == shapeMap }

func compileProperties(n *node, tags map[string]string) error {
	c, err := readItems(n, tags, "minProperties", "maxProperties")
	if err != nil {
		return err
	}
	c.one, c.many = "entry", "entries"
	n.checks.count = append(n.checks.count, c)
	return nil
}

func readItems(n *node, tags map[string]string, least, most string) (c items, err error) {
	if c.min, err = bound(tags, least, 0); err != nil {
		return c, err
	}
	if c.max, err = bound(tags, most, math.MaxInt); err != nil {
		return c, err
	}
	if c.min > c.max {
		return c, fmt.Errorf("%s %d is more than %s %d", least, c.min, most, c.max)
	}
	n.sayCounts(tags, least, most)
	return c, nil
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
