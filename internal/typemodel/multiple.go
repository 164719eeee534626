package typemodel

import (
	"fmt"
	"math"
	"strconv"
)

// multiple is multipleOf for integers.
type multiple[N int64 | uint64] struct {
	of   N
	text string
}

// decimalMultiple is multipleOf for floats and json.Number. It looks at what is
// written, not at the nearest float: 0.3 is a multiple of 0.1.
type decimalMultiple struct {
	digits uint64 // the tag is digits * 10^exp
	exp    int64
	text   string
}

func compileMultiple(n *node, tags map[string]string) (err error) {
	text := tags["multipleOf"]
	refused := fmt.Errorf("multipleOf:%q is no %s above 0", text, typeName(n.typ))
	n.say("multipleOf", text)
	switch n.shape {
	case shapeInt:
		c := multiple[int64]{text: text}
		if c.of, err = parseInt(n.typ, text); err != nil || c.of <= 0 {
			return refused
		}
		n.checks.ints = append(n.checks.ints, c)
	case shapeUint:
		c := multiple[uint64]{text: text}
		if c.of, err = parseUint(n.typ, text); err != nil || c.of == 0 {
			return refused
		}
		n.checks.uints = append(n.checks.uints, c)
	default:
		if n.shape == shapeFloat {
			if _, err := parseFloat(n.typ, text); err != nil {
				return refused
			}
		}
		d, err := decimalOf(text)
		if err != nil || d.negative || d.isZero() {
			return refused
		}
		digits, err := strconv.ParseUint(string(d.whole)+string(d.fraction), 10, 32)
		if err != nil {
			return fmt.Errorf("multipleOf:%q has more digits than are supported: the number without zeros and point must be at most %d", text, uint32(math.MaxUint32))
		}
		n.checks.exact = append(n.checks.exact, decimalMultiple{digits, d.exp, text})
	}
	return nil
}

func (c multiple[N]) fault(v N) string {
	if v%c.of == 0 {
		return ""
	}
	return "must be a multiple of " + c.text
}

func (c decimalMultiple) fault(text []byte) string {
	d := parseDecimal(text)
	// The last digit of d is not 0: with a finer last place it is no multiple.
	if d.isZero() || d.exp >= c.exp && d.modulo(c.digits)*powerOf10(d.exp-c.exp, c.digits)%c.digits == 0 {
		return ""
	}
	return "must be a multiple of " + c.text
}

// powerOf10 returns 10^n modulo m, which is less than 2^32.
func powerOf10(n int64, m uint64) uint64 {
	result, base := 1%m, 10%m
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			result = result * base % m
		}
		base = base * base % m
	}
	return result
}
