package kanavatest_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

func TestSameJSON(t *testing.T) {
	for _, tc := range []struct {
		name, a, b string
		want       bool
	}{
		{"white space and order", `{"a":1,"b":[2,3]}`, ` { "b" : [ 2, 3 ], "a" : 1 } `, true},
		{"order in an array", `[1,2]`, `[2,1]`, false},
		{"escapes", `"\u0061/"`, `"a\/"`, true},
		{"integers that one float64 stands for", `9007199254740993`, `9007199254740992`, false},
		{"fractions that one float64 stands for", `[0.1]`, `[0.10000000000000001]`, false},
		{"numbers that no float64 holds", `1e400`, `1e500`, false},
		{"a number in two spellings", `1`, `1.0`, false},
		{"one number", `{"n":-1.5e3}`, `{"n":-1.5e3}`, true},
		{"malformed", `{bad`, `{bad`, false},
		{"a member twice", `{"a":1,"a":1}`, `{"a":1,"a":1}`, false},
		{"two texts", `1 1`, `1 1`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := kanavatest.SameJSON(tc.a, tc.b); got != tc.want {
				t.Errorf("SameJSON(%s, %s) = %v", tc.a, tc.b, got)
			}
		})
	}
}

// A failure says what the test has to know.
func TestFailuresSayWhatIsWrong(t *testing.T) {
	for _, tc := range []struct {
		name string
		test func(c *kanavatest.Client)
		want []string
	}{
		{
			"the test wants malformed JSON",
			func(c *kanavatest.Client) { c.Expect(`{bad`) },
			[]string{"what the test wants is not valid JSON", `{bad`},
		},
		{
			"another frame",
			func(c *kanavatest.Client) {
				c.SendText(`1`)
				c.Expect(`2`)
			},
			[]string{"the next frame is\n  1\nwant\n  2"},
		},
		{
			"no frame",
			func(c *kanavatest.Client) { c.Next() },
			[]string{"no frame came within 5s"},
		},
		{
			"a frame of another type",
			func(c *kanavatest.Client) {
				c.SendText(`1`)
				kanavatest.Into[string](c)
			},
			[]string{"the next frame is no string", "\n  1"},
		},
		{
			"no close",
			func(c *kanavatest.Client) {
				c.SendText(`1`)
				c.ExpectClose(4000)
			},
			[]string{"the server did not close the connection within 5s, want code 4000"},
		},
		{
			"another code",
			func(c *kanavatest.Client) {
				c.SendText(`4001`)
				c.ExpectClose(4000)
			},
			[]string{`closed the connection with code 4001 and reason "bye", want code 4000`},
		},
		{
			"the client left",
			func(c *kanavatest.Client) {
				c.Leave()
				c.ExpectClose(kanava.CloseGoingAway)
			},
			[]string{"the client left, want a close of the server with code 1001"},
		},
		{
			"the end in place of a frame",
			func(c *kanavatest.Client) {
				c.SendText(`4001`)
				c.Next() // the reply
				c.Next()
			},
			[]string{"the connection ended (4001 bye) while the test waited for a frame"},
		},
		{
			"as wanted, and left after that",
			func(c *kanavatest.Client) {
				c.SendText(`4001`)
				c.ExpectClose(4001)
				c.Leave()
				c.ExpectClose(4001)
			},
			nil,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := serve(kanava.Options[none]{}, wiring{
					OnMessage: kanava.Func(func(ctx context.Context, ch *line, in int) (int, error) {
						if in >= 4000 {
							return in, ch.Close(ctx, kanava.CloseCode(in), "bye")
						}
						return in, nil
					}),
				})
				demand(t, run(func(tb testing.TB) { tc.test(kanavatest.Dial(tb, srv, "/test")) }), tc.want...)
			})
		})
	}
}

// The client has seen the close, but the connection has not ended.
func TestExpectCloseNamesAFunctionThatDoesNotReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		srv := serve(kanava.Options[none]{}, wiring{Messages: kanava.By("action",
			kanava.OnStream("block", func(context.Context, *line, none, *kanava.Stream[int]) error {
				<-release
				return nil
			}),
			kanava.OnDo("close", func(ctx context.Context, ch *line, _ none) error { return ch.Close(ctx, 4000, "") }))})
		demand(t, run(func(tb testing.TB) {
			c := kanavatest.Dial(tb, srv, "/test")
			tb.Cleanup(func() { close(release) })
			c.SendText(`{"action":"block"}`)
			c.SendText(`{"action":"close"}`)
			c.ExpectClose(4000)
		}), "closed the connection with code 4000, but within 5s a function has not returned")
	})
}
