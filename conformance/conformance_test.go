package conformance_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava/conformance"
)

func load(t *testing.T) []conformance.Case {
	t.Helper()
	all, err := conformance.Load()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestNamesAreUnique(t *testing.T) {
	seen := make(map[string]string)
	for _, c := range load(t) {
		if file, twice := seen[c.Name]; twice {
			t.Errorf("%q stands in %s and in %s", c.Name, file, c.File)
		}
		seen[c.Name] = c.File
	}
}

// TestEveryRuleHasACase lists the rules that each form can show to a client. The
// others are proved elsewhere: P14 needs a client that counts, P8's built-in
// actions wait for topics that clients may subscribe to, D4 needs more than one
// node, and D5 is the client's.
func TestEveryRuleHasACase(t *testing.T) {
	for form, rules := range map[string]string{
		"plain": "P1 P2 P3 P4 P5 P6 P7 P8 P9 P12 P16 P17 D3 D13 S1 S3 S5 S7 V2 §2 §6 §9",
		"v1":    "P1 P3 P6 P9 P10 P11 P12 P13 P15 P16 P17 P18 D1 D2 D3 D6 D7 D8 D9 S5 S7 V2 §3 §4 §6 §9",
	} {
		cases := make(map[string]int)
		for _, c := range load(t) {
			if (form == "v1") == strings.HasPrefix(c.File, "v1-") {
				cases[c.Rule()]++
			}
		}
		for rule := range strings.FieldsSeq(rules) {
			if cases[rule] == 0 {
				t.Errorf("no case of the form %s shows %s", form, rule)
			}
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const one = `[{"name":"P5 x","path":"/main","steps":[%]}]`
	tests := []struct{ name, file, want string }{
		{"no JSON", `[`, "EOF"},
		{"an unknown member of a case", `[{"name":"P5 x","path":"/main","steps":[{"send":"x"}],"more":1}]`, "more"},
		{"an unknown member of a step", strings.Replace(one, "%", `{"sent":"x"}`, 1), "sent"},
		{"an unknown member deeper down", strings.Replace(one, "%", `{"close":{"code":1,"reason":"x"}}`, 1), "reason"},
		{"a name without a rule", `[{"name":"x","path":"/main","steps":[{"send":"x"}]}]`, "rule"},
		{"no steps", `[{"name":"P5 x","path":"/main","steps":[]}]`, "no steps"},
		{"no path", `[{"name":"P5 x","steps":[{"send":"x"}]}]`, "path"},
		{"a step that does nothing", strings.Replace(one, "%", `{"note":"x"}`, 1), "0 actions"},
		{"a step that does two things", strings.Replace(one, "%", `{"send":"x","expect":"x"}`, 1), "2 actions"},
		{"a client that is not declared", strings.Replace(one, "%", `{"client":"b","send":"x"}`, 1), "no path"},
		{"a client without a step", `[{"name":"P5 x","path":"/main","clients":{"b":{"path":"/main"}},"steps":[{"send":"x"}]}]`, "no step"},
		{"opened too late", strings.Replace(one, "%", `{"send":"x"},{"opened":{"subprotocol":""}}`, 1), "before"},
		{"raw bytes without the need", strings.Replace(one, "%", `{"sendRaw":"81"}`, 1), "rfc6455"},
		{"many raw bytes without the need", strings.Replace(one, "%", `{"sendRawRepeat":{"unit":"81","count":1}}`, 1), "rfc6455"},
		{"extensions without the need", strings.Replace(one, "%", `{"opened":{"subprotocol":"","extensions":""}}`, 1), "rfc7692"},
		{"an unknown need", `[{"name":"P5 x","path":"/main","needs":["x"],"steps":[{"send":"x"}]}]`, "need"},
		{"a hello in the plain form", strings.Replace(one, "%", `{"greet":{}}`, 1), "hello"},
		{"an error with an id in the plain form", strings.Replace(one, "%", `{"expectError":{"code":"internal","re":0}}`, 1), "re"},
		{"bad hexadecimal", strings.Replace(one, "%", `{"sendBinary":"0"}`, 1), "hex"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := conformance.Parse("test.json", []byte(tt.file))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "test.json: ") {
				t.Errorf("got %v\nwant an error of test.json with %q", err, tt.want)
			}
		})
	}
}

func TestParseFillsIn(t *testing.T) {
	cases, err := conformance.Parse("test.json", []byte(`[{"name":"P5 x","path":"/a","clients":{"b":{"path":"/b"}},"steps":[
		{"sendRepeat":{"head":"<","unit":"ab","count":3,"tail":">"}},
		{"client":"b","expectError":{"code":"internal"}},
		{"sendBinary":"0a 0B"}, {"sendBinary":""}]},
		{"name":"RFC7692 7.1 y","path":"/a","needs":["rfc6455"],"steps":[{"sendRawRepeat":{"head":"01","unit":"02 03","count":2,"tail":"04"}}]}]`))
	if err != nil {
		t.Fatal(err)
	}
	c := cases[0]
	switch {
	case c.Rule() != "P5", c.Opening(conformance.First).Path != "/a", c.Opening("b").Path != "/b":
		t.Errorf("the case is %+v", c)
	case c.Steps[0].Client != conformance.First, c.Steps[0].SendRepeat.Text() != "<ababab>":
		t.Errorf("step 1 is %+v", c.Steps[0])
	case c.Steps[1].ExpectError.Key != "action":
		t.Errorf("step 2 is %+v", c.Steps[1].ExpectError)
	case string(*c.Steps[2].SendBinary) != "\x0a\x0b", c.Steps[3].SendBinary == nil, len(*c.Steps[3].SendBinary) != 0:
		t.Errorf("steps 3 and 4 are %+v", c.Steps[2:])
	case cases[1].Rule() != "RFC7692 7.1", string(cases[1].Steps[0].SendRawRepeat.Bytes()) != "\x01\x02\x03\x02\x03\x04":
		t.Errorf("the second case is %+v", cases[1])
	}
}

func TestCaptures(t *testing.T) {
	const pattern = `{"on":"t","e":"$e","o":[1,"$*"],"$*":0}`
	tests := []struct{ name, text, want string }{
		{"the first", `{"on":"t","e":"x","o":[1,{"a":2}]}`, ""},
		{"the same again, with more members", `{"o":[1.0,null],"e":"x","on":"t","more":1}`, ""},
		{"another value of the same name", `{"on":"t","e":"y","o":[1,2]}`, "$e"},
		{"a member that is missing", `{"on":"t","o":[1,2]}`, "/e"},
		{"another value", `{"on":"u","e":"x","o":[1,2]}`, "/on"},
		{"another value deeper down", `{"on":"t","e":"x","o":[2,2]}`, "/o/0"},
		{"another length", `{"on":"t","e":"x","o":[1]}`, "/o"},
		{"another type", `["on"]`, "want"},
		{"no JSON", `{`, "JSON"},
	}
	c := make(conformance.Captures)
	for _, tt := range tests {
		got := c.Match(jsontext.Value(pattern), jsontext.Value(tt.text))
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	got, err := c.Fill(jsontext.Value(`{"recover":"t","e":"$e","of":[1,"$e",{"x":"$e"}]}`))
	if want := `{"e":"x","of":[1,"x",{"x":"x"}],"recover":"t"}`; err != nil || string(got) != want {
		t.Errorf("filled is %s, %v", got, err)
	}
	for _, pattern := range []string{`"$other"`, `[{"a":"$*"}]`, `{`} {
		if got, err := c.Fill(jsontext.Value(pattern)); err == nil {
			t.Errorf("%s filled is %s", pattern, got)
		}
	}
	if got := c.Match(jsontext.Value(`{"a":1}`), jsontext.Value(`{"a":1,"b":2}`)); !strings.Contains(got, "/b") {
		t.Errorf("a member too many: %q", got)
	}
}
