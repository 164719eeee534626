package typemodel

import (
	"bytes"
	"cmp"
	"strconv"
)

// decimal is a number as JSON writes it, without loss: whole and fraction are
// its digits, the last of which is worth 10^exp and, unless the number is zero,
// not 0.
type decimal struct {
	negative        bool
	whole, fraction []byte // neither begins a zero number
	exp             int64
}

// maxExponent is where exponents stop to be told apart. Digits are as many as a
// message has bytes: far less.
const maxExponent = 1 << 40

// parseDecimal takes a number apart. text is valid JSON.
func parseDecimal(text []byte) decimal {
	var d decimal
	if text[0] == '-' {
		d.negative, text = true, text[1:]
	}
	if i := bytes.IndexAny(text, "eE"); i >= 0 {
		d.exp, text = parseExponent(text[i+1:]), text[:i]
	}
	d.whole, d.fraction, _ = bytes.Cut(text, []byte{'.'})
	if d.fraction = bytes.TrimRight(d.fraction, "0"); len(d.fraction) == 0 {
		digits := len(d.whole)
		d.whole = bytes.TrimRight(d.whole, "0")
		d.exp += int64(digits - len(d.whole))
	}
	d.exp -= int64(len(d.fraction))
	d.whole = bytes.TrimLeft(d.whole, "0")
	if len(d.whole) == 0 {
		d.fraction = bytes.TrimLeft(d.fraction, "0")
	}
	return d
}

func parseExponent(text []byte) (exp int64) {
	negative := text[0] == '-'
	for _, c := range bytes.TrimLeft(text, "+-") {
		exp = min(exp*10+int64(c-'0'), maxExponent)
	}
	if negative {
		return -exp
	}
	return exp
}

func (d decimal) isZero() bool { return len(d.whole)+len(d.fraction) == 0 }

// compare returns -1, 0 or +1 as d is less than, equal to or more than e.
func (d decimal) compare(e decimal) int {
	if s := cmp.Compare(d.sign(), e.sign()); s != 0 || d.isZero() {
		return s
	}
	size := func(d decimal) int64 { return int64(len(d.whole)+len(d.fraction)) + d.exp }
	order := cmp.Compare(size(d), size(e))
	n, m := len(d.whole)+len(d.fraction), len(e.whole)+len(e.fraction)
	for i := 0; order == 0 && i < min(n, m); i++ {
		order = cmp.Compare(d.digit(i), e.digit(i))
	}
	if order == 0 {
		order = cmp.Compare(n, m) // the last digit is not 0
	}
	return order * d.sign()
}

func (d decimal) sign() int {
	switch {
	case d.isZero():
		return 0
	case d.negative:
		return -1
	}
	return 1
}

// digit returns the i-th digit, from the left.
func (d decimal) digit(i int) byte {
	if i < len(d.whole) {
		return d.whole[i]
	}
	return d.fraction[i-len(d.whole)]
}

// decimalOf is parseDecimal for a tag.
func decimalOf(text string) (decimal, error) {
	if !isJSONNumber([]byte(text)) {
		return decimal{}, strconv.ErrSyntax
	}
	return parseDecimal([]byte(text)), nil
}

// modulo returns the digits, as one integer, modulo m.
func (d decimal) modulo(m uint64) (rest uint64) {
	for _, digits := range [][]byte{d.whole, d.fraction} {
		for _, c := range digits {
			rest = (rest*10 + uint64(c-'0')) % m
		}
	}
	return rest
}
