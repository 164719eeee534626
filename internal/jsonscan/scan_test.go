package jsonscan_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/kanava-go/kanava/internal/jsonscan"
)

func TestScanKind(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want jsonscan.Kind
	}{
		{`{}`, jsonscan.KindObject},
		{" \t\r\n[ ] \n", jsonscan.KindArray},
		{`"x"`, jsonscan.KindString},
		{`-0.5e+3`, jsonscan.KindNumber},
		{`0`, jsonscan.KindNumber},
		{`true`, jsonscan.KindBool},
		{`false`, jsonscan.KindBool},
		{`null`, jsonscan.KindNull},
	} {
		got, err := jsonscan.Scan([]byte(tc.in), nil, nil, jsonscan.Limits{Depth: 64})
		if err != nil || got != tc.want {
			t.Errorf("Scan(%s) = %c, %v; want %c", tc.in, got, err, tc.want)
		}
	}
}

func TestScanRefuses(t *testing.T) {
	for _, tc := range []struct {
		why, in, reason string
		offset          int
	}{
		{"nothing", ``, "malformed JSON", 0},
		{"white space only", "  ", "malformed JSON", 2},
		{"two values", `1 2`, "malformed JSON", 2},
		{"form feed is no white space", "\f1", "malformed JSON", 0},
		{"byte order mark", "\ufeff1", "malformed JSON", 0},
		{"leading zero", `[01]`, "malformed JSON", 1},
		{"leading plus", `+1`, "malformed JSON", 0},
		{"no digit before the point", `.5`, "malformed JSON", 0},
		{"no digit behind the point", `1.`, "malformed JSON", 2},
		{"no digit in the exponent", `1e+`, "malformed JSON", 3},
		{"minus alone", `-`, "malformed JSON", 1},
		{"not a number", `NaN`, "malformed JSON", 0},
		{"cut literal", `tru`, "malformed JSON", 0},
		{"long literal", `nulls`, "malformed JSON", 4},
		{"unclosed string", `"abc`, "malformed JSON", 4},
		{"line break in a string", "\"a\nb\"", "malformed JSON", 2},
		{"control character far into a string", "\"0123456789abcdef\x01\"", "malformed JSON", 17},
		{"unknown escape", `"\x"`, "malformed JSON", 1},
		{"short escape", `"\u12"`, "malformed JSON", 1},
		{"high surrogate alone", `"\ud800"`, "malformed JSON", 1},
		{"low surrogate alone", `"\udc00"`, "malformed JSON", 1},
		{"two high surrogates", `"\ud800\ud800"`, "malformed JSON", 1},
		{"invalid UTF-8", "[\"\xff\"]", "invalid UTF-8", 2},
		{"surrogate in UTF-8", "\"\xed\xa0\x80\"", "invalid UTF-8", 1},
		{"overlong UTF-8", "\"\xc0\xaf\"", "invalid UTF-8", 1},
		{"trailing comma in an array", `[1,]`, "malformed JSON", 3},
		{"trailing comma in an object", `{"a":1,}`, "malformed JSON", 7},
		{"leading comma", `[,1]`, "malformed JSON", 1},
		{"wrong bracket", `[1}`, "malformed JSON", 2},
		{"unclosed", `{"a":[1]`, "malformed JSON", 8},
		{"no colon", `{"a" 1}`, "malformed JSON", 5},
		{"no value", `{"a":}`, "malformed JSON", 5},
		{"name is no string", `{1:2}`, "malformed JSON", 1},
		{"no name", `{`, "malformed JSON", 1},
		{"depth", `[[{"a":[]}]]`, "nested deeper than 3", 7},
		{"key twice", `{"action":1,"b":2,"action":3}`, `member "action" twice`, 18},
		{"key twice, once with an escape", `{"action":1,"\u0061ction":3}`, `member "action" twice`, 12},
	} {
		found := make([]jsonscan.Member, 1)
		_, err := jsonscan.Scan([]byte(tc.in), []string{"action"}, found, jsonscan.Limits{Depth: 3})
		e, ok := errors.AsType[*jsonscan.Error](err)
		if !ok {
			t.Errorf("%s: Scan(%q) = %v, want an *Error", tc.why, tc.in, err)
		} else if e.Reason != tc.reason || e.Offset != tc.offset {
			t.Errorf("%s: Scan(%q) = %q at %d, want %q at %d", tc.why, tc.in, e.Reason, e.Offset, tc.reason, tc.offset)
		}
	}
}

func TestScanDepth(t *testing.T) {
	for _, depth := range []int{1, 2, 63, 64, 65, 128, 1000, jsonscan.MaxDepth} {
		for _, open := range []string{"[", `{"a":`} {
			closing := map[string]string{"[": "]", `{"a":`: "}"}[open]
			in := []byte(strings.Repeat(open, depth) + "1" + strings.Repeat(closing, depth))
			if _, err := jsonscan.Scan(in, nil, nil, jsonscan.Limits{Depth: depth}); err != nil {
				t.Errorf("%d levels of %s: %v", depth, open, err)
			}
			if _, err := jsonscan.Scan(in, nil, nil, jsonscan.Limits{Depth: depth - 1}); err == nil {
				t.Errorf("%d levels of %s passed with a limit of %d", depth, open, depth-1)
			}
		}
	}
	in := []byte(strings.Repeat("[", 2000) + strings.Repeat("]", 2000))
	if _, err := jsonscan.Scan(in, nil, nil, jsonscan.Limits{Depth: 1 << 20}); err == nil {
		t.Error("2000 levels passed: MaxDepth must bound the limit")
	}
}

func TestScanElements(t *testing.T) {
	for in, elements := range map[string]int{
		`1`: 1, `[]`: 1, `{}`: 1, `[1]`: 2, `[1,2]`: 3, `{"a":1}`: 2, `{"a":[1,{"b":[]}],"c":null}`: 6, `[ [ ] , "a,b" ]`: 3,
		"[" + strings.Repeat("0,", 99_999) + "0]": 100_001,
	} {
		if _, err := jsonscan.Scan([]byte(in), nil, nil, jsonscan.Limits{Depth: 9, Elements: elements}); err != nil {
			t.Errorf("%.40s: %v", in, err)
		}
		if elements == 1 {
			continue
		}
		_, err := jsonscan.Scan([]byte(in), nil, nil, jsonscan.Limits{Depth: 9, Elements: elements - 1})
		e, ok := errors.AsType[*jsonscan.Error](err)
		if want := "more than " + strconv.Itoa(elements-1) + " values"; !ok || e.Reason != want {
			t.Errorf("%.40s: %v, want %s", in, err, want)
		}
	}
}

func TestScanFinds(t *testing.T) {
	for _, tc := range []struct {
		why, in      string
		member, text string // of "action"
	}{
		{"first", `{"action":"go","b":1}`, `"action":"go"`, `"go"`},
		{"last, with white space", `{"b":1 , "action" : "go" }`, `"action" : "go"`, `"go"`},
		{"escaped name", `{"\u0061c\u0074ion":"go"}`, `"\u0061c\u0074ion":"go"`, `"go"`},
		{"behind nested members of that name", `{"b":{"action":1},"c":[{"action":2}],"action":3}`, `"action":3`, `3`},
		{"an object as value", `{"action":{"action":[1,{}]},"b":1}`, `"action":{"action":[1,{}]}`, `{"action":[1,{}]}`},
		{"an array as value", `{"action":[[],[2]]}`, `"action":[[],[2]]`, `[[],[2]]`},
		{"absent", `{"actions":1,"actio":2,"Action":3,"action\\":4}`, ``, ``},
		{"not an object", `[{"action":1}]`, ``, ``},
	} {
		found := []jsonscan.Member{{Start: 9, End: 9}, {Start: 9, End: 9}}
		if _, err := jsonscan.Scan([]byte(tc.in), []string{"action", "other"}, found, jsonscan.Limits{Depth: 64}); err != nil {
			t.Errorf("%s: %v", tc.why, err)
			continue
		}
		m := found[0]
		if member, text := tc.in[m.Start:m.End], tc.in[m.ValueStart:m.ValueEnd]; member != tc.member || text != tc.text {
			t.Errorf("%s: found %q with value %q, want %q, %q", tc.why, member, text, tc.member, tc.text)
		}
		if m.Found() != (tc.member != "") || found[1] != (jsonscan.Member{}) {
			t.Errorf("%s: found %+v", tc.why, found)
		}
	}
}

func TestBlank(t *testing.T) {
	for _, tc := range []struct{ why, in, want string }{
		{"first of two", `{"action":"x","b":1}`, `{             "b":1}`},
		{"last of two", `{"b":1,"action":"x"}`, `{"b":1             }`},
		{"alone", `{"action":"x"}`, `{            }`},
		{"space before the comma", `{"action":1 , "b":2}`, `{             "b":2}`},
		{"space behind the comma", "{\"b\":2 ,\n \"action\":1}", "{\"b\":2  \n           }"},
		{"both keys, side by side at the end", `{"b":2,"action":1,"by":2}`, `{"b":2                  }`},
		{"both keys, side by side at the start", `{"by":2,"action":1,"b":2}`, `{                  "b":2}`},
		{"both keys and nothing else", `{"by":2,"action":1}`, `{                 }`},
	} {
		for _, order := range [][]int{{0, 1}, {1, 0}} {
			data := []byte(tc.in)
			found := make([]jsonscan.Member, 2)
			if _, err := jsonscan.Scan(data, []string{"action", "by"}, found, jsonscan.Limits{Depth: 64}); err != nil {
				t.Fatal(err)
			}
			for _, i := range order {
				if found[i].Found() {
					jsonscan.Blank(data, found[i])
				}
			}
			if string(data) != tc.want || !jsontext.Value(data).IsValid() {
				t.Errorf("%s: got %s, want %s", tc.why, data, tc.want)
			}
		}
	}
}

func TestString(t *testing.T) {
	for _, tc := range []struct {
		raw, want string
		ok, plain bool
	}{
		{`""`, ``, true, true},
		{`"abc"`, `abc`, true, true},
		{`"häh"`, `häh`, true, true},
		{`"a\"\\\/\b\f\n\r\t"`, "a\"\\/\b\f\n\r\t", true, false},
		{`"\u0041\u00e4\ud83d\ude00"`, "Aä😀", true, false},
		{`1`, ``, false, false},
		{`"`, ``, false, false},
		{`null`, ``, false, false},
		{`"\ud800"`, ``, false, false},
	} {
		if got, ok := jsonscan.String([]byte(tc.raw)); got != tc.want || ok != tc.ok {
			t.Errorf("String(%s) = %q, %t; want %q, %t", tc.raw, got, ok, tc.want, tc.ok)
		}
		if got, ok := jsonscan.Unescaped([]byte(tc.raw)); ok != tc.plain || ok && string(got) != tc.want {
			t.Errorf("Unescaped(%s) = %q, %t", tc.raw, got, ok)
		}
		if got, ok := jsonscan.AppendString([]byte("x"), []byte(tc.raw)); ok != tc.ok || string(got) != "x"+tc.want {
			t.Errorf("AppendString(%s) = %q, %t", tc.raw, got, ok)
		}
	}
}

func TestValueEnd(t *testing.T) {
	for _, value := range []string{`1`, `-1.5e+3`, `true`, `null`, `""`, `"a\\"`, `"a\"]}"`, `[]`, `{}`, `[1, {"a]": "}"}, []]`, `{"a" : [ ] , "b":{}}`} {
		for _, around := range []string{"%s", "[%s ]", "[%s,1]", `{"k":%s}`, "[ %s\n]"} {
			before, after, _ := strings.Cut(around, "%s")
			text := []byte(before + value + after)
			if _, err := jsonscan.Scan(text, nil, nil, jsonscan.Limits{Depth: 64}); err != nil {
				t.Fatal(err)
			}
			if got := jsonscan.ValueEnd(text, len(before)); got != len(before)+len(value) {
				t.Errorf("ValueEnd(%s, %d) = %d", text, len(before), got)
			}
		}
	}
}

func ExampleScan() {
	message := []byte(`{"action":"send","text":"hi"}`)
	found := make([]jsonscan.Member, 1)
	kind, err := jsonscan.Scan(message, []string{"action"}, found, jsonscan.Limits{Depth: 64})
	if err != nil {
		panic(err)
	}
	action, _ := jsonscan.String(message[found[0].ValueStart:found[0].ValueEnd])
	jsonscan.Blank(message, found[0])
	fmt.Printf("%c %s %s\n", kind, action, message)
	// Output: { send {                "text":"hi"}
}
