package e2e

import (
	"fmt"
	"testing"
)

// record is one line of what a client says: it has seen a number, or was told
// that it has missed something.
type record struct {
	N    int  `json:"n,omitempty"`
	Lost bool `json:"lost,omitempty"`
}

// judge returns what is wrong with what a client has seen of the numbers first
// to last: a number twice or out of order, a gap that it was not told of, or an
// end before the last.
func judge(seen []record, first, last int) error {
	at, told := first-1, false
	for i, r := range seen {
		switch {
		case r.Lost:
			told = true
		case r.N <= at:
			return fmt.Errorf("record %d: %d comes after %d", i, r.N, at)
		case r.N != at+1 && !told:
			return fmt.Errorf("record %d: %d comes after %d, and nobody said that something was lost", i, r.N, at)
		default:
			at, told = r.N, false
		}
	}
	if at != last {
		return fmt.Errorf("the last number seen is %d, not %d", at, last)
	}
	return nil
}

// losses counts how often a client was told of a loss.
func losses(seen []record) (n int) {
	for _, r := range seen {
		if r.Lost {
			n++
		}
	}
	return n
}

// TestJudge proves that the judge is one.
func TestJudge(t *testing.T) {
	lost := record{Lost: true}
	n := func(n int) record { return record{N: n} }
	for _, tc := range []struct {
		name string
		seen []record
		good bool
	}{
		{"all", []record{n(1), n(2), n(3)}, true},
		{"a gap that was told", []record{n(1), lost, n(3)}, true},
		{"told, and nothing is missing", []record{n(1), lost, n(2), n(3)}, true},
		{"the first ones, told", []record{lost, n(3)}, true},
		{"a gap", []record{n(1), n(3)}, false},
		{"a gap after one that was told", []record{lost, n(2), n(3), n(5)}, false},
		{"twice", []record{n(1), n(1), n(2), n(3)}, false},
		{"twice after a loss", []record{n(1), n(2), lost, n(2), n(3)}, false},
		{"out of order", []record{n(2), n(1), n(3)}, false},
		{"the end is missing", []record{n(1), n(2)}, false},
		{"the end is missing, told", []record{n(1), n(2), lost}, false},
	} {
		if err := judge(tc.seen, 1, 3); (err == nil) != tc.good {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}
