// Package form writes what the server sends in the forms of the wire protocol
// (docs/protocol.md). A form decides what frames look like; what is sent, and
// when, is the same in all.
package form

// Form is one form of the protocol. All methods append to dst and return it.
type Form interface {
	// Index is the form's number, below Count.
	Index() int
	// Envelope tells whether frames have ids and positions; a form without it
	// has only what its methods write.
	Envelope() bool

	// BeginReply and EndReply stand around the encoded result of a call, which
	// the caller appends between them; nothing, for a call without one. from is
	// len(dst) as BeginReply returned it.
	BeginReply(dst []byte, r Route) []byte
	EndReply(dst []byte, from int, r Route) []byte

	// BeginItem and EndItem stand around one value of a stream.
	BeginItem(dst []byte, r Route) []byte
	EndItem(dst []byte) []byte

	// BeginPush and EndPush stand around a value sent outside any call. The
	// result of OnConnect is the push named "".
	BeginPush(dst []byte, name string) []byte
	EndPush(dst []byte) []byte

	// Event writes an event.
	Event(dst []byte, ev Event) []byte
	// BinaryEvents tells whether binary payloads of events are frames of their
	// own.
	BinaryEvents() bool

	// Error writes an error; the route is the zero Route where none applies.
	Error(dst []byte, r Route, e Error) []byte
}

// Count is the number of forms.
const Count = 2

// Route names the action that is answered.
type Route struct {
	Key, Action string // "" for OnMessage
	Dynamic     bool   // results may have a member named Key: maps, raw JSON
	ID          uint64 // of the call, where calls have ids; 0 for none
}

// Position is where a topic stands: after the event with this offset. The zero
// Position stands for none: a topic that has no positions.
type Position struct {
	Epoch  string
	Offset uint64
}

// Event is an event with its encoded payload.
type Event struct {
	Topic  string
	Key    string // of which it is the newest; "" is left out
	Data   []byte
	Binary bool // Data is bytes, not JSON
	At     Position
	Prev   uint64 // the offset of the event before it
	Hidden bool   // its subscriber is told the position only
}

// Error is an error as it is sent.
type Error struct {
	Code, Message string
	Details       []Detail
	RetryAfter    int64 // milliseconds
}

// Detail is one fault.
type Detail struct{ Pointer, Message string }
