package typemodel

import (
	"fmt"
	"strconv"

	"github.com/kanava-go/kanava/internal/jsonscan"
)

// uniqueItems compares elements as JSON Schema does: 1 and 1.0 are equal, and so
// are strings that differ in their escapes only and objects that differ in the
// order of their members. It looks at what was sent: a member that is absent
// and one that has its default are not equal.

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

// canonical returns a form of a value that is the same exactly for equal ones; of
// objects and arrays a digest, which differs for others but for an accident of
// one in 2^128.
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
	case c == '{' || c == '[':
		sum, _ := digestOf(raw, 0)
		return sum.append([]byte{c})
	}
	return raw
}
