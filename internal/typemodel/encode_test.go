package typemodel_test

import (
	stdjson "encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// appended returns what Append makes of v.
func appended[T any](t testing.TB, v any) (string, error) {
	t.Helper()
	got, err := model[T](t, typemodel.Output).Append([]byte("x"), v)
	if err != nil && string(got) != "x" {
		t.Errorf("after an error: %s", got)
	}
	return strings.TrimPrefix(string(got), "x"), err
}

func TestAppend(t *testing.T) {
	type plain struct {
		S string            `json:"s"`
		L []int             `json:"l"`
		M map[string]string `json:"m"`
		P *int              `json:"p"`
	}
	type holder struct {
		S  status            `json:"s"`
		L  []status          `json:"l"`
		M  map[string]status `json:"m"`
		P  *status           `json:"p"`
		O  status            `json:"o,omitzero"`
		F  complete          `json:"f"`
		FP *processing       `json:"fp"`
		N  stdjson.Number    `json:"n"`
	}
	proc := status(processing{Step: "<a&b>"})
	for _, tc := range []struct {
		why  string
		got  func() (string, error)
		want string
	}{
		{"value, HTML as it is", func() (string, error) { return appended[plain](t, plain{S: "<&>"}) }, `{"s":"<&>","l":[],"m":{},"p":null}`},
		{"pointer", func() (string, error) { return appended[plain](t, &plain{}) }, `{"s":"","l":[],"m":{},"p":null}`},
		{"none", func() (string, error) { return appended[struct{}](t, struct{}{}) }, `{}`},
		{"nil of a pointer type", func() (string, error) { return appended[*plain](t, (*plain)(nil)) }, `null`},
		{"nil of a pointer to a variant", func() (string, error) { return appended[*processing](t, (*processing)(nil)) }, `null`},
		{"nil for a pointer to a variant", func() (string, error) { return appended[*processing](t, nil) }, `null`},
		{"pointer to a pointer to a variant", func() (string, error) {
			p := &idle{}
			return appended[*idle](t, &p)
		}, `{"type":"idle"}`},
		{"variant that holds unions", func() (string, error) { return appended[complete](t, &complete{Child: idle{}}) }, `{"type":"complete","id":"0","child":{"type":"idle"}}`},
		{"nil any", func() (string, error) { return appended[any](t, nil) }, `null`},
		{"any", func() (string, error) { return appended[any](t, map[string]int{"a": 1}) }, `{"a":1}`},
		{"variant", func() (string, error) { return appended[status](t, proc) }, `{"type":"processing","step":"<a&b>"}`},
		{"variant by pointer", func() (string, error) { return appended[status](t, &processing{Step: "x"}) }, `{"type":"processing","step":"x"}`},
		{"pointer to the interface", func() (string, error) { return appended[status](t, &proc) }, `{"type":"processing","step":"<a&b>"}`},
		{"empty variant", func() (string, error) { return appended[status](t, idle{}) }, `{"type":"idle"}`},
		{"static variant", func() (string, error) { return appended[processing](t, processing{}) }, `{"type":"processing","step":""}`},
		{"list of static variants", func() (string, error) { return appended[[]idle](t, []idle{{}, {}}) }, `[{"type":"idle"},{"type":"idle"}]`},
		{"omitempty in a variant", func() (string, error) {
			return appended[status](t, processing{Extra: map[string]int{"a": 1}, Ratio: 2})
		}, `{"type":"processing","step":"","ratio":2,"extra":{"a":1}}`},
		{"everywhere", func() (string, error) {
			return appended[holder](t, &holder{
				S: proc, L: []status{idle{}, &complete{Child: idle{}, Meta: &Meta{Note: "n"}}}, M: map[string]status{"k": &idle{}}, P: &proc, F: complete{ID: 9},
				N: "1.50",
			})
		}, `{"s":{"type":"processing","step":"<a&b>"},"l":[{"type":"idle"},{"type":"complete","id":"0","child":{"type":"idle"},"note":"n"}],` +
			`"m":{"k":{"type":"idle"}},"p":{"type":"processing","step":"<a&b>"},"f":{"type":"complete","id":"9"},"fp":null,"n":1.50}`},
	} {
		got, err := tc.got()
		if err != nil || got != tc.want {
			t.Errorf("%s: error %v\n got %s\nwant %s", tc.why, err, got, tc.want)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	type holder struct {
		S status `json:"s"`
	}
	var none status
	for _, tc := range []struct{ why, want string }{
		{"nil", must(appended[order](t, nil))},
		{"nil pointer", must(appended[order](t, (*order)(nil)))},
		{"nil pointer to a variant", must(appended[status](t, (*processing)(nil)))},
		{"nil union", must(appended[status](t, &none))},
		{"nil union inside", must(appended[holder](t, &holder{}))},
		{"nil pointer in a union", must(appended[holder](t, &holder{(*complete)(nil)}))},
		{"another type", must(appended[order](t, item{}))},
		{"no variant", must(appended[status](t, stranger{}))},
		{"invalid UTF-8", must(appended[string](t, "\xff"))},
		{"json.Number without a number", must(appended[stdjson.Number](t, stdjson.Number("x")))},
	} {
		if tc.want == "" {
			t.Errorf("%s is encoded", tc.why)
		}
	}
	if got := must(appended[order](t, item{})); got != "encode typemodel_test.order: the value is a typemodel_test.item" {
		t.Error(got)
	}
}

// must returns the text of an error.
func must(_ string, err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestUnionRoundTrip(t *testing.T) {
	in := []status{
		processing{Step: "a", Extra: map[string]int{"x": 1}},
		&complete{ID: 1 << 60, Child: &complete{Child: processing{Step: "b"}}, Meta: &Meta{Note: "é"}},
		idle{},
	}
	raw, err := model[[]status](t, typemodel.Output).Append(nil, in)
	if err != nil {
		t.Fatal(err)
	}
	out, faults, err := decode[[]status](t, string(raw))
	if diff := cmp.Diff(in, out); diff != "" || faults != nil || err != nil {
		t.Errorf("faults %v, error %v\n%s", faults, err, diff)
	}
}
