package kanava_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

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

// tree is a union whose variants hold it.
type tree interface{ leaves() int }

type (
	leaf   struct{}
	branch struct {
		Left  tree   `json:"left,omitzero"`
		Right []tree `json:"right,omitempty"`
		Note  string `json:"note" default:"none"`
	}
)

func (leaf) leaves() int { return 1 }

func (b *branch) leaves() (n int) {
	if b.Left != nil {
		n = b.Left.leaves()
	}
	for _, r := range b.Right {
		n += r.leaves()
	}
	return n
}

var _ = kanava.OneOf("kind", map[string]tree{"leaf": leaf{}, "branch": &branch{}})

type hostile struct {
	Tree   tree              `json:"tree,omitzero"`
	Unique []jsontext.Value  `json:"unique,omitempty" uniqueItems:"true"`
	Names  map[string]string `json:"names,omitempty" keys.maxLength:"9"`
	Text   string            `json:"text,omitempty"`
}

func TestHostileMessages(t *testing.T) {
	size := func(_ context.Context, _ *line, in hostile) (int, error) {
		if in.Tree != nil {
			return in.Tree.leaves(), nil
		}
		return len(in.Unique) + len(in.Text) + len(in.Names), nil
	}
	const mega = 1 << 20
	wide := kanava.Limits{Message: 4 * mega, Depth: 1024, Elements: 300_000, WaitingBytes: 8 * mega, Rate: kanava.Unlimited}
	escapes := strings.Repeat(`\u0061`, mega/6)
	around := func(n int, head, inner, tail string) string {
		return strings.Repeat(head, n) + inner + strings.Repeat(tail, n)
	}
	var numbers strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&numbers, `"%d",`, i)
	}
	for _, tc := range []struct {
		why    string
		limits kanava.Limits
		send   string
		want   string // the answer, or the code of the error
	}{
		{"1,000 unions deep", wide, `{"tree":` + around(1000, `{"kind":"branch","left":`, `{"kind":"leaf"}`, `}`) + `}`, "1"},
		{"1,000 unions deep, their tags last", wide, `{"tree":` + around(1000, `{"left":`, `{"note":"`+escapes+`","kind":"branch"}`, `,"kind":"branch"}`) + `}`, "0"},
		{"500 slices of unions deep", wide, `{"tree":` + around(500, `{"right":[`, `{"kind":"leaf"}`, `],"kind":"branch"}`) + `}`, "1"},
		{"1,000 unions deep by default", kanava.Limits{}, `{"tree":` + around(1000, `{"kind":"branch","left":`, `{"kind":"leaf"}`, `}`) + `}`, "invalid_argument"},
		{"62 unions deep by default", kanava.Limits{}, `{"tree":` + around(62, `{"left":`, `{"kind":"leaf"}`, `,"kind":"branch"}`) + `}`, "1"},
		{"1,000 unions deep without a tag", wide, `{"tree":` + around(1000, `{"left":`, `{}`, `}`) + `}`, "invalid_argument"},
		{"100,000 variants", wide, `{"tree":{"kind":"branch","right":[` + strings.Repeat(`{"kind":"leaf"},`, 99_999) + `{"kind":"leaf"}]}}`, "100000"},
		{"100,000 elements that differ", wide, `{"unique":[` + strings.TrimSuffix(numbers.String(), ",") + `]}`, "100000"},
		{"90,000 equal elements", wide, `{"unique":[` + strings.Repeat(`{"a":[1]},`, 89_999) + `{"a":[1]}]}`, "invalid_argument"},
		{"more elements than the limit", wide, `{"unique":[` + strings.Repeat(`0,`, 300_000) + `0]}`, "invalid_argument"},
		{"1 MiB of escapes", wide, `{"text":"` + escapes + `"}`, fmt.Sprint(len(escapes) / 6)},
		{"1 MiB of escapes as a name", wide, `{"names":{"` + escapes + `":"x"}}`, "invalid_argument"},
		{"1 MiB of escapes as an unknown member", wide, `{"` + escapes + `":1}`, "invalid_argument"},
		{"1 MiB of escapes as a tag", wide, `{"tree":{"kind":"` + escapes + `"}}`, "invalid_argument"},
		{"1 MiB of escapes, the last one broken", wide, `{"text":"` + escapes + `\u00"}`, "invalid_argument"},
		{"1,000 arrays deep where text is wanted", wide, `{"text":` + around(1000, "[", "", "]") + `}`, "invalid_argument"},
		{"1,100 arrays deep", wide, `{"text":` + around(1100, "[", "", "]") + `}`, "invalid_argument"},
	} {
		srv := serve(t, kanava.Options[account]{Limits: tc.limits}, wiring{Public: true, OnMessage: kanava.Func(size)})
		c := kanavatest.Dial(t, srv, "/test")
		start := time.Now()
		c.SendText(tc.send)
		got := c.Next()
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: took %v", tc.why, took)
		}
		want := tc.want
		if want == "invalid_argument" {
			want = `{"error":{"code":"invalid_argument","message":`
		}
		if !strings.HasPrefix(got, want) || len(got) > 64<<10 {
			t.Errorf("%s: %d bytes, %.200s; want %s", tc.why, len(got), got, want)
		}
		c.SendText(`{"text":"next"}`)
		c.Expect("4")
	}
}
