package transporttest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kanava-go/kanava"
)

// This file has behaviours of calls: their order, and what happens when there
// are too many.

type number struct {
	N int `json:"n"`
}

type padded struct {
	N   int    `json:"n"`
	Pad string `json:"pad"`
}

func testOrder(t *testing.T, tr Transport) {
	const messages = 1000
	opts := quiet()
	opts.Limits.Rate = kanava.Unlimited // a fast machine sends them at once, and a hello before them
	_, d := serveLab(t, tr, opts, kanava.Wiring[none, none]{
		OnMessage: kanava.Func(func(_ context.Context, _ *lab, in number) (number, error) { return in, nil }),
		Messages: kanava.By("action", kanava.On("twice", func(_ context.Context, _ *lab, in number) (number, error) {
			return number{2 * in.N}, nil
		})),
	})
	p := dial(t, d, "/lab")
	sent := make(chan error, 1)
	go func() { // ends when all is sent, or p is cut
		for i := range messages {
			text := fmt.Sprintf(`{"n":%d}`, i)
			if i%3 == 0 {
				text = fmt.Sprintf(`{"action":"twice","n":%d}`, i)
			}
			if err := p.trySend(text); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i := range messages {
		if i%3 == 0 {
			p.expect(fmt.Sprintf(`{"n":%d,"action":"twice"}`, 2*i))
			continue
		}
		p.expect(fmt.Sprintf(`{"n":%d}`, i))
	}
	if err := receive(t, "everything is sent", sent); err != nil {
		t.Fatal(err)
	}
}

func testBlocking(t *testing.T, tr Transport) {
	gate := make(chan struct{})
	running := make(chan struct{})
	_, d := serveLab(t, tr, quiet(), kanava.Wiring[none, none]{
		Messages: kanava.By("action",
			kanava.OnDo("block", func(ctx context.Context, _ *lab, _ none) error {
				close(running)
				select {
				case <-gate:
				case <-ctx.Done():
				}
				return ctx.Err()
			}),
			kanava.On("echo", func(_ context.Context, _ *lab, in number) (number, error) { return in, nil }),
		),
	})
	blocked, free := dial(t, d, "/lab"), dial(t, d, "/lab")
	blocked.send(`{"action":"block"}`)
	blocked.send(`{"action":"echo","n":1}`)
	receive(t, "the function runs", running)
	for i := range 50 {
		free.send(fmt.Sprintf(`{"action":"echo","n":%d}`, i))
		free.expect(fmt.Sprintf(`{"n":%d,"action":"echo"}`, i))
	}
	dial(t, d, "/lab").send(`{"action":"echo","n":1}`) // new clients come in, too
	close(gate)
	blocked.expect(`{"action":"block"}`)
	blocked.expect(`{"n":1,"action":"echo"}`)
}

// testBackpressure sends far more than a connection may hold, behind a
// function that blocks. The buffers of a network hold some of it, so there is
// a lot.
func testBackpressure(t *testing.T, tr Transport) {
	pad := noise(60_000)
	messages := int64(tr.tooMany(len(pad)))
	gate := make(chan struct{})
	_, d := serveLab(t, tr, quiet(), kanava.Wiring[none, none]{
		Messages: kanava.By("action",
			kanava.OnDo("block", func(ctx context.Context, _ *lab, _ none) error {
				select {
				case <-gate:
				case <-ctx.Done():
				}
				return ctx.Err()
			}),
			kanava.On("take", func(_ context.Context, _ *lab, in padded) (number, error) { return number{in.N}, nil }),
		),
	})
	p := dial(t, d, "/lab")
	p.send(`{"action":"block"}`)
	var sent atomic.Int64
	failed := make(chan error, 1)
	go func() { // ends when all is sent, or p is cut
		for i := range messages {
			if err := p.trySend(fmt.Sprintf(`{"action":"take","n":%d,"pad":"%s"}`, i, pad)); err != nil {
				failed <- err
				return
			}
			sent.Add(1)
		}
		failed <- nil
	}()
	if n := settles(t, sent.Load); n == messages {
		t.Errorf("the server went on reading while %d messages waited", n)
	}
	other := dial(t, d, "/lab")
	other.send(`{"action":"take","n":7,"pad":""}`)
	other.expect(`{"n":7,"action":"take"}`)

	close(gate)
	p.expect(`{"action":"block"}`)
	for i := range messages {
		p.expect(fmt.Sprintf(`{"n":%d,"action":"take"}`, i))
	}
	if err := receive(t, "everything is sent", failed); err != nil {
		t.Fatal(err)
	}
}

// testFastSender calls a function with large results, and reads none of them
// until the server reads no more calls: it is slowed down, not closed.
func testFastSender(t *testing.T, tr Transport) {
	messages := int64(tr.tooMany(len(big)))
	_, d := serveLab(t, tr, quiet(), kanava.Wiring[none, none]{
		OnMessage: kanava.Func(func(_ context.Context, _ *lab, in padded) (padded, error) { return in, nil }),
	})
	message := func(n int64) string { return fmt.Sprintf(`{"n":%d,"pad":"%s"}`, n, big) }
	p := dial(t, d, "/lab")
	var sent atomic.Int64
	failed := make(chan error, 1)
	go func() { // ends when all is sent, or p is cut
		for i := range messages {
			if err := p.trySend(message(i)); err != nil {
				failed <- err
				return
			}
			sent.Add(1)
		}
		failed <- nil
	}()
	if n := settles(t, sent.Load); n == messages {
		t.Error("the server went on reading while nothing of what it sent was read")
	}
	for i := range messages {
		p.expect(message(i))
	}
	if err := receive(t, "everything is sent", failed); err != nil {
		t.Fatal(err)
	}
}

// testMix sends good and bad messages in a random order, faster than they are
// answered.
func testMix(t *testing.T, tr Transport) {
	const messages = 200 // errors cost more than one of what a connection may do at once
	exchanges := []struct{ send, want string }{
		{`{"action":"ping"}`, `{"action":"ping"}`},
		{`{"message":"hi"}`, `{"message":"Echo: hi"}`},
		{`{"action":"object"}`, `{"text":"hello","n":1,"action":"object"}`},
		{`{"type":"greet"}`, `{"by":"type","type":"greet"}`},
		{`{"action":"size","text":"` + strings.Repeat("ä", 3000) + `"}`, `{"length":3000,"action":"size"}`},
		{`{"action":"fail","code":"aborted","message":"so"}`, `{"action":"fail","error":{"code":"aborted","message":"so"}}`},
		{`{"action":"crash","how":"error"}`, `{"action":"crash","error":{"code":"internal",`},
		{`{"action":"text","value":"a"}`, `{"action":"text","error":{"code":"invalid_argument",`},
		{`{"message":1}`, `{"error":{"code":"invalid_argument",`},
		{`{`, `{"error":{"code":"invalid_argument",`},
		{`{"action":"ping","action":"ping"}`, `{"error":{"code":"invalid_argument",`},
		{`{"action":"secret"}`, `{"action":"secret","error":{"code":"unauthenticated",`},
	}
	p := dial(t, tr.Serve(t, NewServer(t)), "/main")
	rnd := rand.New(rand.NewPCG(3, 4))
	chosen := make([]int, messages)
	for i := range chosen {
		chosen[i] = rnd.IntN(len(exchanges))
	}
	sent := make(chan error, 1)
	go func() { // ends when all is sent, or p is cut
		for _, n := range chosen {
			if err := p.trySend(exchanges[n].send); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for i, n := range chosen {
		if f := p.next(); f.Kind != KindText || !strings.HasPrefix(string(f.Data), exchanges[n].want) {
			t.Fatalf("message %d: got %v\nwant text %s", i, f, exchanges[n].want)
		}
	}
	if err := receive(t, "everything is sent", sent); err != nil {
		t.Fatal(err)
	}
	p.expectNone()
}
