package typemodel_test

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/kanava-go/kanava/internal/jsonscan"
	"github.com/kanava-go/kanava/internal/typemodel"
	"pgregory.net/rapid"
)

type fuzzUnion interface{ fuzzUnion() }

type fuzzLeaf struct {
	N int16 `json:"n" minimum:"-3" default:"-1"`
}

type fuzzBranch struct {
	Left  fuzzUnion            `json:"left" default:"{\"kind\":\"leaf\"}"`
	Rest  []fuzzUnion          `json:"rest,omitempty" maxItems:"3"`
	Named map[string]fuzzUnion `json:"named,omitempty" keys.pattern:"^[a-z]*$"`
	Again *fuzzBranch          `json:"again,omitempty"`
	Where place                `json:"where,omitzero"`
}

func (fuzzLeaf) fuzzUnion()    {}
func (*fuzzBranch) fuzzUnion() {}

var _ = registered(typemodel.RegisterUnion("x", "kind", map[string]fuzzUnion{"leaf": fuzzLeaf{}, "branch": &fuzzBranch{}}))

type FuzzBase struct {
	A uint8 `json:"a,omitzero"`
}

// fuzzAll has every kind of member and every keyword, but for the formats of
// strings, which have targets of their own.
type fuzzAll struct {
	*FuzzBase
	S   string                    `json:"s,omitempty" maxLength:"3" pattern:"^[a-z]*$"`
	B   bool                      `json:"b,omitzero"`
	I   int64                     `json:"i,omitzero" maximum:"9007199254740993"`
	U   uint64                    `json:"u,omitzero"`
	F   float64                   `json:"f,omitzero" minimum:"-1.5" exclusiveMaximum:"1e300"`
	G   float32                   `json:"g,omitzero"`
	C   float64                   `json:"c,omitzero" multipleOf:"0.01"`
	Q   int32                     `json:"q,string,omitzero"`
	QF  float32                   `json:"qf,string,omitzero"`
	QU  *uint8                    `json:"qu,string,omitempty"`
	X   []byte                    `json:"x,omitempty"`
	Y   [3]byte                   `json:"y,omitzero"`
	T   time.Time                 `json:"t,omitzero"`
	R   jsontext.Value            `json:"r,omitzero"`
	N   stdjson.Number            `json:"n,omitzero"`
	P   **int                     `json:"p,omitempty"`
	L   []fuzzAll                 `json:"l,omitempty" maxItems:"3"`
	K   [2]string                 `json:"k,omitzero"`
	M   map[string]fuzzLeaf       `json:"m,omitempty" minProperties:"1" maxProperties:"2"`
	MI  map[int8]bool             `json:"mi,omitempty"`
	MU  map[uint64][]int          `json:"mu,omitempty"`
	MT  map[time.Time]string      `json:"mt,omitempty"`
	MA  map[netip.Addr]bool       `json:"ma,omitempty"`
	Un  fuzzUnion                 `json:"un,omitzero"`
	Uns []fuzzUnion               `json:"uns,omitempty"`
	St  status                    `json:"st,omitzero"`
	Ro  role                      `json:"ro" default:"guest"`
	Ra  *rank                     `json:"ra" default:"300"`
	Mo  mode                      `json:"mo,omitzero"`
	ERo role                      `json:"ero,omitempty" enum:"admin,guest"`
	En  uint8                     `json:"en,omitzero" enum:"1,2,200"`
	Co  string                    `json:"co,omitempty" const:"yes"`
	Yes bool                      `json:"yes" const:"true" default:"true"`
	RM  map[role]rank             `json:"rm,omitempty" keys.const:"admin"`
	MM  map[mode][]role           `json:"mm,omitempty" values.maxItems:"2" values.uniqueItems:"true"`
	IM  map[int32]string          `json:"im,omitempty" keys.minimum:"1" values.minLength:"1"`
	Sty style                     `json:"sty" default:"{\"size\":20}"`
	BN  map[string]*style         `json:"bn,omitempty" default:"{\"x\":{}}"`
	Tg  target                    `json:"tg" default:"{\"type\":\"user\",\"id\":1}"`
	Ls  links                     `json:"ls" required:"false"`
	Lk  url.URL                   `json:"lk" default:"../x?y"`
	LU  []url.URL                 `json:"lu,omitempty" uniqueItems:"true" items.maxLength:"9"`
	Dis []jsontext.Value          `json:"dis,omitempty" uniqueItems:"true"`
	Ss  []string                  `json:"ss,omitempty" minItems:"1" uniqueItems:"true" items.minLength:"2" items.pattern:"^[a-z]+$"`
	Gr  [][2]*int8                `json:"gr,omitempty" items.items.minimum:"1" items.uniqueItems:"true"`
	Pr  map[string]float64        `json:"pr,omitempty" keys.maxLength:"3" values.minimum:"0.5" values.multipleOf:"0.01"`
	Rv  map[string]jsontext.Value `json:"rv,omitempty"`
	Odd int                       `json:"ö/~ x,omitzero"`
	Any map[string]any            `json:"-"`
}

// fuzzFlat is decoded by a plan.
type fuzzFlat struct {
	S string     `json:"s,omitempty" maxLength:"3"`
	N int16      `json:"n" default:"-1"`
	F float64    `json:"f,omitzero"`
	B bool       `json:"b,omitzero"`
	L []string   `json:"l,omitempty" maxItems:"2"`
	I []fuzzLeaf `json:"i,omitempty"`
}

var fuzzSeeds = []string{
	`{"s":"ab\n","n":-0,"f":-0.5e1,"b":true,"l":["a\u0062","\ud83d\ude00"],"i":[{"n":1},{}]}`, `{"l":[],"s":"\ud800"}`,
	`{"a":255,"s":"abc","b":true,"i":9007199254740993,"u":18446744073709551615,"f":-1.5e-300,"g":3.4e38,"q":"-2147483648","qf":"1e3","qu":null}`,
	`{"x":"AAEC","y":"AAEC","t":"2026-01-02T03:04:05.123456789+01:00","r":{"a":[1,{"b":null}]},"n":-0.0e+10,"p":5,"l":[{},{"s":"\u0061"}],"k":["",""]}`,
	`{"m":{"":{"kind":"leaf","n":1}},"mi":{"-128":true,"0":false},"mu":{"18446744073709551615":[]},"mt":{"2026-01-02T03:04:05Z":"x"},"ma":{"::1":true}}`,
	`{"un":{"left":{"n":-3,"kind":"leaf"},"rest":[{"kind":"branch","left":{"kind":"leaf","n":0}}],"kind":"branch"},"ö/~ x":1,"c":0.07}`,
	`{"un":{"named":{"a":{"kind":"branch"},"b":{"kind":"leaf"}},"where":{"url":"/x","type":"page"},"kind":"branch"},"uns":[{"kind":"leaf"},{"kind":"branch"}]}`,
	`{"st":{"id":"7","child":{"step":"y","type":"processing"},"note":"n","type":"complete"},"ro":"","ra":null,"mo":"read","ero":"admin","en":200,"co":"yes","yes":true}`,
	`{"rm":{"admin":-1},"mm":{"read":["guest","admin"],"write":[]},"im":{"5":"x"},"sty":{"size":5,"parent":{"colour":"blue","by":"me","ratio":1e3}},"bn":{"":{},"b":null}}`,
	`{"tg":{"next":[{"type":"room","quiet":false}],"id":-2,"type":"user"},"ls":{"any":"","full":"urn:x:y","list":["x",null],"named":{"a":"//h/p"},"empty":""},"lk":"a?b#c"}`,
	`{"lu":["a","b/?c"],"dis":[{"a":1,"b":[1]},{"b":[1.0],"a":2},"1",1],"ss":["ab","cd"],"gr":[[1,null],[1,2]],"pr":{"EUR":1.25},"rv":{"":null}}`,
	`{"kind":"branch","left":{"kind":"leaf","n":0},"again":{"kind":"branch","left":{"k\u0069nd":"l\u0065af","n":0}}}`,
	`{"a":[{"kind":"leaf","n":32767}]}`, `[1,-2,3]`, `"text"`, `1e38`, `1e39`, `255`, `256`, `null`, `{}`, `["admin",""]`, `"/a?b"`, `{"size":5}`,
	`"2026-01-02T03:04:05Z"`, `"2026-01-02T3:04:05Z"`, `"2026-01-02T03:04:05+24:00"`, `"AA=="`, `"AA=\n"`, `" AA="`,
	`{"mi":{"-0":true,"0":true}}`, `{"r":{"a":1,"a":2}}`, `{"q":"","qf":" 1","qu":"0x1"}`, `0.00000000000000000000001`,
}

// fuzzOracles are of types that text from anywhere can fit.
func fuzzOracles(t testing.TB) []oracle {
	return []oracle{
		zero[fuzzAll](t), zero[fuzzFlat](t), zero[fuzzUnion](t), zero[map[string][]fuzzUnion](t), zero[[]int](t), zero[*string](t), zero[float32](t), zero[uint8](t),
		zero[time.Time](t), zero[[]byte](t), zero[struct{}](t), zero[map[role][]rank](t), zero[url.URL](t), zero[[]style](t),
	}
}

// zero is an oracle of T that draws nothing.
func zero[T any](t testing.TB) oracle {
	return newOracle(t, func(*rapid.T) (v T) { return v })
}

// FuzzDecode proves of any text what TestSchemaAgrees proves of drawn values: it
// is accepted exactly if another library accepts it by the schema. What has been
// decoded can be encoded, and that is accepted again.
//
// An input with a member twice is refused, whatever the other library says: its
// parser keeps the last.
func FuzzDecode(f *testing.F) {
	for _, s := range fuzzSeeds {
		f.Add([]byte(s), uint64(0))
	}
	oracles := fuzzOracles(f)
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		unique := jsontext.Value(data).IsValid()
		if unique && seed != 0 { // what the fuzzer would need long to find
			doc := parseTree(data)
			damage(rand.New(rand.NewPCG(seed, 0)), doc)
			data = doc.append(nil)
		}
		if _, err := jsonscan.Scan(data, nil, nil, jsonscan.Limits{Depth: 64}); err != nil || !judgeable(data) {
			return
		}
		for _, o := range oracles {
			if unique {
				o.compare(t, parseTree(data), data)
				o.repeat(t, data)
			} else if faults, err := o.model.Decode(context.Background(), data, reflect.New(o.typ).Interface()); faults == nil || err != nil {
				t.Fatalf("%s: %s has a member twice; faults %v, error %v", o.model, data, faults, err)
			}
		}
	})
}

// judgeable reports whether the other library can judge the numbers in data: it
// writes them out in full, which exponents make long; and it compares bounds with
// what was sent, where ours hold for the float that this becomes.
func judgeable(data []byte) bool {
	const longest = 15 // digits that every float64 keeps
	dec := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true))
	for {
		if dec.PeekKind() != '0' {
			if _, err := dec.ReadToken(); err != nil {
				return true
			}
			continue
		}
		v, err := dec.ReadValue()
		if err != nil {
			return true
		}
		digits, exp, scientific := strings.Cut(strings.ToLower(string(v)), "e")
		if len(strings.TrimLeft(exp, "+-0")) > 3 || len(digits) > longest && (scientific || strings.Contains(digits, ".")) {
			return false
		}
	}
}

// repeat demands of raw, if it is accepted, that what it became is accepted too.
func (o oracle) repeat(t fatal, raw []byte) {
	into := reflect.New(o.typ).Interface()
	if faults, _ := o.model.Decode(context.Background(), raw, into); faults != nil {
		return
	}
	again, err := o.model.Append(nil, into)
	if err != nil {
		t.Fatalf("%s: %s was decoded and cannot be encoded: %v", o.model, raw, err)
	}
	if faults, err := o.model.Decode(context.Background(), again, reflect.New(o.typ).Interface()); faults != nil || err != nil {
		t.Fatalf("%s: %s became %s with faults %v, error %v", o.model, raw, again, faults, err)
	}
}
