package typemodel_test

import (
	"context"
	"encoding/json"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// A union whose variants have defaults.
type target interface{ target() }

type roomTarget struct {
	Room  string `json:"room" default:"lobby"`
	Quiet bool   `json:"quiet" default:"true"`
}

type userTarget struct {
	ID   int64    `json:"id"`
	Next []target `json:"next" default:"[{\"type\":\"room\"}]"`
}

func (roomTarget) target()  {}
func (*userTarget) target() {}

var _ = registered(typemodel.RegisterUnion("x", "type", map[string]target{"room": roomTarget{}, "user": &userTarget{}}))

type extras struct {
	Colour string `json:"colour,omitempty" default:"red" enum:"red,blue"`
}

type style struct {
	extras
	*Meta2
	Size   int     `json:"size" default:"10" multipleOf:"5"`
	Ratio  float64 `json:"ratio" default:"0.5"`
	Parent *style  `json:"parent,omitempty"`
}

type Meta2 struct {
	By string `json:"by" default:"nobody"`
}

type defaults struct {
	Role   role                   `json:"role" default:"guest"`
	Big    uint64                 `json:"big,string" default:"18446744073709551615"`
	Num    json.Number            `json:"num" default:"1e400"`
	Addr   netip.Addr             `json:"addr" default:"::1"`
	Maybe  *int                   `json:"maybe" default:"7"`
	Null   *style                 `json:"null" default:"null"`
	Raw    jsontext.Value         `json:"raw" default:"{\"a\":[1]}"`
	Bytes  []byte                 `json:"bytes" default:"AAE="`
	Style  style                  `json:"style" default:"{\"size\":20}"`
	List   []style                `json:"list,omitempty"`
	ByName map[string]*style      `json:"byName" default:"{\"x\":{}}"`
	Target target                 `json:"target" default:"{\"type\":\"user\",\"id\":1}"`
	Many   []target               `json:"many,omitempty"`
	Pairs  []pair[style, [1]role] `json:"pairs,omitempty"`
	Quote  int                    `json:"a/ä" default:"1"`
	Plain  string                 `json:"plain,omitempty"`
}

func standard() style { return style{extras{"red"}, &Meta2{"nobody"}, 10, 0.5, nil} }

func TestDefaults(t *testing.T) {
	seven := 7
	twenty, plain := standard(), standard()
	twenty.Size = 20
	lobby := roomTarget{"lobby", true}
	absent := defaults{
		Role: roleGuest, Big: 1<<64 - 1, Num: "1e400", Addr: netip.MustParseAddr("::1"), Maybe: &seven, Raw: jsontext.Value(`{"a":[1]}`), Bytes: []byte{0, 1},
		Style: twenty, ByName: map[string]*style{"x": &plain}, Target: &userTarget{1, []target{lobby}}, Quote: 1,
	}
	with := func(change func(*defaults)) defaults {
		v := absent
		change(&v)
		return v
	}
	for _, tc := range []struct {
		why, raw string
		want     defaults
	}{
		{"an empty object", `{}`, absent},
		{"white space where a member was taken out", `{   }`, absent},
		{"a member without default", ` { "plain" : "x" } `, with(func(v *defaults) { v.Plain = "x" })},
		{"what is given counts, also if it is zero or null", `{"maybe":null,"role":"","a/ä":0}`, with(func(v *defaults) { v.Maybe, v.Role, v.Quote = nil, roleNone, 0 })},
		{"structs in slices", `{"list":[{},{"colour":"blue","by":"me"},{"parent":{"size":5}}]}`, with(func(v *defaults) {
			second, third, parent := standard(), standard(), standard()
			second.Colour, second.By = "blue", "me"
			second.Meta2 = &Meta2{"me"}
			parent.Size, third.Parent = 5, &parent
			v.List = []style{standard(), second, third}
		})},
		{"structs in maps", `{"byName":{"":{},"b":null}}`, with(func(v *defaults) { v.ByName = map[string]*style{"": &plain, "b": nil} })},
		{"structs in unions", `{"target":{"quiet":false,"type":"room"},"many":[{"type":"room"},{"type":"user","id":2,"next":[]}]}`, with(func(v *defaults) {
			v.Target, v.Many = roomTarget{"lobby", false}, []target{lobby, &userTarget{2, []target{}}}
		})},
		{"generics and arrays", `{"pairs":[{"first":{},"second":["admin"]}]}`, with(func(v *defaults) { v.Pairs = []pair[style, [1]role]{{standard(), [1]role{roleAdmin}}} })},
	} {
		got, faults, err := decode[defaults](t, tc.raw)
		if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(style{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || faults != nil || err != nil {
			t.Errorf("%s: faults %v, error %v\n%s", tc.why, faults, err, diff)
		}
	}
	golden(t, "defaults", model[defaults](t, typemodel.Input).Schema())
}

// TestDefaultsAreForInputs proves that what is sent or stored has its values.
func TestDefaultsAreForInputs(t *testing.T) {
	raw, err := model[extras](t, typemodel.Output).Append(nil, extras{})
	if err != nil || string(raw) != `{}` {
		t.Errorf("%s %v", raw, err)
	}
	var v extras
	if faults, err := model[extras](t, typemodel.Stored).Decode(context.Background(), raw, &v); faults != nil || err != nil || v.Colour != "" {
		t.Errorf("%+v %v %v", v, faults, err)
	}
	for _, m := range model[style](t, typemodel.Output).Members() {
		if m.Required != (m.Name == "size" || m.Name == "ratio") {
			t.Errorf("as an output: %+v", m)
		}
	}
	for _, m := range model[style](t, typemodel.Input).Members() {
		if m.Required {
			t.Errorf("as an input: %+v", m)
		}
	}
}

type checkedDefault struct {
	N int `json:"n" default:"-1"`
}

func (c *checkedDefault) Validate(ctx context.Context) error { return called(ctx, "default", c.N) }

// TestDefaultsComeBeforeValidate proves it, and that faults of other members
// stand in their order.
func TestDefaultsComeBeforeValidate(t *testing.T) {
	if _, faults, err := decode[checkedDefault](t, `{}`); err == nil || faults != nil {
		t.Errorf("faults %v, error %v", faults, err)
	}
	_, faults, _ := decode[[]style](t, `[{"size":1},{"x":1},{}]`)
	if diff := cmp.Diff([]typemodel.Fault{{Pointer: "/0/size", Message: "must be a multiple of 5"}, {Pointer: "/1/x", Message: `unknown member "x"`}}, faults); diff != "" {
		t.Error(diff)
	}
}

// TestDefaultsAreBounded proves that a text cannot make a message many times as
// long as itself, and that it may be longer where it is short.
func TestDefaultsAreBounded(t *testing.T) {
	const filled = len(`"colour":"red","by":"nobody","size":10,"ratio":0.5,`)
	list := func(n int) string { return `[{}` + strings.Repeat(`,{}`, n-1) + `]` }
	most := 1
	for n := 1; n*filled <= 64<<10+4*len(list(n)); n++ {
		most = n
	}
	got, faults, err := decode[[]style](t, list(most))
	if faults != nil || err != nil || len(got) != most || got[most-1].By != "nobody" {
		t.Errorf("%d objects became %d: faults %v, error %v", most, len(got), faults, err)
	}
	_, faults, err = decode[[]style](t, list(most+1))
	want := []typemodel.Fault{{
		Pointer: "/" + strconv.Itoa(most),
		Message: "leaves too much to defaults: here they may add " + strconv.Itoa(64<<10+4*len(list(most+1))) + " bytes to what was sent",
	}}
	if diff := cmp.Diff(want, faults); diff != "" || err != nil {
		t.Errorf("error %v\n%s", err, diff)
	}
	var before, after runtime.MemStats
	data := []byte(list(100_000))
	runtime.ReadMemStats(&before)
	faults, err = model[[]style](t, typemodel.Input).Decode(t.Context(), data, new([]style))
	runtime.ReadMemStats(&after)
	if used := int(after.TotalAlloc - before.TotalAlloc); used > 200*len(data) || len(faults) != 1 || err != nil {
		t.Errorf("%d bytes for %d: faults %v, error %v", used, len(data), faults, err)
	}
}
