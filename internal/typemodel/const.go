package typemodel

import (
	"errors"
	"fmt"
)

// exactly is const for booleans; others have an enum of one value.
type exactly bool

func hasConst(n *node) bool { return hasEnum(n) || n.shape == shapeBool }

func compileConst(n *node, tags map[string]string) error {
	if _, ok := tags["enum"]; ok {
		return errors.New("const and enum stand side by side; keep one")
	}
	text := tags["const"]
	if n.shape != shapeBool {
		return addOneOf(n, "const", []string{text})
	}
	if text != "true" && text != "false" {
		return fmt.Errorf("const:%q is neither true nor false", text)
	}
	n.checks.bools = append(n.checks.bools, exactly(text == "true"))
	n.say("const", text)
	return nil
}

func (c exactly) fault(v bool) string {
	if v == bool(c) {
		return ""
	}
	return fmt.Sprintf("must be %t", bool(c))
}
