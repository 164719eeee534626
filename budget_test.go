//go:build !race

package kanava_test

// The race detector allocates by itself: budgets hold without it.

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
)

type typedIn struct {
	Message string `json:"message" maxLength:"128"`
}

type typedOut struct {
	Message   string `json:"message"`
	Timestamp int64  `json:"timestamp"`
}

// A typed echo in both forms.
const (
	typedFrame   = `{"do":"echo","id":7,"in":{"message":"0123456789012345678901234567890123456789012345678901234567890123"}}`
	typedMessage = `{"action":"echo","message":"0123456789012345678901234567890123456789012345678901234567890123"}`
)

// lent is a host that waits for ever.
type lent struct{}

func (lent) Waits() bool { return true }

// typedEcho returns what sends a message and takes the reply. The function runs
// on a goroutine of its own, or on a lent one.
func typedEcho(tb testing.TB, form string, host kanava.Host) (send func()) {
	srv := kanava.NewServer(kanava.Options[account]{Limits: kanava.Limits{Rate: kanava.Unlimited}})
	srv.Wire(wiring{Name: "typed", Route: "/typed", Public: true, Messages: by(
		kanava.On("echo", func(_ context.Context, _ *line, in typedIn) (typedOut, error) { return typedOut{in.Message, 1}, nil }))})
	peer := newPeer()
	link := openIn(tb, srv, form, "/typed", peer)
	var batch []kanava.Frame
	message := []byte(typedMessage)
	if form == envelope {
		message = []byte(typedFrame)
	}
	return func() {
		if host == nil {
			link.Receive(message, false)
		} else if _, work := link.Accept(message, false); work {
			link.Work(host)
		}
		<-peer.woken
		for {
			batch, _ = link.Take(batch[:0], 1<<16)
			if len(batch) == 0 {
				return
			}
		}
	}
}

// allocations returns how many allocations a call of f costs. What is counted is
// those of the process: what earlier tests have left allocates too, and the
// collector empties pools. So it is measured again where it is over the budget, and
// the least counts.
func allocations(runs int, budget float64, f func()) float64 {
	least := testing.AllocsPerRun(runs, f)
	for range 4 {
		if least > budget {
			least = min(least, testing.AllocsPerRun(runs, f))
		}
	}
	return least
}

// The way of a message, from its bytes to the bytes of its reply, has a budget
// of allocations: the input, the result, the call, the frame, and what a
// goroutine costs where none is lent. A text that was there before is not made
// again.
func TestAllocationsOfATypedEcho(t *testing.T) {
	for _, form := range []string{plainForm, envelope} {
		for host, budget := range map[kanava.Host]float64{nil: 5, lent{}: 4} {
			if got := allocations(2000, budget, typedEcho(t, form, host)); got > budget {
				t.Errorf("%.1f allocations a message in the form %q on %T, the budget is %.0f", got, form, host, budget)
			}
		}
	}
}

// A call over HTTP has a budget of allocations, besides those of net/http.
func TestAllocationsOfACallOverHTTP(t *testing.T) {
	const budget = 22
	srv := kanava.NewServer(kanava.Options[account]{})
	srv.WireHTTP("POST /echo", kanava.PlainFunc(func(_ context.Context, in typedIn) (typedOut, error) { return typedOut{in.Message, 1}, nil }, kanava.Public()))
	req := &kanava.OpenRequest{URL: &url.URL{Path: "/echo"}, Host: "example.com", Header: http.Header{}, RemoteAddr: "192.0.2.1:1"}
	body := []byte(`{"message":"0123456789012345678901234567890123456789012345678901234567890123"}`)
	got := allocations(1000, budget, func() {
		x, err := srv.OpenHTTP(context.Background(), http.MethodPost, req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := x.Run(body, nil); err != nil {
			t.Fatal(err)
		}
		x.End()
	})
	if got > budget {
		t.Errorf("%.1f allocations a call, the budget is %d", got, budget)
	}
}

func BenchmarkTypedEcho(b *testing.B)         { benchmark(b, typedEcho(b, plainForm, lent{})) }
func BenchmarkTypedEchoEnvelope(b *testing.B) { benchmark(b, typedEcho(b, envelope, lent{})) }

func benchmark(b *testing.B, f func()) {
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}

// A publication costs a subscriber no allocation: the frame is shared. To keep
// an event costs what is kept.
func TestAllocationsOfFanOut(t *testing.T) {
	for _, form := range []string{plainForm, envelope} {
		for name, is := range map[string]struct {
			budget float64
			opt    kanava.TopicOption
		}{
			"Ordered":     {7, kanava.Ordered()},
			"Volatile":    {9, kanava.Volatile()},
			"Latest":      {9, kanava.Latest()},
			"Recoverable": {10, kanava.Recoverable(1000, time.Hour)},
			"View": {21, kanava.View(func(a account) string { return a.ID }, func(e typedOut, _ string) (typedOut, bool) {
				e.Timestamp = 0
				return e, true
			})},
		} {
			publish, subscribers := fanOut(t, 1000, form, is.opt)
			if got := allocations(200, is.budget, publish); got > is.budget {
				t.Errorf("%s: %.1f allocations for %d subscribers in the form %q, the budget is %.0f", name, got, subscribers, form, is.budget)
			}
		}
	}
}

func BenchmarkFanOut1000(b *testing.B) {
	publish, _ := fanOut(b, 1000, plainForm, kanava.Ordered())
	benchmark(b, publish)
}

func BenchmarkFanOut1000Envelope(b *testing.B) {
	publish, _ := fanOut(b, 1000, envelope, kanava.Ordered())
	benchmark(b, publish)
}

// What it costs to publish where nobody is, by class.
func BenchmarkPublish(b *testing.B) {
	for name, class := range map[string]kanava.TopicOption{
		"ordered": kanava.Ordered(), "latest": kanava.Latest(), "recoverable": kanava.Recoverable(1000, time.Hour),
	} {
		b.Run(name, func(b *testing.B) {
			publish, _ := fanOut(b, 0, plainForm, class)
			benchmark(b, publish)
		})
	}
}

// An item of a stream costs its frame, and what makes an interface of it.
func TestAllocationsOfAStreamItem(t *testing.T) {
	const budget = 3
	for _, form := range []string{plainForm, envelope} {
		if got := allocations(2000, budget, streamItems(t, form)); got > budget {
			t.Errorf("%.1f allocations an item in the form %q, the budget is %d", got, form, budget)
		}
	}
}

// streamItems returns what sends one item, and takes it.
func streamItems(tb testing.TB, form string) (send func()) {
	streams := make(chan func() error, 1)
	srv := kanava.NewServer(kanava.Options[account]{})
	srv.Wire(wiring{Name: "items", Route: "/items", Public: true, Messages: by(
		kanava.OnStream("items", func(ctx context.Context, _ *line, _ kanava.None, out *kanava.Stream[typedOut]) error {
			streams <- func() error { return out.Send(ctx, typedOut{"0123456789", 1}) }
			<-ctx.Done()
			return ctx.Err()
		}))})
	p := newPeer()
	link := openIn(tb, srv, form, "/items", p)
	link.Receive([]byte(map[string]string{plainForm: `{"action":"items"}`, envelope: `{"do":"items","id":7}`}[form]), false)
	item := <-streams
	var batch []kanava.Frame
	return func() {
		if err := item(); err != nil {
			tb.Fatal(err)
		}
		for n := -1; n != 0; n = len(batch) {
			batch, _ = link.Take(batch[:0], 1<<16)
		}
	}
}

func fanOut(tb testing.TB, n int, form string, opts ...kanava.TopicOption) (publish func(), subscribers int) {
	srv := kanava.NewServer(kanava.Options[account]{})
	srv.Wire(wiring{Name: "fan", Route: "/fan", Public: true})
	topic := kanava.NewTopic[typedOut](srv.EventHub(), "t", opts...)
	ctx := context.Background()
	links := make([]*kanava.Link, n)
	for i := range links {
		link := openIn(tb, srv, form, "/fan", newPeer())
		if err := srv.EventHub().Subscribe(ctx, "t:x", link.ID()); err != nil {
			tb.Fatal(err)
		}
		links[i] = link
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
