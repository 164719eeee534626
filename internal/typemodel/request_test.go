package typemodel_test

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kanava-go/kanava/internal/jsonscan"
	"github.com/kanava-go/kanava/internal/typemodel"
)

type request struct {
	ID string `json:"id" path:"id" minLength:"2"`
	paging
	Level  *level   `json:"level" query:"level" enum:"low,high"`
	Tags   []string `json:"tags" query:"tag" header:"X-Tag" maxItems:"2"`
	Must   []int    `json:"must" query:"must" required:"true"`
	Plain  bool     `query:"plain" required:"false"`
	Text   string   `json:"text" maxLength:"3"`
	Nested struct {
		Path string `json:"path" path:"ignored" default:"x"`
	} `json:"nested,omitzero"`
}

var limits = jsonscan.Limits{Depth: 8, Elements: 100}

func requestPlan[T any](t interface{ Fatal(...any) }) *typemodel.RequestPlan {
	p, err := typemodel.RequestOf(reflect.TypeFor[T]())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRequest(t *testing.T) {
	high := level("high")
	src := func(pairs ...string) source {
		s := with(pairs...)
		s.path = map[string]string{"id": "ab"}
		return s
	}
	full := request{ID: "ab", paging: paging{3}, Level: &high, Tags: []string{"a", "b"}, Must: []int{1}, Plain: true, Text: "x"}
	full.Nested.Path = "y"
	for _, tc := range []struct {
		why  string
		src  source
		body string
		want request
	}{
		{"what is absent is empty, nil or the default", src("must", "1"), `{"text":""}`, request{ID: "ab", paging: paging{1}, Tags: []string{}, Must: []int{1}}},
		{"everything", src("must", "1", "page", "3", "level", "high", "tag", "a", "tag", "b", "plain", "1"), " { \"nested\" : {\"path\":\"y\"}, \"text\":\"x\"}\n", full},
	} {
		var got request
		faults, err := requestPlan[request](t).Decode(context.Background(), tc.src, []byte(tc.body), limits, &got)
		if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(request{})); diff != "" || faults != nil || err != nil {
			t.Errorf("%s: faults %v, error %v\n%s", tc.why, faults, err, diff)
		}
	}
	type f = typemodel.Fault
	for _, tc := range []struct {
		why  string
		src  source
		body string
		want []f
	}{
		{"all that is missing", source{}, "", []f{{"/id", `path "id" is missing`}, {"/must", `query "must" is missing`}, {"/text", "is missing"}}},
		{"there is no null in a query", src("must", "null", "level", "null"), `{"text":null}`, []f{
			{"/level", `query "level" must be one of "low", "high"`},
			{"/must", `query "must" must be an integer`},
			{"/text", "must be a string, not null"},
		}},
		{"members of the request in the body", src("must", "1"), `{"id":"cd","\u0070age":1,"Plain":true,"text":""}`, []f{
			{"/id", `path "id" is the place for it, not the body`},
			{"/page", `query "page" is the place for it, not the body`},
			{"/plain", `query "plain" is the place for it, not the body`},
		}},
		{"a name of the query is none of the body", src("must", "1"), `{"tag":[],"text":""}`, []f{{"/tag", `unknown member "tag", did you mean "tags"?`}}},
		{"no object", src("must", "1"), `"x"`, []f{{"", "must be an object, not a string"}}},
	} {
		var got request
		faults, err := requestPlan[request](t).Decode(context.Background(), tc.src, []byte(tc.body), limits, &got)
		if diff := cmp.Diff(tc.want, faults); diff != "" || err != nil {
			t.Errorf("%s: error %v\n%s", tc.why, err, diff)
		}
	}
	for _, body := range []string{"{", "{} {}", "\xff", strings.Repeat("[", 9) + strings.Repeat("]", 9), "[" + strings.Repeat("0,", 100) + "0]"} {
		_, err := requestPlan[request](t).Decode(context.Background(), src(), []byte(body), limits, new(request))
		if !errors.As(err, new(*jsonscan.Error)) {
			t.Errorf("%s: error %v", body, err)
		}
	}
}

func TestRequestPlan(t *testing.T) {
	p := requestPlan[request](t)
	want := []typemodel.Param{
		{Name: "id", Path: "id"},
		{Name: "page", Query: "page"},
		{Name: "level", Query: "level"},
		{Name: "tags", Query: "tag", Header: "X-Tag", Many: true},
		{Name: "must", Query: "must", Many: true},
		{Name: "Plain", Query: "plain"},
	}
	if diff := cmp.Diff(want, p.Params()); diff != "" || p.Body() != "request.Text" || !reflect.DeepEqual(p.PathNames(), []string{"id"}) {
		t.Error(diff, p.Body(), p.PathNames())
	}
	for body, p := range map[string]*typemodel.RequestPlan{"": requestPlan[struct{}](t), "map[string]int": requestPlan[map[string]int](t)} {
		if p.Body() != body {
			t.Errorf("body %q, want %q", p.Body(), body)
		}
	}
	type bad struct {
		X struct{ Y int } `query:"x"`
	}
	if _, err := typemodel.RequestOf(reflect.TypeFor[bad]()); err == nil || !strings.Contains(err.Error(), "bad.X: ") {
		t.Errorf("error %v", err)
	}
}

// What comes from a request is what the same object is as a message of a
// channel, wherever its members travel.
func TestRequestIsTheMessage(t *testing.T) {
	type input struct {
		A int    `json:"a" query:"a" minimum:"-5" maximum:"5"`
		B string `json:"b" path:"b" maxLength:"3"`
		C bool   `json:"c" header:"c"`
		D string `json:"d" maxLength:"3"`
		E int    `json:"e" default:"7"`
	}
	model, err := typemodel.Of(reflect.TypeFor[input](), typemodel.Input)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SampledFrom([]string{"0", "-5", "6", "3"}).Draw(t, "a")
		c := rapid.SampledFrom([]string{"true", "false"}).Draw(t, "c")
		b := rapid.StringMatching(`[a-z]{0,4}`).Draw(t, "b")
		rest := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{`"d":"x"`, `"d":"long"`, `"e":1`, `"e":null`, `"z":1`}), 0, 3, func(s string) string { return s[:3] }).Draw(t, "rest")
		space := rapid.SampledFrom([]string{"", " ", "\n\t"}).Draw(t, "space")
		body := space + "{" + space + strings.Join(rest, ",") + "}"
		whole := "{" + strings.Join(append([]string{`"a":` + a, `"b":"` + b + `"`, `"c":` + c}, rest...), ",") + "}"

		src := source{path: map[string]string{"b": b}, query: map[string][]string{"a": {a}}, header: map[string][]string{"C": {c}}}
		var got, want input
		faults, err := requestPlan[input](t).Decode(context.Background(), src, []byte(body), limits, &got)
		others, err2 := model.Decode(context.Background(), []byte(whole), &want)
		if err != nil || err2 != nil || len(faults) != len(others) {
			t.Fatalf("%s: %v %v; %s: %v %v", body, faults, err, whole, others, err2)
		}
		if faults == nil && got != want {
			t.Fatalf("%s: %+v; %s: %+v", body, got, whole, want)
		}
		for i := range faults {
			if faults[i].Pointer != others[i].Pointer || !strings.HasSuffix(faults[i].Message, others[i].Message) {
				t.Fatalf("%v, as a message %v", faults[i], others[i])
			}
		}
	})
}

// FuzzRequest proves that what is accepted is what a message of a channel could
// have said, and that nothing of the body stands for what the request says.
func FuzzRequest(f *testing.F) {
	type input struct {
		A int             `json:"a" query:"a"`
		B string          `json:"b" path:"b" minLength:"1"`
		C []string        `json:"c" header:"c"`
		D string          `json:"d" maxLength:"9"`
		E jsontext.Value  `json:"e,omitzero"`
		F map[string]bool `json:"f" default:"{\"x\":true}"`
	}
	f.Add("1", "x", "y", []byte(`{"d":""}`))
	f.Add("-0", "\xff", "", []byte(` {"d":"\ud800","\u0061":2,"e":[1,{"a":null}],"f":{}} `))
	f.Add("1e3", "{", "\"", []byte(`{"d":"","a":1,"b":"z","c":[]}`))
	f.Fuzz(func(t *testing.T, a, b, c string, body []byte) {
		src := source{path: map[string]string{"b": b}, query: map[string][]string{"a": {a}}, header: map[string][]string{"C": {c, c}}}
		var got, again input
		before := bytes.Clone(body)
		faults, err := requestPlan[input](t).Decode(t.Context(), src, body, limits, &got)
		if !bytes.Equal(body, before) {
			t.Fatalf("the body has become %q", body)
		}
		if err != nil || faults != nil {
			return
		}
		if got.B != b || !slices.Equal(got.C, []string{c, c}) || strconv.Itoa(got.A) != strings.TrimPrefix(a, "-") && strconv.Itoa(got.A) != a {
			t.Fatalf("a %q, b %q, c %q became %+v", a, b, c, got)
		}
		model := requestPlan[input](t).Model()
		whole, err := model.Append(nil, got)
		if err != nil {
			t.Fatal(err)
		}
		if faults, err := model.Decode(t.Context(), whole, &again); faults != nil || err != nil {
			t.Fatalf("%s as a message: %v %v", whole, faults, err)
		}
		if got.E == nil { // absent, or null
			again.E = nil
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Fatalf("%s as a message: %s", whole, diff)
		}
	})
}
