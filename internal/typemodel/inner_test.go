package typemodel_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// inner has constraints on what it holds.
type inner struct {
	Tags   []string            `json:"tags" minItems:"1" items.minLength:"2" items.pattern:"^[a-z]+$"`
	Grid   [][2]*int8          `json:"grid" items.items.minimum:"1" items.uniqueItems:"true"`
	Prices map[string]float64  `json:"prices" keys.maxLength:"3" keys.pattern:"^[A-Z]+$" values.minimum:"0" values.multipleOf:"0.01"`
	Mails  map[level][]string  `json:"mails" keys.enum:"low,high" values.maxItems:"2" values.items.format:"email"`
	ByInt  map[int32]role      `json:"byInt" keys.minimum:"1" values.enum:"admin,guest"`
	ByRole map[role]*[1]string `json:"byRole" keys.const:"admin" values.items.maxLength:"1"`
}

const innerJSON = `{"tags":["ab"],"grid":[[1,null]],"prices":{"EUR":1.25},"mails":{"low":["a@b"]},"byInt":{"5":"guest"},"byRole":{"admin":["x"]}}`

func TestConstraintsOfWhatIsHeld(t *testing.T) {
	type f = typemodel.Fault
	if _, faults, err := decode[inner](t, innerJSON); faults != nil || err != nil {
		t.Errorf("faults %v, error %v", faults, err)
	}
	_, faults, err := decode[inner](t, `{"tags":["ab","X"],"grid":[[0,1],[2,2]],"prices":{"euro":-0.001},"mails":{"mid":["a","a@b","c@d"]},"byInt":{"0":""},"byRole":{"guest":["xy"],"admin":null}}`)
	if diff := cmp.Diff([]f{
		{"/tags/1", "must have at least 2 characters"},
		{"/tags/1", "must match the pattern ^[a-z]+$"},
		{"/grid/0/0", "must be at least 1"},
		{"/grid/1", "must not have equal elements; number 1 was there before"},
		{"/prices/euro", "the name must have at most 3 characters"},
		{"/prices/euro", "the name must match the pattern ^[A-Z]+$"},
		{"/prices/euro", "must be at least 0"},
		{"/prices/euro", "must be a multiple of 0.01"},
		{"/mails/mid", `the name must be one of "low", "high"`},
		{"/mails/mid", "must have at most 2 elements"},
		{"/mails/mid/0", "must be an email address"},
		{"/byInt/0", "the name must be at least 1"},
		{"/byInt/0", `must be one of "admin", "guest"`},
		{"/byRole/guest", `the name must be "admin"`},
		{"/byRole/guest/0", "must have at most 1 character"},
	}, faults); diff != "" || err != nil {
		t.Errorf("error %v\n%s", err, diff)
	}
	golden(t, "inner", model[inner](t, typemodel.Input).Schema())
	var v inner
	if faults, err := model[inner](t, typemodel.Stored).Decode(context.Background(), []byte(`{"tags":[],"grid":[],"prices":{"euro":-1},"mails":{},"byInt":{"0":"x"},"byRole":{}}`), &v); faults != nil || err != nil {
		t.Errorf("what was stored is checked again: %v %v", faults, err)
	}
	type opening struct {
		Tags []string `query:"tag" items.minLength:"2"`
	}
	var o opening
	faults, _ = plan[opening](t).Decode(context.Background(), with("tag", "ab", "tag", "a"), &o)
	if diff := cmp.Diff([]f{{"/tag/1", `query "tag" must have at least 2 characters`}}, faults); diff != "" {
		t.Error(diff)
	}
}
