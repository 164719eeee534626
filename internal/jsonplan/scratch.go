package jsonplan

import "encoding/binary"

// Scratch is memory that calls of Decode use, one after the other. With it short
// texts that come again and again are made once. The zero value is ready.
type Scratch struct {
	known [256]string
	text  []byte // where escapes are decoded
}

// longestKnown is the length of texts that are remembered: those that do come
// again are names and keys. The library remembers the same.
const longestKnown = 256

// mostText is what is kept of text.
const mostText = 16 << 10

// str returns b as a string. It is made for the nil Scratch, too.
func (s *Scratch) str(b []byte) string {
	if s == nil || len(b) < 2 || len(b) > longestKnown {
		return string(b)
	}
	known := &s.known[hash(b)]
	if *known != string(b) {
		*known = string(b)
	}
	return *known
}

// hash mixes the length and both ends of b, which has at least two bytes.
func hash(b []byte) uint8 {
	var first, last uint64
	if n := len(b); n >= 8 {
		first, last = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
	} else {
		first, last = uint64(binary.LittleEndian.Uint16(b)), uint64(binary.LittleEndian.Uint16(b[n-2:]))
		last |= uint64(b[n/2]) << 16
	}
	const odd, other = 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f // primes of xxHash, and the like
	h := (first^uint64(len(b)))*odd ^ last*other
	return uint8((h ^ h>>29) * odd >> 56)
}
