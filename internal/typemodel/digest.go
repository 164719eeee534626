package typemodel

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/kanava-go/kanava/internal/jsonscan"
)

// digest stands for a JSON value: it is the same for equal ones, whatever the
// order of members and the spelling of numbers and strings. Its seeds are random
// and secret, so that clients cannot make others that collide. A value is read
// once, however deep it is.
type digest [2]uint64

var digestSeeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func digestBytes(b []byte) (d digest) {
	for i, seed := range digestSeeds {
		d[i] = maphash.Bytes(seed, b)
	}
	return d
}

func (d digest) append(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, d[0]), d[1])
}

// digestOf returns the digest of the value at data[i] and the index behind it.
func digestOf(data []byte, i int) (digest, int) {
	switch data[i] {
	case '{':
		return digestObject(data, i)
	case '[':
		return digestArray(data, i)
	}
	end := jsonscan.ValueEnd(data, i)
	return digestBytes(canonical(data[i:end])), end
}

func digestArray(data []byte, i int) (digest, int) {
	sum := digestBytes([]byte{'['})
	var buf [1 + 4*8]byte
	for i = jsonscan.SpaceEnd(data, i+1); data[i] != ']'; {
		var element digest
		element, i = digestOf(data, i)
		sum = digestBytes(element.append(sum.append(append(buf[:0], '['))))
		i = next(data, i)
	}
	return sum, i + 1
}

// digestObject adds up the digests of the members, so that their order does not
// matter.
func digestObject(data []byte, i int) (digest, int) {
	sum := digestBytes([]byte{'{'})
	var buf [1 + 4*8]byte
	for i = jsonscan.SpaceEnd(data, i+1); data[i] != '}'; {
		end, _ := jsonscan.StringEnd(data, i)
		name := digestBytes(canonical(data[i:end]))
		var value digest
		value, i = digestOf(data, jsonscan.SpaceEnd(data, jsonscan.SpaceEnd(data, end)+1))
		member := digestBytes(value.append(name.append(append(buf[:0], '{'))))
		sum[0], sum[1] = sum[0]+member[0], sum[1]+member[1]
		i = next(data, i)
	}
	return sum, i + 1
}

// next returns the index of the element or member behind the one that ends at
// data[i], or of the closing bracket.
func next(data []byte, i int) int {
	if i = jsonscan.SpaceEnd(data, i); data[i] == ',' {
		i = jsonscan.SpaceEnd(data, i+1)
	}
	return i
}
