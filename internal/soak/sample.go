package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"
)

// sample is what the process holds at one time.
type sample struct {
	heap       uint64 // bytes of live objects, and dead ones not yet collected
	rss        uint64 // bytes; 0 where /proc does not tell, as does files
	files      int    // open descriptors
	goroutines int
	conns      int   // of the server
	opened     int64 // connections ever
	ended      int64
}

// take takes a sample; a is nil while there is no server.
func take(a *app) sample {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s := sample{heap: m.HeapAlloc, goroutines: runtime.NumGoroutine()}
	if a != nil {
		s.conns, s.opened, s.ended = a.srv.Conns().Count(), a.ledger.opened.Load(), a.ledger.ended.Load()
	}
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		s.files = len(entries) - 1 // not the directory itself
	}
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		if _, rest, ok := bytes.Cut(status, []byte("VmRSS:")); ok {
			kb, _ := strconv.ParseUint(string(bytes.Fields(rest)[0]), 10, 64)
			s.rss = kb << 10
		}
	}
	return s
}

func (s sample) String() string {
	const mb = 1 << 20
	return fmt.Sprintf("heap %6.2f MB  rss %6.1f MB  files %4d  goroutines %4d  conns %4d  opened %d  ended %d",
		float64(s.heap)/mb, float64(s.rss)/mb, s.files, s.goroutines, s.conns, s.opened, s.ended)
}

// watch prints a sample now and then until ctx ends, and returns the most that
// was seen of each.
func watch(ctx context.Context, a *app, every time.Duration) (peak sample) {
	start := time.Now()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		s := take(a)
		peak = sample{
			max(peak.heap, s.heap), max(peak.rss, s.rss), max(peak.files, s.files), max(peak.goroutines, s.goroutines),
			max(peak.conns, s.conns), s.opened, s.ended,
		}
		fmt.Printf("%7v %v\n", time.Since(start).Round(time.Second), s)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return peak
		}
	}
}

// settled waits until no connection is left and the process holds no more than
// base, or has had settleTime for it. It returns what is held then.
func settled(a *app, base *sample) (s sample, took time.Duration) {
	start := time.Now()
	for {
		runtime.GC()
		runtime.GC() // what was in a sync.Pool survives the first
		debug.FreeOSMemory()
		s, took = take(a), time.Since(start)
		quiet := s.conns == 0 && s.opened == s.ended && took > 3*time.Second
		if quiet && (base == nil || s.problems(*base) == nil) || took > settleTime {
			return s, took
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// problems tells what is more than it was in base.
func (s sample) problems(base sample) error {
	var list []error
	check := func(what string, end, base, more uint64) {
		if end > base+more {
			list = append(list, fmt.Errorf("%s: %d at the end, %d at the beginning, %d more are tolerated", what, end, base, more))
		}
	}
	check("bytes of heap", s.heap, base.heap, moreHeap)
	check("bytes of RSS", s.rss, base.rss, moreRSS)
	check("files", uint64(s.files), uint64(base.files), moreFiles)
	check("goroutines", uint64(s.goroutines), uint64(base.goroutines), moreGoroutines)
	check("connections of the server", uint64(s.conns), 0, 0)
	return errors.Join(list...)
}
