package kanava

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"hash/maphash"
)

// connID is the id of a connection, without its text. It is random, but for the
// place of the connection among those of its server, which is hidden in it: so
// that connections are found by their ids without an index of those.
type connID [16]byte

// connPlace is where a connection stands.
type connPlace struct {
	channel uint16 // core.slots[channel]
	slot    uint32 // connSlots.list[slot]
}

const (
	idRandom = 10 // bytes; the others are the place
	idLen    = 26 // characters
)

// idSeed makes ids tell nobody else how many connections there are.
var idSeed = maphash.MakeSeed()

var idText = base32.StdEncoding.WithPadding(base32.NoPadding)

func newConnID(at connPlace) (id connID) {
	_, _ = rand.Read(id[:idRandom]) // which never fails
	binary.BigEndian.PutUint16(id[idRandom:], at.channel)
	binary.BigEndian.PutUint32(id[idRandom+2:], at.slot)
	id.hide()
	return id
}

// hide hides the place, or shows it again.
func (id *connID) hide() {
	var mask [8]byte
	binary.BigEndian.PutUint64(mask[:], maphash.Bytes(idSeed, id[:idRandom]))
	for i := range id[idRandom:] {
		id[idRandom+i] ^= mask[i]
	}
}

// text returns the id as everybody else knows it.
func (id *connID) text() (text [idLen]byte) {
	idText.Encode(text[:], id[:])
	return text
}

func (id *connID) String() string {
	text := id.text()
	return string(text[:])
}

// is reports whether the text is that of the id. It is quick where it is not.
func (id *connID) is(text string) bool {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	if len(text) != idLen || text[0] != alphabet[id[0]>>3] {
		return false
	}
	own := id.text()
	return string(own[:]) == text
}

// placeOf returns where a connection with this id would stand; false if there is
// none with such an id.
func placeOf(text string) (at connPlace, ok bool) {
	id, ok := readConnID(text)
	if !ok {
		return at, false
	}
	id.hide()
	return connPlace{binary.BigEndian.Uint16(id[idRandom:]), binary.BigEndian.Uint32(id[idRandom+2:])}, true
}

// readConnID returns the id with this text; false if none has it.
func readConnID(text string) (id connID, ok bool) {
	if len(text) != idLen {
		return id, false
	}
	_, err := idText.Decode(id[:], []byte(text))
	return id, err == nil
}
