package typemodel

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/kanava-go/kanava/internal/jsonscan"
)

// A member that has a default and is not there is written into the JSON before
// that is decoded: so it is the same for structs at any depth, in slices, maps
// and unions.

// filling is a member that is to be written into an object: a default, or a
// discriminator that stands further back.
type filling struct {
	at    int    // of the object's closing bracket, or behind the opening one
	field *field // the default
	first bool   // the object has no other members
	tag   jsonscan.Member
}

// mostFilled returns how many bytes defaults may add to a text of n bytes: a
// short one may stand for much more than itself, but not many times over.
func mostFilled(n int) int { return 64<<10 + 4*n }

// fill records the members of o that have defaults and have not been seen. The
// walker stands behind the object.
func (w *walker) fill(o *object, seen []uint64, empty bool) {
	most := mostFilled(len(w.data))
	for i := range o.fields {
		f := &o.fields[i]
		if !f.hasDefault || seen[i/64]>>(i%64)&1 != 0 || w.fillBytes > most {
			continue
		}
		if w.fillBytes += len(f.filling) + len(","); w.fillBytes > most {
			w.fault(w.pos, "leaves too much to defaults: here they may add "+strconv.Itoa(most)+" bytes to what was sent")
			return
		}
		w.fillings = append(w.fillings, filling{at: w.pos - 1, field: f, first: empty})
		empty = false
	}
}

// filled returns the text with what has been recorded.
func (w *walker) filled() []byte {
	rest := w.data
	size, moves := len(rest), false
	for _, f := range w.fillings {
		if size++; f.tag.Found() {
			size, moves = size+f.tag.End-f.tag.Start, true
		} else {
			size += len(f.field.filling)
		}
	}
	if moves {
		rest = bytes.Clone(rest)
		for _, f := range w.fillings {
			if f.tag.Found() {
				jsonscan.Blank(rest, f.tag)
			}
		}
	}
	out, from := make([]byte, 0, size), 0
	for _, f := range w.fillings {
		out, from = append(out, rest[from:f.at]...), f.at
		switch {
		case f.tag.Found():
			out = append(append(out, w.data[f.tag.Start:f.tag.End]...), ',')
		case f.first:
			out = append(out, f.field.filling...)
		default:
			out = append(append(out, ','), f.field.filling...)
		}
	}
	return append(out, rest[from:]...)
}

// setDefault checks the default of f as if a client had sent it, and prepares
// it. A default may leave out members that have defaults of their own; busy holds
// the fields whose defaults are being prepared.
func (m *Model) setDefault(f *field, busy map[*field]bool) error {
	if !f.hasDefault || f.filling != nil {
		return nil
	}
	if busy[f] {
		return fmt.Errorf("default:%q holds itself", f.defaultText)
	}
	busy[f] = true
	defer delete(busy, f)
	raw, message := f.node.tagJSON(f.defaultText)
	if message == "" {
		message = m.tagFault(f, raw)
	}
	if message != "" {
		return fmt.Errorf("default:%q %s", f.defaultText, message)
	}
	w := startWalk(f.node, raw)
	defer w.end()
	for _, inner := range w.fillings {
		if inner.field == nil {
			continue
		}
		if err := m.setDefault(inner.field, busy); err != nil {
			return fmt.Errorf("default:%q: member %q: %w", f.defaultText, inner.field.name, err)
		}
	}
	f.defaultJSON = w.filled()
	f.filling = append(append([]byte(quoteJSON(f.name)), ':'), f.defaultJSON...)
	return nil
}
