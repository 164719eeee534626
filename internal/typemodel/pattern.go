package typemodel

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// pattern is a regular expression that Go and JavaScript (with the flag u)
// understand alike. Like in JSON Schema it is not anchored.
type pattern struct {
	re    *regexp.Regexp
	steps steps // the same, nil if it is not that simple
}

func compilePattern(n *node, tags map[string]string) error {
	text := tags["pattern"]
	re, err := regexp.Compile(text)
	if err != nil {
		return fmt.Errorf("pattern: %w", err)
	}
	if why := differs(text); why != "" {
		return fmt.Errorf("pattern:%q: %s", text, why)
	}
	n.say("pattern", quoteJSON(text))
	n.checks.text = append(n.checks.text, pattern{re, simpleSteps(text)})
	return nil
}

func (c pattern) fault(text []byte) string {
	if c.steps != nil && c.steps.match(text) || c.steps == nil && c.re.Match(text) {
		return ""
	}
	return "must match the pattern " + c.re.String()
}

// differs says what in a valid Go pattern means something else, or nothing, in
// JavaScript.
func differs(p string) string {
	class := false // inside [...]
	for i := 0; i < len(p); {
		_, size := utf8.DecodeRuneInString(p[i:])
		switch c := p[i]; {
		case c == '\\':
			n, why := escapeDiffers(p[i:], class)
			if why != "" {
				return why
			}
			size = n
		case class && strings.HasPrefix(p[i:], "[:"):
			return "classes such as [:alpha:] are unknown to JavaScript; write the ranges"
		case class && c == ']':
			class = false
		case class:
		case c == '[':
			class = true
			if rest := strings.TrimPrefix(p[i+1:], "^"); strings.HasPrefix(rest, "]") {
				return "a ] at the start of a class ends it in JavaScript; write \\]"
			}
		case c == '.':
			return "a dot excludes other line ends in JavaScript than in Go; write [^\\n]"
		case c == '(' && strings.HasPrefix(p[i:], "(?") && !strings.HasPrefix(p[i:], "(?:") && !strings.HasPrefix(p[i:], "(?<"):
			return "flags and (?P<name>) are unknown to JavaScript; use (?:...) or (?<name>...)"
		case c == '{':
			end := strings.IndexByte(p[i:], '}')
			if end < 0 || !isRepeat(p[i+1:i+end]) {
				return "a { that begins no repetition is an error in JavaScript; write \\{"
			}
			size = end + 1
		case c == '}' || c == ']':
			return "a " + string(c) + " that closes nothing is an error in JavaScript; escape it"
		}
		i += size
	}
	return ""
}

// isRepeat reports whether s is n, n, or n,m.
func isRepeat(s string) bool {
	low, high, _ := strings.Cut(s, ",")
	return low != "" && strings.Trim(low, "0123456789") == "" && strings.Trim(high, "0123456789") == ""
}

// escapeDiffers judges the escape at the start of p and returns its length.
func escapeDiffers(p string, class bool) (int, string) {
	c := p[1]
	switch {
	case strings.IndexByte(`^$\.*+?()[]{}|/`, c) >= 0, strings.IndexByte("dDwWtnrfv", c) >= 0:
		return 2, ""
	case c == '-' && class, (c == 'b' || c == 'B') && !class:
		return 2, ""
	case c == 's' || c == 'S':
		return 0, `\s covers more characters in JavaScript than in Go; write [ \t\r\n]`
	case c == 'x' && len(p) > 3 && p[2] != '{':
		return 4, ""
	case (c == 'p' || c == 'P') && len(p) > 3 && p[2] == '{':
		end := strings.IndexByte(p, '}')
		if end > 0 && end <= len(`\p{Lu`) && p[3] != '^' {
			return end + 1, "" // a general category, such as {L} or {Lu}
		}
		return 0, `scripts are \p{Script=...} in JavaScript; use categories such as \p{L} or ranges`
	}
	return 0, "the escape \\" + string(c) + " is no escape in JavaScript, or another one"
}
