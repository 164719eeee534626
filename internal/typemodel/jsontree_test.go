package typemodel_test

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/go-json-experiment/json/jsontext"
)

// tree is a JSON text that tests take apart and change.
type tree struct {
	kind    jsontext.Kind // '{', '[', '"', '0' and the literals
	raw     string        // of scalars
	names   []string      // of members, raw
	kids    []*tree
	parent  *tree
	escaped bool // strings are written with \u escapes
}

func parseTree(raw []byte) *tree {
	dec := jsontext.NewDecoder(bytes.NewReader(raw))
	var parse func(parent *tree) *tree
	parse = func(parent *tree) *tree {
		if kind := dec.PeekKind(); kind != '{' && kind != '[' {
			v, err := dec.ReadValue()
			if err != nil {
				panic(err)
			}
			t := &tree{kind: kind, raw: string(v), parent: parent}
			if kind == '"' {
				t.raw = quoted(unquoted(t.raw)) // without needless escapes
			}
			return t
		}
		t := &tree{kind: dec.PeekKind(), parent: parent}
		_, _ = dec.ReadToken()
		for dec.PeekKind() != '}' && dec.PeekKind() != ']' {
			if t.kind == '{' {
				name, err := dec.ReadValue()
				if err != nil {
					panic(err)
				}
				t.names = append(t.names, string(name))
			}
			t.kids = append(t.kids, parse(t))
		}
		_, _ = dec.ReadToken()
		return t
	}
	return parse(nil)
}

func (t *tree) append(b []byte) []byte {
	if t.kind != '{' && t.kind != '[' {
		if t.escaped && t.kind == '"' {
			return append(b, escapeAll(t.raw)...)
		}
		return append(b, t.raw...)
	}
	b = append(b, byte(t.kind))
	for i, kid := range t.kids {
		if i > 0 {
			b = append(b, ',')
		}
		if t.kind == '{' {
			name := t.names[i]
			if t.escaped {
				name = escapeAll(name)
			}
			b = append(append(b, name...), ':')
		}
		b = kid.append(b)
	}
	return append(b, byte(t.kind)+2)
}

// escapeAll writes every character of a JSON string as \u escapes.
func escapeAll(raw string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, unit := range utf16.Encode([]rune(unquoted(raw))) {
		b.WriteString(`\u` + strconv.FormatUint(0x10000|uint64(unit), 16)[1:])
	}
	b.WriteByte('"')
	return b.String()
}

func unquoted(raw string) string {
	text, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func quoted(text string) string {
	raw, _ := jsontext.AppendQuote(nil, text)
	return string(raw)
}

// all returns t and everything below it.
func (t *tree) all() []*tree {
	list := []*tree{t}
	for _, kid := range t.kids {
		list = append(list, kid.all()...)
	}
	return list
}

// become makes t the JSON raw.
func (t *tree) become(raw string) {
	parent := t.parent
	*t = *parseTree([]byte(raw))
	t.parent = parent
	for _, kid := range t.kids {
		kid.parent = t
	}
}

// set adds a member if there is none of its name.
func (t *tree) set(name, raw string) {
	if slices.ContainsFunc(t.names, func(old string) bool { return unquoted(old) == unquoted(name) }) {
		return
	}
	kid := parseTree([]byte(raw))
	kid.parent = t
	t.names, t.kids = append(t.names, name), append(t.kids, kid)
}

// at returns what a JSON pointer leads to, or nil.
func (t *tree) at(pointer string) *tree {
	for token := range jsontext.Pointer(pointer).Tokens() {
		i := -1
		if t.kind == '{' {
			i = slices.IndexFunc(t.names, func(name string) bool { return unquoted(name) == token })
		} else if n, err := strconv.Atoi(token); err == nil && n < len(t.kids) {
			i = n
		}
		if i < 0 {
			return nil
		}
		t = t.kids[i]
	}
	return t
}
