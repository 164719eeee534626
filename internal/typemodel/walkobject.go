package typemodel

import (
	"bytes"
	"math/bits"

	"github.com/kanava-go/kanava/internal/jsonscan"
)

// object checks the members of a struct.
func (w *walker) object(o *object) {
	var few [2]uint64
	seen := few[:]
	if len(o.required) > len(few) {
		seen = make([]uint64, len(o.required))
	}
	empty := !w.enter()
	if !empty {
		depth := len(w.path)
		w.path = append(w.path, segment{})
		next := 0
		for {
			start := w.pos
			i, end := w.field(o, next)
			w.path[depth].nameStart, w.path[depth].nameEnd = start, end
			switch {
			case i < 0:
				w.unknown(o, depth, start)
				w.skip()
			case seen[i/64]>>(i%64)&1 != 0:
				w.fault(start, isDuplicate)
				w.skip()
			default:
				seen[i/64] |= 1 << (i % 64)
				w.value(o.fields[i].node)
				next = i + 1
			}
			if w.full || !w.more() {
				break
			}
		}
		w.path = w.path[:depth]
	}
	for i, want := range o.required {
		for missing := want &^ seen[i]; missing != 0; missing &= missing - 1 {
			f := &o.fields[i*64+bits.TrailingZeros64(missing)]
			w.faultMember(w.pos, f.name, f.missing())
		}
	}
	if o.defaults {
		w.fill(o, seen, empty)
	}
}

// field returns the index of the field whose name is at pos, or -1, and where
// the name ends, and moves to the value. It tries next first: members mostly come
// in order.
func (w *walker) field(o *object, next int) (i, end int) {
	if next < len(o.fields) {
		q := o.fields[next].quoted
		if q != "" && len(w.data)-w.pos > len(q) && string(w.data[w.pos:w.pos+len(q)]) == q {
			w.pos += len(q)
			end = w.pos - len(":")
			w.space()
			return next, end
		}
	}
	start := w.pos
	end, escaped := jsonscan.StringEnd(w.data, start)
	w.pos = end
	w.colon()
	i, ok := o.byName[string(w.inner(start, end, escaped))]
	if !ok {
		return -1, end
	}
	return i, end
}

// inner returns the text of the string in data[start:end]. It is valid until
// the next call.
func (w *walker) inner(start, end int, escaped bool) []byte {
	if !escaped {
		return w.data[start+1 : end-1]
	}
	w.text, _ = jsonscan.AppendString(w.text[:0], w.data[start:end])
	return w.text
}

// unknown records a member that o does not have. A second one of the same name
// is one more fault.
func (w *walker) unknown(o *object, depth, start int) {
	s := w.path[depth]
	name, _ := jsonscan.String(w.data[s.nameStart:s.nameEnd])
	message := "unknown member " + quoteName(name)
	const enough = 10 // the search takes time
	if w.hints < enough {
		w.hints++
		if near := nearest(name, o.fields); near != "" {
			message += ", did you mean " + quoteName(near) + "?"
		}
	}
	w.fault(start, message)
}

// missing says what is wrong where f is not there.
func (f *field) missing() string {
	if f.node.shape == shapeTag {
		return isMissing + "; must be " + f.node.noun
	}
	return isMissing
}

// mapping checks the entries of a map.
func (w *walker) mapping(n *node) {
	start, count := w.pos, 0
	if w.enter() {
		depth, first := len(w.path), len(w.keys)
		w.path = append(w.path, segment{})
		for {
			from := w.pos
			end, escaped := jsonscan.StringEnd(w.data, from)
			w.path[depth].nameStart, w.path[depth].nameEnd = from, end
			if n.key.shape == shapeString && len(n.key.checks.text) == 0 {
				w.pos = end
			} else {
				w.mapKey(n.key, end, escaped)
			}
			w.keys = append(w.keys, from, end)
			w.colon()
			w.value(n.elem)
			count++
			if w.full || !w.more() {
				break
			}
		}
		w.twice(depth, w.keys[first:])
		w.path, w.keys = w.path[:depth], w.keys[:first]
	}
	w.counted(n, start, count)
}

// mapKey checks a name as the key of a map and moves behind it.
func (w *walker) mapKey(key *node, end int, escaped bool) {
	found := len(w.faults)
	w.content(key, w.pos, end, escaped)
	w.pos = end
	for i := found; i < len(w.faults); i++ {
		w.faults[i].Message = "the name " + w.faults[i].Message
	}
}

// twice records the entries of a map whose name has been there before. Names
// that differ in their escapes only are left to the decoder.
func (w *walker) twice(depth int, keys []int) {
	const few = 16
	name := func(i int) []byte { return w.data[keys[i]:keys[i+1]] }
	record := func(i int) {
		w.path[depth].nameStart, w.path[depth].nameEnd = keys[i], keys[i+1]
		w.fault(keys[i], isDuplicate)
	}
	if len(keys) <= 2*few {
		for i := 2; i < len(keys); i += 2 {
			for j := 0; j < i; j += 2 {
				if bytes.Equal(name(i), name(j)) {
					record(i)
					break
				}
			}
		}
		return
	}
	seen := newNameSet(len(keys) / 2)
	for i := 0; i < len(keys) && !w.full; i += 2 {
		if seen.add(name(i)) {
			record(i)
		}
	}
}
