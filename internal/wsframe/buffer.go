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

var pools [maxShift - minShift + 1]sync.Pool // of *[]byte, by size

// borrow returns an empty buffer with room for n bytes.
func borrow(n int) []byte {
	shift := max(minShift, bits.Len(uint(n-1)))
	if n <= 1<<minShift {
		shift = minShift
	}
	if shift > maxShift {
		return make([]byte, 0, n)
	}
	if b, ok := pools[shift-minShift].Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, 1<<shift)
}

// giveBack ends the use of a buffer that came from borrow. Nil is allowed.
func giveBack(b []byte) {
	shift := bits.Len(uint(cap(b))) - 1
	if shift < minShift || shift > maxShift || cap(b) != 1<<shift {
		return
	}
	b = b[:0]
	pools[shift-minShift].Put(&b)
}
