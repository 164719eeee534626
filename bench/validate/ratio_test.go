//go:build !race

package main

import (
	"slices"
	"testing"
)

// At 1 KB a decode with every check may cost 1.6 times as much as one that
// checks nothing. The whole path of a message, with the scan that comes before,
// takes a little less than that where it was measured; the bar for it leaves room
// for other processors.
//
// Each try lets the three run by turns and takes the quickest batch of each, see
// quickest. A machine that is busy can spoil a try in either direction: the
// ratio is too low if the bare decode was never left alone. So all tries run,
// and the median counts. The race detector would measure itself.
func TestChecksCostLittle(t *testing.T) {
	const tries, rounds = 15, 500
	bars := []float64{1, 1.6, 1.7} // bare, decode, whole path
	list, err := contenders[Order]()
	if err != nil {
		t.Fatal(err)
	}
	raw := []byte(order(8))
	if len(raw) < 900 || len(raw) > 1200 {
		t.Fatalf("the message has %d bytes", len(raw))
	}
	list = list[:len(bars)]
	ratios := make([][]float64, len(list))
	for range tries {
		took, err := quickest(list, raw, rounds)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			ratios[i] = append(ratios[i], took[i]/took[0])
		}
	}
	for i, r := range ratios[1:] {
		slices.Sort(r)
		name, bar, median := list[i+1].name, bars[i+1], r[tries/2]
		t.Logf("%s: %.2f times the bare decode, of %d tries from %.2f to %.2f", name, median, tries, r[0], r[tries-1])
		if median > bar {
			t.Errorf("%s: %.2f times the bare decode, the bar is %.1f", name, median, bar)
		}
	}
}
