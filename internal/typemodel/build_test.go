package typemodel_test

import (
	stdjson "encoding/json"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/kanava-go/kanava/internal/typemodel"
)

type (
	withDuration struct{ Lines []line }
	line         struct{ Price map[string]*time.Duration }
	withChan     struct{ C chan int }
	withFunc     struct{ F func() }
	withComplex  struct{ C complex128 }
	withPointer  struct{ P unsafe.Pointer }
	withUintptr  struct{ P uintptr }
	withAny      struct{ Any any }
	withIface    struct{ S http.Handler }
	withFloatKey struct{ M map[float64]int }
	withBoolKey  struct{ M map[bool]int }
	withUnexp    struct {
		Shown  int
		hidden int
	}
	withHidden struct {
		Shown  int
		hidden int `json:"-"`
	}
	allHidden struct{ a int }
	twoNames  struct {
		A int `json:"B"`
		B int
	}
	upperOnly  struct{}
	namedEmbed struct {
		line `json:"line"`
	}
	endless     []endless
	recursive   struct{ Next *recursive }
	genericPath = pair[line, int]
)

var _, _, _ = withUnexp{hidden: 1}.hidden, withHidden{hidden: 1}.hidden, allHidden{1}.a

func (upperOnly) MarshalText() ([]byte, error) { return nil, nil }

// stranger implements a union of the fixture without being a variant.
type stranger struct{ X int }

func (stranger) status() {}

type endlessDefault struct {
	Again *endlessDefault `default:"{}"`
}

// tagged returns a struct type with one field F.
func tagged(t reflect.Type, tag string) reflect.Type {
	return reflect.StructOf([]reflect.StructField{{Name: "F", Type: t, Tag: reflect.StructTag(tag)}})
}

var (
	intType     = reflect.TypeFor[int]()
	stringType  = reflect.TypeFor[string]()
	boolType    = reflect.TypeFor[bool]()
	floatType   = reflect.TypeFor[float64]()
	numberType  = reflect.TypeFor[stdjson.Number]()
	stringsType = reflect.TypeFor[[]string]()
)

func TestRefusedTypes(t *testing.T) {
	const all = "input output stored opening"
	for _, tc := range []struct {
		uses, want string
		typ        reflect.Type
	}{
		{all, "withDuration.Lines[].Price{}: time.Duration has no JSON form; use ", reflect.TypeFor[withDuration]()},
		{all, "withChan.C: chan int has no JSON form; ", reflect.TypeFor[withChan]()},
		{all, "withFunc.F: func() has no JSON form; ", reflect.TypeFor[withFunc]()},
		{all, "withComplex.C: complex128 has no JSON form; ", reflect.TypeFor[withComplex]()},
		{all, "withPointer.P: unsafe.Pointer has no JSON form; ", reflect.TypeFor[withPointer]()},
		{all, "withUintptr.P: uintptr has no JSON form; use uint64", reflect.TypeFor[withUintptr]()},
		{"input opening", "withAny.Any: any is not allowed here; use jsontext.Value", reflect.TypeFor[withAny]()},
		{all, "withIface.S: http.Handler is an interface and no union; ", reflect.TypeFor[withIface]()},
		{all, "withFloatKey.M: float64 cannot be the key of a JSON object; ", reflect.TypeFor[withFloatKey]()},
		{all, "withBoolKey.M: bool cannot be the key of a JSON object; ", reflect.TypeFor[withBoolKey]()},
		{"stored opening", "withUnexp.hidden: an unexported field is lost in the store; ", reflect.TypeFor[withUnexp]()},
		{all, "allHidden: typemodel_test.allHidden has no exported fields", reflect.TypeFor[allHidden]()},
		{all, "twoNames.B: the JSON name \"B\" is also that of A", reflect.TypeFor[twoNames]()},
		{"stored opening", "upperOnly: typemodel_test.upperOnly encodes itself one way", reflect.TypeFor[upperOnly]()},
		{all, "endless[]", reflect.TypeFor[endless]()},
	} {
		for name, use := range uses {
			_, err := typemodel.Of(tc.typ, use)
			switch refused := strings.Contains(tc.uses, name); {
			case refused && (err == nil || !strings.HasPrefix(err.Error(), tc.want)):
				t.Errorf("%s as %s: %v, want %s", tc.typ, name, err, tc.want)
			case !refused && err != nil:
				t.Errorf("%s as %s: %v", tc.typ, name, err)
			}
		}
	}
	_, err := typemodel.Of(reflect.TypeFor[genericPath](), typemodel.Input)
	if err == nil || !strings.HasPrefix(err.Error(), "pair[typemodel_test.line,int].First.Price{}: time.Duration") {
		t.Errorf("generic: %v", err)
	}
	_, err = typemodel.Of(reflect.TypeFor[struct {
		S status
		X stranger
	}](), typemodel.Output)
	if err == nil || !strings.Contains(err.Error(), "typemodel_test.stranger implements typemodel_test.activity and is no variant of it") {
		t.Errorf("stranger: %v", err)
	}
}

var uses = map[string]typemodel.Use{
	"input": typemodel.Input, "output": typemodel.Output, "stored": typemodel.Stored, "opening": typemodel.Opening,
}

func TestAllowedTypes(t *testing.T) {
	for _, tc := range []struct {
		typ  reflect.Type
		use  typemodel.Use
		kind typemodel.Kind
	}{
		{reflect.TypeFor[struct{}](), typemodel.Input, typemodel.Object},
		{reflect.TypeFor[recursive](), typemodel.Stored, typemodel.Object},
		{reflect.TypeFor[withHidden](), typemodel.Stored, typemodel.Object},
		{reflect.TypeFor[namedEmbed](), typemodel.Input, 0xff},
		{reflect.TypeFor[**int](), typemodel.Input, typemodel.Number},
		{reflect.TypeFor[any](), typemodel.Output, typemodel.Any},
		{reflect.TypeFor[jsontext.Value](), typemodel.Input, typemodel.Any},
		{reflect.TypeFor[[]byte](), typemodel.Input, typemodel.String},
		{reflect.TypeFor[[]int](), typemodel.Input, typemodel.Array},
		{reflect.TypeFor[[2]bool](), typemodel.Input, typemodel.Array},
		{reflect.TypeFor[time.Time](), typemodel.Input, typemodel.String},
		{reflect.TypeFor[map[int]string](), typemodel.Input, typemodel.Map},
		{reflect.TypeFor[bool](), typemodel.Input, typemodel.Boolean},
		{reflect.TypeFor[status](), typemodel.Input, typemodel.Union},
		{reflect.TypeFor[processing](), typemodel.Input, typemodel.Object},
		{reflect.TypeFor[upperOnly](), typemodel.Output, typemodel.String},
		{reflect.TypeFor[json.Options](), typemodel.Output, 0xff},
		{reflect.TypeFor[rich](), typemodel.Output, typemodel.Object},
	} {
		m, err := typemodel.Of(tc.typ, tc.use)
		if tc.kind == 0xff {
			if err == nil {
				t.Errorf("%s is allowed", tc.typ)
			}
			continue
		}
		if err != nil || m.Kind() != tc.kind {
			t.Errorf("%s: kind %v, error %v", tc.typ, m, err)
		}
	}
}

func TestTags(t *testing.T) {
	for _, tc := range []struct {
		typ  reflect.Type
		tag  string
		want string // "" for allowed
	}{
		{stringType, `minLength:"1" maxLength:"1"`, ""},
		{reflect.TypeFor[*string](), `minLength:"1"`, ""},
		{stringType, `minLength:"x"`, `F: minLength:"x" is no number`},
		{stringType, `maxLength:"-1"`, `F: maxLength:"-1" is no number`},
		{stringType, `minLength:"2" maxLength:"1"`, "F: minLength 2 is more than maxLength 1"},
		{intType, `minLength:"1"`, "F: the tag minLength applies to strings, not to int"},
		{stringsType, `maxLength:"1"`, "F: the tag maxLength applies to strings, not to []string"},
		{stringsType, `minItems:"1" maxItems:"2"`, ""},
		{reflect.TypeFor[map[string]int](), `minItems:"1"`, "F: the tag minItems applies to slices and arrays, not to map[string]int"},
		{reflect.TypeFor[map[string]int](), `minProperties:"1" maxProperties:"2"`, ""},
		{reflect.TypeFor[map[string]int](), `minProperties:"2" maxProperties:"1"`, "F: minProperties 2 is more than maxProperties 1"},
		{reflect.TypeFor[idle](), `minProperties:"1"`, "F: the tag minProperties applies to maps, not to typemodel_test.idle"},
		{stringType, `minItems:"1"`, "F: the tag minItems applies to slices and arrays, not to string"},
		{stringsType, `minItems:"3" maxItems:"2"`, "F: minItems 3 is more than maxItems 2"},
		{reflect.TypeFor[[2]int](), `minItems:"3"`, "F: [2]int always has 2 elements"},
		{intType, `minimum:"-5" maximum:"5"`, ""},
		{intType, `minimum:"1.5"`, `F: minimum:"1.5" is no int`},
		{floatType, `minimum:"1.5"`, ""},
		{floatType, `minimum:"NaN"`, `F: minimum:"NaN" is no float64`},
		{reflect.TypeFor[int8](), `maximum:"200"`, `F: maximum:"200" is no int8`},
		{reflect.TypeFor[uint8](), `minimum:"-1"`, `F: minimum:"-1" is no uint8`},
		{intType, `minimum:"2" maximum:"1"`, "F: minimum 2 is more than maximum 1"},
		{stringType, `minimum:"2"`, "F: the tag minimum applies to numbers, not to string"},
		{stringType, `enum:"a, b"`, ""},
		{stringType, `enum:"a,,b"`, `F: enum:"a,,b" has an empty value`},
		{stringType, `enum:"a,a"`, `F: enum has the value "a" twice`},
		{intType, `enum:"1,2"`, ""},
		{intType, `enum:"1,x"`, `F: enum value "x" is no int`},
		{floatType, `enum:"1,1.0"`, `F: enum has the value "1.0" twice`},
		{reflect.TypeFor[bool](), `enum:"true"`, "F: the tag enum applies to strings and numbers, not to bool"},
		{reflect.TypeFor[time.Time](), `enum:"x"`, "F: the tag enum applies to strings and numbers, not to time.Time"},
		{reflect.TypeFor[[]byte](), `maxLength:"1"`, "F: the tag maxLength applies to strings, not to []uint8"},
		{stringType, `pattern:"^[a-z\\d_-]{1,3}(?:x|\\.)*\\p{Lu}$"`, ""},
		{stringType, `pattern:"("`, "F: pattern: error parsing"},
		{stringType, `pattern:"(?i)x"`, `F: pattern:"(?i)x": flags`},
		{stringType, `pattern:"\\s"`, `F: pattern:"\\s": \s covers`},
		{stringType, `pattern:"[\\S]"`, `F: pattern:"[\\S]": \s covers`},
		{stringType, `pattern:"a.b"`, `F: pattern:"a.b": a dot`},
		{stringType, `pattern:"[.]"`, ""},
		{stringType, `pattern:"\\Aa\\z"`, `F: pattern:"\\Aa\\z": the escape \A`},
		{stringType, `pattern:"\\-"`, `F: pattern:"\\-": the escape \-`},
		{stringType, `pattern:"[\\-]"`, ""},
		{stringType, `pattern:"[[:alpha:]]"`, `F: pattern:"[[:alpha:]]": classes`},
		{stringType, `pattern:"[]a]"`, `F: pattern:"[]a]": a ]`},
		{stringType, `pattern:"\\x{41}"`, `F: pattern:"\\x{41}": the escape`},
		{stringType, `pattern:"\\x41"`, ""},
		{stringType, `pattern:"\\p{Greek}"`, `F: pattern:"\\p{Greek}": scripts`},
		{stringType, `pattern:"\\pL"`, `F: pattern:"\\pL": the escape`},
		{stringType, `pattern:"a{,2}"`, `F: pattern:"a{,2}": a {`},
		{stringType, `pattern:"a}"`, `F: pattern:"a}": a }`},
		{stringType, `pattern:"(?P<n>a)"`, `F: pattern:"(?P<n>a)": flags`},
		{stringType, `pattern:"(?<n>a)"`, ""},
		{stringType, `doc:"anything"`, ""},
		{stringType, `required:"yes"`, `F: required:"yes" is neither`},
		{stringType, `json:",omitempty" required:"true"`, ""},
		{stringType, `default:"x"`, ""},
		{stringType, `default:"" minLength:"1"`, `F: default:"" must have at least 1 character`},
		{stringType, `default:"x" required:"true"`, "F: a field cannot both be required and have a default"},
		{intType, `default:"x"`, `F: default:"x" must be an integer`},
		{intType, `default:"5" maximum:"4"`, `F: default:"5" must be at most 4`},
		{intType, `json:",string" default:"5"`, ""},
		{reflect.TypeFor[*int](), `default:"5"`, ""},
		{boolType, `default:"maybe"`, `F: default:"maybe" must be true or false`},
		{reflect.TypeFor[netip.Addr](), `default:"here"`, `F: default:"here" is no netip.Addr`},
		{stringsType, `default:"a"`, `F: default:"a" is not valid JSON`},
		{stringsType, `default:"[\"a\",1]"`, `F: default:"[\"a\",1]" at /1 must be a string, not a number`},
		{stringsType, `default:"[]" minItems:"1"`, `F: default:"[]" must have at least 1 element`},
		{reflect.TypeFor[status](), `default:"{\"type\":\"idle\"}"`, ""},
		{reflect.TypeFor[status](), `default:"{\"type\":\"x\"}"`, `at /type must be one of "complete", "idle", "processing"`},
		{reflect.TypeFor[endlessDefault](), ``, `F.Again: default:"{}": member "Again": default:"{}" holds itself`},
		{stringType, `format:"email"`, ""},
		{reflect.TypeFor[netip.Addr](), `format:"ipv4"`, ""},
		{stringType, `format:"e-mail"`, `F: format:"e-mail" is unknown; there are date, date-time, email,`},
		{intType, `format:"int64"`, "F: the tag format applies to strings, not to int"},
		{intType, `exclusiveMinimum:"1" exclusiveMaximum:"3"`, ""},
		{floatType, `exclusiveMinimum:"1" maximum:"1.5"`, ""},
		{intType, `exclusiveMinimum:"x"`, `F: exclusiveMinimum:"x" is no int`},
		{intType, `minimum:"1" exclusiveMinimum:"1"`, "F: minimum and exclusiveMinimum stand side by side; keep one"},
		{floatType, `minimum:"1" exclusiveMaximum:"1"`, "F: minimum 1 is not less than exclusiveMaximum 1"},
		{stringType, `exclusiveMaximum:"1"`, "F: the tag exclusiveMaximum applies to numbers, not to string"},
		{intType, `minimum:"+1"`, `F: minimum:"+1" is no int`},
		{floatType, `minimum:"0x1p-2"`, `F: minimum:"0x1p-2" is no float64`},
		{intType, `multipleOf:"5"`, ""},
		{floatType, `multipleOf:"0.05"`, ""},
		{intType, `multipleOf:"0"`, `F: multipleOf:"0" is no int above 0`},
		{reflect.TypeFor[uint8](), `multipleOf:"256"`, `F: multipleOf:"256" is no uint8 above 0`},
		{floatType, `multipleOf:"-1"`, `F: multipleOf:"-1" is no float64 above 0`},
		{floatType, `multipleOf:"0.12345678901"`, `F: multipleOf:"0.12345678901" has more digits`},
		{stringsType, `multipleOf:"1"`, "F: the tag multipleOf applies to numbers, not to []string"},
		{numberType, `minimum:"-0.5" maximum:"12345678901234567890123" multipleOf:"0.5"`, ""},
		{numberType, `exclusiveMinimum:"0" maximum:"1e-400"`, ""},
		{numberType, `enum:"1,2.5"`, ""},
		{numberType, `const:"1"`, ""},
		{numberType, `minimum:"x"`, `F: minimum:"x" is no json.Number`},
		{numberType, `minimum:"1.5" maximum:"1.49"`, "F: minimum 1.5 is more than maximum 1.49"},
		{numberType, `minimum:"1" exclusiveMaximum:"1.0"`, "F: minimum 1 is not less than exclusiveMaximum 1.0"},
		{numberType, `minimum:"1" exclusiveMinimum:"1"`, "F: minimum and exclusiveMinimum stand side by side; keep one"},
		{numberType, `multipleOf:"-1"`, `F: multipleOf:"-1" is no json.Number above 0`},
		{numberType, `multipleOf:"0.0"`, `F: multipleOf:"0.0" is no json.Number above 0`},
		{numberType, `enum:"1,1.0"`, `F: enum has the value "1.0" twice`},
		{numberType, `enum:"1,x"`, `F: enum value "x" is no json.Number`},
		{numberType, `default:"5" maximum:"4"`, `F: default:"5" must be at most 4`},
		{numberType, `minLength:"1"`, "F: the tag minLength applies to strings, not to json.Number"},
		{stringType, `const:"a,b"`, ""},
		{boolType, `const:"true"`, ""},
		{boolType, `const:"1"`, `F: const:"1" is neither true nor false`},
		{intType, `const:"x"`, `F: const value "x" is no int`},
		{reflect.TypeFor[netip.Addr](), `const:"x"`, `F: const value "x" is no netip.Addr`},
		{intType, `const:"1" enum:"1"`, "F: const and enum stand side by side; keep one"},
		{stringsType, `const:"x"`, "F: the tag const applies to strings, numbers and booleans, not to []string"},
		{stringsType, `uniqueItems:"true"`, ""},
		{stringsType, `uniqueItems:"yes"`, `F: uniqueItems:"yes" is neither true nor false`},
		{reflect.TypeFor[map[string]int](), `uniqueItems:"true"`, "F: the tag uniqueItems applies to slices and arrays, not to map"},
		{reflect.TypeFor[[]idle](), `uniqueItems:"true"`, ""},
		{stringsType, `items.minLength:"1" items.pattern:"^[a-z]+$" maxItems:"2"`, ""},
		{reflect.TypeFor[[][2]*int](), `items.items.minimum:"1" items.uniqueItems:"true"`, ""},
		{reflect.TypeFor[map[level][]string](), `keys.maxLength:"8" keys.pattern:"^[a-z]+$" values.minItems:"1" values.items.format:"email"`, ""},
		{reflect.TypeFor[map[int]string](), `keys.minimum:"1" keys.multipleOf:"2"`, ""},
		{reflect.TypeFor[map[role]string](), `keys.enum:"admin"`, ""},
		{stringsType, `items.minimum:"1"`, "F: the tag items.minimum applies to numbers, not to string"},
		{stringsType, `items.minLength:"x"`, `F: items: minLength:"x" is no number`},
		{stringsType, `values.minLength:"1"`, "F: the tag values.minLength does not apply to []string; slices and arrays have items, maps have keys and values"},
		{stringType, `items.minLength:"1"`, "F: the tag items.minLength does not apply to string"},
		{reflect.TypeFor[[]byte](), `items.minimum:"1"`, "F: the tag items.minimum does not apply to []uint8"},
		{reflect.TypeFor[map[role]string](), `keys.enum:"boss"`, `F: keys: enum value "boss" is none of typemodel_test.role`},
		{stringsType, `items.minlength:"1"`, "F: the tag items.minlength is written items.minLength"},
		{stringsType, `item.minLength:"1"`, "F: the tag item.minLength does not apply to []string"},
		{stringsType, `items.doc:"x"`, "F: the tag items.doc is for the field itself, as doc"},
		{stringsType, `items.default:"x"`, "F: the tag items.default is for the field itself, as default"},
		{stringsType, `items.title:"x"`, "F: the tag items.title is not supported; use doc"},
		{stringsType, `example:"[\"\"]" items.minLength:"1"`, `F: example:"[\"\"]" at /0 must have at least 1 character`},
		{stringType, `deprecated:"true"`, ""},
		{stringType, `deprecated:"since 2"`, `F: deprecated:"since 2" is neither true nor false`},
		{stringType, `example:"a" minLength:"1"`, ""},
		{stringType, `example:"" minLength:"1"`, `F: example:"" must have at least 1 character`},
		{intType, `example:"x"`, `F: example:"x" must be an integer`},
		{intType, `json:",string" example:"12"`, ""},
		{boolType, `example:"true"`, ""},
		{stringsType, `example:"[\"a\"]"`, ""},
		{stringsType, `example:"[1]"`, `F: example:"[1]" at /0 must be a string, not a number`},
		{stringsType, `example:"a"`, `F: example:"a" is not valid JSON`},
		{reflect.TypeFor[status](), `example:"{\"type\":\"idle\"}"`, ""},
		{reflect.TypeFor[netip.Addr](), `example:"here"`, `F: example:"here" is no netip.Addr`},
		{stringType, `examples:"a"`, "F: the tag examples is not supported; use example"},
		{stringType, `minlength:"1"`, "F: the tag minlength is written minLength"},
		{stringType, `max_length:"1"`, "F: the tag max_length is written maxLength"},
		{stringType, `minLenght:"1"`, "F: the tag minLenght is unknown; did you mean minLength?"},
		{stringType, `patern:"^a$"`, "F: the tag patern is unknown; did you mean pattern?"},
		{stringType, `requierd:"false"`, "F: the tag requierd is unknown; did you mean required?"},
		{stringsType, `items.maxLenth:"1"`, "F: the tag items.maxLenth is unknown; did you mean items.maxLength?"},
		{stringType, `minLength:"1" minLength:"2"`, "F: the tag minLength stands twice"},
		{stringType, `minLength: "1"`, "F: the struct tag"},
		{stringType, `db:"x" yaml:"y" binding:"b" form:"f" enums:"a" envDefault:"d" sample:"s" validate:"required,min=1"`, ""},
		{stringType, `json:"a'b"`, "F: the JSON name"},
		{stringType, `json:"a,omitEmpty"`, `F: the json option "omitEmpty" is not supported`},
		{stringType, `json:"a,format:x"`, `F: the json option "format:x" is not supported`},
		{reflect.TypeFor[map[string]int](), `json:",embed"`, `F: the json option "embed" is not supported`},
		{reflect.TypeFor[map[string]int](), `json:",inline"`, `F: the json option "inline" is not supported`},
		{stringType, `json:"a,"`, "F: the tag json:\"a,\" ends in a comma"},
		{stringType, `json:"a,string"`, "F: the json option string applies to numbers"},
		{reflect.TypeFor[[]int](), `json:"a,string"`, "F: the json option string applies to numbers"},
		{reflect.TypeFor[*int](), `json:"a,string"`, ""},
		{reflect.TypeFor[status](), `json:"a,omitempty"`, "F: a union cannot be omitempty; use omitzero"},
	} {
		_, err := typemodel.Of(tagged(tc.typ, tc.tag), typemodel.Input)
		if tc.want == "" && err != nil {
			t.Errorf("%s `%s`: %v", tc.typ, tc.tag, err)
		}
		if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s `%s`: %v, want %s", tc.typ, tc.tag, err, tc.want)
		}
	}
}

func TestMembers(t *testing.T) {
	type sample struct {
		base
		Opt   *int   `json:"opt" doc:"an option"`
		List  []int  `json:"list" required:"false"`
		Force string `json:"force,omitempty" required:"true"`
		*Meta
	}
	want := []typemodel.Member{
		{"id", true, typemodel.Number, ""},
		{"name", false, typemodel.String, ""},
		{"opt", true, typemodel.Number, "an option"},
		{"list", false, typemodel.Array, ""},
		{"force", true, typemodel.String, ""},
		{"note", false, typemodel.String, ""},
	}
	if diff := cmp.Diff(want, model[sample](t, typemodel.Output).Members()); diff != "" {
		t.Error(diff)
	}
	want = []typemodel.Member{
		{"type", true, typemodel.String, ""},
		{"id", false, typemodel.String, ""},
		{"child", false, typemodel.Union, ""},
		{"note", false, typemodel.String, ""},
		{"step", false, typemodel.String, ""},
		{"ratio", false, typemodel.Number, ""},
		{"extra", false, typemodel.Map, ""},
	}
	m := model[status](t, typemodel.Output)
	if diff := cmp.Diff(want, m.Members()); diff != "" {
		t.Error(diff)
	}
	if !m.Has("type") || !m.Has("child", "step") || m.Has("child", "x") {
		t.Error("Has does not look into variants")
	}
}

func TestOfIsCachedAndConcurrent(t *testing.T) {
	type fresh struct{ A, B []*fresh }
	var wg sync.WaitGroup
	got := make([]*typemodel.Model, 8)
	for i := range got {
		wg.Go(func() { got[i] = model[fresh](t, typemodel.Input) })
	}
	wg.Wait()
	for _, m := range got {
		if m != got[0] {
			t.Error("two models of one type")
		}
	}
}

func TestRegisterUnionRefuses(t *testing.T) {
	type used struct{ X int }
	model[used](t, typemodel.Input)
	for _, tc := range []struct {
		why, want string
		err       error
	}{
		{"no interface", "int: a union is an interface", typemodel.RegisterUnion("x", "type", map[string]int{"a": 1})},
		{"no method", "interface {}: every type implements", typemodel.RegisterUnion("x", "type", map[string]any{"a": used{}})},
		{"no variants", "u1: there are no variants", typemodel.RegisterUnion("x", "type", map[string]u1{})},
		{"no property", "u1: the property \"\"", typemodel.RegisterUnion("x", "", map[string]u1{"a": v1{}})},
		{"no tag", "u1: a tag is empty", typemodel.RegisterUnion("x", "type", map[string]u1{"": v1{}})},
		{"nil", "u1(a): the variant is nil", typemodel.RegisterUnion("x", "type", map[string]u1{"a": nil})},
		{"one struct twice", "u1: typemodel_test.v1 is the variant of both", typemodel.RegisterUnion("x", "type", map[string]u1{"a": v1{}, "b": &v1{}})},
		{"no struct", "u1(a): typemodel_test.v2 is no struct", typemodel.RegisterUnion("x", "type", map[string]u1{"a": v2(0)})},
		{"own member of that name", "u1(a).Kind: the member \"kind\"", typemodel.RegisterUnion("x", "kind", map[string]u1{"a": v3{}})},
		{"encodes itself", "u1(a): typemodel_test.v4 encodes itself", typemodel.RegisterUnion("x", "type", map[string]u1{"a": v4{}})},
		{"already in use", "u1: typemodel_test.v5 is already in use", func() error {
			model[v5](t, typemodel.Output)
			return typemodel.RegisterUnion("x", "type", map[string]u1{"a": v5{}})
		}()},
		{"registered twice", "status: the union is already declared at status.go:1", typemodel.RegisterUnion("status.go:1", "type", map[string]status{"idle": idle{}})},
		{"another discriminator", `status2: typemodel_test.idle is already the variant type="idle" of typemodel_test.status, declared at status.go:1`, typemodel.RegisterUnion("x", "type", map[string]status2{"idling": idle{}})},
	} {
		if tc.err == nil || !strings.HasPrefix(tc.err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", tc.why, tc.err, tc.want)
		}
	}
}

type (
	u1      interface{ u1() }
	status2 interface{ status() }
	v1      struct{}
	v2      int
	v3      struct {
		Kind string `json:"kind"`
	}
	v4 struct{ X int }
	v5 struct{ X int }
)

func (v1) u1()                          {}
func (v2) u1()                          {}
func (v3) u1()                          {}
func (v4) u1()                          {}
func (v5) u1()                          {}
func (v4) MarshalJSON() ([]byte, error) { return nil, nil }
