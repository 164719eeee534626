package transporttest

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
)

// This file has behaviours around clients that do not read.

// big fills the buffers of a network quickly, also where it is compressed.
var big = noise(50_000)

// noise returns n characters that hardly compress.
func noise(n int) string {
	b := make([]byte, n/4*3)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // never fails
	return base64.StdEncoding.EncodeToString(b)
}

func testSlowConsumer(t *testing.T, tr Transport) {
	l := newSlowLab(t, tr, kanava.Ordered())
	l.isGivenUp()
	if code := receive(t, "OnDisconnect of the slow client", l.left); code != kanava.CloseSlowConsumer {
		t.Errorf("OnDisconnect saw the code %d", code)
	}
	l.publish(l.events)
}

// slowOf tests a topic of a class whose events may be dropped.
func slowOf(class func() kanava.TopicOption) func(*testing.T, Transport) {
	return func(t *testing.T, tr Transport) {
		l := newSlowLab(t, tr, class())
		l.flood()
		// What the network had taken is still there; then comes what is newest.
		if got, last := l.read(l.events); got == l.events || last != l.events-1 {
			t.Errorf("%d of %d events came, %d the last", got, l.events, last)
		}
		l.goesOn()
	}
}

// testSlowRecoverable is about kanava.v1, whose clients ask for what was
// dropped: in the plain form the connection is closed.
func testSlowRecoverable(t *testing.T, tr Transport) {
	l := newSlowLab(t, tr, kanava.Recoverable(10, time.Hour))
	if !tr.enveloped {
		l.isGivenUp()
		return
	}
	l.flood()
	l.slow.send(probe) // answered behind the last event that was not dropped
	if got, _ := l.read(-1); got == l.events {
		t.Errorf("all %d events came", got)
	}
	l.goesOn()
}

// slowLab has a client that does not read, and one that does.
type slowLab struct {
	t          *testing.T
	conns      *kanava.Conns
	topic      *kanava.Topic[padded]
	mark       *kanava.Push[number]
	slow, fast *peer
	slowID     string
	left       chan kanava.CloseCode // holds what OnDisconnect of the slow client saw
	events     int                   // are more than all buffers hold
}

func newSlowLab(t *testing.T, tr Transport, class kanava.TopicOption) *slowLab {
	t.Helper()
	opts := quiet()
	hub := kanava.NewEventHub(kanava.HubOptions{})
	t.Cleanup(hub.Close)
	opts.EventHub = hub
	l := &slowLab{
		t: t, topic: kanava.NewTopic[padded](hub, "news", class), mark: kanava.NewPush[number]("mark"),
		left: make(chan kanava.CloseCode, 1), events: min(300, tr.tooMany(len(big))),
	}
	ids := make(chan string, 2)
	srv, d := serveLab(t, tr, opts, kanava.Wiring[none, none]{
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *lab) (string, error) {
			ids <- ch.ID()
			return "welcome", l.topic.Subscribe(ctx, ch, "x")
		}),
		OnDisconnect: kanava.DisconnectFunc(func(_ context.Context, ch *lab) error {
			if code, _ := ch.Closed(); ch.ID() == l.slowID {
				l.left <- code
			}
			return nil
		}),
		Messages: kanava.By("action", kanava.OnDo("ping", func(context.Context, *lab, none) error { return nil })),
		Declares: []kanava.Declared{l.topic, l.mark},
	})
	l.conns = srv.Conns()
	l.slow = dial(t, d, "/lab")
	l.slow.expect(`"welcome"`)
	l.slowID = receive(t, "OnConnect of the slow client", ids)
	l.fast = dial(t, d, "/lab")
	l.fast.expect(`"welcome"`)
	return l
}

func (l *slowLab) publish(n int) {
	l.t.Helper()
	if err := l.topic.Publish(l.t.Context(), "x", padded{n, big}); err != nil {
		l.t.Fatal(err)
	}
	l.fast.expect(newsOf(n)) // while slow takes nothing
}

func newsOf(n int) string {
	return fmt.Sprintf(`{"topic":"news:x","data":{"n":%d,"pad":"%s"}}`, n, big)
}

func (l *slowLab) flood() {
	l.t.Helper()
	for n := range l.events {
		l.publish(n)
	}
}

// isGivenUp publishes until the server gives the slow client up, and a little more.
// Then it demands that the client gets what the network had taken, and the reason.
// The client has some seconds from when it is given up, so nothing that takes long
// may happen in between.
func (l *slowLab) isGivenUp() {
	l.t.Helper()
	const more = 3
	published := 0
	for ; l.mark.SendID(l.t.Context(), l.conns, l.slowID, number{published}) == nil; published++ {
		if published == l.events {
			l.t.Fatalf("a client that does not read is not given up after %d events", published)
		}
		l.publish(published)
	}
	for range more {
		l.publish(published)
		published++
	}
	for i := 0; ; i++ {
		f := l.slow.next()
		if f.Kind == KindClosed {
			if f.Code != int(kanava.CloseSlowConsumer) || !strings.HasPrefix(f.Reason, "slow_consumer") {
				l.t.Errorf("got %v", f)
			}
			return
		}
		n, want := i/2, fmt.Sprintf(`{"n":%d}`, i/2)
		if i%2 == 1 {
			want = newsOf(n)
		}
		if n >= published-more || string(f.Data) != want {
			l.t.Fatalf("frame %d of %d events and as many marks: got %.100s", i, published, f)
		}
	}
}

// read reads events at the slow client, which have to come in order, until the
// last one, or the answer to a probe.
func (l *slowLab) read(events int) (got, last int) {
	l.t.Helper()
	for last = -1; last != events-1; got++ {
		text := string(l.slow.next().Data)
		if text == probeAnswer && events < 0 {
			return got, last
		}
		var n int
		if _, err := fmt.Sscanf(text, `{"topic":"news:x","data":{"n":%d,`, &n); err != nil || n <= last {
			l.t.Fatalf("after %d: got %.100s", last, text)
		}
		last = n
	}
	return got, last
}

// goesOn demands that the slow client gets what is published from now on.
func (l *slowLab) goesOn() {
	l.t.Helper()
	for n := range 3 {
		l.publish(l.events + n)
		l.slow.expect(newsOf(l.events + n))
	}
}

// flood is a stream that sends without end, and counts.
type flood struct {
	sent  atomic.Int64
	ended chan error
}

const floodSize = 5000 // values; 250 MB, more than any buffer on the way

func (f *flood) wiring() kanava.Wiring[none, none] {
	return kanava.Wiring[none, none]{
		Messages: kanava.By("action",
			kanava.OnStream("flood", func(ctx context.Context, _ *lab, in number, out *kanava.Stream[padded]) error {
				for i := range in.N {
					if err := out.Send(ctx, padded{i, big}); err != nil {
						f.ended <- err
						return err
					}
					f.sent.Add(1)
				}
				f.ended <- nil
				return nil
			}),
			kanava.On("echo", func(_ context.Context, _ *lab, in number) (number, error) { return in, nil }),
		),
	}
}

func testStreamWaits(t *testing.T, tr Transport) {
	f := &flood{ended: make(chan error, 1)}
	_, d := serveLab(t, tr, quiet(), f.wiring())
	p := dial(t, d, "/lab")
	p.send(fmt.Sprintf(`{"action":"flood","n":%d}`, floodSize))
	if n := settles(t, f.sent.Load); n == floodSize || n == 0 {
		t.Errorf("%d values were sent to a client that does not read", n)
	}
	select {
	case err := <-f.ended:
		t.Errorf("the stream ended before its client: %v", err)
		return
	default:
	}
	p.Cut()
	if err := receive(t, "Send returns", f.ended); err == nil {
		t.Error("Send went on after the client had left")
	}
}

func testStreamResumes(t *testing.T, tr Transport) {
	const values = 600
	f := &flood{ended: make(chan error, 1)}
	_, d := serveLab(t, tr, quiet(), f.wiring())
	p := dial(t, d, "/lab")
	p.send(fmt.Sprintf(`{"action":"flood","n":%d}`, values))
	if n := settles(t, f.sent.Load); n == values {
		t.Errorf("all values were sent to a client that does not read")
	}
	const calls = 20
	for i := range calls { // half of the queue is left to replies
		p.send(fmt.Sprintf(`{"action":"echo","n":%d}`, i))
	}
	items, replies := 0, 0
	for range values + calls {
		text := string(p.next().Data)
		switch text {
		case fmt.Sprintf(`{"n":%d,"pad":"%s"}`, items, big):
			items++
		case fmt.Sprintf(`{"n":%d,"action":"echo"}`, replies):
			replies++
		default:
			t.Fatalf("after %d values and %d replies: got %.100s", items, replies, text)
		}
	}
	p.expect(`{"action":"flood"}`)
	if replies != calls {
		t.Errorf("%d of %d calls were answered", replies, calls)
	}
	if err := receive(t, "the stream ends", f.ended); err != nil {
		t.Error(err)
	}
}
