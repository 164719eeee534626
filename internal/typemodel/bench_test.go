package typemodel_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/kanava-go/kanava/internal/typemodel"
)

type flat struct {
	Message string `json:"message" minLength:"1" maxLength:"4000"`
	Room    int64  `json:"room" minimum:"1"`
}

const flatJSON = `{"message":"Hello, room! How is it going today?","room":123456}`

type purchase struct {
	Customer string      `json:"customer" maxLength:"100"`
	Note     string      `json:"note"`
	Items    []purchased `json:"items" maxItems:"100"`
}

type purchased struct {
	ID      int64    `json:"id" minimum:"0"`
	Name    string   `json:"name" minLength:"1"`
	Price   float64  `json:"price" minimum:"0"`
	Tags    []string `json:"tags"`
	InStock bool     `json:"inStock"`
}

func purchaseJSON() string {
	var b strings.Builder
	b.WriteString(`{"customer":"Väinö Ääkkönen","note":"Please \"ring\" twice","items":[`)
	for i := range 9 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"name":"A rather ordinary product %d","price":%d.95,"tags":["new","sale"],"inStock":true}`, i*1000, i, i*7)
	}
	b.WriteString(`]}`)
	return b.String()
}

func benchDecode[T any](b *testing.B, raw string) {
	b.Helper()
	data := []byte(raw)
	m := model[T](b, typemodel.Input)
	ctx := context.Background()
	strict := json.RejectUnknownMembers(true)
	b.Run("bare", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			var v T
			if err := json.Unmarshal(data, &v, strict); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("model", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			var v T
			if faults, err := m.Decode(ctx, data, &v); faults != nil || err != nil {
				b.Fatal(faults, err)
			}
		}
	})
}

func bareAllocs[T any](t *testing.T, raw string) float64 {
	t.Helper()
	data, strict := []byte(raw), json.RejectUnknownMembers(true)
	return testing.AllocsPerRun(200, func() {
		var v T
		if err := json.Unmarshal(data, &v, strict); err != nil {
			t.Fatal(err)
		}
	})
}

func modelAllocs[T any](t *testing.T, raw string) float64 {
	t.Helper()
	data, m, ctx := []byte(raw), model[T](t, typemodel.Input), context.Background()
	return testing.AllocsPerRun(200, func() {
		var v T
		if faults, err := m.Decode(ctx, data, &v); faults != nil || err != nil {
			t.Fatal(faults, err)
		}
	})
}

func BenchmarkDecode64B(b *testing.B) { benchDecode[flat](b, flatJSON) }
func BenchmarkDecode1KB(b *testing.B) { benchDecode[purchase](b, purchaseJSON()) }

func benchAppend[T any](b *testing.B, raw string) {
	b.Helper()
	var v T
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		b.Fatal(err)
	}
	m := model[T](b, typemodel.Output)
	buf := make([]byte, 0, 4096)
	b.Run("marshal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(&v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("model", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := m.Append(buf, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bytesBuffer", func(b *testing.B) {
		b.ReportAllocs()
		var bb bytes.Buffer
		bb.Grow(4096)
		for b.Loop() {
			bb.Reset()
			if err := json.MarshalWrite(&bb, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAppend64B(b *testing.B) { benchAppend[flat](b, flatJSON) }
func BenchmarkAppend1KB(b *testing.B) { benchAppend[purchase](b, purchaseJSON()) }

func BenchmarkAppendUnion(b *testing.B) {
	m := model[status](b, typemodel.Output)
	var v status = processing{Step: "reading", Ratio: 0.5}
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Append(buf, v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeUnion(b *testing.B) {
	m := model[status](b, typemodel.Input)
	raw := []byte(`{"type":"processing","step":"reading","ratio":0.5}`)
	b.ReportAllocs()
	for b.Loop() {
		var v status
		if faults, err := m.Decode(context.Background(), raw, &v); faults != nil || err != nil {
			b.Fatal(faults, err)
		}
	}
}
