package typemodel

import "bytes"

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

// modulo returns the digits, as one integer, modulo m.
func (d decimal) modulo(m uint64) (rest uint64) {
	for _, digits := range [][]byte{d.whole, d.fraction} {
		for _, c := range digits {
			rest = (rest*10 + uint64(c-'0')) % m
		}
	}
	return rest
}
