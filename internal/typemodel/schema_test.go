package typemodel_test

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"github.com/kanava-go/kanava/internal/typemodel"
)

var update = flag.Bool("update", false, "write the golden files")

// described has what only schemas tell.
type described struct {
	Name  string           `json:"name" doc:"Shown to \"all\"" example:"Aino" maxLength:"010"`
	Old   *int             `json:"old" deprecated:"true" example:"5" enum:"5,6"`
	Maybe *described       `json:"maybe" doc:"recursive"`
	List  []pair[*base, u] `json:"list" example:"[]"`
	Raw   jsontext.Value   `json:"raw,omitzero"`
	Any   jsontext.Value   `json:"any,omitzero" doc:"any JSON"`
	Anon  struct {
		X float32 `json:"x,string"`
	} `json:"anon"`
	Level int64   `json:"level,string" enum:"1,2"`
	Bits  uint32  `json:"bits" exclusiveMaximum:"8"`
	Words [2]bool `json:"words"`
}

type u struct{}

// golden compares got with a file.
func golden(t *testing.T, name string, got jsontext.Value) {
	t.Helper()
	if err := got.Indent(jsontext.WithIndent("  ")); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, got)
	}
	path := filepath.Join("testdata", "schema", name+".json")
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (go test -update writes it):\n%s", name, diff)
	}
}

func TestSchema(t *testing.T) {
	golden(t, "rich", model[rich](t, typemodel.Input).Schema())
	golden(t, "worded", model[worded](t, typemodel.Input).Schema())
	golden(t, "described", model[described](t, typemodel.Input).Schema())
	golden(t, "opening", plan[open](t).Given().Schema())
	for _, tc := range []struct {
		typ  reflect.Type
		want string
	}{
		{reflect.TypeFor[jsontext.Value](), `{"$schema":"https://json-schema.org/draft/2020-12/schema"}`},
		{reflect.TypeFor[*int8](), `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":["integer","null"],"format":"int8","minimum":-128,"maximum":127}`},
		{reflect.TypeFor[struct{}](), `{"$schema":"https://json-schema.org/draft/2020-12/schema","$ref":"#/$defs/Object","$defs":{"Object":{"type":"object","additionalProperties":false}}}`},
	} {
		m, err := typemodel.Of(tc.typ, typemodel.Output)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, string(m.Schema())); diff != "" {
			t.Errorf("%s:\n%s", tc.typ, diff)
		}
	}
}

// TestSchemasShareDefinitions proves that a type has one definition for all
// uses that agree on it, and another name where another type or use differs.
func TestSchemasShareDefinitions(t *testing.T) {
	type item struct { // another than the one of the package
		X   int `json:"x" minimum:"1"`
		Own *item
	}
	s := typemodel.NewSchemas("#/components/schemas/")
	for _, m := range []*typemodel.Model{
		model[item](t, typemodel.Input), model[[]item](t, typemodel.Output), model[*order](t, typemodel.Output), model[order](t, typemodel.Input),
	} {
		s.Of(m)
	}
	if got := string(s.Of(model[*item](t, typemodel.Stored))); got != `{"anyOf":[{"$ref":"#/components/schemas/item3"},{"type":"null"}]}` {
		t.Error("as stored, without constraints:", got)
	}
	var names []string
	for _, d := range s.Definitions() {
		names = append(names, d.Name)
		if !d.Schema.IsValid() {
			t.Errorf("%s: %s", d.Name, d.Schema)
		}
	}
	if diff := cmp.Diff([]string{"item", "item2", "item3", "order"}, names); diff != "" {
		t.Error(diff)
	}
}
