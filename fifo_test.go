package kanava

import (
	"testing"

	"pgregory.net/rapid"
)

// A fifo does what a slice does.
func TestFIFOAgainstASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q fifo[int]
		var want []int
		next := 0
		t.Repeat(map[string]func(*rapid.T){
			"push": func(*rapid.T) {
				next++
				q.push(next)
				want = append(want, next)
			},
			"pop": func(t *rapid.T) {
				if len(want) == 0 {
					return
				}
				if first := *q.first(); first != want[0] {
					t.Fatalf("first is %d, want %d", first, want[0])
				}
				if got := q.pop(); got != want[0] {
					t.Fatalf("pop is %d, want %d", got, want[0])
				}
				want = want[1:]
			},
			"": func(t *rapid.T) {
				if q.len() != len(want) {
					t.Fatalf("len is %d, want %d", q.len(), len(want))
				}
				if len(want) == 0 && cap(q.items) > kept {
					t.Fatalf("an empty queue keeps %d places", cap(q.items))
				}
			},
		})
	})
}
