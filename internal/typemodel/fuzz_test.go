package typemodel

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/kanava-go/kanava/internal/jsonscan"
)

type fuzzUnion interface{ fuzzUnion() }

type fuzzLeaf struct {
	N int16 `json:"n" minimum:"-3"`
}

type fuzzBranch struct {
	Left  fuzzUnion   `json:"left"`
	Rest  []fuzzUnion `json:"rest,omitempty"`
	Again *fuzzBranch `json:"again,omitempty"`
}

func (fuzzLeaf) fuzzUnion()    {}
func (*fuzzBranch) fuzzUnion() {}

type FuzzBase struct {
	A uint8 `json:"a,omitzero"`
}

type fuzzAll struct {
	*FuzzBase
	S   string               `json:"s,omitempty" maxLength:"3" pattern:"^[a-z]*$"`
	B   bool                 `json:"b,omitzero"`
	I   int64                `json:"i,omitzero" maximum:"9007199254740993"`
	U   uint64               `json:"u,omitzero"`
	F   float64              `json:"f,omitzero"`
	G   float32              `json:"g,omitzero"`
	Q   int32                `json:"q,string,omitzero"`
	QF  float32              `json:"qf,string,omitzero"`
	QU  *uint8               `json:"qu,string,omitempty"`
	X   []byte               `json:"x,omitempty"`
	Y   [3]byte              `json:"y,omitzero"`
	T   time.Time            `json:"t,omitzero"`
	R   jsontext.Value       `json:"r,omitzero"`
	N   stdjson.Number       `json:"n,omitzero"`
	P   **int                `json:"p,omitempty"`
	L   []fuzzAll            `json:"l,omitempty"`
	K   [2]string            `json:"k,omitzero"`
	M   map[string]fuzzLeaf  `json:"m,omitempty"`
	MI  map[int8]bool        `json:"mi,omitempty"`
	MU  map[uint64][]int     `json:"mu,omitempty"`
	MT  map[time.Time]string `json:"mt,omitempty"`
	Un  fuzzUnion            `json:"un,omitzero"`
	Odd int                  `json:"ö/~ x,omitzero"`
	Any map[string]any       `json:"-"`
}

var errFuzzUnion = RegisterUnion("kind", map[string]fuzzUnion{"leaf": fuzzLeaf{}, "branch": &fuzzBranch{}})

// fuzzModels are of types whose JSON the walker alone can judge.
func fuzzModels(t testing.TB) (models []*Model) {
	t.Helper()
	if errFuzzUnion != nil {
		t.Fatal(errFuzzUnion)
	}
	for _, typ := range []reflect.Type{
		reflect.TypeFor[fuzzAll](), reflect.TypeFor[fuzzUnion](), reflect.TypeFor[map[string][]fuzzUnion](),
		reflect.TypeFor[[]int](), reflect.TypeFor[*string](), reflect.TypeFor[float32](), reflect.TypeFor[uint8](),
		reflect.TypeFor[time.Time](), reflect.TypeFor[[]byte](), reflect.TypeFor[struct{}](),
	} {
		m, err := Of(typ, Input)
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, m)
	}
	return models
}

var fuzzSeeds = []string{
	`{"a":255,"s":"abc","b":true,"i":9007199254740993,"u":18446744073709551615,"f":-1.5e-300,"g":3.4e38,"q":"-2147483648","qf":"1e3","qu":null}`,
	`{"x":"AAEC","y":"AAEC","t":"2026-01-02T03:04:05.123456789+01:00","r":{"a":[1,{"b":null}]},"n":-0.0e+10,"p":5,"l":[{},{"s":"\u0061"}],"k":["",""]}`,
	`{"m":{"":{"kind":"leaf","n":1}},"mi":{"-128":true,"0":false},"mu":{"18446744073709551615":[]},"mt":{"2026-01-02T03:04:05Z":"x"}}`,
	`{"un":{"left":{"n":-3,"kind":"leaf"},"rest":[{"kind":"branch","left":{"kind":"leaf","n":0}}],"kind":"branch"},"ö/~ x":1}`,
	`{"kind":"branch","left":{"kind":"leaf","n":0},"again":{"kind":"branch","left":{"k\u0069nd":"l\u0065af","n":0}}}`,
	`{"a":[{"kind":"leaf","n":32767}]}`, `[1,-2,3]`, `"text"`, `1e38`, `1e39`, `255`, `256`, `null`, `{}`,
	`"2026-01-02T03:04:05Z"`, `"2026-01-02T3:04:05Z"`, `"2026-01-02T03:04:05+24:00"`, `"AA=="`, `"AA=\n"`, `" AA="`,
	`{"mi":{"-0":true,"0":true}}`, `{"r":{"a":1,"a":2}}`, `{"q":"","qf":" 1","qu":"0x1"}`, `0.00000000000000000000001`,
}

// FuzzDecode proves that the walker finds every fault that the strict decode
// would: where it finds none, the decode succeeds. Left to the decode are names
// that stand twice in raw JSON, or as keys that are equal in Go only.
func FuzzDecode(f *testing.F) {
	for _, s := range fuzzSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := jsonscan.Scan(data, nil, nil, jsonscan.Limits{Depth: 64}); err != nil {
			return
		}
		for _, m := range fuzzModels(t) {
			into := reflect.New(m.typ)
			found, whole := inspect(m.root, data)
			if found != nil {
				continue
			}
			faults, err := m.decodeChecked(context.Background(), whole, into.Interface())
			if err != nil || len(faults) > 0 && faults[0].Message != isDuplicate {
				t.Fatalf("%s: the walker finds nothing in %s, the decode %v, %v", m, data, faults, err)
			}
			if len(faults) > 0 {
				continue
			}
			again, err := m.Append(nil, into.Interface())
			if err != nil {
				t.Fatalf("%s: %s was decoded and cannot be encoded: %v", m, data, err)
			}
			if rest, _ := inspect(m.root, again); rest != nil {
				t.Fatalf("%s: %s became %s with faults %v", m, data, again, rest)
			}
		}
	})
}

// TestFieldsAreThoseOfTheLibrary proves that names and order of members agree
// with the JSON library for every way to embed.
func TestFieldsAreThoseOfTheLibrary(t *testing.T) {
	type deep struct {
		Same int
		Deep int `json:"deep"`
	}
	type left struct {
		deep
		Same  int
		Clash int
	}
	type right struct {
		Clash  int
		Tagged int `json:"Same"`
	}
	type Named struct{ Inside int }
	type all struct {
		First int
		left
		right
		Named `json:"named"`
		Skip  int `json:"-"`
		Empty int `json:",omitempty"`
		Last  int `json:"läst-1 x"`
		other int
	}
	_ = all{other: 1}
	for _, typ := range []reflect.Type{reflect.TypeFor[all](), reflect.TypeFor[left](), reflect.TypeFor[fuzzLeafs]()} {
		m, err := Of(typ, Output)
		if err != nil {
			t.Fatal(typ, err)
		}
		raw, err := m.Append(nil, reflect.New(typ).Interface())
		if err != nil {
			t.Fatal(typ, err)
		}
		var got []string
		dec := jsontext.NewDecoder(bytes.NewReader(raw))
		_, _ = dec.ReadToken()
		for dec.PeekKind() == '"' {
			name, _ := dec.ReadToken()
			got = append(got, name.String())
			if err := dec.SkipValue(); err != nil {
				t.Fatal(err)
			}
		}
		var want []string
		for _, member := range m.Members() {
			want = append(want, member.Name)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the library writes %q, the model has %q", typ, got, want)
		}
	}
}

type fuzzInner struct{ A, B int }

type fuzzLeafs struct {
	fuzzInner
	X int
}
