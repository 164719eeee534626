//go:build unix

package redis_test

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// meter measures from publication to delivery.
type meter struct {
	start time.Time
	mu    sync.Mutex
	took  []time.Duration // guarded by mu
	left  atomic.Int64
	done  chan struct{} // takes one when nothing is left
}

func newMeter() *meter { return &meter{start: time.Now(), done: make(chan struct{}, 1)} }

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
	if m.left.Add(-1) == 0 {
		m.done <- struct{}{}
	}
}

// warm publishes an event and waits until it has come.
func (m *meter) warm(b *testing.B, publish func(data []byte) error) {
	b.Helper()
	m.left.Store(1)
	if err := publish(m.stamp()); err != nil {
		b.Fatal(err)
	}
	<-m.done
	m.took = make([]time.Duration, 0, b.N)
}

// load publishes b.N events and waits until all have come, or nothing comes any
// more: a broker may drop what its node is too slow for.
func (m *meter) load(b *testing.B, s *server, publishers int, publish func(data []byte) error) {
	b.Helper()
	m.left.Store(int64(b.N))
	cpu, served := cpuTime(b), s.cpuTime(b)
	b.ResetTimer()
	atOnce(b, publishers, b.N, func(int) error { return publish(m.stamp()) })
	if b.Failed() {
		return
	}
	select {
	case <-m.done:
	case <-time.After(2 * time.Second):
	}
	b.StopTimer()
	m.mu.Lock()
	defer m.mu.Unlock()
	slices.Sort(m.took)
	n := float64(b.N)
	b.ReportMetric(float64(m.left.Load()), "lost")
	b.ReportMetric(float64((cpuTime(b)-cpu).Nanoseconds())/n, "cpu-ns/event")
	b.ReportMetric(float64((s.cpuTime(b)-served).Nanoseconds())/n, "server-ns/event")
	b.ReportMetric(float64(m.took[len(m.took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(m.took[len(m.took)*99/100].Microseconds()), "p99-µs")
}

// cpuTime is what this process has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
