package jsonplan_test

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/kanava-go/kanava/internal/jsonplan"
)

// The JSON library is the oracle: where a plan succeeds, the library does with
// the same result; and a plan does succeed with what is nothing special.

// drawType draws a simple type.
func drawType(t *rapid.T, depth int) reflect.Type {
	scalars := []reflect.Type{
		reflect.TypeFor[string](), reflect.TypeFor[bool](), reflect.TypeFor[word](), reflect.TypeFor[level](),
		reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
		reflect.TypeFor[uint](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](), reflect.TypeFor[uint8](),
		reflect.TypeFor[float32](), reflect.TypeFor[float64](),
	}
	switch kind := rapid.IntRange(0, 9).Draw(t, "kind"); {
	case depth > 0 && kind == 0:
		elem := drawType(t, depth-1)
		if elem.Kind() == reflect.Uint8 {
			return elem
		}
		return reflect.SliceOf(elem)
	case depth > 0 && kind < 3:
		return drawStruct(t, depth-1)
	}
	return rapid.SampledFrom(scalars).Draw(t, "scalar")
}

func drawStruct(t *rapid.T, depth int) reflect.Type {
	var fields []reflect.StructField
	for i := range rapid.IntRange(0, 5).Draw(t, "fields") {
		f := reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: drawType(t, depth)}
		name := rapid.SampledFrom([]string{"", "f", "message", "a.b/c~d", "timestamp_in_milliseconds"}).Draw(t, "name")
		if name != "" {
			name += fmt.Sprint(i)
		}
		options := rapid.SampledFrom([]string{"", "", ",omitzero", ",omitempty", ",omitempty,omitzero"}).Draw(t, "options")
		if f.Type.Kind() == reflect.Struct && strings.Contains(options, "omitempty") {
			options = ""
		}
		if name+options != "" {
			f.Tag = reflect.StructTag(`json:"` + name + options + `"`)
		}
		fields = append(fields, f)
	}
	return reflect.StructOf(fields)
}

type (
	word  string
	level int8
)

// fill sets v to a random value.
func fill(t *rapid.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(drawText(t))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Float32:
		v.SetFloat(float64(rapid.Float32().Draw(t, "float32")))
	case reflect.Float64:
		v.SetFloat(rapid.OneOf(rapid.Float64(), rapid.Map(rapid.Int16(), func(i int16) float64 { return float64(i) / 100 })).Draw(t, "float"))
	case reflect.Slice:
		if n := rapid.IntRange(-1, 3).Draw(t, "length"); n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(t, v.Index(i))
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	default:
		if v.CanInt() {
			shift := 64 - v.Type().Bits()
			v.SetInt(rapid.Int64Range(math.MinInt64>>shift, math.MaxInt64>>shift).Draw(t, "int"))
		} else {
			v.SetUint(rapid.Uint64Max(math.MaxUint64>>(64-v.Type().Bits())).Draw(t, "uint"))
		}
	}
}

func drawText(t *rapid.T) string {
	return rapid.OneOf(
		rapid.StringMatching(`[a-zA-Z0-9 <>&/]{0,40}`), rapid.String(), rapid.StringMatching(`[a"\\\n\t\x7f \x00-\x02é€😀\x{2028}]{0,12}`),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 6), func(b []byte) string { return string(b) }),
	).Draw(t, "text")
}

// isOrdinary reports whether a plan must succeed with a text that the library takes.
func isOrdinary(text []byte) bool {
	return !bytes.ContainsAny(text, "\\") && !bytes.Contains(text, []byte("null")) && longestNumber(text) < 18
}

func longestNumber(text []byte) (most int) {
	n := 0
	for _, c := range text {
		if n++; c-'0' > 9 {
			n = 0
		}
		most = max(most, n)
	}
	return most
}

func TestPlansEncodeAsTheLibraryDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := drawType(t, 3)
		plan := jsonplan.Of(typ)
		if plan == nil {
			t.Fatalf("%v has no plan", typ)
		}
		v := reflect.New(typ)
		fill(t, v.Elem())
		want, err := json.Marshal(v.Interface())
		for _, v := range []any{v.Interface(), v.Elem().Interface()} {
			got, ok := plan.Append([]byte("before"), v)
			switch {
			case ok != (err == nil):
				t.Fatalf("%v: Append is %v, the error of the library %v", typ, ok, err)
			case !ok && string(got) != "before":
				t.Fatalf("%v: dst has become %q", typ, got)
			case ok && string(got) != "before"+string(want):
				t.Fatalf("%v: %q, want %q", typ, got[len("before"):], want)
			}
		}
	})
}

func TestPlansDecodeAsTheLibraryDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := drawType(t, 3)
		v := reflect.New(typ)
		fill(t, v.Elem())
		text, err := json.Marshal(v.Interface(), jsontext.AllowInvalidUTF8(true), jsontext.SpaceAfterComma(rapid.Bool().Draw(t, "space")))
		if err != nil {
			t.Fatal(err)
		}
		same := rapid.Bool().Draw(t, "same")
		if !same {
			text = damage(t, text)
		}
		compare(t, typ, text, same && isOrdinary(text))
	})
}

// damage changes a text in one or two places.
func damage(t *rapid.T, text []byte) []byte {
	for range rapid.IntRange(1, 2).Draw(t, "changes") {
		at := rapid.IntRange(0, len(text)).Draw(t, "at")
		to := rapid.IntRange(at, min(at+4, len(text))).Draw(t, "to")
		piece := rapid.SampledFrom([]string{
			"", "", " ", "\n\t", ",", `"`, "}", "{", "]", "[]", "[", ":", "null", "true", "-", "-0", "0", "1", ".5", "e2", "E-3", "9999999999", "\\u0041", `\ud800`,
			"\\n", "\xff", "é", "\x00", "\v", `"f0":1,`, `,"F1":""`, `"F0":0,"F0":0`, "f", "NaN", "0x1", "1_0", "+1",
		}).Draw(t, "piece")
		text = append(text[:at:at], append([]byte(piece), text[to:]...)...)
	}
	return text
}

type reporter interface {
	Helper()
	Fatalf(format string, args ...any)
}

// compare decodes a text both ways.
func compare(t reporter, typ reflect.Type, text []byte, must bool) {
	t.Helper()
	got, want := reflect.New(typ), reflect.New(typ)
	err := json.Unmarshal(text, want.Interface(), json.RejectUnknownMembers(true))
	before := bytes.Clone(text)
	plan, scratch := jsonplan.Of(typ), &jsonplan.Scratch{}
	if plan.Decode(text, reflect.New(typ).Interface(), nil) != plan.Decode(text, reflect.New(typ).Interface(), scratch) {
		t.Fatalf("%v: %q is taken only with, or without, a scratch", typ, text)
	}
	ok := plan.Decode(text, got.Interface(), scratch)
	switch {
	case !bytes.Equal(text, before):
		t.Fatalf("%v: the text has become %q", typ, text)
	case ok && err != nil:
		t.Fatalf("%v: %q was taken; the library says %v", typ, text, err)
	case !ok && err == nil && must:
		t.Fatalf("%v: %q was not taken", typ, text)
	case !ok && !got.Elem().IsZero():
		t.Fatalf("%v: %q was not taken and left %v", typ, text, got.Elem())
	case !ok:
		return
	}
	clear(text) // what was decoded shares nothing with it
	if !reflect.DeepEqual(got.Interface(), want.Interface()) {
		t.Fatalf("%v: %q is %#v, want %#v", typ, before, got.Elem(), want.Elem())
	}
	// The JSON tells 0 from -0, too.
	gotText, gotErr := json.Marshal(got.Interface())
	wantText, wantErr := json.Marshal(want.Interface())
	if !bytes.Equal(gotText, wantText) || gotErr != nil || wantErr != nil {
		t.Fatalf("%v: %q is %s %v, want %s %v", typ, before, gotText, gotErr, wantText, wantErr)
	}
}

// everything has each kind of member.
type everything struct {
	Text    string    `json:"text"`
	Flag    bool      `json:"flag"`
	Int     int       `json:"int"`
	Small   int8      `json:"small,omitzero"`
	Uint    uint64    `json:"uint"`
	Byte    uint8     `json:"byte"`
	Float   float64   `json:"float"`
	Half    float32   `json:"half"`
	Words   []word    `json:"words,omitempty"`
	Numbers []float64 `json:"numbers"`
	Inner   struct{ A, B string }
	Parts   []struct{ N int }
}

// What a number can hold is taken, and what it cannot is not.
func TestNumbersAtTheEdge(t *testing.T) {
	typ := reflect.TypeFor[everything]()
	for text, taken := range map[string]bool{
		`{"small":-128}`: true, `{"small":127}`: true, `{"small":-129}`: false, `{"small":128}`: false, `{"small":-0}`: true,
		`{"int":-9223372036854775808}`: true, `{"int":9223372036854775807}`: true,
		`{"int":-9223372036854775809}`: false, `{"int":9223372036854775808}`: false, `{"int":18446744073709551617}`: false,
		`{"byte":255}`: true, `{"byte":256}`: false, `{"byte":-1}`: false, `{"byte":1.0}`: false, `{"byte":01}`: false,
		`{"uint":9999999999999999999}`: true, `{"uint":18446744073709551616}`: false, `{"uint":18446744073709551617}`: false, `{"uint":36893488147419103233}`: false,
		`{"float":-0}`: true, `{"float":1.7976931348623157e308}`: true, `{"float":1e309}`: false, `{"float":5e-324}`: true, `{"float":1e-999}`: true,
		`{"half":3.4028234e38}`: true, `{"half":3.5e38}`: false, `{"float":1.}`: false, `{"float":.5}`: false, `{"float":1e}`: false, `{"float":-}`: false,
		`{"float":00}`: false, `{"float":+1}`: false, `{"float":Infinity}`: false, `{"float":0x1p2}`: false, `{"float":1_0}`: false,
	} {
		if got := jsonplan.Of(typ).Decode([]byte(text), new(everything), nil); got != taken {
			t.Errorf("%s: taken is %v", text, got)
		}
		compare(t, typ, []byte(text), taken)
	}
}

func FuzzDecode(f *testing.F) {
	typ := reflect.TypeFor[everything]()
	for _, text := range []string{
		`{}`, ` { "text" : "a" , "flag":true} `, `{"int":-9223372036854775808,"small":-128,"uint":18446744073709551615,"byte":255}`,
		`{"int":-0,"uint":-0}`, `{"float":-0,"half":1e-7}`, `{"float":1e400}`, `{"half":1e39}`, `{"text":"\ud83d\ude00\ud800"}`, `{"text":null}`,
		`{"words":["a","b\n"],"numbers":[],"Inner":{"B":"b","A":"a"},"Parts":[{"N":1},{}]}`, `{"text":"a","text":"b"}`, `{"Text":"a"}`, `{"small":128}`,
		`{"int":1.0}`, `{"int":01}`, `{"int":1e1}`, "{\"text\":\"a\tb\"}", "{\"text\":\"\xff\"}", `{"t\u0065xt":"a"}`, `{"flag":truefalse}`, `{"flag":tru`, `{"text":"`, `{"text":"\`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { compare(t, typ, text, false) })
}

func FuzzEncode(f *testing.F) {
	f.Add("text", 1.5, float32(1e-7), int64(-1), uint64(1))
	f.Add("\xff\u2028<", math.Inf(1), float32(math.NaN()), int64(math.MinInt64), uint64(math.MaxUint64))
	f.Add("\x00\"\\\b\f\n\r\t\x1f\x7f", 1e21, float32(1e21), int64(0), uint64(0))
	f.Add("é", math.Copysign(0, -1), float32(1e-6), int64(7), uint64(7))
	plan := jsonplan.Of(reflect.TypeFor[everything]())
	f.Fuzz(func(t *testing.T, text string, float float64, half float32, i int64, u uint64) {
		v := everything{Text: text, Int: int(i), Small: int8(i), Uint: u, Byte: uint8(u), Float: float, Half: half, Words: []word{word(text)}, Numbers: []float64{float}}
		want, err := json.Marshal(v)
		got, ok := plan.Append(nil, v)
		if ok != (err == nil) || ok && !bytes.Equal(got, want) {
			t.Fatalf("%q %v, want %q %v", got, ok, want, err)
		}
	})
}
