package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// traffic sends visitors to the server: each comes for one visit, at a rate
// that the machine can bear.
type traffic struct {
	addr string
	app  *app
	gap  time.Duration // between two visits
	seed uint64

	mu     sync.Mutex
	n      uint64            // guarded by mu: visits begun
	counts map[string]*count // guarded by mu: by visit
}

// count is what became of the visits of one kind.
type count struct {
	well, badly int
	why         string // of the last that went badly
}

// maxVisitors bounds how many are there at a time.
const maxVisitors = 200

func newTraffic(addr string, a *app, rate float64, seed uint64) *traffic {
	return &traffic{addr: addr, app: a, gap: time.Duration(float64(time.Second) / rate), seed: seed, counts: make(map[string]*count)}
}

// run sends visitors for a while, and returns when the last has left.
func (t *traffic) run(ctx context.Context, length time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	tick := time.NewTicker(t.gap)
	defer tick.Stop()
	var all sync.WaitGroup
	defer all.Wait()
	room := make(chan struct{}, maxVisitors)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case <-ctx.Done():
			return
		case room <- struct{}{}:
		}
		t.mu.Lock()
		t.n++
		r := rand.New(rand.NewPCG(t.seed, t.n)) //nolint:gosec // it has to be repeatable
		t.mu.Unlock()
		all.Go(func() {
			defer func() { <-room }()
			v := visits[r.IntN(len(visits))]
			t.book(v.name, v.run(&visit{t, r}))
		})
	}
}

func (t *traffic) book(name string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.counts[name]
	if c == nil {
		c = &count{}
		t.counts[name] = c
	}
	if err != nil {
		c.badly++
		c.why = err.Error()
		fmt.Printf("        %s: %v\n", name, err)
		return
	}
	c.well++
}

// forget begins the counts anew.
func (t *traffic) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.counts)
}

func (t *traffic) report() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	for _, v := range visits {
		if c := t.counts[v.name]; c != nil {
			fmt.Fprintf(&b, "%-28s %6d well %4d badly %s\n", v.name, c.well, c.badly, c.why)
		}
	}
	return b.String()
}

// problems reports visits that went otherwise than they had to. On a busy
// machine one in a thousand may come too late for something.
func (t *traffic) problems() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []error
	total := 0
	for _, v := range visits {
		c := t.counts[v.name]
		if c == nil {
			continue
		}
		total += c.well
		if c.badly*1000 > c.well+c.badly {
			list = append(list, fmt.Errorf("%s: %d of %d visits went badly: %s", v.name, c.badly, c.well+c.badly, c.why))
		}
	}
	if total == 0 {
		list = append(list, errors.New("no visit went well"))
	}
	return errors.Join(list...)
}
