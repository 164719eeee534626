package typemodel

import (
	"fmt"
	"strconv"

	"github.com/kanava-go/kanava/internal/jsonscan"
)

// uniqueItems compares elements as JSON: 1 and 1.0 are equal, and so are strings
// that differ in their escapes only. It is for scalars, because equality of
// objects would not be what Go programs take for it.

func hasUnique(n *node) bool {
	if n.shape != shapeArray {
		return false
	}
	switch n.elem.shape {
	case shapeString, shapeText, shapeBool, shapeInt, shapeUint, shapeFloat, shapeNumber:
		return true
	}
	return false
}

func compileUnique(n *node, tags map[string]string) (err error) {
	if n.unique, err = isTrue(tags, "uniqueItems"); n.unique {
		n.say("uniqueItems", "true")
	}
	return err
}

// distinct checks that no two elements of the array at start are equal. There
// are count.
func (w *walker) distinct(start, count int) {
	behind := w.pos
	w.pos = start
	w.enter()
	seen := newNameSet(count)
	for i := range count {
		end := jsonscan.ValueEnd(w.data, w.pos)
		if seen.add(canonical(w.data[w.pos:end])) {
			w.fault(start, fmt.Sprintf("must not have equal elements; number %d was there before", i))
			break
		}
		w.pos = end
		w.more()
	}
	w.pos = behind
}

// canonical returns a form of a scalar that is the same exactly for equal ones.
// What is no scalar is a fault already.
func canonical(raw []byte) []byte {
	switch c := raw[0]; {
	case c == '"':
		if text, ok := jsonscan.Unescaped(raw); ok {
			return raw[:1+len(text)]
		}
		text, _ := jsonscan.AppendString([]byte{'"'}, raw)
		return text
	case isNumber(c):
		d := parseDecimal(raw)
		if d.isZero() {
			return []byte("0")
		}
		var out []byte
		if d.negative {
			out = append(out, '-')
		}
		return strconv.AppendInt(append(append(append(out, d.whole...), d.fraction...), 'e'), d.exp, 10)
	}
	return raw
}
