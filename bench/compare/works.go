package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kanava-go/kanava/bench/load"
)

// work is what is asked of a server.
type work struct {
	name string
	run  func(ctx context.Context, p *process, t load.Target, d time.Duration) ([]value, error)
}

func (w work) called() string { return w.name }

// value is one number that was measured.
type value struct {
	metric, unit string
	value        float64
}

// sample is a value with where it comes from.
type sample struct {
	Server string  `json:"server"`
	Metric string  `json:"metric"`
	Unit   string  `json:"unit"`
	Round  int     `json:"round"`
	Value  float64 `json:"value"`
}

const (
	echoConns   = 100
	subscribers = 1000
	idleConns   = 10_000
	openConns   = 10_000
	rounds      = 10_000
	quiet       = 3 * time.Second // before memory is read
)

func works() []work {
	list := []work{
		{"echo", func(ctx context.Context, p *process, t load.Target, d time.Duration) ([]value, error) {
			w, err := load.Echo(ctx, t, echoConns)
			return p.cost(ctx, "echo", w, err, d)
		}},
		{"typed", func(ctx context.Context, p *process, t load.Target, d time.Duration) ([]value, error) {
			w, err := load.TypedEcho(ctx, t, echoConns)
			return p.cost(ctx, "typed echo", w, err, d)
		}},
	}
	for _, inFlight := range []int{1, 8, 32} {
		list = append(list, work{fmt.Sprintf("fanout%d", inFlight), func(ctx context.Context, p *process, t load.Target, d time.Duration) ([]value, error) {
			w, err := load.FanOut(ctx, t, subscribers, inFlight)
			return p.cost(ctx, fmt.Sprintf("fan-out, %d in flight", inFlight), w, err, d)
		}})
	}
	return append(list, work{"idle", idle}, work{"open", open}, work{"rounds", churn})
}

// measure starts a server, puts a work on it, and ends it.
func measure(ctx context.Context, c contender, w work, dir string, d time.Duration) ([]value, error) {
	p, err := start(ctx, c.command(dir))
	if err != nil {
		return nil, err
	}
	defer p.kill()
	values, err := w.run(ctx, p, load.Target{Addr: p.addr, Dialect: c.dialect}, d)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, p.said)
	}
	return values, nil
}

// cost lets a work go on for d after a second to warm up, and returns the CPU
// time of a message, and the latency that 99 of 100 stay below.
func (p *process) cost(ctx context.Context, metric string, w *load.Work, err error, d time.Duration) ([]value, error) {
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if err := sleep(ctx, time.Second); err != nil {
		return nil, err
	}
	n, cpu, err := p.spent(w)
	if err != nil {
		return nil, err
	}
	if err := sleep(ctx, d); err != nil {
		return nil, err
	}
	n2, cpu2, err := p.spent(w)
	if err != nil {
		return nil, err
	}
	if err := w.Stop(); err != nil {
		return nil, err
	}
	if n2 == n {
		return nil, fmt.Errorf("no message came in %v", d)
	}
	values := []value{{metric, "µs of CPU a message", (cpu2 - cpu).Seconds() * 1e6 / float64(n2-n)}}
	if l := w.Latencies(); len(l) > 0 {
		slices.Sort(l)
		values = append(values, value{metric + ", p99", "ms", l[len(l)*99/100].Seconds() * 1e3})
	}
	return values, nil
}

func (p *process) spent(w *load.Work) (int64, time.Duration, error) {
	cpu, err := p.cpu()
	return w.Messages(), cpu, err
}

func idle(ctx context.Context, p *process, t load.Target, _ time.Duration) ([]value, error) {
	before, err := p.memory()
	if err != nil {
		return nil, err
	}
	w, err := load.Idle(ctx, t, idleConns)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if err := sleep(ctx, quiet); err != nil {
		return nil, err
	}
	after, err := p.memory()
	return []value{{"idle connection with a subscription", "bytes", float64(after-before) / idleConns}}, err
}

func open(ctx context.Context, p *process, t load.Target, _ time.Duration) ([]value, error) {
	before, err := p.cpu()
	if err != nil {
		return nil, err
	}
	w, err := load.Open(ctx, t, openConns)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	after, err := p.cpu()
	return []value{
		{"opening a connection", "µs of CPU", (after - before).Seconds() * 1e6 / openConns},
		{"start to first connection", "ms", p.took.Seconds() * 1e3},
	}, err
}

// churn compares the memory after many connections with that after a few.
func churn(ctx context.Context, p *process, t load.Target, _ time.Duration) ([]value, error) {
	var memory [2]int
	for i, n := range []int{rounds / 10, rounds} {
		if err := load.Rounds(ctx, t, n); err != nil {
			return nil, err
		}
		if err := sleep(ctx, quiet); err != nil {
			return nil, err
		}
		var err error
		if memory[i], err = p.memory(); err != nil {
			return nil, err
		}
	}
	return []value{{"memory after 10,000 connections, to that after 1,000", "×", float64(memory[1]) / float64(memory[0])}}, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
