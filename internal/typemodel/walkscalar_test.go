package typemodel

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// TestNearestFloat proves that short numbers become what package strconv makes
// of them.
func TestNearestFloat(t *testing.T) {
	numbers := rapid.StringMatching(`-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?(e-?[0-9]{1,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		text := numbers.Draw(t, "number")
		if rapid.Bool().Draw(t, "short") {
			text = rapid.StringMatching(`(0|[1-9][0-9]{0,7})\.[0-9]{1,7}|[1-9][0-9]{0,16}`).Draw(t, "number")
		}
		for _, bits := range []int{32, 64} {
			got, err := nearestFloat([]byte(text), bits)
			want, wantErr := strconv.ParseFloat(text, bits)
			if got != want || (err == nil) != (wantErr == nil) {
				t.Fatalf("%s: %g, %v; want %g, %v", text, got, err, want, wantErr)
			}
		}
	})
}
