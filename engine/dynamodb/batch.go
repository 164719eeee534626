package dynamodb

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// batch is the events of a topic that were published by one write, as they are in
// the head of the topic and in its log:
//
//	form (1), class, ms that they are kept, token (8), number of events, and of each
//	flags, time in ms, [digest of its ID (16)], [key], and [who is not to see it] and
//	data, or the name of its body (16) and how long that is
//
// Numbers are uvarints, and what has no length of its own stands after one.
type batch struct {
	class  engine.Class
	keeps  time.Duration // of a Recoverable topic
	token  string        // tells it from all others
	events []entry
}

// entry is an event of a batch. Its offset follows from its place.
type entry struct {
	ms     int64  // when it was published
	id     string // digest of its ID; "" for none
	key    string
	except string
	binary bool
	data   []byte

	body string // where except and data are, if they are too long to be here
	size int    // of the body
}

const (
	form     = 1
	tokenLen = 8
	idLen    = 16
	bodyLen  = 16

	flagBinary = 1 << 0
	flagID     = 1 << 1
	flagKey    = 1 << 2
	flagExcept = 1 << 3
	flagBody   = 1 << 4
)

// logTime is for how long the log has what is not kept for anybody: so long nodes
// may take to read it, and IDs are known.
const logTime = 3 * time.Minute

// lasts is how long the log has the events of a batch after they were published.
func (b *batch) lasts() time.Duration { return max(b.keeps, logTime) }

// latest is when the last of its events was published.
func (b *batch) latest() time.Time {
	if len(b.events) == 0 {
		return time.Time{}
	}
	return time.UnixMilli(b.events[len(b.events)-1].ms)
}

// encode returns the batch in its form.
func (b *batch) encode() []byte {
	out := append([]byte{form, byte(b.class)}, binary.AppendUvarint(nil, uint64(b.keeps.Milliseconds()))...)
	out = append(out, b.token...)
	out = binary.AppendUvarint(out, uint64(len(b.events)))
	for i := range b.events {
		out = b.events[i].append(out)
	}
	return out
}

// length is at least as long as the form of the entry.
func (n *entry) length() int {
	return 1 + 9 + idLen + 2 + len(n.key) + 5 + len(n.except) + 5 + len(n.data) + len(n.body)
}

func (n *entry) append(out []byte) []byte {
	at := len(out)
	out = binary.AppendUvarint(append(out, 0), uint64(max(n.ms, 0)))
	if n.binary {
		out[at] |= flagBinary
	}
	if n.id != "" {
		out[at] |= flagID
		out = append(out, n.id...)
	}
	if n.key != "" {
		out[at] |= flagKey
		out = appendText(out, n.key)
	}
	if n.body != "" {
		out[at] |= flagBody
		return binary.AppendUvarint(append(out, n.body...), uint64(n.size))
	}
	if n.except != "" {
		out[at] |= flagExcept
		out = appendText(out, n.except)
	}
	return append(binary.AppendUvarint(out, uint64(len(n.data))), n.data...)
}

func appendText(out []byte, text string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(text))), text...)
}

var errForm = errors.New("an item is in a form that this version does not know")

// parseBatch returns the batch of a form. What it points to is its own.
func parseBatch(b []byte) (batch, error) {
	r := reader{left: append([]byte(nil), b...)}
	if r.byte() != form {
		return batch{}, errForm
	}
	out := batch{class: engine.Class(r.byte())}
	out.keeps = time.Duration(min(r.number(), uint64(ttlMost.Milliseconds()))) * time.Millisecond
	out.token = string(r.take(tokenLen))
	number := r.number()
	if out.class > engine.Recoverable || number > uint64(len(r.left)/3) {
		return batch{}, errForm
	}
	out.events = make([]entry, number)
	for i := range out.events {
		out.events[i] = r.entry()
	}
	if r.short || len(r.left) > 0 {
		return batch{}, errForm
	}
	return out, nil
}

// reader takes a form apart. What is short of bytes gets none.
type reader struct {
	left  []byte
	short bool
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.left)) {
		r.short, r.left = true, nil
		return nil
	}
	out := r.left[:n:n]
	r.left = r.left[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.left)
	if n <= 0 {
		r.short, r.left = true, nil
		return 0
	}
	r.left = r.left[n:]
	return v
}

func (r *reader) entry() (n entry) {
	flags := r.byte()
	n.ms = int64(min(r.number(), 1<<53))
	n.binary = flags&flagBinary != 0
	if flags&flagID != 0 {
		n.id = string(r.take(idLen))
	}
	if flags&flagKey != 0 {
		n.key = string(r.take(r.number()))
	}
	if flags&flagBody != 0 {
		n.body = string(r.take(bodyLen))
		n.size = int(min(r.number(), 1<<30))
		return n
	}
	if flags&flagExcept != 0 {
		n.except = string(r.take(r.number()))
	}
	n.data = r.take(r.number())
	return n
}

// event returns the event of an entry, whose body has been read.
func (n *entry) event(epoch string, offset uint64) engine.Event {
	return engine.Event{
		Key: n.key, Except: n.except, Data: n.data, Binary: n.binary,
		At: engine.Position{Epoch: epoch, Offset: offset}, Prev: offset - 1, Time: time.UnixMilli(n.ms),
	}
}
