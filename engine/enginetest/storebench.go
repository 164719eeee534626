package enginetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/kanava-go/kanava/engine"
)

// BenchStore measures a store, by one who waits for each answer and by 32 at once,
// with records of 1 KiB. It leaves behind what it has saved, for an hour.
func BenchStore(b *testing.B, s engine.Store) {
	ctx := context.Background()
	data := bytes.Repeat([]byte(`{"session":0123}`), 64)
	var number atomic.Int64
	prefix := rand.Text()
	fresh := func() string { return fmt.Sprint(prefix, number.Add(1)) }
	save := func(b *testing.B, id string, version uint64) uint64 {
		saved, err := s.Save(ctx, id, data, version, longTime)
		if err != nil {
			b.Error(err)
		}
		return saved
	}
	ids := make([]string, 100)
	for i := range ids {
		ids[i] = fresh()
		save(b, ids[i], 0)
	}
	load := func(b *testing.B, ids ...string) {
		if _, err := s.Load(ctx, ids); err != nil {
			b.Error(err)
		}
	}
	saveAndDelete := func(b *testing.B) {
		id := fresh()
		save(b, id, 0)
		if _, err := s.Delete(ctx, id); err != nil {
			b.Error(err)
		}
	}
	join := func(b *testing.B, group string) {
		if err := s.Join(ctx, group, fresh(), longTime); err != nil {
			b.Error(err)
		}
	}
	group, crowd := fresh(), fresh()
	for range 10_000 {
		join(b, crowd)
	}
	measure(b, "Save", func(b *testing.B) func() {
		id, version := fresh(), uint64(0)
		return func() { version = save(b, id, version) }
	})
	measure(b, "SaveAndDelete", func(b *testing.B) func() { return func() { saveAndDelete(b) } })
	measure(b, "Load", func(b *testing.B) func() { return func() { load(b, ids[0]) } })
	measure(b, "Load100", func(b *testing.B) func() { return func() { load(b, ids...) } })
	measure(b, "Join", func(b *testing.B) func() { return func() { join(b, group) } })
	b.Run("Members10000", func(b *testing.B) {
		for b.Loop() {
			number := 0
			for _, err := range s.Members(ctx, crowd) {
				if err != nil {
					b.Fatal(err)
				}
				number++
			}
			if number != 10_000 {
				b.Fatalf("%d members", number)
			}
		}
	})
}

// measure measures what is done by one, and by 32 at once, each with its own f.
func measure(b *testing.B, name string, f func(b *testing.B) func()) {
	b.Run(name+"/one", func(b *testing.B) {
		do := f(b)
		for b.Loop() {
			do()
		}
	})
	b.Run(name+"/32", func(b *testing.B) {
		b.SetParallelism((31 + runtime.GOMAXPROCS(0)) / runtime.GOMAXPROCS(0))
		b.RunParallel(func(pb *testing.PB) {
			do := f(b)
			for pb.Next() {
				do()
			}
		})
	})
}
