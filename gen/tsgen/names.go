package tsgen

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// names gives out identifiers, each once.
type names struct{ taken map[string]bool }

// words are what a type of ours cannot be called, or would hide from the text
// that we write.
const words = `any unknown never object boolean string number bigint symbol void undefined null
Array Date Error Map Set Promise Record Partial Pick Uint8Array AsyncIterableIterator Function Object String Number Boolean Symbol`

var typeWord = regexp.MustCompile(`\b[A-Z]\w*\b`)

// newNames returns the names of types that are not taken by the run-time.
func newNames(runtime string) *names {
	n := &names{taken: map[string]bool{}}
	for _, w := range append(strings.Fields(words), typeWord.FindAllString(withoutComments(runtime), -1)...) {
		n.taken[w] = true
	}
	return n
}

var comment = regexp.MustCompile(`(?s)/\*.*?\*/|(?m)//.*$`)

func withoutComments(code string) string { return comment.ReplaceAllString(code, "") }

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

// pascal and camel make an identifier of any text.
func pascal(text string) string {
	var b strings.Builder
	for _, part := range parts(text) {
		r, size := utf8.DecodeRuneInString(part)
		b.WriteRune(unicode.ToUpper(r))
		b.WriteString(part[size:])
	}
	return identifierStart(b.String())
}

func camel(text string) string {
	var b strings.Builder
	for i, part := range parts(text) {
		r, size := utf8.DecodeRuneInString(part)
		if i == 0 {
			b.WriteRune(unicode.ToLower(r))
		} else {
			b.WriteRune(unicode.ToUpper(r))
		}
		b.WriteString(part[size:])
	}
	return identifierStart(b.String())
}

// parts are the pieces of text that can be in an identifier. Only letters and
// digits that ECMAScript and Go agree on are among them.
func parts(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.Is(unicode.Nd, r) })
}

func identifierStart(text string) string {
	if r, _ := utf8.DecodeRuneInString(text); text == "" || !unicode.IsLetter(r) {
		return "_" + text
	}
	return text
}

var plainName = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)

// member returns name as a member of an object or an interface.
func member(name string) string {
	if plainName.MatchString(name) && name != "__proto__" && name != "constructor" {
		return name
	}
	return quote(name)
}

// entry returns a member of an object with its value.
func entry(name, value string) string {
	if name == "__proto__" {
		return "['__proto__']: " + value // without brackets it is the prototype
	}
	return member(name) + ": " + value
}

// property returns an expression for a member of an expression.
func property(of, name string) string {
	if plainName.MatchString(name) {
		return of + "." + name
	}
	return of + "[" + quote(name) + "]"
}

// quote returns text as a string literal.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range text {
		switch {
		case r == '\'' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r < ' ' || r == 0x7f || !unicode.IsPrint(r):
			b.WriteString(`\u{` + strconv.FormatInt(int64(r), 16) + "}")
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('\'')
	return b.String()
}
