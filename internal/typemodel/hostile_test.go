package typemodel_test

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/kanava-go/kanava/internal/jsonscan"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// What one message may cost beyond a decode that checks nothing. The bounds are
// far above what is measured, and far below what grows with the square.
const (
	hostileTime   = slowdown * 5 * time.Second
	hostileMemory = slowdown * 256 << 20
)

type nested struct {
	Kids []nested          `json:"kids,omitempty"`
	Map  map[string]nested `json:"map,omitempty"`
	One  *nested           `json:"one,omitempty"`
	Name string            `json:"name,omitempty" default:"x"`
}

type hostile struct {
	Strings []string         `json:"strings,omitempty" items.pattern:"^(?:[a-z]*[a-z]*)*$"`
	Unique  []jsontext.Value `json:"unique,omitempty" uniqueItems:"true"`
	Objects []flat           `json:"objects,omitempty" uniqueItems:"true"`
	Map     map[string]int   `json:"map,omitempty" keys.pattern:"^[a-zA]"`
	Styles  []style          `json:"styles,omitempty"`
	Status  []status         `json:"status,omitempty"`
	Deep    *nested          `json:"deep,omitempty"`
	Text    string           `json:"text,omitempty"`
	Raw     jsontext.Value   `json:"raw,omitzero"`
	Number  float64          `json:"number,omitempty" multipleOf:"0.01"`
	URL     string           `json:"url,omitempty" format:"uri"`
	Mail    string           `json:"mail,omitempty" format:"email"`
	Bytes   []byte           `json:"bytes,omitempty"`
}

// around returns inner with n times head before and tail behind it.
func around(n int, head, inner, tail string) string {
	return strings.Repeat(head, n) + inner + strings.Repeat(tail, n)
}

func TestHostileInputs(t *testing.T) {
	const mega = 1 << 20
	escapes := strings.Repeat(`\u0061`, mega/6)
	var names, values strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&names, `"a%d":%d,`, i, i)
		fmt.Fprintf(&values, `{"v":%d},`, i)
	}
	list := func(name, unit string) string {
		return `{"` + name + `":[` + strings.Repeat(unit+",", 99_999) + unit + `]}`
	}
	for _, tc := range []struct {
		why, raw string
		faults   int // -1: some
	}{
		{"100,000 strings", list("strings", `"ab"`), 0},
		{"100,000 wrong strings", list("strings", `"1"`), 101},
		{"100,000 elements of the wrong type", list("strings", `{}`), 101},
		{"100,000 equal elements", list("unique", `{"a":[1,{}]}`), 1},
		{"100,000 elements that differ", `{"unique":[` + values.String() + `0]}`, 0},
		{"100,000 objects to fill", list("styles", `{}`), 1},
		{"100,000 variants", list("status", `{"type":"idle"}`), 0},
		{"100,000 variants without a tag", list("status", `{}`), 101},
		{"100,000 entries of a map", `{"map":{` + names.String() + `"a":1}}`, 0},
		{"100,000 times one name", `{"map":{` + strings.Repeat(`"a":1,`, 99_999) + `"a":1}}`, 101},
		{"100,000 times one name with other escapes", `{"map":{` + strings.Repeat(`"a":1,"\u0061":1,`, 50_000) + `"a":1}}`, -1},
		{"100,000 unknown members", `{` + names.String() + `"a":1}`, -1},
		{"raw JSON with 100,000 members of one name", `{"raw":{` + strings.Repeat(`"a":1,`, 99_999) + `"a":1}}`, 1},
		{"a string of escapes", `{"text":"` + escapes + `"}`, 0},
		{"a string of escapes for a pattern", `{"strings":["` + escapes + `1"]}`, 1},
		{"a string of escapes for a URI", `{"url":"` + escapes + `"}`, 1},
		{"a string of escapes for an email address", `{"mail":"` + escapes + `"}`, 1},
		{"a string of escapes for base64", `{"bytes":"` + escapes + `"}`, 1},
		{"a string of surrogates", `{"text":"` + strings.Repeat(`\ud83d\ude00`, mega/12) + `"}`, 0},
		{"a name of escapes", `{"` + escapes + `":1}`, 1},
		{"a name of escapes in a map", `{"map":{"` + escapes + `":"x"}}`, 1},
		{"a tag of escapes", `{"status":[{"type":"` + escapes + `"}]}`, 1},
		{"names of escapes on the way to faults", `{"deep":` + around(9, `{"map":{"`+escapes[:mega/10/6*6]+`":`, `{"x":1,"y":2}`, `}}`) + `}`, -1},
		{"a number of digits", `{"number":0.` + strings.Repeat("1", mega) + `}`, 1},
		{"an exponent of digits", `{"number":1e` + strings.Repeat("1", mega) + `}`, 1},
		{"1,000 structs deep", `{"deep":` + around(1000, `{"one":`, "{}", "}") + `}`, 0},
		{"500 slices of structs deep", `{"deep":` + around(500, `{"kids":[`, "{}", "]}") + `}`, 0},
		{"500 maps of structs deep", `{"deep":` + around(500, `{"map":{"a":`, "{}", "}}") + `}`, 0},
		{"500 maps deep with a fault", `{"deep":` + around(500, `{"map":{"a":`, "1", "}}") + `}`, 1},
		{"raw JSON 1,000 deep", `{"raw":` + around(1000, `[`, "0", "]") + `}`, 0},
		{"unique elements 1,000 deep", `{"unique":[` + around(1000, `{"a":`, "0", "}") + "," + around(1000, `{"a":`, "0", "}") + `]}`, 1},
		{"1,000 unions deep", `{"status":[` + around(1000, `{"type":"complete","id":"1","child":`, `{"type":"idle"}`, "}") + `]}`, 0},
		{"1,000 unions deep, their tags last", `{"status":[` + around(1000, `{"id":"1","child":`, `{"type":"idle"}`, `,"type":"complete"}`) + `]}`, 0},
		{"1,000 unions deep around much, their tags last", `{"status":[` + around(1000, `{"id":"1","child":`, `{"type":"processing","step":"`+strings.Repeat("x", mega)+`"}`, `,"type":"complete"}`) + `]}`, 0},
		{"1,000 unions deep without tags", `{"status":[` + around(1000, `{"id":"1","child":`, `{"type":"idle"}`, `}`) + `]}`, 1},
	} {
		data := []byte(tc.raw)
		if _, err := jsonscan.Scan(data, nil, nil, jsonscan.Limits{Depth: jsonscan.MaxDepth}); err != nil {
			t.Fatalf("%s: %v", tc.why, err)
		}
		m := model[hostile](t, typemodel.Input)
		into := new(hostile)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		faults, err := m.Decode(context.Background(), data, into)
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if err != nil || len(faults) != tc.faults && tc.faults >= 0 || tc.faults < 0 && faults == nil {
			t.Errorf("%s: %d faults, want %d; error %v; the first: %.200v", tc.why, len(faults), tc.faults, err, faults)
		}
		size := 0
		for _, f := range faults {
			size += len(f.Pointer) + len(f.Message)
		}
		if size > 64<<10 {
			t.Errorf("%s: %d bytes of faults", tc.why, size)
		}
		allocated := after.TotalAlloc - before.TotalAlloc
		t.Logf("%-50s %8d bytes: %v, %d KiB", tc.why, len(data), took.Round(time.Microsecond), allocated>>10)
		if took > hostileTime || allocated > hostileMemory {
			t.Errorf("%s: %v and %d bytes", tc.why, took, allocated)
		}
		if faults == nil && reflect.ValueOf(*into).IsZero() {
			t.Errorf("%s: nothing was decoded", tc.why)
		}
	}
}
