package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kanava-go/kanava/manifest"
)

func read(t *testing.T, text string) *manifest.Manifest {
	t.Helper()
	m, err := manifest.Read(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sentAndGot is a channel whose action takes in and answers out.
func sentAndGot(in, out string) string {
	return fmt.Sprintf(`{"kanava":1,"level":1,"channels":[{"name":"c","route":"/c","keys":["do"],`+
		`"actions":[{"by":"do","name":"a","in":{"$ref":"#/$defs/In"},"out":{"$ref":"#/$defs/Out"}}]}],"$defs":{"In":%s,"Out":%s}}`, in, out)
}

// TestDiffOfTypes proves that clients may be allowed more and be sent less, and
// not the other way round.
func TestDiffOfTypes(t *testing.T) {
	object := func(members, required string) string {
		return `{"type":"object","properties":{` + members + `},"required":[` + required + `],"additionalProperties":false}`
	}
	for _, tc := range []struct {
		why, from, to string
		sent, got     string // what Diff says of the type as an input, and as an output
	}{
		{"nothing", `{"type":"string"}`, `{"type":"string","description":"x"}`, "", ""},
		{"another type", `{"type":"string"}`, `{"type":"integer","format":"int64"}`, "BREAKING: is integer (int64), not string", "BREAKING: is integer (int64), not string"},
		{"a format", `{"type":"string"}`, `{"type":"string","format":"date-time"}`, "BREAKING: is string (date-time), not string", "BREAKING: is string (date-time), not string"},
		{"null", `{"type":"string"}`, `{"type":["string","null"]}`, "compatible: may be null now", "BREAKING: may be null now"},
		{"no null", `{"anyOf":[{"type":"string"},{"type":"null"}]}`, `{"type":"string"}`, "BREAKING: is never null now", "compatible: is never null now"},
		{"a new value", `{"type":"string","enum":["a"]}`, `{"type":"string","enum":["a","b"]}`, `compatible: may be "b" now`, `BREAKING: may be "b" now`},
		{"a value less", `{"type":"string","enum":["a","b"]}`, `{"type":"string","enum":["b"]}`, `BREAKING: is never "a" now`, `compatible: is never "a" now`},
		{"a higher maximum", `{"type":"string","maxLength":5}`, `{"type":"string","maxLength":6}`, "compatible: has maxLength 6, not 5", ""},
		{"a lower maximum", `{"type":"string","maxLength":5}`, `{"type":"string","maxLength":4}`, "BREAKING: has maxLength 4, not 5", ""},
		{"a new minimum", `{"type":"array","items":true}`, `{"type":"array","items":true,"minItems":1}`, "BREAKING: has minItems 1", ""},
		{"no pattern", `{"type":"string","pattern":"a"}`, `{"type":"string"}`, "compatible: has no pattern now", ""},
		{"any JSON", `{"type":"string"}`, `true`, "compatible: is any JSON now", "BREAKING: is any JSON now"},
		{"a member more", object("", ""), object(`"x":true`, ""), "compatible: /x is new", "compatible: /x is new"},
		{"a member more that is required", object("", ""), object(`"x":true`, `"x"`), "BREAKING: /x is new and has to be there", "compatible: /x is new"},
		{"a member less", object(`"x":true`, ""), object("", ""), "BREAKING: /x is no longer there", "BREAKING: /x is no longer there"},
		{"required", object(`"x":true`, ""), object(`"x":true`, `"x"`), "BREAKING: /x is always there now", "compatible: /x is always there now"},
		{"optional", object(`"x":true`, `"x"`), object(`"x":true`, ""), "compatible: /x may be absent now", "BREAKING: /x may be absent now"},
		{
			"inside, in a type that contains itself", object(`"x":{"type":"array","items":{"$ref":"#/$defs/In"}},"y":{"type":"boolean"}`, ""),
			object(`"x":{"type":"array","items":{"$ref":"#/$defs/In"}},"y":{"type":"string"}`, ""),
			"BREAKING: /y is string, not boolean", "BREAKING: /y is string, not boolean",
		},
	} {
		say := func(older, newer string) string {
			var lines []string
			for _, c := range manifest.Diff(read(t, older), read(t, newer)) {
				line := strings.Join(strings.Fields(c.String()), " ")
				line = strings.NewReplacer("c: action do a: input ", "", "c: action do a: output ", "").Replace(line)
				lines = append(lines, line)
			}
			return strings.Join(lines, "\n")
		}
		const same = `{"type":"boolean"}`
		if diff := cmp.Diff(tc.sent, say(sentAndGot(tc.from, same), sentAndGot(tc.to, same))); diff != "" {
			t.Errorf("%s, sent: %s", tc.why, diff)
		}
		from, to := strings.ReplaceAll(tc.from, "/In", "/Out"), strings.ReplaceAll(tc.to, "/In", "/Out")
		if diff := cmp.Diff(tc.got, say(sentAndGot(same, from), sentAndGot(same, to))); diff != "" {
			t.Errorf("%s, got: %s", tc.why, diff)
		}
	}
}

// TestDiffOfChannels compares what is there at all.
func TestDiffOfChannels(t *testing.T) {
	older := read(t, `{"kanava":1,"level":1,"$defs":{"O":{"type":"object","properties":{"r":{"type":"string"}},"required":["r"]}},"channels":[
		{"name":"gone","route":"/g"},
		{"name":"c","route":"/c","opening":{"type":{"$ref":"#/$defs/O"},"params":[{"name":"r","query":"r"}]},"keys":["do"],
		 "actions":[{"by":"do","name":"a"},{"by":"do","name":"s","out":true}],"message":{"in":true},
		 "topics":[{"name":"t","class":"ordered","event":true},{"name":"u","class":"ordered","event":true,"subscribable":true},{"name":"v","class":"ordered","event":true}],"pushes":[{"name":"p","value":true}],"clientFuncs":[{"name":"f","in":true}],
		 "presences":[{"name":"r","member":{"type":"string"}},{"name":"h","member":true}],"values":[{"name":"v","type":{"type":"string"}}]}]}`)
	newer := read(t, `{"kanava":1,"level":1,"$defs":{"O":{"type":"object","properties":{"r":{"type":"string"}},"required":["r"]}},"channels":[
		{"name":"c","route":"/c","binary":true,"opening":{"type":{"$ref":"#/$defs/O"},"params":[{"name":"r","header":"R"}]},"keys":["do","more"],
		 "actions":[{"by":"do","name":"s","out":true,"stream":true},{"by":"more","name":"n"}],
		 "topics":[{"name":"t","class":"volatile","event":true},{"name":"u","class":"ordered","event":true},{"name":"v","class":"ordered","event":true,"subscribable":true}],"clientFuncs":[{"name":"f","in":true,"out":{"type":"string"}}],
		 "presences":[{"name":"n","member":true},{"name":"r","member":{"type":"integer"}}],"values":[{"name":"v","type":{"type":"integer"}}]},
		{"name":"new","route":"/n"}]}`)
	var got []string
	for _, c := range manifest.Diff(older, newer) {
		got = append(got, c.String())
	}
	want := []string{
		"BREAKING:   gone is no longer there",
		"compatible: c OnBinary is new",
		"BREAKING:   c: opening data /r travels elsewhere",
		"BREAKING:   c: OnMessage is no longer there",
		"BREAKING:   c: action do a is no longer there",
		"BREAKING:   c: action do s is a stream in one and not in the other",
		"compatible: c: action more n is new",
		"BREAKING:   c: topic t is volatile, not ordered",
		"BREAKING:   c: topic u is no longer for clients to subscribe to",
		"compatible: c: topic v is for clients to subscribe to now",
		"BREAKING:   c: push p is no longer there",
		"BREAKING:   c: client function f: output is there now",
		"BREAKING:   c: presence r is integer, not string",
		"BREAKING:   c: presence h is no longer there",
		"compatible: c: presence n is new",
		"compatible: new is new",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if same := manifest.Diff(older, older); same != nil {
		t.Errorf("the same: %v", same)
	}
}

func TestDiffOfHTTP(t *testing.T) {
	const types = `"$defs":{"I":{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"},"c":{"type":"string"},"d":{"type":"string"}}}}`
	older := read(t, `{"kanava":1,"level":1,`+types+`,"http":[{"method":"GET","pattern":"/gone"},
		{"method":"PUT","pattern":"/x","in":{"$ref":"#/$defs/I"},"out":true,"params":[{"name":"a","query":"a"},{"name":"b","query":"b"}]}]}`)
	newer := read(t, `{"kanava":1,"level":1,`+types+`,"http":[{"method":"PUT","pattern":"/x","in":{"$ref":"#/$defs/I"},"stream":true,"out":true,
		"params":[{"name":"a","query":"A"},{"name":"c","query":"c"}]},{"method":"POST","pattern":"/gone"}]}`)
	var got []string
	for _, c := range manifest.Diff(older, newer) {
		got = append(got, c.String())
	}
	want := []string{
		"BREAKING:   HTTP GET /gone is no longer there",
		"BREAKING:   HTTP PUT /x /a travels elsewhere",
		"BREAKING:   HTTP PUT /x /b travels elsewhere",
		"BREAKING:   HTTP PUT /x /c travels elsewhere",
		"BREAKING:   HTTP PUT /x is a stream in one and not in the other",
		"compatible: HTTP POST /gone is new",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if same := manifest.Diff(older, older); same != nil {
		t.Errorf("the same: %v", same)
	}
}
