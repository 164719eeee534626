package typemodel

import (
	"sync"

	"github.com/kanava-go/kanava/internal/jsonplan"
	"github.com/kanava-go/kanava/internal/jsonscan"
)

// walker goes over one JSON text together with the plan of a type and collects
// what is wrong. It trusts the grammar: jsonscan.Scan has accepted the text.
type walker struct {
	data []byte
	pos  int
	path []segment

	faults     []faultAt
	faultBytes int
	full       bool // no more faults are wanted: everybody returns
	texts      bool // there are values of types with text methods
	judge      bool // those types are asked
	hints      int  // names suggested so far

	fillings  []filling // in the order of the text
	fillBytes int       // of defaults
	starts    []int     // of the objects and arrays in the text, once a union needs it
	ends      []int     // behind them

	text []byte // scratch for decoded strings
	keys []int  // of the maps that are open: start and end of each name

	scratch jsonplan.Scratch
}

var walkers = sync.Pool{New: func() any { return new(walker) }}

// inspect returns what is wrong with data as the JSON of n, and if that is
// nothing, data with the defaults of members that are not there.
func inspect(n *node, data []byte) ([]Fault, []byte) {
	w := startWalk(n, data)
	defer w.end()
	if len(w.faults) > 0 {
		return w.everyFault(n), nil
	}
	if len(w.fillings) > 0 {
		return nil, w.filled()
	}
	return nil, data
}

// startWalk returns a walker that has been over data. The caller ends it.
func startWalk(n *node, data []byte) *walker {
	w := walkers.Get().(*walker)
	w.data = data
	w.walk(n)
	return w
}

func (w *walker) walk(n *node) {
	w.pos = jsonscan.SpaceEnd(w.data, 0)
	w.value(n)
}

// everyFault returns the faults of a walk that has found some, or after which
// the decode has failed, with those that only types with text methods can find:
// for what has no fault, the decode asks them.
func (w *walker) everyFault(n *node) []Fault {
	if w.texts {
		data := w.data
		w.reset()
		w.data, w.judge = data, true
		w.walk(n)
	}
	return w.result()
}

// reset forgets everything but the room that there is.
func (w *walker) reset() {
	w.data, w.texts, w.judge = nil, false, false
	w.path, w.keys = w.path[:0], w.keys[:0]
	w.starts, w.ends = w.starts[:0], w.ends[:0]
	w.faultBytes, w.full, w.hints, w.fillBytes = 0, false, 0, 0
	clear(w.faults)
	w.faults = w.faults[:0]
	clear(w.fillings)
	w.fillings = w.fillings[:0]
}

// end gives w back.
func (w *walker) end() {
	w.reset()
	const most = 16 << 10 // bytes or entries of one kind that are kept
	if cap(w.text) <= most && cap(w.keys) <= most && cap(w.starts) <= most && cap(w.fillings) <= most/16 {
		walkers.Put(w)
	}
}

// value checks the value at pos and moves behind it. When the walker is full it
// may stop anywhere.
func (w *walker) value(n *node) {
	c := w.data[w.pos]
	if c == 'n' {
		if !n.nullable {
			w.wrongKind(n)
		}
		w.pos += len("null")
		return
	}
	switch n.shape {
	case shapeString:
		if c == '"' {
			w.str(n)
			return
		}
	case shapeInt, shapeUint:
		if n.quoted && c == '"' || !n.quoted && isNumber(c) {
			w.integer(n)
			return
		}
	case shapeStruct:
		if c == '{' {
			w.object(n.object)
			return
		}
	case shapeArray:
		if c == '[' {
			w.array(n)
			return
		}
	case shapeBool:
		if c == 't' {
			w.boolean(n, true)
			w.pos += len("true")
			return
		}
		if c == 'f' {
			w.boolean(n, false)
			w.pos += len("false")
			return
		}
	case shapeFloat, shapeNumber:
		if n.quoted && c == '"' || !n.quoted && isNumber(c) {
			w.float(n)
			return
		}
	case shapeMap:
		if c == '{' {
			w.mapping(n)
			return
		}
	case shapeUnion:
		if c == '{' {
			w.variant(n)
			return
		}
	case shapeText, shapeTime, shapeURL, shapeBytes, shapeTag:
		if c == '"' {
			w.str(n)
			return
		}
	case shapeAny, shapeOpaque:
		w.skip()
		return
	}
	w.wrongKind(n)
	w.skip()
}

func isNumber(c byte) bool { return c == '-' || c-'0' <= 9 }

// skip moves behind the value at pos.
func (w *walker) skip() { w.pos = jsonscan.ValueEnd(w.data, w.pos) }

// wrongKind records that the value at pos has not the kind that n demands.
func (w *walker) wrongKind(n *node) {
	kind := "a number"
	switch w.data[w.pos] {
	case 'n':
		kind = "null"
	case 't', 'f':
		kind = "a boolean"
	case '"':
		kind = "a string"
	case '[':
		kind = "an array"
	case '{':
		kind = "an object"
	}
	w.fault(w.pos, "must be "+n.noun+", not "+kind)
}

// space moves to the first byte that is no white space.
func (w *walker) space() {
	if w.data[w.pos] <= ' ' {
		w.pos = jsonscan.SpaceEnd(w.data, w.pos)
	}
}

// colon moves from the end of a name to the value.
func (w *walker) colon() {
	w.space()
	w.pos++
	w.space()
}

// more moves from the end of a value to the next, or behind the closing
// bracket.
func (w *walker) more() bool {
	w.space()
	w.pos++
	if w.data[w.pos-1] != ',' {
		return false
	}
	w.space()
	return true
}

// enter moves behind an opening bracket. If nothing is inside it moves behind
// the closing one and returns false.
func (w *walker) enter() bool {
	w.pos++
	w.space()
	if c := w.data[w.pos]; c == '}' || c == ']' {
		w.pos++
		return false
	}
	return true
}

// array checks a slice or array.
func (w *walker) array(n *node) {
	start, count := w.pos, 0
	if w.enter() {
		depth := len(w.path)
		w.path = append(w.path, segment{})
		for {
			w.path[depth].index = count
			w.value(n.elem)
			count++
			if w.full || !w.more() {
				break
			}
		}
		w.path = w.path[:depth]
	}
	if n.length >= 0 && count != n.length {
		w.fault(start, "must have exactly "+plural(n.length, "element", "elements"))
	}
	w.counted(n, start, count)
	if n.unique && count > 1 && !w.full {
		w.distinct(start, count)
	}
}

func (w *walker) counted(n *node, start, count int) {
	for _, c := range n.checks.count {
		if message := c.fault(count); message != "" {
			w.fault(start, message)
		}
	}
}
