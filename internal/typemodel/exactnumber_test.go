package typemodel

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// TestDecimalsCompareAsFractions proves that decimals are compared as package
// math/big compares the fractions that they are.
func TestDecimalsCompareAsFractions(t *testing.T) {
	number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,3})?([eE][+-]?[0-9])?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		x, okX := new(big.Rat).SetString(a)
		y, okY := new(big.Rat).SetString(b)
		if !okX || !okY {
			t.Fatalf("%s, %s are no fractions", a, b)
		}
		if got, want := parseDecimal([]byte(a)).compare(parseDecimal([]byte(b))), x.Cmp(y); got != want {
			t.Fatalf("%s beside %s: %d, want %d", a, b, got, want)
		}
	})
}

// TestDecimalsOfAnySize proves it for what math/big could not hold.
func TestDecimalsOfAnySize(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"1e999999999999", "9e999999999998", 1},
		{"-1e999999999999", "1e-999999999999", -1},
		{"1e-999999999999", "0", 1},
		{"0e999999999999", "-0", 0},
		{"10e999999999998", "1e999999999999", 0},
	} {
		if got := parseDecimal([]byte(tc.a)).compare(parseDecimal([]byte(tc.b))); got != tc.want {
			t.Errorf("%s beside %s: %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}
