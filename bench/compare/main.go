// Compare runs Kanava and other servers side by side under the same load, in
// turn (A B A B), and writes what each message cost them: a table, a plot and
// all samples. It needs Linux with two CPUs, a C compiler, Node, npm and git;
// it builds the other servers itself. Run it at the top of the repository:
//
//	go run ./bench/compare -help
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("compare: ")
	o := options{}
	flag.IntVar(&o.rounds, "rounds", 5, "samples of each server and work; the table has their medians")
	flag.DurationVar(&o.time, "time", 3*time.Second, "how long a sample is taken for")
	flag.StringVar(&o.out, "out", filepath.Join("bench", "results"), "`directory` to write to")
	workNames := flag.String("works", "all", "what is measured, with commas between: "+names(works()))
	contenderNames := flag.String("servers", "all", "which servers, with commas between: "+names(contenders()))
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: go run ./bench/compare [flags]\n\nRuns servers under the same load in turn and writes what a message costs each.")
		flag.PrintDefaults()
	}
	flag.Parse()
	var err error
	if o.works, err = choose(works(), *workNames); err == nil {
		o.contenders, err = choose(contenders(), *contenderNames)
	}
	if err != nil || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, err)
		flag.Usage()
		os.Exit(2)
	}
	if err := compare(o); err != nil {
		log.Fatal(err)
	}
}

func compare(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if what := missing(o.contenders); what != "" {
		return fmt.Errorf("programs are missing:\n%s", what)
	}
	if err := pinned(ctx); err != nil {
		return err
	}
	return run(ctx, o)
}

type options struct {
	rounds     int
	time       time.Duration
	out        string
	works      []work
	contenders []contender
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "kanava-compare")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, c := range o.contenders {
		fmt.Printf("build %s\n", c.name)
		if err := c.build(ctx, dir); err != nil {
			return fmt.Errorf("build %s: %w", c.name, err)
		}
	}
	var samples []sample
	var faults []error
	total, done, begun := 0, 0, time.Now()
	for _, w := range o.works {
		for _, c := range o.contenders {
			if c.can(w) {
				total += o.rounds
			}
		}
	}
	for _, w := range o.works {
		for round := range o.rounds {
			for _, c := range o.contenders {
				if !c.can(w) {
					continue
				}
				values, err := measure(ctx, c, w, dir, o.time)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if err != nil { // the others have nothing to do with it
					err = fmt.Errorf("%s, %s, round %d: %w", c.name, w.name, round+1, err)
					fmt.Println("FAIL:", err)
					faults = append(faults, err)
				}
				done++
				left := time.Since(begun) / time.Duration(done) * time.Duration(total-done)
				for _, v := range values {
					s := sample{Server: c.name, Metric: v.metric, Unit: v.unit, Round: round + 1, Value: v.value}
					samples = append(samples, s)
					fmt.Printf("[%3d/%d, %v left] %-12s %-24s %10.3f %s\n", done, total, left.Round(time.Second), c.name, v.metric, v.value, v.unit)
				}
			}
		}
	}
	if len(samples) == 0 {
		return errors.Join(faults...)
	}
	return errors.Join(write(ctx, o, samples, faults), errors.Join(faults...))
}

// named is what can be chosen by name.
type named interface{ called() string }

func names[T named](list []T) string {
	var out []string
	for _, x := range list {
		out = append(out, x.called())
	}
	return strings.Join(out, ", ")
}

func choose[T named](list []T, text string) ([]T, error) {
	if text == "all" {
		return list, nil
	}
	var out []T
	for name := range strings.SplitSeq(text, ",") {
		i := slices.IndexFunc(list, func(x T) bool { return x.called() == strings.TrimSpace(name) })
		if i < 0 {
			return nil, fmt.Errorf("compare: there is no %q: choose of %s", name, names(list))
		}
		out = append(out, list[i])
	}
	return out, nil
}
