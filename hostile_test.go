package kanava_test

import (
	"context"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// Messages that are small and ask for much are answered, and the connection
// lives on.

func TestLimitOfElements(t *testing.T) {
	count := kanava.Func(func(_ context.Context, _ *line, in []jsontext.Value) (int, error) { return len(in), nil })
	srv := serve(t, kanava.Options[account]{}, wiring{Public: true, OnMessage: count})
	c := kanavatest.Dial(t, srv, "/test")
	c.SendText("[" + strings.Repeat("0,", 16_382) + "0]") // and the array itself
	c.Expect("16383")
	c.SendText("[" + strings.Repeat("0,", 16_383) + "0]")
	c.Expect(`{"error":{"code":"invalid_argument","message":"more than 16384 values at byte 32767"}}`)
	c.SendText("[1,2]")
	c.Expect("2")
}
