package typemodel_test

import (
	"context"
	stdjson "encoding/json"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/kanava-go/kanava/internal/jsonscan"
	"github.com/kanava-go/kanava/internal/typemodel"
	"pgregory.net/rapid"
)

// free has every kind of field and no constraints, so that every value of it is
// allowed.
type free struct {
	base2
	S   string                           `json:"s"`
	L   level                            `json:"l,omitempty"`
	B   bool                             `json:"b"`
	I   int64                            `json:"i"`
	I8  int8                             `json:"i8"`
	U   uint64                           `json:"u"`
	F   float64                          `json:"f"`
	G   float32                          `json:"g"`
	Q   int64                            `json:"q,string"`
	X   []byte                           `json:"x"`
	Y   [2]byte                          `json:"y"`
	T   time.Time                        `json:"t"`
	Ad  netip.Addr                       `json:"ad"`
	R   jsontext.Value                   `json:"r"`
	N   stdjson.Number                   `json:"n"`
	P   *string                          `json:"p"`
	Kid *free                            `json:"kid,omitempty"`
	Ls  []pair[string, *int]             `json:"ls"`
	M   map[string]int                   `json:"m"`
	MI  map[int16]string                 `json:"mi"`
	MA  map[netip.Addr]bool              `json:"ma"`
	St  status                           `json:"st"`
	Sts []status                         `json:"sts"`
	MS  map[string]pair[status, *status] `json:"ms"`
	Pr  processing                       `json:"pr"`
}

type base2 struct {
	ID int `json:"id"`
}

func drawStatus(depth int) *rapid.Generator[status] {
	return rapid.Custom(func(t *rapid.T) status {
		kind := rapid.IntRange(0, 2).Draw(t, "variant")
		switch {
		case kind == 0 && depth > 0:
			c := &complete{ID: rapid.Int64().Draw(t, "id")}
			if rapid.Bool().Draw(t, "child") {
				c.Child = drawStatus(depth-1).Draw(t, "child")
			}
			if note := rapid.String().Draw(t, "note"); note != "" {
				c.Meta = &Meta{Note: note}
			}
			return c
		case kind == 1:
			return drawProcessing(t)
		}
		return idle{}
	})
}

func drawProcessing(t *rapid.T) processing {
	p := processing{Step: rapid.StringN(1, 9, -1).Draw(t, "step"), Ratio: rapid.Float64Range(0, 1).Draw(t, "ratio")}
	if m := rapid.MapOfN(rapid.String(), rapid.Int(), 0, 3).Draw(t, "extra"); len(m) > 0 {
		p.Extra = m
	}
	return p
}

func drawAddr(t *rapid.T) netip.Addr {
	if rapid.Bool().Draw(t, "v6") {
		return netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "addr")))
	}
	return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "addr")))
}

func drawFree(depth int) *rapid.Generator[free] {
	return rapid.Custom(func(t *rapid.T) free {
		v := free{
			base2: base2{rapid.Int().Draw(t, "id")},
			S:     rapid.String().Draw(t, "s"), L: level(rapid.String().Draw(t, "l")), B: rapid.Bool().Draw(t, "b"),
			I: rapid.Int64().Draw(t, "i"), I8: rapid.Int8().Draw(t, "i8"), U: rapid.Uint64().Draw(t, "u"),
			F: rapid.Float64().Draw(t, "f"), G: rapid.Float32().Draw(t, "g"), Q: rapid.Int64().Draw(t, "q"),
			X:  rapid.SliceOf(rapid.Byte()).Draw(t, "x"),
			T:  time.Unix(rapid.Int64Range(-62135596800, 253402300799).Draw(t, "t"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC(),
			Ad: drawAddr(t), R: jsontext.Value(rapid.SampledFrom([]string{"null", "1e400", `{"a":[{}]}`, `"x"`}).Draw(t, "r")),
			N:  stdjson.Number(rapid.SampledFrom([]string{"0", "-1.50", "1e400"}).Draw(t, "n")),
			M:  rapid.MapOfN(rapid.String(), rapid.Int(), 0, 20).Draw(t, "m"),
			MI: rapid.MapOfN(rapid.Int16(), rapid.String(), 0, 3).Draw(t, "mi"),
			MA: map[netip.Addr]bool{drawAddr(t): true},
			St: drawStatus(2).Draw(t, "st"), Sts: rapid.SliceOfN(drawStatus(1), 0, 3).Draw(t, "sts"),
			MS: map[string]pair[status, *status]{}, Ls: []pair[string, *int]{}, Pr: drawProcessing(t),
		}
		if rapid.Bool().Draw(t, "more") {
			s, n := drawStatus(1).Draw(t, "ms"), rapid.Int().Draw(t, "ls")
			v.MS[v.S] = pair[status, *status]{s, &s}
			v.MS[v.S+"x"] = pair[status, *status]{First: s}
			v.Ls = []pair[string, *int]{{v.S, &n}, {}}
			v.P = &v.S
		}
		if depth > 0 && rapid.Bool().Draw(t, "kid") {
			kid := drawFree(depth-1).Draw(t, "kid")
			v.Kid = &kid
		}
		return v
	})
}

var sameFree = cmp.Options{
	cmp.AllowUnexported(free{}),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
}

// TestRoundTrip proves that what Append writes is decoded to an equal value
// without faults, as an input and from a store.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawFree(1).Draw(t, "v")
		for _, use := range []typemodel.Use{typemodel.Input, typemodel.Stored} {
			roundTrip(t, v, use)
		}
	})
}

func roundTrip(t *rapid.T, v free, use typemodel.Use) {
	out, err := typemodel.Of(reflect.TypeFor[free](), typemodel.Output)
	if err != nil {
		t.Fatal(err)
	}
	in, err := typemodel.Of(reflect.TypeFor[free](), use)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := out.Append(nil, &v)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jsonscan.Scan(raw, nil, nil, jsonscan.Limits{Depth: 64}); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	var got free
	faults, err := in.Decode(context.Background(), raw, &got)
	if diff := cmp.Diff(v, got, sameFree); faults != nil || err != nil || diff != "" {
		t.Fatalf("%s: faults %v, error %v\n%s", raw, faults, err, diff)
	}
}

// TestOrderOfMembersDoesNotMatter proves it, for discriminators behind other
// unions too, with white space and without, and with defaults to fill in.
func TestOrderOfMembersDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		tall := drawStatus(9).Draw(t, "status")
		shuffled(t, random, drawFree(1).Draw(t, "free"))
		shuffled(t, random, drawDefaults(t))
		shuffled(t, random, []status{tall, drawStatus(2).Draw(t, "second")})
	})
}

func shuffled[T any](t *rapid.T, random *rand.Rand, v T) {
	m, err := typemodel.Of(reflect.TypeFor[T](), typemodel.Input)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := m.Append(nil, &v)
	if err != nil {
		t.Fatal(err)
	}
	doc := parseTree(raw)
	doc.shuffle(random)
	changed := jsontext.Value(doc.append(nil))
	if random.IntN(2) == 0 {
		if err := changed.Indent(); err != nil {
			t.Fatal(err)
		}
	}
	var want, got T
	if faults, err := m.Decode(context.Background(), raw, &want); faults != nil || err != nil {
		t.Fatalf("%s: %v %v", raw, faults, err)
	}
	faults, err := m.Decode(context.Background(), changed, &got)
	if diff := cmp.Diff(want, got, sameFree, cmp.AllowUnexported(style{}), cmp.Comparer(sameRaw)); diff != "" || faults != nil || err != nil {
		t.Fatalf("%s\n%s: faults %v, error %v\n%s", raw, changed, faults, err, diff)
	}
}

// sameRaw compares raw JSON whose members may be in another order.
func sameRaw(a, b jsontext.Value) bool {
	a, b = a.Clone(), b.Clone()
	return a.Canonicalize() == nil && b.Canonicalize() == nil && string(a) == string(b) || string(a) == string(b)
}

// TestMutated proves that a damaged document gives faults or decodes, and never
// anything else. Every fault has a pointer of valid form.
func TestMutated(t *testing.T) {
	pieces := []string{`null`, `1`, `-1`, `1.5`, `""`, `"x"`, `[]`, `{}`, `true`, `{"type":"idle"}`, `{"type":5}`, `,`, `:`, `"type"`, `1e999`}
	rapid.Check(t, func(t *rapid.T) {
		m, err := typemodel.Of(reflect.TypeFor[free](), typemodel.Input)
		if err != nil {
			t.Fatal(err)
		}
		v := drawFree(1).Draw(t, "v")
		raw, err := m.Append(nil, &v)
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for range 50 {
			data := mutate(random, raw, pieces)
			if _, err := jsonscan.Scan(data, nil, nil, jsonscan.Limits{Depth: 64}); err != nil {
				continue
			}
			var got free
			faults, err := m.Decode(context.Background(), data, &got)
			if err != nil {
				t.Fatalf("%s: %v", data, err)
			}
			for _, f := range faults {
				if f.Message == "" || !jsontext.Pointer(f.Pointer).IsValid() {
					t.Fatalf("%s: fault %+v", data, f)
				}
			}
		}
	})
}

// mutate replaces, removes or doubles a value of raw.
func mutate(random *rand.Rand, raw []byte, pieces []string) []byte {
	var starts []int
	for i, c := range raw {
		if i > 0 && strings.IndexByte(`,:[{`, c) >= 0 {
			starts = append(starts, i+1)
		}
	}
	at := starts[random.IntN(len(starts))]
	end := min(jsonscan.ValueEnd(raw, at), len(raw))
	data := append([]byte(nil), raw[:at]...)
	switch random.IntN(3) {
	case 0:
		data = append(data, pieces[random.IntN(len(pieces))]...)
	case 1:
		data = append(append(append(data, raw[at:end]...), ','), raw[at:end]...)
	}
	return append(data, raw[end:]...)
}
