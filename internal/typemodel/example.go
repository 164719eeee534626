package typemodel

import (
	"fmt"
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/kanava-go/kanava/internal/jsonscan"
)

// exampleJSON returns the example of a field as JSON. Where a field is a string,
// a number or a boolean the tag holds its text, elsewhere JSON.
func (f *field) exampleJSON() ([]byte, string) {
	switch f.node.kind() {
	case String, Number, Boolean:
		return f.node.appendJSON(nil, f.example)
	}
	const deepest = 64
	raw := []byte(f.example)
	if _, err := jsonscan.Scan(raw, nil, nil, jsonscan.Limits{Depth: deepest}); err != nil {
		return nil, "is not valid JSON"
	}
	return raw, ""
}

// checkExamples demands that every example could be sent. It runs once all nodes
// are complete.
func (m *Model) checkExamples() error {
	return m.examplesIn(m.root, map[*object]bool{})
}

func (m *Model) examplesIn(n *node, seen map[*object]bool) error {
	switch n.shape {
	case shapeArray:
		return within("[]", m.examplesIn(n.elem, seen))
	case shapeMap:
		return within("{}", m.examplesIn(n.elem, seen))
	case shapeStruct:
		return m.examplesOf(n.object, seen)
	case shapeUnion:
		for _, o := range n.variants {
			if err := m.examplesOf(o, seen); err != nil {
				return within("("+rootName(o.typ)+")", err)
			}
		}
	}
	return nil
}

func (m *Model) examplesOf(o *object, seen map[*object]bool) error {
	if seen[o] {
		return nil
	}
	seen[o] = true
	for i := range o.fields {
		f := &o.fields[i]
		err := m.checkExample(f)
		if err == nil {
			err = m.examplesIn(f.node, seen)
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
	raw, message := f.exampleJSON()
	if message == "" {
		if faults := findFaults(f.node, raw); faults != nil {
			message = faults[0].Message
			if faults[0].Pointer != "" {
				message = "at " + faults[0].Pointer + " " + message
			}
		} else if m.use != Output && json.Unmarshal(raw, reflect.New(f.typ).Interface(), m.decoding, json.StringifyNumbers(f.quote)) != nil {
			message = "is no " + typeName(f.typ)
		}
	}
	if message != "" {
		return fmt.Errorf("example:%q %s", f.example, message)
	}
	return nil
}
