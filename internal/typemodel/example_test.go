package typemodel_test

import (
	"context"
	"fmt"
	"reflect"

	"github.com/kanava-go/kanava/internal/typemodel"
)

func ExampleModel_Decode() {
	type message struct {
		Room string `json:"room" minLength:"1"`
		Text string `json:"text" maxLength:"5"`
	}
	m, err := typemodel.Of(reflect.TypeFor[message](), typemodel.Input)
	if err != nil {
		panic(err)
	}
	var in message
	faults, err := m.Decode(context.Background(), []byte(`{"text":"too long","rom":"lobby"}`), &in)
	for _, f := range faults {
		fmt.Println(f.Pointer, f.Message)
	}
	fmt.Println(err)
	// Output:
	// /text must have at most 5 characters
	// /rom unknown member "rom", did you mean "room"?
	// /room is missing
	// <nil>
}

type example interface{ example() }

type started struct {
	Job string `json:"job"`
}

func (started) example() {}

func ExampleRegisterUnion() {
	if err := typemodel.RegisterUnion("x", "type", map[string]example{"started": started{}}); err != nil {
		panic(err)
	}
	m, err := typemodel.Of(reflect.TypeFor[example](), typemodel.Output)
	if err != nil {
		panic(err)
	}
	raw, err := m.Append(nil, started{Job: "import"})
	fmt.Println(string(raw), err)
	// Output: {"type":"started","job":"import"} <nil>
}

func ExampleOpeningOf() {
	type opening struct {
		Room string `query:"room"`
		Page int    `query:"page" default:"1"`
	}
	p, err := typemodel.OpeningOf(reflect.TypeFor[opening]())
	if err != nil {
		panic(err)
	}
	var o opening
	faults, err := p.Decode(context.Background(), source{query: map[string][]string{"room": {"lobby"}}}, &o)
	fmt.Printf("%+v %v %v\n", o, faults, err)
	faults, _ = p.Decode(context.Background(), source{}, &o)
	fmt.Println(faults)
	// Output:
	// {Room:lobby Page:1} [] <nil>
	// [{/room query "room" is missing}]
}
