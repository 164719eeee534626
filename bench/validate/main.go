// Validate compares what it costs to turn the bytes of a message into a checked
// Go value: with Kanava's type model, with a decode that checks nothing, and
// with what a program would use otherwise. It prints the table in README.md.
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"time"
)

func main() {
	if err := table(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func table(w io.Writer) error {
	fmt.Fprintf(w, "%s, %s/%s, %d CPUs, %s\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), time.Now().Format(time.DateOnly))
	fmt.Fprintln(w, "| message | | ns/op | × bare | B/op | allocs/op |\n| --- | --- | --- | --- | --- | --- |")
	if err := rows[Say](w, say); err != nil {
		return err
	}
	for _, items := range []int{8, 142} {
		if err := rows[Order](w, order(items)); err != nil {
			return err
		}
	}
	return nil
}

// rows writes what each contender needs for one message.
func rows[T any](w io.Writer, raw string) error {
	list, err := contenders[T]()
	if err != nil {
		return err
	}
	best, err := quickest(list, []byte(raw), 300)
	if err != nil {
		return err
	}
	for i, c := range list {
		bytes, allocs, err := allocated(c, []byte(raw))
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "| %d B | %s | %.0f | %.2f | %d | %d |\n", len(raw), c.name, best[i], best[i]/best[0], bytes, allocs)
	}
	return nil
}

// quickest lets the contenders decode by turns in short batches, and returns
// the nanoseconds of one decode in the quickest batch of each: what else the
// machine does makes batches slower, never quicker, and one of less than a
// millisecond is left alone now and then.
func quickest[T any](list []contender[T], raw []byte, rounds int) ([]float64, error) {
	best := make([]float64, len(list))
	batch := 1 + 4000/len(raw)
	for range rounds {
		for i, c := range list {
			start := time.Now()
			for range batch {
				var v T
				if err := c.decode(raw, &v); err != nil {
					return nil, fmt.Errorf("%s: %w", c.name, err)
				}
			}
			if took := float64(time.Since(start)) / float64(batch); best[i] == 0 || took < best[i] {
				best[i] = took
			}
		}
	}
	return best, nil
}

// allocated returns the bytes and the allocations of one decode.
func allocated[T any](c contender[T], raw []byte) (bytes, allocs uint64, err error) {
	const times = 200
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		var v T
		if err := c.decode(raw, &v); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / times, (after.Mallocs - before.Mallocs) / times, nil
}
