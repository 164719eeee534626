package typemodel

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

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
