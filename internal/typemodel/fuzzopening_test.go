package typemodel

import (
	"context"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

type fuzzRole string

var errFuzzRole = RegisterEnum("fuzz", []fuzzRole{"admin", "guest"})

// fuzzOpening has a field of every kind that opening data can have.
type fuzzOpening struct {
	S  string     `json:"s"  query:"s"   minLength:"1"       maxLength:"9"`
	I  int8       `json:"i"  query:"i"   minimum:"-100"`
	U  uint64     `json:"u"  header:"u"`
	F  float64    `json:"f"  query:"f"   multipleOf:"0.5"`
	B  bool       `json:"b"  header:"b"  default:"true"`
	Q  int64      `json:"q,string" query:"q"`
	T  time.Time  `json:"t"  path:"t"`
	L  url.URL    `json:"l"  query:"l"`
	R  fuzzRole   `json:"r"  query:"r"   default:"guest"`
	P  *int       `json:"p"  query:"p"   required:"false"`
	Ss []string   `json:"ss" query:"ss"  required:"false" uniqueItems:"true" items.maxLength:"3"`
	Is []fuzzRole `json:"is" header:"is" default:"[\"admin\"]"`
}

// fuzzSource has one value for every field, two for slices, and none where the
// bit of a field in absent is set.
type fuzzSource struct {
	values []string
	absent uint16
}

var fuzzNames = []string{"s", "i", "u", "f", "b", "q", "t", "l", "r", "p", "ss", "is"}

func (s fuzzSource) get(name string) []string {
	for i, n := range fuzzNames {
		if n != name || s.absent>>i&1 != 0 {
			continue
		}
		if name == "ss" || name == "is" {
			return []string{s.values[i], s.values[0]}
		}
		return []string{s.values[i]}
	}
	return nil
}

func (s fuzzSource) Query(name string) []string  { return s.get(name) }
func (s fuzzSource) Header(name string) []string { return s.get(name) }

func (s fuzzSource) Path(name string) (string, bool) {
	if v := s.get(name); v != nil {
		return v[0], true
	}
	return "", false
}

// body returns the JSON object that says the same, and false if there is none.
func (s fuzzSource) body() ([]byte, bool) {
	object := map[string]any{}
	for _, name := range fuzzNames {
		values := s.get(name)
		for _, v := range values {
			if !utf8.ValidString(v) {
				return nil, false
			}
		}
		if values == nil {
			continue
		}
		switch text := values[0]; name {
		case "i", "u", "f", "p":
			number := jsontext.Value(text)
			if strings.ContainsAny(text, " \t\r\n") || !number.IsValid() || number.Kind() != '0' {
				return nil, false
			}
			object[name] = number
		case "b":
			v, ok := map[string]bool{"true": true, "1": true, "false": false, "0": false}[text]
			if !ok {
				return nil, false
			}
			object[name] = v
		case "ss", "is":
			object[name] = values
		default:
			object[name] = text
		}
	}
	raw, err := json.Marshal(object)
	return raw, err == nil
}

// FuzzOpening proves that opening data from a request is accepted exactly if the
// object of the same values is as an input, and that it becomes the same value.
func FuzzOpening(f *testing.F) {
	f.Add("a", "1", "2", "0.5", "1", "3", "2026-01-02T03:04:05Z", "/x", "guest", "5", "b", "admin", uint16(0))
	f.Add("", "-0", "18446744073709551616", "1e3", "TRUE", "01", "2026-01-02", "a b", "boss", "", "a", "", uint16(0x7ff))
	f.Fuzz(func(t *testing.T, s, i, u, fl, b, q, tm, l, r, p, ss, is string, absent uint16) {
		checkOpening(t, fuzzSource{[]string{s, i, u, fl, b, q, tm, l, r, p, ss, is}, absent})
	})
}

func checkOpening(t *testing.T, src fuzzSource) {
	t.Helper()
	plan, err := OpeningOf(reflect.TypeFor[fuzzOpening]())
	if err != nil || errFuzzRole != nil {
		t.Fatal(err, errFuzzRole)
	}
	var got, want fuzzOpening
	faults, err := plan.Decode(context.Background(), src, &got)
	if err != nil {
		t.Fatal(err)
	}
	raw, ok := src.body()
	if !ok {
		if faults == nil {
			t.Fatalf("%q is accepted", src.values)
		}
		return
	}
	m, err := Of(reflect.TypeFor[fuzzOpening](), Input)
	if err != nil {
		t.Fatal(err)
	}
	others, err := m.Decode(context.Background(), raw, &want)
	if err != nil || (others == nil) != (faults == nil) {
		t.Fatalf("%q: faults %v; as the input %s: %v, %v", src.values, faults, raw, others, err)
	}
	if faults != nil {
		return
	}
	if want.Ss == nil {
		want.Ss = []string{} // a parameter that is not given is an empty list
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q: %+v; as the input %s: %+v", src.values, got, raw, want)
	}
}
