package dynamodb_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// These measure calls of an emulator on the same machine, and not DynamoDB. They compare
// versions of this package, and ways to use it.

func BenchmarkStore(b *testing.B) {
	s := storeBy(b, newServer(b).client())
	data := []byte(`{"channel":"/chat","session":{"user":"ann"},"subscriptions":["room:1","room:2"]}`)
	ctx := within(b)
	b.Run("Save", func(b *testing.B) {
		var version uint64
		id := rand.Text()
		for b.Loop() {
			var err error
			if version, err = s.Save(ctx, id, data, version, time.Hour); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Load", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Load(ctx, []string{"one"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Load of 100", func(b *testing.B) {
		ids := make([]string, 100)
		for i := range ids {
			ids[i] = fmt.Sprint(i)
			save(b, s, ids[i], string(data), 0)
		}
		for b.Loop() {
			if _, err := s.Load(ctx, ids); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Save and Delete", func(b *testing.B) {
		for b.Loop() {
			id := rand.Text()
			_, err := s.Save(ctx, id, data, 0, time.Hour)
			if err == nil {
				_, err = s.Delete(ctx, id)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPublishStamped(b *testing.B) {
	srv := newServer(b)
	data := []byte(`{"from":"ann","text":"hello, everybody"}`)
	for _, class := range []engine.Class{engine.Latest, engine.Ordered, engine.Recoverable} {
		publish := func(b *testing.B, h *hub, tp engine.Topic) {
			b.Helper()
			ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
			defer cancel()
			if _, _, err := h.PublishStamped(ctx, tp, engine.Event{Key: "k", Data: data}); err != nil {
				b.Error(err)
			}
		}
		b.Run(fmt.Sprintf("%v/one publisher", class), func(b *testing.B) {
			h, tp := join(b, srv, time.Minute), topic(class)
			for b.Loop() {
				publish(b, h, tp)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
		b.Run(fmt.Sprintf("%v/16 publishers a processor", class), func(b *testing.B) {
			h, tp := join(b, srv, time.Minute), topic(class)
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					publish(b, h, tp)
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
		b.Run(fmt.Sprintf("%v/fresh process", class), func(b *testing.B) {
			tp := topic(class)
			for b.Loop() {
				b.StopTimer()
				h := newNode(b, srv, time.Minute)
				h.Start(deaf{})
				b.StartTimer()
				if _, _, err := h.PublishStamped(b.Context(), tp, engine.Event{Key: "k", Data: data}); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				h.Close(b.Context())
				b.StartTimer()
			}
		})
	}
}
