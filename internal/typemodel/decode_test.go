package typemodel_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/kanava-go/kanava/internal/typemodel"
)

func TestDecodeRich(t *testing.T) {
	v, faults, err := decode[rich](t, richJSON)
	if faults != nil || err != nil {
		t.Fatalf("faults %v, error %v", faults, err)
	}
	if v.ID != 1 || v.Text != "abä" || v.Small != -128 || v.Quoted != -5 || v.Number != "1e400" || v.Fixed.Step != "z" ||
		string(v.Raw) != `{"a":[null]}` || v.ByInt[0] != "a" {
		t.Errorf("decoded %+v", v)
	}
	if diff := cmp.Diff([]status{&complete{ID: 7, Child: processing{Step: "y"}, Meta: &Meta{"n"}}, idle{}}, v.Statuses,
		cmp.AllowUnexported(complete{})); diff != "" {
		t.Error(diff)
	}
}

type order struct {
	ID    int64   `json:"id"`
	Note  string  `json:"note,omitempty"`
	Items []item  `json:"items"`
	By    *string `json:"by"`
}

type item struct {
	Name  string         `json:"name" minLength:"1" maxLength:"3"`
	Price float64        `json:"price" minimum:"0.5"`
	Tags  map[string]int `json:"tags,omitempty" maxProperties:"1"`
	Kind  string         `json:"a/b~c,omitempty" enum:"x,y"`
}

func TestFaults(t *testing.T) {
	run := func(why string, got []typemodel.Fault, err error, want ...typemodel.Fault) {
		t.Helper()
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%s: error %v, faults (-want +got):\n%s", why, err, diff)
		}
	}
	type f = typemodel.Fault
	for _, tc := range []struct {
		why, raw string
		want     []f
	}{
		{"fine", `{"id":1,"items":[],"by":null}`, nil},
		{"fine, with blanked members", `{      "id":1     , "items":[  ] ,"by":"x"       }   `, nil},
		{"missing members, in order", `{}`, []f{{"/id", "is missing"}, {"/items", "is missing"}, {"/by", "is missing"}}},
		{"null where nothing may be null", `{"id":null,"items":null,"by":null,"note":null}`, []f{
			{"/id", "must be an integer, not null"}, {"/items", "must be an array, not null"}, {"/note", "must be a string, not null"},
		}},
		{"wrong kinds", `{"id":"1","items":{},"by":[1]}`, []f{
			{"/id", "must be an integer, not a string"}, {"/items", "must be an array, not an object"}, {"/by", "must be a string or null, not an array"},
		}},
		{"wrong kind of the whole", `[1]`, []f{{"", "must be an object, not an array"}}},
		{"unknown members, one near", `{"id":1,"items":[],"by":null,"notes":{"a":[]},"zzz":1,"ID":2}`, []f{
			{"/notes", `unknown member "notes", did you mean "note"?`},
			{"/zzz", `unknown member "zzz"`},
			{"/ID", `unknown member "ID", did you mean "id"?`},
		}},
		{
			"document order, missing at the end of their object",
			`{"items":[{"price":0.25},5,{"name":"","price":1,"x":1}],"id":1.0}`,
			[]f{
				{"/items/0/price", "must be at least 0.5"},
				{"/items/0/name", "is missing"},
				{"/items/1", "must be an object, not a number"},
				{"/items/2/name", "must have at least 1 character"},
				{"/items/2/x", `unknown member "x"`},
				{"/id", "must be an integer"},
				{"/by", "is missing"},
			},
		},
		{
			"duplicates, also nested, by escapes and in maps",
			`{"id":1,"items":[{"name":"a","price":1,"n\u0061me":"b","tags":{"x":1,"x":2}}],"by":null,"id":2}`,
			[]f{
				{"/items/0/name", "stands twice"},
				{"/items/0/tags", "must have at most 1 entry"},
				{"/items/0/tags/x", "stands twice"},
				{"/id", "stands twice"},
			},
		},
		{
			"map keys that differ in escapes only", `{"id":1,"items":[{"name":"a","price":1,"tags":{"x":1,"\u0078":2}}],"by":null}`,
			[]f{{"/items/0/tags", "must have at most 1 entry"}},
		},
		{"escaped pointers", `{"id":1,"items":[{"name":"abc","price":1,"a/b~c":"z","tags":{"/~":null}}],"by":null}`, []f{
			{"/items/0/a~1b~0c", `must be one of "x", "y"`}, {"/items/0/tags/~1~0", "must be an integer, not null"},
		}},
		{"characters, not bytes", `{"id":1,"items":[{"name":"äöü","price":1},{"name":"\u00e4öüx","price":1}],"by":null}`, []f{
			{"/items/1/name", "must have at most 3 characters"},
		}},
	} {
		_, got, err := decode[order](t, tc.raw)
		run(tc.why, got, err, tc.want...)
	}
}

// TestFaultsOfTextTypes proves that what the decoder judges is told with the rest,
// wherever it stands, and as often.
func TestFaultsOfTextTypes(t *testing.T) {
	type f = typemodel.Fault
	type addrs struct {
		One   netip.Addr             `json:"one"`
		Two   *netip.Addr            `json:"two" format:"ipv4"`
		Named map[netip.Addr][]mode  `json:"named"`
		Count int                    `json:"count" minimum:"1"`
		Deep  map[string]*netip.Addr `json:"deep"`
	}
	for _, tc := range []struct {
		why, raw string
		want     []f
	}{
		{"all is well", `{"one":"::1","two":null,"named":{"::1":["read"]},"count":1,"deep":{}}`, nil},
		{
			"with another fault", `{"one":"x","two":"1.2.3.4","named":{},"count":0,"deep":{}}`,
			[]f{{"/one", "is not valid for Addr"}, {"/count", "must be at least 1"}},
		},
		{
			"several of them", `{"one":"\u0078","two":"::1","named":{"a/b":["read","x"],"::1":[]},"count":1,"deep":{"~":"y"}}`,
			[]f{
				{"/one", "is not valid for Addr"},
				{"/two", "must be an IPv4 address"}, // of the two reasons the tag's
				{"/named/a~1b", "the name is not valid for Addr"},
				{"/named/a~1b/1", `must be one of "read", "write"`},
				{"/deep/~0", "is not valid for Addr"},
			},
		},
	} {
		_, got, err := decode[addrs](t, tc.raw)
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: error %v\n%s", tc.why, err, diff)
		}
	}
}

func TestFaultsOfRich(t *testing.T) {
	type f = typemodel.Fault
	for _, tc := range []struct {
		why, old, with string
		want           []f
	}{
		{"pattern", `"abä"`, `"AB"`, []f{{"/text", "must match the pattern ^[a-zä]*$"}}},
		{"enum", `"low"`, `"mid"`, []f{{"/level", `must be one of "low", "high"`}}},
		{"enum by escape", `"low"`, `"l\u006fw"`, nil},
		{"boolean", `"flag":true`, `"flag":1`, []f{{"/flag", "must be true or false, not a number"}}},
		{"int8 too low", `-128`, `-129`, []f{{"/small", "must be between -128 and 127"}}},
		{"int8 minus zero", `-128`, `-0`, nil},
		{"integer with exponent", `-128`, `1e1`, []f{{"/small", "must be an integer"}}},
		{"int8 over its maximum", `-128`, `101`, []f{{"/small", "must be at most 100"}}},
		{"uint64 exact at the top", `18446744073709551614`, `18446744073709551615`, []f{{"/big", "must be at most 18446744073709551614"}}},
		{"uint64 overflow", `18446744073709551614`, `18446744073709551616`, []f{{"/big", "must be between 0 and 18446744073709551615"}}},
		{"uint64 negative zero", `18446744073709551614`, `-0`, []f{{"/big", "must be between 0 and 18446744073709551615"}}},
		{"uint64 far too long", `18446744073709551614`, `99999999999999999999999999`, []f{{"/big", "must be between 0 and 18446744073709551615"}}},
		{"float above", `"ratio":1.5`, `"ratio":1.5000001`, []f{{"/ratio", "must be at most 1.5"}}},
		{"float overflow", `"ratio":1.5`, `"ratio":1e400`, []f{{"/ratio", "must be a number that fits 64 bits"}}},
		{"float32 overflow", `"ratio":1.5`, `"ratio":1.5,"single":1e39`, []f{{"/single", "must be a number that fits 32 bits"}}},
		{"quoted number without quotes", `"-5"`, `-5`, []f{{"/quoted", "must be an integer in a string, not a number"}}},
		{"quoted number, not a number", `"-5"`, `" 5"`, []f{{"/quoted", "must be an integer in a string"}}},
		{"quoted number, leading zero", `"-5"`, `"05"`, []f{{"/quoted", "must be an integer in a string"}}},
		{"quoted number below", `"-5"`, `"-6"`, []f{{"/quoted", "must be at least -5"}}},
		{"quoted number with an escape", `"-5"`, `"\u0035"`, nil},
		{"base64 without padding", `"AAE="`, `"AAE"`, []f{{"/bytes", "must be base64 with padding"}}},
		{"base64 of the other alphabet", `"AAE="`, `"-_=="`, []f{{"/bytes", "must be base64 with padding"}}},
		{"base64 with a line break", `"AAE="`, `"AAE=\n"`, []f{{"/bytes", "must be base64 with padding"}}},
		{"base64 with an escaped slash", `"AAE="`, `"\/\/8="`, nil},
		{"array of bytes too short", `"AAECAw=="`, `"AAE="`, []f{{"/four", "must be base64 of exactly 4 bytes"}}},
		{"time", `18:00:00.5`, `18:00:61`, []f{{"/when", "must be a time as in RFC 3339, such as 2006-01-02T15:04:05Z"}}},
		{"time, short hour", `T18:00:00.5`, `T8:00:00`, []f{{"/when", "must be a time as in RFC 3339, such as 2006-01-02T15:04:05Z"}}},
		{"time, comma", `00.5+02:00`, `00,5+02:00`, []f{{"/when", "must be a time as in RFC 3339, such as 2006-01-02T15:04:05Z"}}},
		{"time, zone out of range", `+02:00`, `+24:00`, []f{{"/when", "must be a time as in RFC 3339, such as 2006-01-02T15:04:05Z"}}},
		{"time is no number", `"2026-11-23T18:00:00.5+02:00"`, `5`, []f{{"/when", "must be a time as a string, not a number"}}},
		{"text type: the decoder judges", `"::1"`, `"nonsense"`, []f{{"/addr", "is not valid for Addr"}}},
		{"text type: a string", `"::1"`, `1`, []f{{"/addr", "must be a string, not a number"}}},
		{"text type: not null", `"::1"`, `null`, []f{{"/addr", "must be a string, not null"}}},
		{"raw JSON: duplicates inside are left to the decoder", `{"a":[null]}`, `{"a":[{"b":1,"b":2}]}`, []f{{"/raw/a/0/b", "stands twice"}}},
		{"json.Number is no string", `1e400`, `"1"`, []f{{"/number", "must be a number, not a string"}}},
		{"too few", `"list":[{"first":"a","second":2}]`, `"list":[]`, []f{{"/list", "must have at least 1 element"}}},
		{"too many", `"counts":{"a":1}`, `"counts":{"a":1,"b":2,"c":3}`, []f{{"/counts", "must have at most 2 entries"}}},
		{"array too short", `[1,2,3]`, `[1,2]`, []f{{"/triple", "must have exactly 3 elements"}}},
		{"array too long", `[1,2,3]`, `[1,2,3,"x"]`, []f{{"/triple", "must have exactly 3 elements"}, {"/triple/3", "must be an integer, not a string"}}},
		{"integer key", `"-0"`, `"x"`, []f{{"/byInt/x", "the name must be an integer"}}},
		{"integer key out of range", `"-0"`, `"3000000000"`, []f{{"/byInt/3000000000", "the name must be between -2147483648 and 2147483647"}}},
		{"integer key, the same number twice", `"5":"b"`, `"0":"b"`, []f{{"/byInt/0", "stands twice"}}},
		{
			"discriminator missing", `"status":{"type":"processing","step":"x"}`, `"status":{"step":"x"}`,
			[]f{{"/status/type", `is missing; must be one of "complete", "idle", "processing"`}},
		},
		{
			"discriminator unknown", `"status":{"type":"processing","step":"x"}`, `"status":{"type":"x","y":1}`,
			[]f{{"/status/type", `must be one of "complete", "idle", "processing"`}},
		},
		{
			"discriminator is no string", `"status":{"type":"processing","step":"x"}`, `"status":{"type":5}`,
			[]f{{"/status/type", `must be one of "complete", "idle", "processing"`}},
		},
		{"discriminator twice", `"status":{"type":"processing","step":"x"}`, `"status":{"type":"idle","type":"idle"}`, []f{{"/status/type", "stands twice"}}},
		{"union null", `"status":{"type":"processing","step":"x"}`, `"status":null`, []f{{"/status", "must be an object, not null"}}},
		{"pointer to union null", `"maybeS":{"type":"idle"}`, `"maybeS":null`, nil},
		{
			"faults inside variants", `{"step":"y","type":"processing"}`, `{"step":"","type":"processing","x":1}`,
			[]f{{"/statuses/0/child/step", "must have at least 1 character"}, {"/statuses/0/child/x", `unknown member "x"`}},
		},
		{"static variant without discriminator", `"fixed":{"type":"processing",`, `"fixed":{`, []f{{"/fixed/type", `is missing; must be "processing"`}}},
		{"static variant with another one", `"fixed":{"type":"processing",`, `"fixed":{"type":"idle",`, []f{{"/fixed/type", `must be "processing"`}}},
		{"variant of an embedded pointer", `"note":"n"`, `"note":5`, []f{{"/statuses/0/note", "must be a string, not a number"}}},
	} {
		if !strings.Contains(richJSON, tc.old) {
			t.Fatalf("%s: the document has no %s", tc.why, tc.old)
		}
		_, got, err := decode[rich](t, strings.Replace(richJSON, tc.old, tc.with, 1))
		if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%s: error %v, faults (-want +got):\n%s", tc.why, err, diff)
		}
	}
}

func TestFaultsAreBounded(t *testing.T) {
	raw := `{"id":1,"by":null,"items":[` + strings.Repeat("1,", 5000) + `1]}`
	_, got, _ := decode[order](t, raw)
	if len(got) != 101 || got[99].Pointer != "/items/99" || got[100] != (typemodel.Fault{Message: "there are more faults"}) {
		t.Errorf("%d faults, the last %v", len(got), got[len(got)-1])
	}
	raw = `{"` + strings.Repeat("x", 1500) + `":{"a":[` + strings.Repeat(`"b",`, 99) + `1]}}`
	var size int
	_, got, _ = decode[map[string]map[string][]int](t, raw)
	for _, f := range got {
		size += len(f.Pointer) + len(f.Message)
	}
	if size > 40_000 || got[len(got)-1].Message != "there are more faults" {
		t.Errorf("%d bytes in %d faults", size, len(got))
	}
	_, got, _ = decode[order](t, `{"`+strings.Repeat("ä", 1000)+`":1}`)
	if len(got[0].Message) > 200 {
		t.Errorf("a long name is repeated: %s", got[0].Message)
	}
}

func TestManyMapKeys(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, `"k%d":%d,`, i%990, i)
	}
	_, got, _ := decode[map[string]int](t, "{"+strings.TrimSuffix(b.String(), ",")+"}")
	if len(got) != 10 || got[0] != (typemodel.Fault{Pointer: "/k0", Message: "stands twice"}) {
		t.Errorf("faults %v", got)
	}
}

func TestManyFields(t *testing.T) {
	type wide struct {
		A01, A02, A03, A04, A05, A06, A07, A08, A09, A10, A11, A12, A13, A14, A15, A16, A17, A18, A19, A20 int
		B01, B02, B03, B04, B05, B06, B07, B08, B09, B10, B11, B12, B13, B14, B15, B16, B17, B18, B19, B20 int
		C01, C02, C03, C04, C05, C06, C07, C08, C09, C10, C11, C12, C13, C14, C15, C16, C17, C18, C19, C20 int
		D01, D02, D03, D04, D05, D06, D07, D08, D09, D10, D11, D12, D13, D14, D15, D16, D17, D18, D19, D20 int
		E01, E02, E03, E04, E05, E06, E07, E08, E09, E10, E11, E12, E13, E14, E15, E16, E17, E18, E19, E20 int
		F01, F02, F03, F04, F05, F06, F07, F08, F09, F10, F11, F12, F13, F14, F15, F16, F17, F18, F19, F20 int
		G01, G02, G03, G04, G05, G06, G07, G08, G09, G10, G11, G12, G13, G14, G15, G16, G17, G18, G19, G20 int
	}
	m := model[wide](t, typemodel.Input)
	raw, err := m.Append(nil, wide{})
	if err != nil {
		t.Fatal(err)
	}
	if _, got, _ := decode[wide](t, string(raw)); got != nil {
		t.Errorf("faults %v", got)
	}
	_, got, _ := decode[wide](t, strings.Replace(string(raw), `"G20":0`, `"A01":0`, 1))
	want := []typemodel.Fault{{Pointer: "/A01", Message: "stands twice"}, {Pointer: "/G20", Message: "is missing"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		why, raw string
		calls    []string
		pointer  string
		fails    bool
	}{
		{"inner before outer", `{"name":"x","parts":[{"n":1},{"n":2}],"mail":"ab"}`, []string{"part1", "part2", "mail2", "BaseA0", "BaseB0", "baseA0", "validated1"}, "", false},
		{"the first error ends it", `{"name":"x","parts":[{"n":1},{"n":-2}],"mail":"ab"}`, []string{"part1", "part-2"}, "/parts/1", true},
		{"map values, also behind pointers", `{"name":"x","named":{"a/b":{"n":-1}}}`, []string{"part-1"}, "/named/a~1b", true},
		{"text keys", `{"name":"x","other":{"::1":{"n":-1}}}`, []string{"mail0", "BaseA0", "BaseB0", "baseA0", "part-1"}, "/other/::1", true},
		{"nil in a map", `{"name":"","named":{"a":null}}`, []string{"mail0", "BaseA0", "BaseB0", "baseA0", "validated0"}, "", false},
		{"variants", `{"name":"x","union":{"kind":"circle","r":-3}}`, []string{"mail0", "circle-3"}, "/union", true},
		{"two embedded structs", `{"name":"x","two":{"a":1,"b":-1}}`, []string{"mail0", "BaseA1", "BaseB-1"}, "/two", true},
		{"an embedded struct's method is that of the outer", `{"name":"x","own":{"a":-1,"c":1}}`, []string{"mail0", "BaseA0", "BaseB0", "baseA-1"}, "/own", true},
	} {
		var calls []string
		var v validated
		ctx := context.WithValue(context.Background(), callsKey{}, &calls)
		faults, err := model[validated](t, typemodel.Input).Decode(ctx, []byte(tc.raw), &v)
		if faults != nil {
			t.Fatalf("%s: %v", tc.why, faults)
		}
		var ve *typemodel.ValidateError
		if errors.As(err, &ve) != tc.fails || tc.fails && (ve.Pointer != tc.pointer || !errors.Is(err, errBad)) {
			t.Errorf("%s: error %+v", tc.why, err)
		}
		if diff := cmp.Diff(tc.calls, calls); diff != "" {
			t.Errorf("%s: calls (-want +got):\n%s", tc.why, diff)
		}
	}
}

func TestDecodeIntoAnotherType(t *testing.T) {
	var v int
	faults, err := model[order](t, typemodel.Input).Decode(context.Background(), []byte(`{"id":1,"items":[],"by":null}`), &v)
	if err == nil || faults != nil {
		t.Errorf("faults %v, error %v", faults, err)
	}
}

type session struct {
	User  string `json:"user" minLength:"1" pattern:"^[a-z]+$"`
	Level int    `json:"level,omitempty" required:"true" enum:"1,2"`
	Part  part   `json:"part"`
}

// TestStored proves that what was stored comes back, whatever the tags say
// about inputs, and that it is decoded strictly all the same.
func TestStored(t *testing.T) {
	m := model[session](t, typemodel.Stored)
	want := session{Part: part{N: -1}}
	raw, err := m.Append(nil, want)
	if err != nil {
		t.Fatal(err)
	}
	var got session
	if faults, err := m.Decode(context.Background(), raw, &got); faults != nil || err != nil || got != want {
		t.Errorf("%s: got %+v, faults %v, error %v", raw, got, faults, err)
	}
	faults, _ := m.Decode(context.Background(), []byte(`{"user":"","x":1}`), new(session))
	if diff := cmp.Diff([]typemodel.Fault{{Pointer: "/x", Message: `unknown member "x"`}, {Pointer: "/part", Message: "is missing"}}, faults); diff != "" {
		t.Error(diff)
	}
	if faults, err := model[session](t, typemodel.Input).Decode(context.Background(), raw, &got); len(faults) != 3 || err != nil {
		t.Errorf("as an input: faults %v, error %v", faults, err)
	}
}
