package typemodel

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/kanava-go/kanava/internal/jsonscan"
)

// Fault is one thing that is wrong with an input.
type Fault struct {
	Pointer string // JSON pointer (RFC 6901) into the input; of a missing member, where it should be; if it were too long, to what holds the place
	Message string // for the client; it names members but repeats no values
}

const (
	maxPointer    = 2 << 10  // bytes; what is further in has the pointer to what holds it
	maxFaults     = 100      // what follows is one fault that says so
	maxFaultBytes = 16 << 10 // of pointers and messages: names in the input may be long
	maxQuotedName = 64       // bytes of a name inside a message
)

const (
	isMissing   = "is missing"
	isDuplicate = "stands twice"
)

// segment is one step of the path to the value being checked: a member's name
// as it stands in the input, in quotes, or the index of an element.
type segment struct {
	nameStart, nameEnd int // nameEnd 0: index
	index              int
}

// faultAt is a fault and the place that orders it.
type faultAt struct {
	at int
	Fault
}

// fault records a fault of the value at offset at, which the current path leads
// to.
func (w *walker) fault(at int, message string) { w.faultMember(at, "", message) }

// faultMember records a fault of the member name of the object that the current
// path leads to; "" is that object itself.
func (w *walker) faultMember(at int, name, message string) {
	if w.full {
		return
	}
	pointer := w.pointer(name)
	w.faultBytes += len(pointer) + len(message)
	w.faults = append(w.faults, faultAt{at, Fault{pointer, message}})
	w.full = len(w.faults) > maxFaults || w.faultBytes > maxFaultBytes
}

// pointer returns the path as a JSON pointer, with one more member if name is
// not empty.
func (w *walker) pointer(name string) string {
	var b []byte
	for _, s := range w.path {
		end := len(b)
		if b = append(b, '/'); s.nameEnd == 0 {
			b = strconv.AppendInt(b, int64(s.index), 10)
		} else {
			w.text, _ = jsonscan.AppendString(w.text[:0], w.data[s.nameStart:s.nameEnd])
			b = appendEscaped(b, string(w.text))
		}
		if len(b) > maxPointer {
			return string(b[:end])
		}
	}
	if name != "" {
		b = appendEscaped(append(b, '/'), name)
	}
	return string(b)
}

// shortened returns pointer, or if it is too long, the pointer to what holds the
// place.
func shortened(pointer jsontext.Pointer) string {
	for len(pointer) > maxPointer {
		pointer = pointer.Parent()
	}
	return string(pointer)
}

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

func appendEscaped(b []byte, name string) []byte {
	return append(b, pointerEscaper.Replace(name)...)
}

// result returns the faults in the order of the input, where a missing member
// counts as the end of its object.
func (w *walker) result() []Fault {
	if len(w.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(w.faults, func(a, b faultAt) int { return a.at - b.at })
	more := w.full
	if len(w.faults) > maxFaults {
		w.faults = w.faults[:maxFaults]
	}
	out := make([]Fault, 0, len(w.faults)+1)
	for _, f := range w.faults {
		out = append(out, f.Fault)
	}
	if more {
		out = append(out, Fault{Message: "there are more faults"})
	}
	return out
}

// quoteName returns a name for a message.
func quoteName(name string) string {
	if len(name) > maxQuotedName {
		n := maxQuotedName
		for n > 0 && !utf8.RuneStart(name[n]) {
			n--
		}
		name = name[:n] + "…"
	}
	return strconv.Quote(name)
}
