package jsonplan_test

import (
	"context"
	stdjson "encoding/json"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava/internal/jsonplan"
)

type (
	chatter struct {
		Message string `json:"message"`
	}
	tree struct {
		Children []tree `json:"children"`
	}
	texter  string
	jsonic  int
	lenient string
	blank   struct{ N int }
	checked struct{ N int }
)

func (texter) MarshalText() ([]byte, error)                { return nil, nil }
func (*jsonic) UnmarshalJSON([]byte) error                 { return nil }
func (*lenient) UnmarshalJSONFrom(*jsontext.Decoder) error { return nil }
func (blank) IsZero() bool                                 { return true }
func (*checked) Validate(context.Context) error            { return nil }

// A type has a plan only if the library would do nothing of its own with it.
func TestWhatIsSimple(t *testing.T) {
	for _, v := range []any{
		"", 0, true, 1.5,
		[]string{},
		chatter{},
		[]chatter{},
		struct{}{},
		checked{},
		struct{ A []struct{ B []int } }{},
		struct {
			A blank `json:"a"`
			b int
			C func() `json:"-"`
		}{},
	} {
		if jsonplan.Of(reflect.TypeOf(v)) == nil {
			t.Errorf("%T has no plan", v)
		}
	}
	for _, v := range []any{
		tree{},
		texter(""),
		[]texter{},
		jsonic(0), lenient(""), time.Second,
		time.Time{},
		stdjson.Number("1"),
		jsontext.Value{},
		[]byte{},
		map[string]int{},
		new(int),
		[2]int{},
		complex(1, 1), uintptr(1), func() {},
		struct{ A any }{},
		struct{ A *string }{},
		struct{ chatter }{},
		&chatter{},
		struct {
			A int `json:",string"`
		}{},
		struct {
			A int `json:"a,format:hex"`
		}{},
		struct {
			A string `json:"a,case:ignore"`
		}{},
		struct {
			A string `json:"'a'"`
		}{},
		struct {
			A blank `json:",omitzero"`
		}{},
		tagged(reflect.StructField{Name: "A", Type: reflect.TypeFor[string](), Tag: `json:"-,"`}),
		tagged(reflect.StructField{Name: "A", Type: reflect.TypeFor[string](), Tag: `json:"a,"`}),
		tagged(reflect.StructField{Name: "A", Type: reflect.TypeFor[string](), Tag: `json:"a,omitempty,"`}),
		tagged(reflect.StructField{Name: "A", Type: reflect.TypeFor[string](), Tag: `json:"a,omitzero,omitzero"`}),
		tagged(reflect.StructField{Name: "A", Type: reflect.TypeFor[string](), Tag: `json:"-"`}),
		sync.Mutex{},
		tagged(reflect.StructField{Name: "A", Type: reflect.TypeFor[chatter](), Tag: `json:",omitempty"`}),
		tagged(
			reflect.StructField{Name: "A", Type: reflect.TypeFor[string](), Tag: `json:"x"`},
			reflect.StructField{Name: "B", Type: reflect.TypeFor[string](), Tag: `json:"x"`},
		),
	} {
		if jsonplan.Of(reflect.TypeOf(v)) != nil {
			t.Errorf("%T has a plan", v)
		}
	}
}

// tagged returns a struct with tags that linters would not let through.
func tagged(fields ...reflect.StructField) any {
	return reflect.Zero(reflect.StructOf(fields)).Interface()
}

// A value of another type is not taken, and nothing panics.
func TestOtherTypesAreNotTaken(t *testing.T) {
	plan := jsonplan.Of(reflect.TypeFor[chatter]())
	for _, v := range []any{nil, (*chatter)(nil), "x", new(string), tree{}, new(*chatter), []chatter{}} {
		if _, ok := plan.Append(nil, v); ok {
			t.Errorf("%T was encoded", v)
		}
		if plan.Decode([]byte("{}"), v, nil) {
			t.Errorf("%T was decoded into", v)
		}
	}
	if plan.Decode([]byte("{}"), chatter{}, nil) {
		t.Error("a value that is no pointer was decoded into")
	}
}

// To decode costs the texts that are decoded and were not there before, and to
// encode costs nothing.
func TestAllocations(t *testing.T) {
	in, out, scratch := new(chatter), any(chatter{"hello"}), &jsonplan.Scratch{}
	plan := jsonplan.Of(reflect.TypeFor[chatter]())
	room := make([]byte, 0, 100)
	text := []byte(`{"message":"hello"}`)
	if n := testing.AllocsPerRun(1000, func() { plan.Decode(text, in, nil) }); n > 1 {
		t.Errorf("%v allocations to decode", n)
	}
	if n := testing.AllocsPerRun(1000, func() { plan.Decode(text, in, scratch) }); n > 0 {
		t.Errorf("%v allocations to decode what was there before", n)
	}
	if n := testing.AllocsPerRun(1000, func() { plan.Append(room, out) }); n > 0 {
		t.Errorf("%v allocations to encode", n)
	}
}

const sample = `{"message":"0123456789012345678901234567890123456789012345678901234567890123"}`

func BenchmarkDecode(b *testing.B) {
	text, plan, scratch := []byte(sample), jsonplan.Of(reflect.TypeFor[chatter]()), &jsonplan.Scratch{}
	b.Run("plan", func(b *testing.B) {
		for b.Loop() {
			if !plan.Decode(text, new(chatter), scratch) {
				b.Fatal("not taken")
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		for b.Loop() {
			if err := json.Unmarshal(text, new(chatter), json.RejectUnknownMembers(true)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	v, plan := any(&chatter{sample[12:70]}), jsonplan.Of(reflect.TypeFor[chatter]())
	room := make([]byte, 0, 200)
	b.Run("plan", func(b *testing.B) {
		for b.Loop() {
			if _, ok := plan.Append(room, v); !ok {
				b.Fatal("not taken")
			}
		}
	})
	b.Run("library", func(b *testing.B) {
		for b.Loop() {
			if _, err := json.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
