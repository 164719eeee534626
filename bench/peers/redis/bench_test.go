//go:build unix

// Package redis_test measures what joins nodes by Redis: Kanava's engine, that
// of Centrifuge, and the client library that both stand on, on the same server.
package redis_test

import (
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kanava-go/kanava/engine"
)

// BenchmarkEvent is what an event costs from its publication on one node until
// it has come to another. One publisher waits for each of its events to be kept;
// 256 at once are what the client can do.
func BenchmarkEvent(b *testing.B) {
	s := newServer(b)
	for _, class := range []engine.Class{engine.Volatile, engine.Latest, engine.Ordered, engine.Recoverable} {
		for _, publishers := range []int{1, 256} {
			for _, c := range contenders {
				if !c.has(class) {
					continue
				}
				b.Run(fmt.Sprintf("%s/%d/%s", class, publishers, c.name), func(b *testing.B) {
					m := newMeter()
					talk := c.talk(b, s.addr, class, m.came)
					m.warm(b, talk)
					m.load(b, s, publishers, talk)
				})
			}
		}
	}
}

// BenchmarkTopics is what 100,000 topics cost that a node is subscribed to, each of
// its own accord, as subscribers come.
func BenchmarkTopics(b *testing.B) {
	const topics = 100_000
	s := newServer(b)
	for _, c := range contenders {
		b.Run(c.name, func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				subscribe := c.follow(b, s.addr)
				before, kept := heap(), s.info(b, "memory", "used_memory")
				b.StartTimer()
				begun := time.Now()
				atOnce(b, 256, topics, func(i int) error { return subscribe("topic:" + strconv.Itoa(i)) })
				took := time.Since(begun)
				b.StopTimer()
				b.ReportMetric(topics/took.Seconds(), "topics/s")
				b.ReportMetric(float64(heap()-before)/topics, "B/topic")
				b.ReportMetric((s.info(b, "memory", "used_memory")-kept)/topics, "server-B/topic")
			}
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// atOnce calls do n times, on so many goroutines.
func atOnce(b *testing.B, goroutines, n int, do func(i int) error) {
	b.Helper()
	var group sync.WaitGroup
	var next atomic.Int64
	for range goroutines {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := do(int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}
