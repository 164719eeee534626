package jsonscan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kanava-go/kanava/internal/jsonscan"
)

func messages() map[string][]byte {
	small := `{"action":"sendMessage","message":"Hello, room! How is it going"}`
	var b strings.Builder
	b.WriteString(`{"action":"order","customer":"Väinö Ääkkönen","note":"Please \"ring\" twice","items":[`)
	for i := range 9 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"name":"A rather ordinary product %d","price":%d.95,"tags":["new","sale"],"inStock":true}`, i*1000, i, i*7)
	}
	b.WriteString(`]}`)
	return map[string][]byte{"64B": []byte(small), "1KB": []byte(b.String())}
}

func TestScanDoesNotAllocate(t *testing.T) {
	keys := []string{"action"}
	found := make([]jsonscan.Member, 1)
	for name, data := range messages() {
		if n := testing.AllocsPerRun(100, func() {
			if _, err := jsonscan.Scan(data, keys, found, jsonscan.Limits{Depth: 64}); err != nil {
				t.Fatal(err)
			}
			raw := data[found[0].ValueStart:found[0].ValueEnd]
			if _, ok := jsonscan.Unescaped(raw); !ok {
				t.Fatal("escapes in the action")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	keys := []string{"action"}
	found := make([]jsonscan.Member, 1)
	for _, size := range []string{"64B", "1KB"} {
		data := messages()[size]
		b.Run(size, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := jsonscan.Scan(data, keys, found, jsonscan.Limits{Depth: 64}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
