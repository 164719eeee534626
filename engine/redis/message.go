package redis

import (
	"encoding/binary"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// A message is an event as it is sent, and kept: a byte that says what follows,
// where the event has a position a head that the server writes, and the body.
//
//	head  epoch (12), offset (7), time (6), when it ends (6; 0: never); big endian, times in ms
//	body  flags; if they say so the key and who is not to see it, each after its length; data

const (
	withPosition    = 1
	withoutPosition = 2
	headLen         = 1 + epochLen + 7 + 6 + 6
	epochLen        = 12

	flagBinary = 1 << 0
	flagKey    = 1 << 1
	flagExcept = 1 << 2
)

// appendBody appends the body of an event.
func appendBody(b []byte, ev *engine.Event) []byte {
	at := len(b)
	b = append(b, 0)
	if ev.Binary {
		b[at] |= flagBinary
	}
	if ev.Key != "" {
		b[at] |= flagKey
		b = binary.AppendUvarint(b, uint64(len(ev.Key)))
		b = append(b, ev.Key...)
	}
	if ev.Except != "" {
		b[at] |= flagExcept
		b = binary.AppendUvarint(b, uint64(len(ev.Except)))
		b = append(b, ev.Except...)
	}
	return append(b, ev.Data...)
}

// parseMessage returns the event of a message, which is its own. It is false
// for what a program of another version may have sent.
func parseMessage(message string) (ev engine.Event, ok bool) {
	b := []byte(message)
	switch {
	case len(b) >= headLen && b[0] == withPosition:
		stamp(&ev, b)
		b = b[headLen:]
	case len(b) >= 1 && b[0] == withoutPosition:
		b = b[1:]
	default:
		return ev, false
	}
	if len(b) == 0 || b[0]&^(flagBinary|flagKey|flagExcept) != 0 {
		return ev, false
	}
	flags := b[0]
	b = b[1:]
	ev.Binary = flags&flagBinary != 0
	if flags&flagKey != 0 {
		if ev.Key, b, ok = cutText(b); !ok {
			return ev, false
		}
	}
	if flags&flagExcept != 0 {
		if ev.Except, b, ok = cutText(b); !ok {
			return ev, false
		}
	}
	ev.Data = b
	return ev, true
}

// stamp sets what the head of a message says of an event.
func stamp(ev *engine.Event, head []byte) {
	ev.At.Epoch = string(head[1 : 1+epochLen])
	ev.At.Offset = number(head[13:20])
	ev.Prev = ev.At.Offset - 1
	ev.Time = time.UnixMilli(int64(number(head[20:26])))
}

func number(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

func cutText(b []byte) (text string, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return "", nil, false
	}
	b = b[size:]
	return string(b[:n]), b[n:], true
}
