//go:build !race

package wsframe

import (
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// The race detector empties pools now and then: budgets hold without it.

func TestDeflateAllocations(t *testing.T) {
	content := []byte(strings.Repeat(`{"message":"hello"},`, 100))
	for _, level := range []int{0, 1, 6} {
		deflate := NewDeflate(level)
		buf := make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(1000, func() { buf, _ = deflate(buf[:0], content) }); n > 0 {
			t.Errorf("level %d: %.1f allocations, want 0", level, n)
		}
	}
	in := []byte(compressed(true, ws.OpText, packed(string(content))))
	data := make([]byte, len(in))
	p := inflating(64 << 10)
	n := testing.AllocsPerRun(1000, func() {
		copy(data, in)
		if m, _, err := p.Next(data); err != nil || len(m.Data) != len(content) {
			t.Fatalf("%d bytes, %v", len(m.Data), err)
		}
	})
	if n > 0 {
		t.Errorf("%.1f allocations to inflate a message, want 0", n)
	}
}
