package gogen

import (
	"fmt"
	"go/token"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// names gives out identifiers, each once.
type names struct{ taken map[string]bool }

func newNames(taken ...string) *names {
	n := &names{map[string]bool{}}
	for _, name := range taken {
		n.taken[name] = true
	}
	return n
}

// take returns name, or name with something behind it if it is taken.
func (n *names) take(name string) string {
	found := name
	for i := 1; n.taken[found]; i++ {
		found = name + "_"
		if i > 1 {
			found += strconv.Itoa(i)
		}
	}
	n.taken[found] = true
	return found
}

// exported makes an exported identifier of any text.
func exported(text string) string {
	var b strings.Builder
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		r, size := utf8.DecodeRuneInString(part)
		b.WriteRune(unicode.ToUpper(r))
		b.WriteString(part[size:])
	}
	if name := b.String(); token.IsExported(name) {
		return name
	}
	return "X" + b.String()
}

// unexported is exported with a lower-case first letter.
func unexported(text string) string {
	name := exported(text)
	r, size := utf8.DecodeRuneInString(name)
	name = string(unicode.ToLower(r)) + name[size:]
	if token.IsKeyword(name) {
		return name + "_"
	}
	return name
}

// jsonTag returns the struct tag of a member.
func jsonTag(name, options string) (string, error) {
	if name == "" || name == "-" || strings.ContainsFunc(name, func(r rune) bool {
		return strings.ContainsRune(",'\"`\\", r) || !unicode.IsPrint(r)
	}) {
		return "", fmt.Errorf("a struct tag cannot hold the JSON name %q", name)
	}
	return "`json:\"" + name + options + "\"`", nil
}

// printable returns text as a comment can have it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
}

// oneLine returns text as a comment of one line can have it.
func oneLine(text string) string { return strings.Join(strings.Fields(printable(text)), " ") }
