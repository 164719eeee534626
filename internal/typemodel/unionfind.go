package typemodel

import (
	"slices"

	"github.com/kanava-go/kanava/internal/jsonscan"
)

// The discriminator may stand anywhere in its object, also behind other unions
// in which the same is so. Looking for it must not read what is deep inside
// again at each level: the walker finds the ends of objects and arrays once,
// and puts discriminators first for the decode.

// find returns where the discriminator stands in the object that begins at
// data[i]; it is not Found if there is none. It trusts the grammar as far as the
// object reaches. valueEnd is jsonscan.ValueEnd, or quicker.
func (u *union) find(data []byte, i int, valueEnd func([]byte, int) int) (m jsonscan.Member) {
	i = jsonscan.SpaceEnd(data, i+1)
	for data[i] == '"' {
		at := i
		end, escaped := jsonscan.StringEnd(data, at)
		match := string(data[at:end]) == u.quoted
		if escaped {
			text, _ := jsonscan.String(data[at:end])
			match = text == u.property
		}
		i = jsonscan.SpaceEnd(data, end)
		i = jsonscan.SpaceEnd(data, i+1)
		end = valueEnd(data, i)
		if match {
			return jsonscan.Member{Start: at, End: end, ValueStart: i, ValueEnd: end}
		}
		i = jsonscan.SpaceEnd(data, end)
		if data[i] == ',' {
			i = jsonscan.SpaceEnd(data, i+1)
		}
	}
	return m
}

// variant checks the object at pos as one of a union.
func (w *walker) variant(n *node) {
	u, start := n.union, w.pos
	tag := u.find(w.data, start, w.valueEnd)
	i := -1
	if tag.Found() {
		i = u.lookup(w.data[tag.ValueStart:tag.ValueEnd])
	}
	if i >= 0 {
		if len(w.starts) > 0 && tag.Start != jsonscan.SpaceEnd(w.data, start+1) {
			w.fillings = append(w.fillings, filling{at: start + 1, tag: tag})
		}
		w.object(n.variants[i])
		return
	}
	at, message := tag.ValueStart, u.message
	if !tag.Found() {
		at, message = start, isMissing+"; "+message
	}
	w.faultMember(at, u.property, message)
	w.skip()
}

// valueEnd is jsonscan.ValueEnd for w.data.
func (w *walker) valueEnd(data []byte, i int) int {
	if c := data[i]; c != '{' && c != '[' {
		return jsonscan.ValueEnd(data, i)
	}
	if len(w.starts) == 0 {
		w.findEnds()
	}
	n, _ := slices.BinarySearch(w.starts, i)
	return w.ends[n]
}

// findEnds finds the ends of all objects and arrays.
func (w *walker) findEnds() {
	var open []int
	for i := 0; i < len(w.data); {
		switch w.data[i] {
		case '"':
			i, _ = jsonscan.StringEnd(w.data, i)
			continue
		case '{', '[':
			open = append(open, len(w.starts))
			w.starts, w.ends = append(w.starts, i), append(w.ends, 0)
		case '}', ']':
			w.ends[open[len(open)-1]] = i + 1
			open = open[:len(open)-1]
		}
		i++
	}
}
