package wsframe

import (
	"math/bits"
	"sync"
)

// Incomplete messages stand in buffers of a power of two of bytes, from
// 128 (a whole control frame) to 64 KiB (the usual limit of a message). Larger
// ones are left to the garbage collector.
const (
	minShift = 7
	maxShift = 16
)

var pools [maxShift - minShift + 1]sync.Pool // of *buffer, by size

// buffer holds the part of a frame or message that has arrived. A nil buffer is
// an empty one.
type buffer struct{ data []byte }

func (b *buffer) len() int {
	if b == nil {
		return 0
	}
	return len(b.data)
}

// extend appends more, and returns the buffer to use from now on: b itself, or
// a larger one in its place.
func (b *buffer) extend(more []byte) *buffer {
	had := b.len()
	if b == nil || had+len(more) > cap(b.data) {
		b = b.moved(max(had+len(more), 2*had))
	}
	b.data = append(b.data, more...)
	return b
}

// moved returns a buffer with the same content and room for n bytes, in place
// of b.
func (b *buffer) moved(n int) *buffer {
	larger := borrow(n)
	if b != nil {
		larger.data = append(larger.data, b.data...)
		b.giveBack()
	}
	return larger
}

// borrow returns an empty buffer with room for n bytes.
func borrow(n int) *buffer {
	shift := max(minShift, bits.Len(uint(max(n, 1)-1)))
	if shift > maxShift {
		return &buffer{make([]byte, 0, n)}
	}
	if b, ok := pools[shift-minShift].Get().(*buffer); ok {
		return b
	}
	return &buffer{make([]byte, 0, 1<<shift)}
}

// giveBack ends the use of a buffer. Nil is allowed.
func (b *buffer) giveBack() {
	if b == nil || cap(b.data) > 1<<maxShift {
		return
	}
	shift := bits.Len(uint(cap(b.data))) - 1
	b.data = b.data[:0]
	pools[shift-minShift].Put(b)
}
