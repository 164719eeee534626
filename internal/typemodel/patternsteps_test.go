package typemodel

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestSimpleSteps proves which patterns are simple.
func TestSimpleSteps(t *testing.T) {
	for pattern, simple := range map[string]bool{
		`^[A-Z]{2}-[0-9]+$`: true, `^[a-z]*$`: true, `^abc$`: true, `^a?b{2,}[cd]{0,3}$`: true, `^\d{4}-\d\d$`: true, `^a*b?c*$`: true, `^\w+$`: true, `^[a-z][a-z0-9]{2,8}$`: true,
		`[a-z]`: false, `^[a-z]`: false, `[a-z]$`: false, `^[a-zä]*$`: false, `^[^a]$`: false, `^a*a$`: false, `^a*b?a$`: false, `^a{1,2}[ab]$`: false,
		`^(?:a|bc)$`: false, `^(?:ab)*$`: false, `^a|b$`: false, `^(a)$`: true, `^(ab)$`: false, `^\bx$`: false, `^a$b$`: false, `^$`: false, ``: false, `^a^$`: false,
	} {
		if got := simpleSteps(pattern) != nil; got != simple {
			t.Errorf("%s: simple %t", pattern, got)
		}
	}
}

// TestSimpleStepsAgree proves that steps match what the regular expression does.
func TestSimpleStepsAgree(t *testing.T) {
	class := rapid.SampledFrom([]string{"a", "b", "-", `\.`, "[ab]", "[b-d]", "[a-z0-9]", `\d`, `\w`, "[A-Z]", "[0]", `\x41`, `[\-x]`, "abc"})
	repeat := rapid.SampledFrom([]string{"", "", "*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "{0}", "+?", "*?"})
	simple := 0
	rapid.Check(t, func(t *rapid.T) {
		var p strings.Builder
		p.WriteByte('^')
		for range rapid.IntRange(1, 4).Draw(t, "steps") {
			p.WriteString(class.Draw(t, "class") + repeat.Draw(t, "repeat"))
		}
		p.WriteByte('$')
		s := simpleSteps(p.String())
		if s == nil {
			return
		}
		simple++
		re := regexp.MustCompile(p.String())
		texts := []*rapid.Generator[string]{rapid.StringMatching(p.String()), rapid.StringOfN(rapid.RuneFrom([]rune("ab-.0A\nä")), 0, 8, -1)}
		for range 20 {
			text := rapid.OneOf(texts...).Draw(t, "text")
			if len(text) > 0 && rapid.Bool().Draw(t, "cut") {
				text = text[:len(text)-1] + rapid.SampledFrom([]string{"", "a", "9", "\n"}).Draw(t, "end")
			}
			if got := s.match([]byte(text)); got != re.MatchString(text) {
				t.Fatalf("%s matches %q: %t, the regular expression says %t", p.String(), text, got, !got)
			}
		}
	})
	if simple < 30 {
		t.Errorf("%d patterns were simple", simple)
	}
}
