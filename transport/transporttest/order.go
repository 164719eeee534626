package transporttest

import (
	"context"
	"fmt"
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
	_, d := serveLab(t, tr, quiet(), kanava.Wiring[none, none]{
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
	const messages = 600
	pad := strings.Repeat("x", 60_000)
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
