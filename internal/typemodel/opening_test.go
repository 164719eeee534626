package typemodel_test

import (
	"context"
	"net/netip"
	"net/textproto"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/kanava-go/kanava/internal/typemodel"
)

type source struct {
	path          map[string]string
	query, header map[string][]string
}

func (s source) Path(name string) (string, bool) { v, ok := s.path[name]; return v, ok }
func (s source) Query(name string) []string      { return s.query[name] }
func (s source) Header(name string) []string {
	return s.header[textproto.CanonicalMIMEHeaderKey(name)]
}

type paging struct {
	Page int `json:"page" query:"page" default:"1" minimum:"1"`
}

type open struct {
	Room string `json:"room" path:"room" query:"room" minLength:"2"`
	paging
	Flag   bool       `query:"flag" default:"false"`
	Level  level      `query:"level" required:"false" enum:"low,high"`
	Ratio  float32    `query:"ratio" required:"false"`
	Size   uint8      `query:"size" required:"false"`
	Since  time.Time  `query:"since" required:"false"`
	Addr   netip.Addr `query:"addr" required:"false"`
	Name   *string    `query:"name"`
	Count  *int       `query:"count"`
	Tags   []string   `query:"tag" maxItems:"2"`
	Langs  []string   `query:"lang" default:"[\"fi\",\"en\"]"`
	IDs    []int64    `query:"id"`
	Host   string     `header:"Host" json:"host"`
	Big    int64      `query:"big" json:"big,string" required:"false"`
	Hidden int        `json:"-"`
}

var fine = source{path: map[string]string{"room": "lobby"}, header: map[string][]string{"Host": {"example.org"}}}

// with returns fine with another query.
func with(pairs ...string) source {
	s := source{path: fine.path, header: fine.header, query: map[string][]string{}}
	for i := 0; i < len(pairs); i += 2 {
		s.query[pairs[i]] = append(s.query[pairs[i]], pairs[i+1])
	}
	return s
}

func plan[T any](t testing.TB) *typemodel.OpeningPlan {
	t.Helper()
	p, err := typemodel.OpeningOf(reflect.TypeFor[T]())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestOpening(t *testing.T) {
	name, count := "", 3
	for _, tc := range []struct {
		why  string
		src  source
		want open
	}{
		{"defaults and absent values", fine, open{Room: "lobby", paging: paging{1}, Tags: []string{}, IDs: []int64{}, Langs: []string{"fi", "en"}, Host: "example.org"}},
		{
			"everything", with("page", "7", "flag", "1", "level", "high", "ratio", "0.5", "size", "255", "since", "2026-01-02T03:04:05Z", "addr", "::1",
				"name", "", "count", "3", "tag", "a&b", "tag", `"`, "id", "-1", "lang", "sv", "big", "9007199254740993"),
			open{
				Room: "lobby", paging: paging{7}, Flag: true, Level: "high", Ratio: 0.5, Size: 255, Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
				Addr: netip.MustParseAddr("::1"), Name: &name, Count: &count, Tags: []string{"a&b", `"`}, IDs: []int64{-1}, Langs: []string{"sv"}, Host: "example.org", Big: 9007199254740993,
			},
		},
		{
			"the query where the path has nothing",
			source{query: map[string][]string{"room": {"hall"}}, header: fine.header},
			open{Room: "hall", paging: paging{1}, Tags: []string{}, IDs: []int64{}, Langs: []string{"fi", "en"}, Host: "example.org"},
		},
		{"the path before the query", with("room", "hall"), open{Room: "lobby", paging: paging{1}, Tags: []string{}, IDs: []int64{}, Langs: []string{"fi", "en"}, Host: "example.org"}},
	} {
		var got open
		faults, err := plan[open](t).Decode(context.Background(), tc.src, &got)
		if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(open{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || faults != nil || err != nil {
			t.Errorf("%s: faults %v, error %v\n%s", tc.why, faults, err, diff)
		}
		raw, err := plan[open](t).Model().Append(nil, got)
		var again open
		faults, err2 := plan[open](t).Model().Decode(context.Background(), raw, &again)
		if err != nil || err2 != nil || faults != nil || !reflect.DeepEqual(got, again) {
			t.Errorf("%s: does not survive JSON: %s, %v %v %v", tc.why, raw, err, err2, faults)
		}
	}
}

func TestOpeningFaults(t *testing.T) {
	type f = typemodel.Fault
	for _, tc := range []struct {
		why  string
		src  source
		want []f
	}{
		{"all missing, with every source", source{}, []f{{"/room", `path "room" or query "room" is missing`}, {"/host", `header "Host" is missing`}}},
		{"too short", source{query: map[string][]string{"room": {"x"}}, header: fine.header}, []f{{"/room", `query "room" must have at least 2 characters`}}},
		{"given twice", with("page", "1", "page", "1", "flag", "1", "flag", "0"), []f{
			{"/page", `query "page" is given more than once`}, {"/flag", `query "flag" is given more than once`},
		}},
		{"empty numbers and booleans", with("page", "", "flag", "", "ratio", "", "count", ""), []f{
			{"/page", `query "page" must be an integer`},
			{"/flag", `query "flag" must be true or false`},
			{"/ratio", `query "ratio" must be a number`},
			{"/count", `query "count" must be an integer`},
		}},
		{"in the order of the fields", with("size", "256", "page", "0", "since", "yesterday", "level", "mid", "id", "1", "id", "x"), []f{
			{"/page", `query "page" must be at least 1`},
			{"/level", `query "level" must be one of "low", "high"`},
			{"/size", `query "size" must be between 0 and 255`},
			{"/since", `query "since" must be a time as in RFC 3339, such as 2006-01-02T15:04:05Z`},
			{"/id", `query "id" must be an integer`},
		}},
		{"forms of numbers that JSON does not have", with("page", "+1", "size", "007", "count", "1e3", "ratio", "Inf"), []f{
			{"/page", `query "page" must be an integer`},
			{"/ratio", `query "ratio" must be a number`},
			{"/size", `query "size" must be an integer`},
			{"/count", `query "count" must be an integer`},
		}},
		{"too many", with("tag", "a", "tag", "b", "tag", "c"), []f{{"/tag", `query "tag" must have at most 2 elements`}}},
		{"not UTF-8", with("name", "\xff"), []f{{"/name", `query "name" is not valid UTF-8`}}},
		{"refused by a text type", with("addr", "nowhere"), []f{{"/addr", `query "addr" is not valid for Addr`}}},
		{"other booleans", with("flag", "TRUE"), []f{{"/flag", `query "flag" must be true or false`}}},
	} {
		var got open
		faults, err := plan[open](t).Decode(context.Background(), tc.src, &got)
		if diff := cmp.Diff(tc.want, faults, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%s: error %v\n%s", tc.why, err, diff)
		}
	}
}

func TestOpeningRefusedTypes(t *testing.T) {
	for _, tc := range []struct {
		typ       reflect.Type
		tag, want string
	}{
		{stringType, `query:"a"`, ""},
		{stringType, `doc:"a"`, ".F: opening data needs a path, query or header tag"},
		{stringType, `query:""`, `.F: query:"" is no name`},
		{stringType, `path:"{a}"`, `.F: path:"{a}" is no name`},
		{stringType, `header:"authorization"`, ".F: the header authorization carries credentials"},
		{stringType, `header:"Cookie"`, ".F: the header Cookie carries credentials"},
		{stringsType, `path:"a"`, ".F: a path has one value"},
		{intType, `query:"a" default:"x"`, `.F: default:"x" must be an integer`},
		{intType, `query:"a" default:"5" maximum:"4"`, `.F: default:"5" must be at most 4`},
		{intType, `query:"a" default:"5" required:"true"`, ".F: a field cannot both be required and have a default"},
		{stringsType, `query:"a" default:"[\"x\"]" minItems:"2"`, `.F: default:"[\"x\"]" must have at least 2 elements`},
		{stringsType, `query:"a" default:"[\"x\"]"`, ""},
		{reflect.TypeFor[map[string]int](), `query:"a"`, ".F: map[string]int cannot be read from"},
		{reflect.TypeFor[processing](), `query:"a"`, ".F: typemodel_test.processing cannot be read from"},
		{reflect.TypeFor[[]byte](), `query:"a"`, ".F: []uint8 cannot be read from"},
		{reflect.TypeFor[time.Duration](), `query:"a"`, ".F: time.Duration has no JSON form"},
	} {
		_, err := typemodel.OpeningOf(tagged(tc.typ, tc.tag))
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s `%s`: %v, want %s", tc.typ, tc.tag, err, tc.want)
		}
	}
	for _, typ := range []reflect.Type{intType, reflect.TypeFor[*open](), reflect.TypeFor[time.Time](), reflect.TypeFor[withUnexp]()} {
		if _, err := typemodel.OpeningOf(typ); err == nil {
			t.Errorf("%s is allowed", typ)
		}
	}
}

func TestOpeningNames(t *testing.T) {
	if diff := cmp.Diff([]string{"room"}, plan[open](t).PathNames()); diff != "" {
		t.Error(diff)
	}
	var none struct{}
	if faults, err := plan[struct{}](t).Decode(context.Background(), source{}, &none); faults != nil || err != nil {
		t.Error(faults, err)
	}
}

type checkedOpen struct {
	N int `query:"n"`
}

func (o *checkedOpen) Validate(ctx context.Context) error { return called(ctx, "open", o.N) }

func TestOpeningValidates(t *testing.T) {
	var v checkedOpen
	if faults, err := plan[checkedOpen](t).Decode(context.Background(), with("n", "-1"), &v); err == nil || faults != nil {
		t.Errorf("faults %v, error %v", faults, err)
	}
}
