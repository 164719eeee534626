package typemodel

import (
	"bytes"
	"hash/maphash"
	"math/bits"
)

var nameSeed = maphash.MakeSeed() // random: clients cannot choose names that collide

// nameSet is a set of names that are slices of the input: unlike a map of
// strings it copies none.
type nameSet struct {
	slots [][]byte // a power of two, at most half full
}

func newNameSet(n int) *nameSet {
	return &nameSet{make([][]byte, 1<<bits.Len(uint(2*n)))}
}

// add adds name and reports whether it was there before.
func (s *nameSet) add(name []byte) bool {
	mask := uint64(len(s.slots) - 1)
	for i := maphash.Bytes(nameSeed, name) & mask; ; i = (i + 1) & mask {
		switch {
		case s.slots[i] == nil:
			s.slots[i] = name
			return false
		case bytes.Equal(s.slots[i], name):
			return true
		}
	}
}
