package kanavatest_test

import (
	"testing"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// document is opening data from everywhere.
type document struct {
	Team string `path:"team"`
	ID   int    `path:"id"`
	Mode string `query:"mode" enum:"read,write"`
	Lang string `header:"Accept-Language"`
}

// The opening data is what the test gives: nothing is decoded from a request.
func TestNewChannelTakesAnyOpeningData(t *testing.T) {
	want := document{Team: "a/b", ID: 7, Mode: "read", Lang: "fi"}
	ch := kanavatest.NewChannel[document, User](t, want, nil)
	if got := ch.Opening(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestNewChannelIsOpen(t *testing.T) {
	if state := kanavatest.NewChannel[none, none](t, none{}, nil).State(); state != kanava.StateOpen {
		t.Errorf("the channel is %v", state)
	}
}

func TestNewChannelRefusesTypesThatNoChannelHas(t *testing.T) {
	demand(t, run(func(tb testing.TB) { kanavatest.NewChannel[int, none](tb, 1, nil) }), "opening data int", "struct")
}

func TestClientOfWantsAChannelOfTheKit(t *testing.T) {
	srv := serve(kanava.Options[none]{}, wiring{})
	c := kanavatest.Dial(t, srv, "/test")
	conn, err := srv.Conns().Get(t.Context(), c.ID())
	if err != nil {
		t.Fatal(err)
	}
	demand(t, run(func(tb testing.TB) { kanavatest.ClientOf(tb, conn) }), "was not made by NewChannel")
}
