package typemodel

import (
	"math"
	"regexp/syntax"
	"unicode/utf8"
)

// steps matches most patterns that people write, such as ^[A-Z]{2}-[0-9]+$, in a
// fraction of the time that a regular expression takes: classes of ASCII one
// after another, each repeated so that where it ends is plain to see.
type steps []step

// step is some bytes of a class, at least min and at most max.
type step struct {
	class    [4]uint64 // a bit for each byte
	min, max int
}

// simpleSteps returns the steps that match what the pattern does, nil if it is
// not that simple.
func simpleSteps(pattern string) steps {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil || re.Op != syntax.OpConcat {
		return nil
	}
	inner := len(re.Sub) - 1
	if inner < 2 || re.Sub[0].Op != syntax.OpBeginText || re.Sub[inner].Op != syntax.OpEndText {
		return nil
	}
	var all steps
	for _, sub := range re.Sub[1:inner] {
		var ok bool
		if all, ok = all.with(sub); !ok {
			return nil
		}
	}
	if !all.plain() {
		return nil
	}
	return all
}

// with returns s and the steps of re.
func (s steps) with(re *syntax.Regexp) (steps, bool) {
	next := step{min: 1, max: 1}
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			one := step{min: 1, max: 1}
			if re.Flags&syntax.FoldCase != 0 || !one.add(r, r) {
				return nil, false
			}
			s = append(s, one)
		}
		return s, true
	case syntax.OpStar:
		next.min, next.max = 0, math.MaxInt
	case syntax.OpPlus:
		next.max = math.MaxInt
	case syntax.OpQuest:
		next.min = 0
	case syntax.OpRepeat:
		if next.min, next.max = re.Min, re.Max; re.Max < 0 {
			next.max = math.MaxInt
		}
	}
	if re.Op != syntax.OpCharClass {
		if len(re.Sub) != 1 {
			return nil, false
		}
		re = re.Sub[0]
	}
	switch {
	case re.Op == syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 {
			if !next.add(re.Rune[i], re.Rune[i+1]) {
				return nil, false
			}
		}
	case re.Op != syntax.OpLiteral || len(re.Rune) != 1 || re.Flags&syntax.FoldCase != 0 || !next.add(re.Rune[0], re.Rune[0]):
		return nil, false
	}
	return append(s, next), true
}

// add adds a range to the class of s; false if it is not all ASCII.
func (s *step) add(low, high rune) bool {
	if high >= utf8.RuneSelf {
		return false
	}
	for r := low; r <= high; r++ {
		s.class[r/64] |= 1 << (r % 64)
	}
	return true
}

func (s *step) has(c byte) bool { return s.class[c/64]>>(c%64)&1 != 0 }

// plain reports whether each step may take all it can: what can come behind one
// that may take more or less begins with other bytes.
func (s steps) plain() bool {
	for i := range s {
		for j := i + 1; s[i].min < s[i].max && j < len(s); j++ {
			if s[i].class[0]&s[j].class[0] != 0 || s[i].class[1]&s[j].class[1] != 0 {
				return false
			}
			if s[j].min > 0 {
				break
			}
		}
	}
	return true
}

func (s steps) match(text []byte) bool {
	for i := range s {
		n, most := 0, min(s[i].max, len(text))
		for n < most && s[i].has(text[n]) {
			n++
		}
		if n < s[i].min {
			return false
		}
		text = text[n:]
	}
	return len(text) == 0
}
