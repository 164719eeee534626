package tsgen

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// width is how long a line may be.
const width = 116

// doc writes a comment for what follows: text, in paragraphs, and whether it is
// deprecated.
func (w *writer) doc(indent, text string, deprecated bool) {
	var lines []string
	for paragraph := range strings.SplitSeq(strings.TrimSpace(clean(text)), "\n\n") {
		paragraph = strings.TrimSpace(paragraph)
		if why, ok := strings.CutPrefix(paragraph, "Deprecated:"); ok {
			deprecated = false
			paragraph = "@deprecated " + strings.TrimSpace(why)
		} else {
			paragraph = noTag.ReplaceAllString(paragraph, `$1\@`)
		}
		if paragraph == "" {
			continue
		}
		if lines != nil {
			lines = append(lines, "")
		}
		for line := range strings.SplitSeq(paragraph, "\n") {
			lines = append(lines, wrap(line, width-len(indent)-3)...)
		}
	}
	if deprecated {
		lines = append(lines, "@deprecated")
	}
	switch {
	case len(lines) == 0:
	case len(lines) == 1 && len(indent)+len(lines[0])+7 <= width:
		w.line(indent + "/** " + lines[0] + " */")
	default:
		w.line(indent + "/**")
		for _, line := range lines {
			w.line(strings.TrimRight(indent+" * "+line, " "))
		}
		w.line(indent + " */")
	}
}

// noTag is what would be a tag of a comment.
var noTag = regexp.MustCompile(`(?m)^(\s*)@`)

var ends = regexp.MustCompile(`\*(\s*)/`)

// clean returns text that can stand in a comment.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ReplaceAll(text, "\r\n", "\n"))
	return ends.ReplaceAllString(text, `*$1\/`)
}

// wrap breaks text at spaces into lines of at most width runes.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}
