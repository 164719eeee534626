package typemodel_test

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"errors"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/kanava-go/kanava/internal/jsonscan"
	"github.com/kanava-go/kanava/internal/typemodel"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"pgregory.net/rapid"
)

type numbers struct {
	I8    int8           `json:"i8"`
	I     int64          `json:"i"`
	U8    uint8          `json:"u8" maximum:"200"`
	U     uint64         `json:"u" minimum:"1"`
	Open  int            `json:"open" exclusiveMinimum:"-3" exclusiveMaximum:"3"`
	Step  int16          `json:"step" multipleOf:"5"`
	F     float64        `json:"f" minimum:"-1.5" exclusiveMaximum:"2"`
	G     float32        `json:"g"`
	Cents float64        `json:"cents" multipleOf:"0.01"`
	Enum  int            `json:"enum" enum:"1,2,3"`
	Const uint           `json:"const" const:"7"`
	Maybe *int           `json:"maybe" enum:"5,6"`
	Q     int64          `json:"q,string" minimum:"0"`
	QU    uint32         `json:"qu,string"`
	QF    float64        `json:"qf,string" maximum:"5"`
	QE    int            `json:"qe,string" enum:"10,20"`
	N     stdjson.Number `json:"n"`

	NRange stdjson.Number `json:"nRange" minimum:"-1.5" exclusiveMaximum:"12345678901234567890.5"`
	NOpen  stdjson.Number `json:"nOpen" exclusiveMinimum:"-0.1" maximum:"0.1" multipleOf:"0.01"`
	NEnum  stdjson.Number `json:"nEnum" enum:"1,2.5,-1e3"`
	NConst stdjson.Number `json:"nConst" const:"0.10"`
}

type texts struct {
	Short    string     `json:"short" minLength:"1" maxLength:"4"`
	Pattern  string     `json:"pattern" pattern:"^[a-z]+[0-9]*$"`
	Level    level      `json:"level" enum:"low,high"`
	Const    *string    `json:"const" const:"yes"`
	Yes      bool       `json:"yes" const:"true"`
	DateTime string     `json:"dateTime" format:"date-time"`
	Date     string     `json:"date,omitempty" format:"date"`
	Time     string     `json:"time" format:"time"`
	Mail     string     `json:"mail" format:"email"`
	URI      string     `json:"uri" format:"uri"`
	UUID     string     `json:"uuid" format:"uuid"`
	V4       string     `json:"v4" format:"ipv4"`
	V6       string     `json:"v6" format:"ipv6"`
	Host     *string    `json:"host" format:"hostname"`
	When     time.Time  `json:"when"`
	Addr     netip.Addr `json:"addr"`
	Bytes    []byte     `json:"bytes"`
	Five     [5]byte    `json:"five"`
	Nine     [9]byte    `json:"nine"`
}

type forest struct {
	Trees  []*forest         `json:"trees,omitempty" maxItems:"2"`
	Named  map[string]forest `json:"named,omitempty" minProperties:"1" maxProperties:"2"`
	ByInt  map[int8]bool     `json:"byInt,omitempty"`
	ByUint map[uint8]*bool   `json:"byUint,omitempty"`
	Unique []float64         `json:"unique,omitempty" uniqueItems:"true" minItems:"1"`
	Names  []string          `json:"names,omitempty" uniqueItems:"true"`
	Two    *[2]int           `json:"two"`
	Any    jsontext.Value    `json:"any,omitzero"`
	Status status            `json:"status,omitzero"`
	All    []*status         `json:"all,omitempty"`
	Own    *processing       `json:"own,omitempty"`
	Forced *forest           `json:"forced,omitempty" required:"false"`
}

// some draws one of several values.
func some[T any](t *rapid.T, values ...T) T { return rapid.SampledFrom(values).Draw(t, "some") }

func maybe[T any](t *rapid.T, v T) *T {
	if rapid.Bool().Draw(t, "nil") {
		return nil
	}
	return &v
}

func drawNumbers(t *rapid.T) numbers {
	return numbers{
		I8: rapid.Int8().Draw(t, "i8"), I: rapid.Int64().Draw(t, "i"), U8: some[uint8](t, 0, 199, 200), U: some[uint64](t, 1, 2, 1<<64-1),
		Open: rapid.IntRange(-2, 2).Draw(t, "open"), Step: int16(5 * rapid.IntRange(-6000, 6000).Draw(t, "step")), F: some(t, -1.5, 0, 1.99),
		G: rapid.Float32().Draw(t, "g"), Cents: some(t, 0.01, -1.15, 1e20, 0), Enum: some(t, 1, 2, 3), Const: 7, Maybe: maybe(t, some(t, 5, 6)),
		Q: some[int64](t, 0, 1<<62), QU: some[uint32](t, 0, 1<<32-1), QF: some(t, 5, -1e-300), QE: some(t, 10, 20), N: some[stdjson.Number](t, "0", "-1.5e3"),
		NRange: some[stdjson.Number](t, "-1.5", "-0.015e2", "12345678901234567890.49", "0"), NOpen: some[stdjson.Number](t, "-0.09", "0.10", "1e-1", "-0"),
		NEnum: some[stdjson.Number](t, "1.0", "25e-1", "-1000"), NConst: some[stdjson.Number](t, "0.1", "10e-2"),
	}
}

func drawTexts(t *rapid.T) texts {
	v := texts{
		Short: rapid.StringN(1, 4, -1).Draw(t, "short"), Pattern: some(t, "a", "ab12"), Level: some[level](t, "low", "high"), Const: maybe(t, "yes"), Yes: true,
		DateTime: some(t, "2026-01-02T15:04:05Z", "2024-02-29t00:00:00.1-23:59"), Date: some(t, "", "2026-12-31"), Time: some(t, "15:04:05Z", "00:00:00.25+00:30"),
		Mail: some(t, "a.b@example.org", `"a b"@c`, "x@[127.0.0.1]"), URI: some(t, "http://example.org/a?b#c", "urn:x", "http://[::1]:80/"),
		UUID: "f81d4fae-7dec-11d0-a765-00a0c91e6bf6", V4: some(t, "0.0.0.0", "1.2.3.255"), V6: some(t, "::", "1::ffff:1.2.3.4"), Host: maybe(t, some(t, "a", "b-c.d")),
		When: time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "when"), 0).UTC(), Addr: drawAddr(t), Bytes: rapid.SliceOfN(rapid.Byte(), 0, 6).Draw(t, "bytes"),
	}
	copy(v.Five[:], rapid.SliceOfN(rapid.Byte(), 5, 5).Draw(t, "five"))
	return v
}

func drawForest(depth int) *rapid.Generator[forest] {
	return rapid.Custom(func(t *rapid.T) forest {
		s := drawStatus(1).Draw(t, "status")
		v := forest{
			Two: maybe(t, [2]int{1, 2}), Unique: some(t, nil, []float64{1}, []float64{1, 2.5, -1e30}), Names: some(t, nil, []string{"a", "b", ""}),
			ByInt: some(t, nil, map[int8]bool{-128: true, 0: false}), ByUint: some(t, nil, map[uint8]*bool{255: nil}),
			Any: some(t, nil, jsontext.Value(`{"a":[null,1.0]}`)), Status: some(t, nil, s), All: some(t, nil, []*status{&s, nil}),
		}
		if rapid.Bool().Draw(t, "own") {
			p := drawProcessing(t)
			v.Own = &p
		}
		if depth > 0 {
			v.Trees = []*forest{nil}
			kid := drawForest(depth-1).Draw(t, "kid")
			v.Named = some(t, nil, map[string]forest{"a/~": kid})
			v.Trees = some(t, nil, []*forest{&kid, nil})
			v.Forced = some(t, nil, &kid)
		}
		return v
	})
}

func drawMember(t *rapid.T) member {
	anyRole := func() role { return some(t, roleAdmin, roleGuest, roleNone) }
	anyRank := func() rank { return some(t, rankLow, rankHigh) }
	anyMode := func() mode { return some(t, modeRead, modeWrite) }
	return member{
		anyRole(), anyRank(), anyMode(), anyRank(), some(t, roleAdmin, roleGuest), maybe(t, rankHigh), maybe(t, anyRole()), some(t, nil, []role{roleAdmin, roleNone}),
		map[role]rank{anyRole(): anyRank()},
		map[rank]mode{anyRank(): anyMode()},
		map[mode][]role{anyMode(): {anyRole(), anyRole()}},
	}
}

func drawStyle(t *rapid.T, depth int) style {
	v := style{extras{some(t, "red", "blue", "")}, some(t, nil, &Meta2{"me"}), 5 * rapid.IntRange(-9, 9).Draw(t, "size"), rapid.Float64().Draw(t, "ratio"), nil}
	if depth > 0 {
		parent := drawStyle(t, depth-1)
		v.Parent = some(t, nil, &parent)
	}
	return v
}

func drawDefaults(t *rapid.T) defaults {
	styled := drawStyle(t, 2)
	room := roomTarget{some(t, "", "hall"), rapid.Bool().Draw(t, "quiet")}
	user := &userTarget{rapid.Int64().Draw(t, "id"), some(t, nil, []target{room})}
	return defaults{
		Role: some(t, roleAdmin, roleNone), Big: rapid.Uint64().Draw(t, "big"), Num: some[stdjson.Number](t, "0", "-1.5e3"), Addr: drawAddr(t), Maybe: maybe(t, 5),
		Null: some(t, nil, &styled), Raw: jsontext.Value(`{"a":[null,1.0]}`), Bytes: rapid.SliceOfN(rapid.Byte(), 0, 6).Draw(t, "bytes"), Style: styled,
		List: some(t, nil, []style{styled, drawStyle(t, 0)}), ByName: map[string]*style{"a/~": &styled, "": nil}, Target: some[target](t, room, user),
		Many: some(t, nil, []target{user, room}), Pairs: some(t, nil, []pair[style, [1]role]{{styled, [1]role{roleGuest}}}),
	}
}

func drawLinks(t *rapid.T) links {
	full, relative := mustURL(some(t, "https://u:p@example.org:8080/a%2Fb?c=d#e", "urn:x:y", "mailto:a@b")), mustURL(some(t, "", "../x?y#z", "//h/p", "/a:b", "http://[::1]:80/"))
	return links{
		Any: relative, Full: maybe(t, full), Opt: relative, Empty: full, Https: some(t, mustURL("https://a"), mustURL("https://b/?c")),
		List: some(t, nil, []*url.URL{{Path: "x"}, nil, {Scheme: "http", Host: "x"}}), Named: some(t, nil, map[string]url.URL{"a": relative}), Union: some[place](t, nil, page{URL: full}),
	}
}

// oracle is one type with the schema that another library has made of ours.
type oracle struct {
	model  *typemodel.Model
	typ    reflect.Type
	schema *jsonschema.Schema
	draw   func(t *rapid.T) []byte
}

func newOracle[T any](t testing.TB, draw func(t *rapid.T) T) oracle {
	t.Helper()
	m := model[T](t, typemodel.Input)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(m.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.AssertContent()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json") // which also checks it against the meta-schema
	if err != nil {
		t.Fatalf("%s: %v", m, err)
	}
	return oracle{m, reflect.TypeFor[T](), schema, func(t *rapid.T) []byte {
		v := draw(t)
		raw, err := m.Append(nil, &v)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}}
}

// fixed draws always the same text.
func fixed[T any](t *testing.T, raw string) oracle {
	o := newOracle(t, func(*rapid.T) (v T) { return v })
	o.draw = func(*rapid.T) []byte { return []byte(raw) }
	return o
}

// exceptions are where the model is stricter than its schema can say. Where it
// is more lenient there is none.
var exceptions = []struct {
	why    string
	excuse func(message string, value *tree) bool
}{
	{
		"to JSON Schema 1.0 and 1e2 are integers; a Go integer takes digits only, because rounding would go unseen",
		func(m string, v *tree) bool {
			return strings.HasPrefix(m, "must be an integer") && v.kind == '0' && strings.ContainsAny(v.raw, ".eE")
		},
	},
	{
		"to JSON Schema -0 is 0; an unsigned integer has no sign",
		func(m string, v *tree) bool { return strings.HasPrefix(m, "must be between 0 and ") && v.raw == "-0" },
	},
	{
		"the schema of a float names no bounds: they are no round numbers, and format says float or double",
		func(m string, v *tree) bool {
			return strings.HasPrefix(m, "must be a number that fits ") && (v.kind == '0' || v.kind == '"')
		},
	},
	{
		"keywords for numbers do not reach into strings: numbers with the json option string have a pattern only",
		func(m string, v *tree) bool {
			_, err := strconv.ParseFloat(strings.Trim(v.raw, `"`), 64)
			return v.kind == '"' && err == nil && (strings.HasPrefix(m, "must be at ") || strings.HasPrefix(m, "must be between "))
		},
	},
	{
		"the same for integers that are the names of a map",
		func(m string, _ *tree) bool {
			return strings.HasPrefix(m, "the name must be between ") || strings.HasPrefix(m, "the name must be at ")
		},
	},
	{
		"names such as 0 and -0 are one key of a Go map",
		func(m string, _ *tree) bool { return m == "stands twice" },
	},
	{
		"a type with UnmarshalText is any string, and any name, to the schema",
		func(m string, _ *tree) bool { return strings.TrimPrefix(m, "the name ") == "is not valid for Addr" },
	},
	{
		"time.Time has no leap seconds, and no lower-case t and z",
		func(m string, v *tree) bool {
			return strings.HasPrefix(m, "must be a time as in RFC 3339") && (strings.Contains(v.raw, ":60") || strings.ContainsAny(v.raw, "tz"))
		},
	},
	{
		"the other library takes a host name with the dot of the root",
		func(m string, v *tree) bool {
			return (m == "must be a host name" || m == "must be an email address") && strings.HasSuffix(v.raw, `."`)
		},
	},
	{
		"the other library takes a local part that is empty, or that has anything between quotes",
		func(m string, v *tree) bool {
			return m == "must be an email address" && (strings.HasPrefix(v.raw, `"@`) || strings.HasPrefix(v.raw, `"\"`))
		},
	},
	{
		"the other library takes what net/url does: characters that RFC 3986 wants escaped",
		func(m string, v *tree) bool {
			return (m == "must be an absolute URI" || m == "must be a URL") && v.kind == '"'
		},
	},
}

// TestSchemaAgrees proves that the walk and the decode accept what another
// library accepts by the generated schema, the exceptions aside, and that where
// both refuse they point at a common place. Duplicate members are not drawn,
// because the other library's parser keeps the last, nor are numbers between two
// floats, because bounds of a float hold for the nearest.
func TestSchemaAgrees(t *testing.T) {
	oracles := []oracle{
		newOracle(t, drawNumbers), newOracle(t, drawTexts), newOracle(t, from(drawForest(2))),
		newOracle(t, from(drawFree(1))), newOracle(t, from(drawStatus(3))),
		newOracle(t, from(rapid.SliceOfN(drawStatus(1), 0, 4))), newOracle(t, drawProcessing),
		fixed[rich](t, richJSON), fixed[worded](t, wordedJSON), fixed[purchase](t, purchaseJSON()),
		newOracle(t, drawMember), newOracle(t, drawDefaults), newOracle(t, drawLinks),
		fixed[inner](t, innerJSON), fixed[member](t, memberJSON), fixed[distinct](t, `{"raw":[{"a":[1,{"b":null}]},[{"b":1}],2,"2",{}]}`),
		fixed[order](t, `{"id":1,"note":"x","items":[{"name":"a","price":0.5,"a/b~c":"x","tags":{"~/":1}}],"by":null}`),
		fixed[described](t, `{"name":"","old":5,"maybe":null,"list":[{"first":null,"second":{}}],"anon":{"x":"1.5"},"level":"1","bits":7,"words":[true,false]}`),
	}
	rapid.Check(t, func(t *rapid.T) {
		o := rapid.SampledFrom(oracles).Draw(t, "type")
		raw := o.draw(t)
		o.compare(t, parseTree(raw), raw)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for range 40 {
			doc := parseTree(raw)
			for range 1 + random.IntN(3) {
				damage(random, doc)
			}
			o.compare(t, doc, doc.append(nil))
		}
	})
}

func from[T any](g *rapid.Generator[T]) func(*rapid.T) T {
	return func(t *rapid.T) T { return g.Draw(t, "value") }
}

// fatal is what a property and a fuzz target have in common.
type fatal interface {
	Fatalf(format string, args ...any)
}

// compare demands that both judge raw, whose tree is doc, alike.
func (o oracle) compare(t fatal, doc *tree, raw []byte) {
	const depth = 64
	if _, err := jsonscan.Scan(raw, nil, nil, jsonscan.Limits{Depth: depth}); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	faults, err := o.model.Decode(context.Background(), raw, reflect.New(o.typ).Interface())
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	err = o.schema.Validate(value)
	switch {
	case err == nil:
		for _, f := range faults {
			if !excused(f, doc) {
				t.Fatalf("%s\n%s\nonly the model refuses: %v", o.model, raw, f)
			}
		}
	case faults == nil:
		t.Fatalf("%s\n%s\nonly the schema refuses: %v", o.model, raw, err)
	default:
		invalid, _ := errors.AsType[*jsonschema.ValidationError](err)
		theirs := pointersOf(invalid)
		if !slices.ContainsFunc(faults, func(f typemodel.Fault) bool {
			return slices.Contains(theirs, f.Pointer) || slices.Contains(theirs, wrongName+jsontext.Pointer(f.Pointer).LastToken())
		}) {
			t.Fatalf("%s\n%s\nno common pointer: %v\nschema: %v", o.model, raw, faults, theirs)
		}
	}
}

func excused(f typemodel.Fault, doc *tree) bool {
	value := doc.at(f.Pointer)
	for _, e := range exceptions {
		if value != nil && e.excuse(f.Message, value) {
			return true
		}
	}
	return false
}

// wrongName stands before the name of a map that is no key: the other library
// loses the place of the map itself.
const wrongName = "name "

// pointersOf returns the places that the other library finds fault with: of a
// missing or unknown member its own, as we have it.
func pointersOf(err *jsonschema.ValidationError) (all []string) {
	for _, cause := range err.Causes {
		all = append(all, pointersOf(cause)...)
	}
	at := jsontext.Pointer("")
	for _, token := range err.InstanceLocation {
		at = at.AppendToken(token)
	}
	var members []string
	switch k := err.ErrorKind.(type) {
	case *kind.Required:
		members = k.Missing
	case *kind.AdditionalProperties:
		members = k.Properties
	case *kind.PropertyNames:
		all = append(all, wrongName+k.Property)
	default:
		if len(err.Causes) == 0 {
			all = append(all, string(at))
		}
	}
	for _, name := range members {
		all = append(all, string(at.AppendToken(name)))
	}
	return all
}
