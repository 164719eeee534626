// Command soak runs a server on loopback for a while under random traffic,
// good and bad, and fails if afterwards anything is left over: memory,
// goroutines, descriptors, connections, or an OnConnect without its
// OnDisconnect.
//
//	make soak SOAKTIME=30m
//
// Server and clients are one process, so what either leaks is seen.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"time"

	"github.com/kanava-go/kanava/transport/ws"
)

// What may be left when the traffic has stopped, compared to a first short run
// of the same traffic. Pools and the runtime keep some memory.
const (
	moreHeap       = 4 << 20
	moreRSS        = 48 << 20
	moreGoroutines = 0
	moreFiles      = 0
)

// settleTime bounds the wait until everything is back. The longest time that
// the server grants a client is well below it.
const settleTime = 45 * time.Second

func main() {
	length := flag.Duration("time", 20*time.Second, "how long the traffic lasts")
	rate := flag.Float64("rate", 40, "visits of clients a second")
	procs := flag.Int("procs", 1, "processors to use at most")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the random choices")
	every := flag.Duration("every", 5*time.Second, "time between two lines of progress")
	flag.Parse()
	runtime.GOMAXPROCS(*procs)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	fmt.Printf("soak: %v of %g visits a second on %d processors, seed %d\n", *length, *rate, *procs, *seed)
	err := run(ctx, *length, *rate, *every, *seed)
	stop()
	if err != nil {
		fmt.Println("FAIL:", err)
		os.Exit(1)
	}
	fmt.Println("PASS")
}

func run(ctx context.Context, length time.Duration, rate float64, every time.Duration, seed uint64) error {
	before := take(nil)
	a := newApp()
	web := &http.Server{
		Handler:           ws.Handler(a.srv, ws.Options{Ping: 4 * time.Second, PongWait: 4 * time.Second, WriteStall: 8 * time.Second, Compress: true}),
		ReadHeaderTimeout: 8 * time.Second,
		ErrorLog:          discard,
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- web.Serve(ln) }()

	tr := newTraffic(ln.Addr().String(), a, rate, seed)
	tr.run(ctx, length/10+2*time.Second)
	base, _ := settled(a, nil)
	fmt.Println("base   ", base)

	tr.forget()
	sampling, enough := context.WithCancel(ctx)
	var sampler sync.WaitGroup
	peak := base
	sampler.Go(func() { peak = watch(sampling, a, every) })
	tr.run(ctx, length)
	enough()
	sampler.Wait()
	end, took := settled(a, &base)
	fmt.Println(tr.report())
	fmt.Println("peak   ", peak)
	fmt.Println("base   ", base)
	fmt.Println("end    ", end, "after", took.Round(time.Millisecond))

	problems := []error{tr.problems(), a.ledger.problems(), end.problems(base)}
	stopping, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	problems = append(problems, a.srv.Shutdown(stopping), web.Shutdown(stopping))
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		problems = append(problems, err)
	}
	after := take(a)
	for start := time.Now(); after.goroutines > before.goroutines && time.Since(start) < 5*time.Second; after = take(a) {
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("stopped", after)
	if after.goroutines > before.goroutines {
		problems = append(problems, fmt.Errorf("%d goroutines after the server was stopped, %d before it was started", after.goroutines, before.goroutines))
	}
	return errors.Join(problems...)
}

// pick returns one of a list.
func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }
