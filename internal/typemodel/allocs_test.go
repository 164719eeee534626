//go:build !race

package typemodel_test

import (
	"testing"

	"github.com/kanava-go/kanava/internal/typemodel"
)

// The race detector makes pools forget: these counts hold without it.
func TestAllocations(t *testing.T) {
	for _, tc := range []struct {
		name       string
		bare, ours float64
	}{
		{"64B", bareAllocs[flat](t, flatJSON), modelAllocs[flat](t, flatJSON)},
		{"1KB", bareAllocs[purchase](t, purchaseJSON()), modelAllocs[purchase](t, purchaseJSON())},
	} {
		if tc.ours > tc.bare {
			t.Errorf("%s: %v allocations, the bare decode has %v", tc.name, tc.ours, tc.bare)
		}
	}
	m := model[flat](t, typemodel.Output)
	v := &flat{Message: "Hello", Room: 5}
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(200, func() { buf, _ = m.Append(buf[:0], v) }); n != 0 {
		t.Errorf("Append: %v allocations", n)
	}
}
