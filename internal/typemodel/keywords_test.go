package typemodel_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/kanava-go/kanava/internal/typemodel"
)

type worded struct {
	Kind    string         `json:"kind" const:"a,b"`
	Agreed  bool           `json:"agreed" const:"true"`
	Version int            `json:"version" const:"2"`
	Above   int            `json:"above" exclusiveMinimum:"1" exclusiveMaximum:"5"`
	Ratio   float64        `json:"ratio" exclusiveMinimum:"0" exclusiveMaximum:"0.5"`
	Step    uint16         `json:"step" multipleOf:"25"`
	Price   float64        `json:"price" multipleOf:"0.05"`
	Names   []string       `json:"names" uniqueItems:"true"`
	Numbers []float64      `json:"numbers" uniqueItems:"true"`
	Maybe   []*int         `json:"maybe" uniqueItems:"true"`
	Map     map[string]int `json:"map" minProperties:"1" maxProperties:"2"`
	Mail    string         `json:"mail,omitempty" format:"email"`
}

const wordedJSON = `{"kind":"a,b","agreed":true,"version":2,"above":2,"ratio":0.25,"step":50,"price":1.15,` +
	`"names":["a","b"],"numbers":[1,2],"maybe":[1,null],"map":{"a":1}}`

func TestKeywords(t *testing.T) {
	type f = typemodel.Fault
	for _, tc := range []struct {
		why, raw string
		want     []f
	}{
		{"all is well", wordedJSON, nil},
		{
			"all is wrong",
			`{"kind":"a","agreed":false,"version":3,"above":1,"ratio":0.5,"step":26,"price":1.16,
			"names":["a","\u0061"],"numbers":[1,2,10e-1],"maybe":[null,1,null],"map":{},"mail":"x"}`,
			[]f{
				{"/kind", `must be "a,b"`},
				{"/agreed", "must be true"},
				{"/version", "must be 2"},
				{"/above", "must be more than 1"},
				{"/ratio", "must be less than 0.5"},
				{"/step", "must be a multiple of 25"},
				{"/price", "must be a multiple of 0.05"},
				{"/names", "must not have equal elements; number 1 was there before"},
				{"/numbers", "must not have equal elements; number 2 was there before"},
				{"/maybe", "must not have equal elements; number 2 was there before"},
				{"/map", "must have at least 1 entry"},
				{"/mail", "must be an email address"},
			},
		},
	} {
		_, faults, err := decode[worded](t, tc.raw)
		if diff := cmp.Diff(tc.want, faults, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%s: error %v\n%s", tc.why, err, diff)
		}
	}
	var v worded
	if faults, err := model[worded](t, typemodel.Stored).Decode(context.Background(), []byte(`{"kind":"","agreed":false,"version":0,"above":0,"ratio":0,`+
		`"step":1,"price":0.01,"names":["",""],"numbers":[],"maybe":[],"map":{}}`), &v); faults != nil || err != nil {
		t.Errorf("what was stored is checked again: %v %v", faults, err)
	}
}

// TestMultipleOfIsExact proves that floats are judged by what is written.
func TestMultipleOfIsExact(t *testing.T) {
	type tenths struct {
		V float64 `json:"v" multipleOf:"0.1"`
		W float64 `json:"w" multipleOf:"700"`
	}
	for text, want := range map[string]bool{
		"0.3": true, "0.30": true, "-1e0": true, "0": true, "-0.0": true, "0e999999999999999999999": true, "1e300": true, "3e-1": true,
		"1234567890123456789012.3": true, "0.31": false, "1e-999999999999": false, "0.10000000000000000000000001": false, "100e-2": true,
	} {
		_, faults, _ := decode[tenths](t, `{"v":`+text+`,"w":0}`)
		if (faults == nil) != want {
			t.Errorf("%s as a multiple of 0.1: %v", text, faults)
		}
	}
	for n := range 30 {
		for _, text := range []string{strconv.Itoa(n * 70), strconv.Itoa(n) + "e2"} {
			_, faults, _ := decode[tenths](t, `{"v":0,"w":`+text+`}`)
			v, _ := strconv.ParseFloat(text, 64)
			if (faults == nil) != (int(v)%700 == 0) {
				t.Errorf("%s as a multiple of 700: %v", text, faults)
			}
		}
	}
}

// TestKeywordsOfOpeningData proves that tags hold for opening data too.
func TestKeywordsOfOpeningData(t *testing.T) {
	type opening struct {
		ID    string   `query:"id" format:"uuid" example:"00000000-0000-0000-0000-000000000000"`
		Tags  []string `query:"tag" uniqueItems:"true" deprecated:"true"`
		Size  int      `query:"size" multipleOf:"10" default:"20"`
		Terms bool     `query:"terms" const:"true"`
	}
	var v opening
	faults, err := plan[opening](t).Decode(context.Background(), with("id", "x", "tag", "a", "tag", "a", "size", "5", "terms", "0"), &v)
	want := []typemodel.Fault{
		{"/id", `query "id" must be a UUID`},
		{"/tag", `query "tag" must not have equal elements; number 1 was there before`},
		{"/size", `query "size" must be a multiple of 10`},
		{"/terms", `query "terms" must be true`},
	}
	if diff := cmp.Diff(want, faults); diff != "" || err != nil {
		t.Errorf("error %v\n%s", err, diff)
	}
}
