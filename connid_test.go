package kanava

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// An id leads to the place that it was made for, is its own text and no other,
// and whatever else comes leads nowhere or to a place, but not to a panic.
func TestConnIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := connPlace{rapid.Uint16().Draw(t, "channel"), rapid.Uint32().Draw(t, "slot")}
		id, other := newConnID(at), newConnID(at)
		text := id.String()
		if got, ok := placeOf(text); !ok || got != at {
			t.Fatalf("%s leads to %v, %v; made for %v", text, got, ok, at)
		}
		if !id.is(text) || id.is(other.String()) || id == other {
			t.Fatalf("%s and %s are mixed up", text, other.String())
		}
		if strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" || len(text) != idLen {
			t.Fatalf("the text is %q", text)
		}
		if wrong := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.RuneFrom([]rune("AZ27=a\n")), idLen, idLen, -1)).Draw(t, "wrong"); wrong != text {
			if id.is(wrong) {
				t.Fatalf("%q is taken for %s", wrong, text)
			}
			placeOf(wrong)
		}
	})
}

// The ids of neighbours do not tell that they are: each bit of them is set in
// about half of them.
func TestConnIDsTellNothing(t *testing.T) {
	const n = 4000
	var set [128]int
	for slot := range uint32(n) {
		id := newConnID(connPlace{0, slot})
		for i := range set {
			set[i] += int(id[i/8] >> (i % 8) & 1)
		}
	}
	for i, k := range set {
		if k < n/2-300 || k > n/2+300 { // nine times the standard deviation
			t.Errorf("bit %d is set in %d of %d ids", i, k, n)
		}
	}
}
