package jsonscan_test

import (
	"bytes"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/kanava-go/kanava/internal/jsonscan"
)

var seeds = []string{
	`{"action":"x","by":[1,2.5e-3,-0],"c":{"d":null,"e":true}}`,
	`{"\u0061ction":1,"by":"\ud83d\ude00\n"}`,
	`{"by":1,"action":2,"x":3}`,
	`{ "x" : 3 , "action" : { "action" : [ ] } }`,
	`{"action":1,"action":2}`,
	`[[[["deep"]]]]`,
	` "0123456789abcdef \u00e4 äöü € 😀 \\" `,
	"\"\xff\"", "\"\x01\"", `"\ud800"`, `01`, `-`, `1.`, `{"a":1,}`, `{`, ``, `nul`,
}

// reference is what Scan promises, written with jsontext.
func reference(data []byte) (valid, twice bool) {
	dec := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true))
	seen := map[string]int{}
	name := false // the next token of the top-level object is a name
	for n := 0; ; n++ {
		tok, err := dec.ReadToken()
		if err != nil {
			return false, twice
		}
		kind := tok.Kind()
		switch {
		case dec.StackDepth() == 1 && n == 0:
			name = kind == '{'
		case dec.StackDepth() == 1 && name && kind == '"':
			if s := tok.String(); s == "action" || s == "by" {
				seen[s]++
				twice = twice || seen[s] > 1
			}
			if err := dec.SkipValue(); err != nil {
				return false, twice
			}
		}
		if dec.StackDepth() == 0 {
			break
		}
	}
	return jsontext.Value(data).IsValid(jsontext.AllowDuplicateNames(true)), twice
}

// elements counts the values of a valid text.
func elements(data []byte) (n int) {
	dec := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true))
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return n
		}
		kind, length := dec.StackIndex(dec.StackDepth())
		name := kind == '{' && length%2 == 1 && tok.Kind() != '{'
		if !name && tok.Kind() != '}' && tok.Kind() != ']' {
			n++
		}
	}
}

// FuzzScan proves that Scan accepts exactly what jsontext accepts, but for the
// limits and for its keys standing twice.
func FuzzScan(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		found := make([]jsonscan.Member, 2)
		kind, err := jsonscan.Scan(data, []string{"action", "by"}, found, jsonscan.Limits{Depth: 64})
		valid, twice := reference(data)
		if valid && !twice {
			var e *jsonscan.Error
			if err != nil {
				e = err.(*jsonscan.Error)
			}
			if e != nil && e.Reason != "nested deeper than 64" {
				t.Fatalf("Scan(%q) = %v, jsontext accepts it", data, err)
			}
			if e == nil && normal(jsontext.Value(data).Kind()) != kind {
				t.Fatalf("Scan(%q) = %c", data, kind)
			}
			if n := elements(data); e == nil {
				_, enough := jsonscan.Scan(data, nil, nil, jsonscan.Limits{Depth: 64, Elements: n})
				_, tooFew := jsonscan.Scan(data, nil, nil, jsonscan.Limits{Depth: 64, Elements: n - 1})
				if enough != nil || n > 1 && tooFew == nil {
					t.Fatalf("Scan(%q) of %d elements: %v with a limit of them, %v with one less", data, n, enough, tooFew)
				}
			}
		} else if err == nil {
			t.Fatalf("Scan(%q) accepts it; valid %t, twice %t", data, valid, twice)
		}
	})
}

func normal(k jsontext.Kind) jsonscan.Kind {
	if k == 'f' {
		k = 't'
	}
	return jsonscan.Kind(k)
}

// FuzzBlank proves that blanking removes the members asked for, keeps every
// other member as it is and every other byte in its place.
func FuzzBlank(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s), true, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, first, second bool) {
		keys := []string{"action", "by"}
		found := make([]jsonscan.Member, 2)
		if kind, err := jsonscan.Scan(data, keys, found, jsonscan.Limits{Depth: 64}); err != nil || kind != jsonscan.KindObject {
			return
		}
		blanked := bytes.Clone(data)
		gone := map[string]bool{}
		for i, blank := range []bool{first, second} {
			if blank && found[i].Found() {
				gone[keys[i]] = true
				jsonscan.Blank(blanked, found[i])
			}
		}
		for i := range data {
			if data[i] != blanked[i] && blanked[i] != ' ' {
				t.Fatalf("byte %d of %q became %q", i, data, blanked)
			}
		}
		want, got := members(t, data), members(t, blanked)
		var kept [][2]string
		for _, m := range want {
			if !gone[m[0]] {
				kept = append(kept, m)
			}
		}
		if len(kept) != len(got) {
			t.Fatalf("%q became %q: members %q, want %q", data, blanked, got, kept)
		}
		for i := range kept {
			if kept[i] != got[i] {
				t.Fatalf("%q became %q: members %q, want %q", data, blanked, got, kept)
			}
		}
	})
}

// members returns names and raw values of the top-level object.
func members(t *testing.T, data []byte) (out [][2]string) {
	t.Helper()
	dec := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true))
	if _, err := dec.ReadToken(); err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		text := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		out = append(out, [2]string{text, string(value)})
	}
	return out
}
