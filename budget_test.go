//go:build !race

package kanava_test

// The race detector allocates by itself: budgets hold without it.

import (
	"context"
	"testing"

	"github.com/kanava-go/kanava"
)

type typedIn struct {
	Message string `json:"message" maxLength:"128"`
}

type typedOut struct {
	Message   string `json:"message"`
	Timestamp int64  `json:"timestamp"`
}

const typedMessage = `{"action":"echo","message":"0123456789012345678901234567890123456789012345678901234567890123"}`

func typedEcho(tb testing.TB) (send func()) {
	srv := kanava.NewServer(kanava.Options[account]{Limits: kanava.Limits{Rate: kanava.Unlimited}})
	srv.Wire(wiring{Name: "typed", Route: "/typed", Public: true, Messages: by(
		kanava.On("echo", func(_ context.Context, _ *line, in typedIn) (typedOut, error) { return typedOut{in.Message, 1}, nil }))})
	peer := newPeer()
	link, err := srv.Open(context.Background(), request("/typed"), peer)
	if err != nil {
		tb.Fatal(err)
	}
	link.Start()
	tb.Cleanup(func() { link.Disconnect(kanava.CloseNormal, ""); <-link.Done() })
	var batch []kanava.Frame
	message := []byte(typedMessage)
	return func() {
		link.Receive(message, false)
		<-peer.woken
		for {
			batch, _ = link.Take(batch[:0], 1<<16)
			if len(batch) == 0 {
				return
			}
		}
	}
}

// The way of a message, from its bytes to the bytes of its reply, has a budget
// of allocations: the input, its string, the result, the call, the frame, and
// what a goroutine costs.
func TestAllocationsOfATypedEcho(t *testing.T) {
	const budget = 7
	if got := testing.AllocsPerRun(2000, typedEcho(t)); got > budget {
		t.Errorf("%.1f allocations a message, the budget is %d", got, budget)
	}
}

func BenchmarkTypedEcho(b *testing.B) {
	send := typedEcho(b)
	b.ReportAllocs()
	for b.Loop() {
		send()
	}
}

// A publication costs a subscriber no allocation: the frame is shared.
func TestAllocationsOfFanOut(t *testing.T) {
	publish, subscribers := fanOut(t, 1000)
	if got := testing.AllocsPerRun(200, publish); got > 10 {
		t.Errorf("%.1f allocations for %d subscribers, the budget is 10", got, subscribers)
	}
}

func BenchmarkFanOut1000(b *testing.B) {
	publish, _ := fanOut(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		publish()
	}
}

func fanOut(tb testing.TB, n int) (publish func(), subscribers int) {
	srv := kanava.NewServer(kanava.Options[account]{})
	srv.Wire(wiring{Name: "fan", Route: "/fan", Public: true})
	topic := kanava.NewTopic[typedOut](srv.EventHub(), "t")
	ctx := context.Background()
	links := make([]*kanava.Link, n)
	for i := range links {
		link, err := srv.Open(ctx, request("/fan"), newPeer())
		if err != nil {
			tb.Fatal(err)
		}
		link.Start()
		if err := srv.EventHub().Subscribe(ctx, "t:x", link.ID()); err != nil {
			tb.Fatal(err)
		}
		links[i] = link
		tb.Cleanup(func() { link.Disconnect(kanava.CloseNormal, ""); <-link.Done() })
	}
	batch := make([]kanava.Frame, 0, 16)
	event := typedOut{Message: "0123456789", Timestamp: 1}
	return func() {
		if err := topic.Publish(ctx, "x", event); err != nil {
			tb.Fatal(err)
		}
		for _, link := range links {
			for {
				if batch, _ = link.Take(batch[:0], 1<<16); len(batch) == 0 {
					break
				}
			}
		}
	}, n
}
