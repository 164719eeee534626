package typemodel

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// length is minLength and maxLength, in code points.
type length struct{ min, max int }

func hasText(n *node) bool {
	return n.shape == shapeString || n.shape == shapeText || n.shape == shapeURL
}

func compileLength(n *node, tags map[string]string) (err error) {
	var c length
	if c.min, err = bound(tags, "minLength", 0); err != nil {
		return err
	}
	if c.max, err = bound(tags, "maxLength", math.MaxInt); err != nil {
		return err
	}
	if c.min > c.max {
		return fmt.Errorf("minLength %d is more than maxLength %d", c.min, c.max)
	}
	n.sayCounts(tags, "minLength", "maxLength")
	n.checks.text = append(n.checks.text, c)
	return nil
}

func (c length) fault(text []byte) string {
	// A code point has one to four bytes: often the bytes decide.
	if len(text) <= c.max && len(text) >= 4*c.min {
		return ""
	}
	switch n := utf8.RuneCount(text); {
	case n < c.min:
		return "must have at least " + plural(c.min, "character", "characters")
	case n > c.max:
		return "must have at most " + plural(c.max, "character", "characters")
	}
	return ""
}
