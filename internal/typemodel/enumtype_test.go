package typemodel_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kanava-go/kanava/internal/typemodel"
)

type role string

// rank has constants that are integers, mode such that are written as text.
type (
	rank int16
	mode uint8
)

const (
	roleAdmin role = "admin"
	roleGuest role = "guest"
	roleNone  role = ""

	rankLow  rank = -1
	rankHigh rank = 300

	modeRead mode = iota
	modeWrite
)

func (m mode) MarshalText() ([]byte, error) {
	return []byte([]string{"", "", "", "", "", "read", "write"}[m]), nil
}

func (m *mode) UnmarshalText(text []byte) error {
	switch strings.ToLower(string(text)) {
	case "read":
		*m = modeRead
	case "write":
		*m = modeWrite
	default:
		return errors.New("no mode")
	}
	return nil
}

var (
	_ = registered(typemodel.RegisterEnum("roles.go:1", []role{roleAdmin, roleGuest, roleNone}))
	_ = registered(typemodel.RegisterEnum("ranks.go:1", []rank{rankLow, rankHigh}))
	_ = registered(typemodel.RegisterEnum("modes.go:1", []mode{modeRead, modeWrite}))
)

type member struct {
	Role   role            `json:"role" doc:"What they may do"`
	Rank   rank            `json:"rank"`
	Mode   mode            `json:"mode"`
	Quoted rank            `json:"quoted,string"`
	Only   role            `json:"only" enum:"admin,guest" minLength:"3"`
	One    *rank           `json:"one" const:"300"`
	Maybe  *role           `json:"maybe"`
	List   []role          `json:"list" uniqueItems:"true"`
	ByRole map[role]rank   `json:"byRole"`
	ByRank map[rank]mode   `json:"byRank"`
	ByMode map[mode][]role `json:"byMode"`
}

const memberJSON = `{"role":"guest","rank":-1,"mode":"read","quoted":"300","only":"admin","one":300,"maybe":"","list":["admin",""],` +
	`"byRole":{"admin":300,"":-1},"byRank":{"-1":"write"},"byMode":{"read":["guest"]}}`

func TestEnums(t *testing.T) {
	type f = typemodel.Fault
	const roles, ranks, modes = `must be one of "admin", "guest", ""`, "must be one of -1, 300", `must be one of "read", "write"`
	got, faults, err := decode[member](t, memberJSON)
	high, none := rankHigh, roleNone
	want := member{
		roleGuest, rankLow, modeRead, rankHigh, roleAdmin, &high, &none,
		[]role{roleAdmin, roleNone},
		map[role]rank{roleAdmin: rankHigh, roleNone: rankLow},
		map[rank]mode{rankLow: modeWrite},
		map[mode][]role{modeRead: {roleGuest}},
	}
	if diff := cmp.Diff(want, got); diff != "" || faults != nil || err != nil {
		t.Errorf("faults %v, error %v\n%s", faults, err, diff)
	}
	_, faults, err = decode[member](t, `{"role":"Guest","rank":0,"mode":"READ","quoted":"1","only":"","one":-1,"maybe":"x","list":["admin","boss"],
		"byRole":{"boss":1},"byRank":{"5":"read"},"byMode":{"exec":[]}}`)
	if diff := cmp.Diff([]f{
		{"/role", roles},
		{"/rank", ranks},
		{"/mode", modes},
		{"/quoted", ranks},
		{"/only", `must be one of "admin", "guest"`},
		{"/only", "must have at least 3 characters"},
		{"/one", "must be 300"},
		{"/maybe", roles},
		{"/list/1", roles},
		{"/byRole/boss", "the name " + roles},
		{"/byRole/boss", ranks},
		{"/byRank/5", "the name " + ranks},
		{"/byMode/exec", "the name " + modes},
	}, faults); diff != "" || err != nil {
		t.Errorf("error %v\n%s", err, diff)
	}
	var v member
	if faults, err := model[member](t, typemodel.Stored).Decode(context.Background(), []byte(strings.Replace(memberJSON, "guest", "gone", 1)), &v); faults != nil || err != nil {
		t.Errorf("what was stored is checked again: %v %v", faults, err)
	}
	golden(t, "member", model[member](t, typemodel.Input).Schema())
}

func TestEnumsInOpeningData(t *testing.T) {
	type opening struct {
		Role  role   `query:"role" default:"guest"`
		Modes []mode `query:"mode"`
		Rank  *rank  `query:"rank"`
	}
	var v opening
	if faults, err := plan[opening](t).Decode(context.Background(), with("mode", "read", "mode", "write"), &v); faults != nil || err != nil ||
		!reflect.DeepEqual(v, opening{roleGuest, []mode{modeRead, modeWrite}, nil}) {
		t.Errorf("%+v, faults %v, error %v", v, faults, err)
	}
	faults, _ := plan[opening](t).Decode(context.Background(), with("role", "boss", "mode", "exec", "rank", "7"), &v)
	if diff := cmp.Diff([]typemodel.Fault{
		{"/role", `query "role" must be one of "admin", "guest", ""`},
		{"/mode/0", `query "mode" must be one of "read", "write"`},
		{"/rank", `query "rank" must be one of -1, 300`},
	}, faults); diff != "" {
		t.Error(diff)
	}
	golden(t, "opening_enum", plan[opening](t).Given().Schema())
}

type (
	unused  string
	inUse   string
	halfway string
	asJSON  string
)

func (halfway) MarshalText() ([]byte, error) { return nil, nil }
func (asJSON) MarshalJSON() ([]byte, error)  { return nil, nil }

func TestRefusedEnums(t *testing.T) {
	model[inUse](t, typemodel.Input)
	for _, tc := range []struct {
		why, want string
		err       error
	}{
		{"no values", "unused: there are no values", typemodel.RegisterEnum[unused]("x", nil)},
		{"doubled", `unused: the values 1 and 3 are both "a"`, typemodel.RegisterEnum("x", []unused{"a", "b", "a"})},
		{"not UTF-8", "unused: value 1: ", typemodel.RegisterEnum("x", []unused{"\xff"})},
		{"declared before", "role: the type is already declared at roles.go:1", typemodel.RegisterEnum("x", []role{"x"})},
		{"in use", "inUse: the type is already in use", typemodel.RegisterEnum("x", []inUse{"x"})},
		{"no type of its own", "string: an enum is a named type", typemodel.RegisterEnum("x", []string{"x"})},
		{"encodes itself one way", "halfway: the type encodes itself one way", typemodel.RegisterEnum("x", []halfway{"x"})},
		{"encodes itself as JSON", "asJSON: the type encodes itself as JSON", typemodel.RegisterEnum("x", []asJSON{"x"})},
	} {
		if tc.err == nil || !strings.HasPrefix(tc.err.Error(), tc.want) {
			t.Errorf("%s: %v, want %s", tc.why, tc.err, tc.want)
		}
	}
	for tag, want := range map[string]string{
		`enum:"admin,boss"`:     `F: enum value "boss" is none of typemodel_test.role, which is declared at roles.go:1`,
		`const:"boss"`:          `F: const value "boss" is none of typemodel_test.role`,
		`example:"boss"`:        `F: example:"boss" must be one of "admin", "guest", ""`,
		`example:"admin"`:       "",
		`enum:"admin"`:          "",
		`json:"f,omitempty"`:    "",
		`minLength:"1"`:         "",
		`maximum:"1"`:           "F: the tag maximum applies to numbers",
		`uniqueItems:"true"`:    "F: the tag uniqueItems applies",
		`const:"" enum:"admin"`: "F: const and enum stand side by side",
	} {
		_, err := typemodel.Of(tagged(reflect.TypeFor[role](), tag), typemodel.Input)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", tag, err, want)
		}
	}
}

// TestEnumMessagesAreBounded proves that a type with very many values does not
// make every error a long one.
func TestEnumMessagesAreBounded(t *testing.T) {
	var many []long
	for i := range 3000 {
		many = append(many, long(strings.Repeat("ä", 100)+string(rune('a'+i%26))+strings.Repeat("b", i)))
	}
	if err := typemodel.RegisterEnum("x", many); err != nil {
		t.Fatal(err)
	}
	_, faults, _ := decode[long](t, `"x"`)
	if len(faults) != 1 || len(faults[0].Message) > 700 || !strings.HasSuffix(faults[0].Message, ", …") {
		t.Errorf("%d bytes: %v", len(faults[0].Message), faults)
	}
	if _, faults, _ = decode[long](t, `"`+string(many[2999])+`"`); faults != nil {
		t.Error(faults)
	}
}

type long string
