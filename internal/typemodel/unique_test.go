package typemodel_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

type distinct struct {
	Raw []jsontext.Value `json:"raw" uniqueItems:"true"`
}

func TestUniqueItems(t *testing.T) {
	for _, tc := range []struct {
		a, b  string
		equal bool
	}{
		{`{"a":1,"b":2}`, `{"b":2.0,"a":10e-1}`, true},
		{`{"a":1,"b":2}`, `{"a":2,"b":1}`, false},
		{`{"a":1}`, `{"\u0061":1}`, true},
		{`{"a":1}`, `{"a":"1"}`, false},
		{`{"a":1}`, `{"a":1,"b":null}`, false},
		{`{}`, `[]`, false},
		{`{}`, ` { } `, true},
		{`[]`, `[[]]`, false},
		{`[1,2]`, `[ 1 , 2e0 ]`, true},
		{`[1,2]`, `[2,1]`, false},
		{`[[1],2]`, `[1,[2]]`, false},
		{`[1,[2,3]]`, `[1,[2,3]]`, true},
		{`{"a":{"b":[{"c":"ä"},null]}}`, `{"a":{"b":[{"c":"\u00e4"},null]}}`, true},
		{`{"a":{"b":[{"c":true},null]}}`, `{"a":{"b":[{"c":false},null]}}`, false},
		{`{"a":"x","b":"x"}`, `{"a":"y","b":"y"}`, false},
		{`"1"`, `1`, false},
		{`null`, `"null"`, false},
		{`true`, `true`, true},
		{`0`, `-0.0`, true},
		{`1e400`, `10e399`, true},
		{`9007199254740993`, `9007199254740992`, false},
		{`"{"`, `"["`, false},
	} {
		_, faults, err := decode[distinct](t, `{"raw":[`+tc.a+`,`+tc.b+`]}`)
		if (faults != nil) != tc.equal || err != nil {
			t.Errorf("%s and %s: faults %v, error %v", tc.a, tc.b, faults, err)
		}
	}
}

// TestUniqueItemsAgree proves that any two JSON values are equal for us exactly
// if another library finds them so.
func TestUniqueItemsAgree(t *testing.T) {
	o := newOracle(t, func(*rapid.T) (v distinct) { return v })
	texts := []string{`{"a":[1,{"b":null,"c":"ä"}],"d":{"e":1.50,"f":[]}}`, `[[],{},[{}],""]`, `{"a":{"a":{"a":1}}}`, richJSON, `[0,1,"1",true]`}
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for range 20 {
			first := parseTree([]byte(pick(random, texts)))
			second := parseTree(first.append(nil))
			second.shuffle(random)
			for range random.IntN(3) {
				damage(random, second)
			}
			raw := fmt.Sprintf(`{"raw":[%s,5,%s]}`, first.append(nil), second.append(nil))
			value, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(raw)))
			if err != nil {
				t.Fatalf("%s: %v", raw, err)
			}
			faults, err := o.model.Decode(context.Background(), []byte(raw), new(distinct))
			if theirs := o.schema.Validate(value); (theirs == nil) != (faults == nil) || err != nil {
				t.Fatalf("%s\nfaults %v, error %v, schema %v", raw, faults, err, theirs)
			}
		}
	})
}

// shuffle changes the order of members everywhere.
func (t *tree) shuffle(random *rand.Rand) {
	if t.kind == '{' {
		random.Shuffle(len(t.kids), func(i, j int) {
			t.kids[i], t.kids[j] = t.kids[j], t.kids[i]
			t.names[i], t.names[j] = t.names[j], t.names[i]
		})
	}
	for _, kid := range t.kids {
		kid.shuffle(random)
	}
}
