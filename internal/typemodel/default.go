package typemodel

import "fmt"

// A member that has a default and is not there is written into the JSON before
// that is decoded: so it is the same for structs at any depth, in slices, maps
// and unions.

// filling is a member that is to be written into an object.
type filling struct {
	at    int // of the object's closing bracket
	field *field
	first bool // the object has no other members
}

// fill records the members of o that have defaults and have not been seen. The
// walker stands behind the object.
func (w *walker) fill(o *object, seen []uint64, empty bool) {
	for i := range o.fields {
		if f := &o.fields[i]; f.hasDefault && seen[i/64]>>(i%64)&1 == 0 {
			w.fillings = append(w.fillings, filling{w.pos - 1, f, empty})
			empty = false
		}
	}
}

// filled returns the text with what fill has recorded.
func (w *walker) filled() []byte {
	size := len(w.data)
	for _, f := range w.fillings {
		size += len(f.field.filling) + 1
	}
	out, from := make([]byte, 0, size), 0
	for _, f := range w.fillings {
		out, from = append(out, w.data[from:f.at]...), f.at
		if !f.first {
			out = append(out, ',')
		}
		out = append(out, f.field.filling...)
	}
	return append(out, w.data[from:]...)
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
		if err := m.setDefault(inner.field, busy); err != nil {
			return fmt.Errorf("default:%q: member %q: %w", f.defaultText, inner.field.name, err)
		}
	}
	f.defaultJSON = w.filled()
	f.filling = append(append([]byte(quoteJSON(f.name)), ':'), f.defaultJSON...)
	return nil
}
