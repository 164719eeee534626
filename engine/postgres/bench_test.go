//go:build unix

package postgres_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/postgres"
)

// meter measures from publication to delivery.
type meter struct {
	start time.Time
	mu    sync.Mutex
	took  []time.Duration
	left  atomic.Int64
	done  chan struct{}
}

func newMeter(n int) *meter {
	m := &meter{start: time.Now(), took: make([]time.Duration, 0, n), done: make(chan struct{})}
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
	if m.left.Add(-1) == 0 {
		close(m.done)
	}
}

func (m *meter) report(b *testing.B, cpu time.Duration) {
	slices.Sort(m.took)
	b.ReportMetric(float64(len(m.took))/b.Elapsed().Seconds(), "events/s")
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
func load(b *testing.B, m *meter, publishers int, publish func(n int64) error) {
	b.Helper()
	var (
		group sync.WaitGroup
		next  atomic.Int64
	)
	before := cpuTime(b)
	b.ResetTimer()
	for range publishers {
		group.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := publish(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if !b.Failed() {
		<-m.done
	}
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
// client alone needs for about the same: a row that counts, one that is kept, and a
// notification in one statement. The server keeps its promises (fsync).
func BenchmarkEvent(b *testing.B) {
	s := newServer(b)
	for _, class := range []engine.Class{engine.Ordered, engine.Recoverable, engine.Volatile} {
		for _, publishers := range []int{1, 256} {
			for _, topics := range []int{1, 64} {
				if topics > publishers {
					continue
				}
				name := fmt.Sprintf("%s/%dpublishers/%dtopics", class, publishers, topics)
				b.Run(name+"/raw", func(b *testing.B) { raw(b, s, class, publishers, topics) })
				b.Run(name+"/engine", func(b *testing.B) {
					n := join(b, postgres.Options{URL: s.url()})
					var all []engine.Topic
					for range topics {
						all = append(all, topic(class))
						n.subscribe(all[len(all)-1])
						n.publish(all[len(all)-1], string(make([]byte, 128)))
						n.next(all[len(all)-1], 1)
					}
					m := newMeter(b.N)
					n.mu.Lock()
					n.deliver = sink{m}
					n.mu.Unlock()
					load(b, m, publishers, func(i int64) error {
						return n.Publish(b.Context(), all[i%int64(topics)], engine.Event{Data: m.stamp()})
					})
				})
			}
		}
	}
}

// raw is pgx alone.
func raw(b *testing.B, s *server, class engine.Class, publishers, topics int) {
	s.do(`DROP TABLE IF EXISTS counters, kept;
		CREATE TABLE counters (topic bigint PRIMARY KEY, seq bigint NOT NULL) WITH (fillfactor = 50);
		CREATE TABLE kept (topic bigint, seq bigint, body bytea, PRIMARY KEY (topic, seq));
		INSERT INTO counters SELECT i, 0 FROM generate_series(0, 63) i`)
	pool, err := pgxpool.New(b.Context(), s.url()+"&pool_max_conns=8")
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	listener, err := pgx.Connect(b.Context(), s.url())
	if err != nil {
		b.Fatal(err)
	}
	if _, err := listener.Exec(b.Context(), "LISTEN raw"); err != nil {
		b.Fatal(err)
	}
	m := newMeter(b.N)
	ctx, cancel := context.WithCancel(b.Context())
	var listening sync.WaitGroup
	listening.Go(func() {
		for {
			n, err := listener.WaitForNotification(ctx)
			if err != nil {
				return
			}
			data, _ := base64.StdEncoding.DecodeString(n.Payload)
			m.came(data)
		}
	})
	statement := map[engine.Class]string{
		engine.Volatile: "SELECT pg_notify('raw', $3::text) WHERE $1::bigint >= 0 OR $2::bytea IS NULL",
		engine.Ordered: `WITH c AS (UPDATE counters SET seq = seq + 1 WHERE topic = $1 RETURNING seq)
			SELECT pg_notify('raw', $3::text) FROM c WHERE $2::bytea IS NOT NULL`,
		engine.Recoverable: `WITH c AS (UPDATE counters SET seq = seq + 1 WHERE topic = $1 RETURNING seq),
			k AS (INSERT INTO kept SELECT $1, seq, $2 FROM c RETURNING seq)
			SELECT pg_notify('raw', $3::text) FROM k`,
	}[class]
	load(b, m, publishers, func(i int64) error {
		data := m.stamp()
		_, err := pool.Exec(b.Context(), statement, i%int64(topics), data, base64.StdEncoding.EncodeToString(data))
		return err
	})
	cancel()
	listening.Wait()
	listener.Close(context.Background())
}

// BenchmarkTopics is what topics cost that a node is subscribed to: b.N of them.
func BenchmarkTopics(b *testing.B) {
	s := newServer(b)
	n := join(b, postgres.Options{URL: s.url()})
	n.subscribe(topic(engine.Recoverable))
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	topics := make([]engine.Topic, b.N)
	for i := range topics {
		topics[i] = topic(engine.Recoverable)
	}
	before, goroutines := heap(), runtime.NumGoroutine()
	b.ResetTimer()
	for _, t := range topics {
		if err := n.Subscribe(b.Context(), t); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "topics/s")
	b.ReportMetric(float64(heap()-before)/float64(b.N), "B/topic")
	b.ReportMetric(float64(runtime.NumGoroutine()-goroutines), "goroutines")
	for _, what := range []string{"new-positions/s", "positions/s"} {
		begun := time.Now()
		for part := range slices.Chunk(topics, 1024) {
			if _, err := n.Positions(b.Context(), part); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/time.Since(begun).Seconds(), what)
	}
}
