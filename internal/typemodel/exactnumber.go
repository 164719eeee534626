package typemodel

import (
	"fmt"
	"slices"
)

// What range.go, exclusive.go and enum.go do, for encoding/json.Number: it keeps
// what is written, so that is what is compared, of any size and without loss.

// decimalBound is one of the keywords in boundWords.
type decimalBound struct {
	bound   decimal
	keyword string
	text    string
}

// decimalOneOf is enum and const.
type decimalOneOf struct {
	values  []decimal
	message string
}

// boundWords say what a keyword demands.
var boundWords = map[string]string{
	"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than", "exclusiveMaximum": "less than",
}

// addDecimalBounds adds the tags low and high of n, and demands that they leave
// room for a number, with all bounds that n has.
func (n *node) addDecimalBounds(tags map[string]string, low, high string) error {
	all := map[string]decimal{}
	for keyword := range boundWords {
		text, ok := tags[keyword]
		if !ok {
			continue
		}
		bound, err := decimalOf(text)
		if err != nil {
			return fmt.Errorf("%s:%q is no %s", keyword, text, typeName(n.typ))
		}
		all[keyword] = bound
		if keyword == low || keyword == high {
			n.checks.exact = append(n.checks.exact, decimalBound{bound, keyword, text})
		}
	}
	for _, low := range []string{"minimum", "exclusiveMinimum"} {
		for _, high := range []string{"maximum", "exclusiveMaximum"} {
			least, hasLow := all[low]
			most, hasHigh := all[high]
			if !hasLow || !hasHigh {
				continue
			}
			order := least.compare(most)
			switch inclusive := low == "minimum" && high == "maximum"; {
			case inclusive && order > 0:
				return fmt.Errorf("minimum %s is more than maximum %s", tags[low], tags[high])
			case !inclusive && order >= 0:
				return fmt.Errorf("%s %s is not less than %s %s", low, tags[low], high, tags[high])
			}
		}
	}
	return nil
}

func (c decimalBound) fault(text []byte) string {
	order, fits := parseDecimal(text).compare(c.bound), false
	switch c.keyword {
	case "minimum":
		fits = order >= 0
	case "maximum":
		fits = order <= 0
	case "exclusiveMinimum":
		fits = order > 0
	case "exclusiveMaximum":
		fits = order < 0
	}
	if fits {
		return ""
	}
	return "must be " + boundWords[c.keyword] + " " + c.text
}

// addDecimals is addEnum.
func (n *node) addDecimals(tag string, texts []string) error {
	c := decimalOneOf{message: oneOfMessage(texts)}
	for _, text := range texts {
		v, err := decimalOf(text)
		if err != nil {
			return fmt.Errorf("%s value %q is no %s", tag, text, typeName(n.typ))
		}
		if c.has(v) {
			return fmt.Errorf("%s has the value %q twice", tag, text)
		}
		c.values = append(c.values, v)
	}
	n.checks.exact = append(n.checks.exact, c)
	return nil
}

func (c decimalOneOf) has(v decimal) bool {
	return slices.ContainsFunc(c.values, func(one decimal) bool { return one.compare(v) == 0 })
}

func (c decimalOneOf) fault(text []byte) string {
	if c.has(parseDecimal(text)) {
		return ""
	}
	return c.message
}
