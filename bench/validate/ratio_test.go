//go:build !race

package main

import (
	"math"
	"testing"
)

// A decode with every check may cost 1.6 times as much as one that checks
// nothing, at 1 KB.
//
// Both run by turns and the quickest batch of each counts, see quickest. The
// measurement goes on until the bar is met, or for a hundred times as long as
// that takes at best. The race detector would measure itself.
func TestChecksCostLittle(t *testing.T) {
	const bar, rounds, most = 1.6, 1000, 100
	list, err := contenders[Order]()
	if err != nil {
		t.Fatal(err)
	}
	raw := []byte(order(8))
	if len(raw) < 900 || len(raw) > 1200 {
		t.Fatalf("the message has %d bytes", len(raw))
	}
	best := []float64{math.Inf(1), math.Inf(1)}
	ratio := math.Inf(1)
	for n := 0; n < most && ratio > bar; n++ {
		took, err := quickest(list[:2], raw, rounds)
		if err != nil {
			t.Fatal(err)
		}
		best[0], best[1] = min(best[0], took[0]), min(best[1], took[1])
		ratio = best[1] / best[0]
	}
	t.Logf("%s: %.0f ns, %s: %.0f ns, ratio %.2f", list[0].name, best[0], list[1].name, best[1], ratio)
	if ratio > bar {
		t.Errorf("%.2f times a bare decode, the bar is %.1f", ratio, bar)
	}
}
