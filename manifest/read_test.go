package manifest_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kanava-go/kanava/manifest"
)

const gallery = "../gen/internal/gallery/testdata/manifest.json"

// TestRead proves that what is read is what was written.
func TestRead(t *testing.T) {
	raw, err := os.ReadFile(gallery)
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	again, err := m.Append(nil)
	if diff := cmp.Diff(string(raw), string(again)); err != nil || diff != "" {
		t.Error(err, diff)
	}
	hash := m.Hash
	if err := m.SetHash(); err != nil || m.Hash != hash {
		t.Errorf("hash %s, want %s, error %v", m.Hash, hash, err)
	}
	s, err := manifest.ParseSchema(m.Types["PageShopItem"])
	if err != nil || len(s.Properties) != 2 || s.Properties[0].Name != "items" || s.Properties[1].Optional {
		t.Errorf("%+v, error %v", s, err)
	}
	if rest, nullable := s.Properties[0].Schema.Items.NotNull(); !nullable || rest.Refers() != "ShopItem" {
		t.Errorf("%+v", rest)
	}
}

func TestReadRefuses(t *testing.T) {
	channel := func(text string) string {
		return `{"kanava":1,"level":1,"$defs":{"A":{"type":"object"}},"channels":[{"name":"c","route":"/c",` + text + `}]}`
	}
	for _, tc := range []struct{ why, text, want string }{
		{"no JSON", `{`, "unexpected EOF"},
		{"another document", `{"openapi":"3.1.0"}`, "this is no manifest"},
		{"a newer form", `{"kanava":2}`, "use a newer one"},
		{"no level", `{"kanava":1}`, "the level is not positive"},
		{"a reference to nothing", channel(`"message":{"in":{"$ref":"#/$defs/B"}}`), `channel "c": it refers to "#/$defs/B"`},
		{"an action without its key", channel(`"actions":[{"by":"x","name":"a"}]`), `"x" is no routing member`},
		{"an action twice", channel(`"keys":["x"],"actions":[{"by":"x","name":"a"},{"by":"x","name":"a"}]`), `action "a": the name is empty or taken`},
		{"a parameter without a member", channel(`"opening":{"type":{"$ref":"#/$defs/A"},"params":[{"name":"p"}]}`), `no member "p"`},
		{"a function without a method", `{"kanava":1,"level":1,"http":[{"pattern":"/x"}]}`, "a part is empty"},
		{"a function twice", `{"kanava":1,"level":1,"http":[{"method":"GET","pattern":"/x"},{"method":"GET","pattern":"/x"}]}`, `"GET /x" over HTTP: a part is empty, or it is there twice`},
		{"a function with a reference to nothing", `{"kanava":1,"level":1,"http":[{"method":"GET","pattern":"/x","out":{"$ref":"#/$defs/B"}}]}`, `refers to "#/$defs/B"`},
		{"a function with a parameter without a member", `{"kanava":1,"level":1,"http":[{"method":"GET","pattern":"/x","in":{"type":"object"},"params":[{"name":"p","query":"p"}]}]}`, `no member "p"`},
		{"a schema that is none", channel(`"message":{"in":5}`), "a schema"},
		{"a deep schema", channel(`"message":{"in":` + strings.Repeat(`{"items":`, 200) + "true" + strings.Repeat("}", 200) + `}`), "nested deeper than 100"},
		{"a presence twice", channel(`"presences":[{"name":"p","member":true},{"name":"p","member":true}]`), `presence "p": the name is empty or taken`},
		{"a member of a type that is not there", channel(`"presences":[{"name":"p","member":{"$ref":"#/$defs/B"}}]`), `channel "c": it refers to "#/$defs/B"`},
		{"a value without a name", channel(`"values":[{"name":"","type":true}]`), `value "": the name is empty or taken`},
		{"a value of no type", channel(`"values":[{"name":"v","type":5}]`), "a schema"},
		{"too large", `"` + strings.Repeat("x", 16<<20), "larger than 16777216 bytes"},
	} {
		if _, err := manifest.Read(strings.NewReader(tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %s", tc.why, err, tc.want)
		}
	}
}

// FuzzRead proves that what Read takes has a hash and can be written and read
// again.
func FuzzRead(f *testing.F) {
	raw, err := os.ReadFile(gallery)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"kanava":1,"level":1,"$defs":{"A":{"$ref":"#/$defs/A"}},"channels":[{"name":"c","message":{"in":{"anyOf":[false,{"type":"null"}]}}}]}`))
	f.Add([]byte(`{"kanava":1,"level":1,"$defs":{"A":{"type":"object","propertyNames":{"$ref":"A"}}},"channels":[{"name":"c","message":{"in":{"$ref":"#/$defs/A"}}}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := manifest.Read(bytes.NewReader(raw))
		if err != nil {
			return
		}
		if err := m.SetHash(); err != nil {
			t.Fatal(err)
		}
		once, err := m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		next, err := manifest.Read(bytes.NewReader(once))
		if err != nil {
			t.Fatalf("%v\n%s", err, once)
		}
		twice, err := next.Append(nil)
		if diff := cmp.Diff(string(once), string(twice)); err != nil || diff != "" {
			t.Error(err, diff)
		}
	})
}
