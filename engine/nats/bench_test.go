//go:build unix

package nats_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/kanava-go/kanava/engine"
)

// meter measures from publication to delivery.
type meter struct {
	start time.Time
	mu    sync.Mutex
	took  []time.Duration
	left  atomic.Int64
	done  chan struct{}
	under chan struct{} // a place for each event under way
}

func newMeter(n int) *meter {
	m := &meter{start: time.Now(), took: make([]time.Duration, 0, n), done: make(chan struct{}), under: make(chan struct{}, 8192)}
	m.left.Store(int64(n))
	return m
}

// stamp makes the payload of an event that is published now.
func (m *meter) stamp() []byte {
	data := make([]byte, 128)
	binary.LittleEndian.PutUint64(data, uint64(time.Since(m.start)))
	return data
}

// came takes the payload of an event that has come.
func (m *meter) came(data []byte) {
	took := time.Since(m.start) - time.Duration(binary.LittleEndian.Uint64(data))
	m.mu.Lock()
	m.took = append(m.took, took)
	m.mu.Unlock()
	<-m.under
	if m.left.Add(-1) == 0 {
		close(m.done)
	}
}

func (m *meter) report(b *testing.B, cpu time.Duration) {
	slices.Sort(m.took)
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(len(m.took)), "cpu-ns/event")
	b.ReportMetric(float64(m.took[len(m.took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(m.took[len(m.took)/2].Microseconds()), "p50-µs")
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// load publishes b.N events by so many goroutines and waits until all have come.
func load(b *testing.B, m *meter, publishers int, publish func() error) {
	b.Helper()
	var (
		group sync.WaitGroup
		next  atomic.Int64
	)
	before := cpuTime(b)
	b.ResetTimer()
	for range publishers {
		group.Go(func() {
			for next.Add(1) <= int64(b.N) {
				m.under <- struct{}{}
				if err := publish(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	<-m.done
	b.StopTimer()
	m.report(b, cpuTime(b)-before)
}

// sink delivers to a meter.
type sink struct{ *meter }

func (s sink) Deliver(_ string, events []engine.Event) {
	for _, ev := range events {
		s.came(ev.Data)
	}
}
func (sink) Resumed(...string) {}

// BenchmarkEvent is what an event costs from Publish to Deliver, beside what the
// client alone needs for the same: publish to a stream, wait for its answer, and
// get what the stream sends on.
func BenchmarkEvent(b *testing.B) {
	server := startServers(b, 1, "")[0]
	for _, class := range []engine.Class{engine.Ordered, engine.Recoverable, engine.Volatile} {
		for _, publishers := range []int{1, 256} {
			if class == engine.Volatile && publishers > 1 {
				publishers = 2 // they wait for nothing
			}
			topic := topicOf(class)
			n := connect(b, "nats://"+server.address)
			n.subscribe(topic)
			n.publish(topic, string(make([]byte, 128)))
			n.got(topic, 1)
			b.Run(fmt.Sprintf("%s/%d/raw", class, publishers), func(b *testing.B) { raw(b, server.address, topic, publishers) })
			b.Run(fmt.Sprintf("%s/%d/engine", class, publishers), func(b *testing.B) {
				m := newMeter(b.N)
				n.mu.Lock()
				n.deliver = sink{m}
				n.mu.Unlock()
				load(b, m, publishers, func() error { return n.Publish(b.Context(), topic, engine.Event{Data: m.stamp()}) })
			})
		}
	}
}

// raw is nats.go alone.
func raw(b *testing.B, address string, topic engine.Topic, publishers int) {
	nc, err := natsgo.Connect("nats://" + address)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	m := newMeter(b.N)
	if _, err := nc.Subscribe("kanava.live."+topic.Name, func(msg *natsgo.Msg) { m.came(msg.Data) }); err != nil {
		b.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		b.Fatal(err)
	}
	if topic.Class == engine.Volatile {
		load(b, m, publishers, func() error { return nc.Publish("kanava.live."+topic.Name, m.stamp()) })
		return
	}
	subject := "kanava.keep.ordered." + topic.Name
	if topic.Class == engine.Recoverable {
		subject = "kanava.keep.last100of3600000ms." + topic.Name
	}
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	load(b, m, publishers, func() error {
		answer, err := nc.RequestWithContext(ctx, subject, m.stamp())
		if err != nil {
			return err
		}
		var ack natsgo.PubAck
		return json.Unmarshal(answer.Data, &ack)
	})
}

// BenchmarkTopics is what topics cost that a node is subscribed to: b.N of them.
func BenchmarkTopics(b *testing.B) {
	server := startServers(b, 1, "")[0]
	n := connect(b, "nats://"+server.address)
	n.subscribe(topicOf(engine.Recoverable))
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	topics := make([]engine.Topic, b.N)
	for i := range topics {
		topics[i] = engine.Topic{Name: fmt.Sprint("topic:", i), Class: engine.Recoverable, Size: 100, TTL: time.Hour}
	}
	before, goroutines := heap(), runtime.NumGoroutine()
	b.ResetTimer()
	var (
		group sync.WaitGroup
		next  atomic.Int64
	)
	for range 256 {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
				if err := n.Subscribe(b.Context(), topics[i]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "topics/s")
	b.ReportMetric(float64(heap()-before)/float64(b.N), "B/topic")
	b.ReportMetric(float64(runtime.NumGoroutine()-goroutines), "goroutines")

	begun := time.Now()
	for part := range slices.Chunk(topics, 1024) {
		if _, err := n.Positions(b.Context(), part); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/time.Since(begun).Seconds(), "positions/s")
	n.mu.Lock()
	resumed := n.resumed
	n.mu.Unlock()
	begun = time.Now()
	server.restart(true)
	n.wait("Resumed", func() bool { return n.resumed > resumed })
	b.ReportMetric(time.Since(begun).Seconds(), "s-to-resume")
}
