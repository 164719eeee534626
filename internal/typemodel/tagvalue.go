package typemodel

import (
	"fmt"
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/kanava-go/kanava/internal/jsonscan"
)

// The tags example and default have a value of the field.

// tagJSON returns the value in a tag as JSON. Where n is a string, a number or a
// boolean the tag holds its text, elsewhere JSON.
func (n *node) tagJSON(text string) ([]byte, string) {
	switch n.kind() {
	case String, Number, Boolean:
		return n.appendJSON(nil, text)
	}
	const deepest = 64
	raw := []byte(text)
	if _, err := jsonscan.Scan(raw, nil, nil, jsonscan.Limits{Depth: deepest}); err != nil {
		return nil, "is not valid JSON"
	}
	return raw, ""
}

// tagFault says what is wrong with raw as the value of f.
func (m *Model) tagFault(f *field, raw []byte) string {
	if faults, _ := inspect(f.node, raw); faults != nil {
		if faults[0].Pointer != "" {
			return "at " + faults[0].Pointer + " " + faults[0].Message
		}
		return faults[0].Message
	}
	if m.use != Output && json.Unmarshal(raw, reflect.New(f.typ).Interface(), m.decoding, json.StringifyNumbers(f.quote)) != nil {
		return "is no " + typeName(f.typ)
	}
	return ""
}

// checkTagValues demands that every example and default could be sent. It runs
// once all nodes are complete.
func (m *Model) checkTagValues() error {
	return m.valuesIn(m.root, map[*object]bool{})
}

func (m *Model) valuesIn(n *node, seen map[*object]bool) error {
	switch n.shape {
	case shapeArray:
		return within("[]", m.valuesIn(n.elem, seen))
	case shapeMap:
		return within("{}", m.valuesIn(n.elem, seen))
	case shapeStruct:
		return m.valuesOf(n.object, seen)
	case shapeUnion:
		for _, o := range n.variants {
			if err := m.valuesOf(o, seen); err != nil {
				return within("("+rootName(o.typ)+")", err)
			}
		}
	}
	return nil
}

func (m *Model) valuesOf(o *object, seen map[*object]bool) error {
	if seen[o] {
		return nil
	}
	seen[o] = true
	for i := range o.fields {
		f := &o.fields[i]
		err := m.checkExample(f)
		if err == nil {
			err = m.setDefault(f, map[*field]bool{})
		}
		if err == nil {
			err = m.valuesIn(f.node, seen)
		}
		if err != nil {
			return within("."+f.goName, err)
		}
	}
	return nil
}

func (m *Model) checkExample(f *field) error {
	if !f.hasExample {
		return nil
	}
	raw, message := f.node.tagJSON(f.example)
	if message == "" {
		message = m.tagFault(f, raw)
	}
	if message != "" {
		return fmt.Errorf("example:%q %s", f.example, message)
	}
	return nil
}
