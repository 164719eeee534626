package typemodel

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// schemaKeyword is one constraint as JSON Schema writes it.
type schemaKeyword struct {
	name  string
	value string // JSON
}

// say records a constraint for the schema of n.
func (n *node) say(name, value string) {
	n.keywords = append(n.keywords, schemaKeyword{name, value})
}

// sayBounds records the tags that are there and whose values are numbers.
func (n *node) sayBounds(tags map[string]string, names ...string) {
	for _, name := range names {
		if text, ok := tags[name]; ok {
			n.say(name, text)
		}
	}
}

// sayCounts is sayBounds for counts, which may have been written with zeros in
// front.
func (n *node) sayCounts(tags map[string]string, names ...string) {
	for _, name := range names {
		if v, err := strconv.ParseUint(tags[name], 10, 31); err == nil {
			n.say(name, strconv.FormatUint(v, 10))
		}
	}
}

// quoteJSON returns text as a JSON string.
func quoteJSON(text string) string {
	b, _ := jsontext.AppendQuote(nil, text)
	return string(b)
}
