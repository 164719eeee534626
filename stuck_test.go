package kanava_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
)

// stuckClasses are those of which a stuck client stays connected.
var stuckClasses = map[string]kanava.TopicOption{
	"volatile": kanava.Volatile(), "latest": kanava.Latest(), "recoverable": kanava.Recoverable(10, time.Hour),
}

// One client among 1,000 that takes nothing costs the others nothing: all get
// each event at once, in order.
func TestD11_OneStuckClientAmongThousand(t *testing.T) {
	classes := maps.Clone(stuckClasses)
	classes["ordered"] = kanava.Ordered()
	for name, class := range classes {
		t.Run(name, func(t *testing.T) {
			const queue = 20_000
			srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{Queue: queue}}, wiring{Public: true})
			topic := kanava.NewTopic[string](srv.EventHub(), "t", class)
			var links []*kanava.Link
			for range 1000 {
				link := openIn(t, srv, envelope, "/test", newPeer())
				if err := srv.EventHub().Subscribe(t.Context(), "t:x", link.ID()); err != nil {
					t.Fatal(err)
				}
				links = append(links, link)
			}
			stuck, others := links[0], links[1:]
			drain(others, func([]kanava.Frame) {})
			pad := strings.Repeat("x", 1000)
			for i := range 30 { // 30 KB, of which the stuck client's queue takes 20
				want := fmt.Sprint(i, pad)
				if err := topic.Publish(t.Context(), "x", want); err != nil {
					t.Fatal(err)
				}
				drain(others, func(frames []kanava.Frame) {
					if len(frames) != 1 || !strings.HasSuffix(string(frames[0].Data), `"data":"`+want+`"}`) {
						t.Fatalf("%d frames after event %d", len(frames), i)
					}
				})
			}
			b, err := srv.Conns().Backlog(t.Context(), stuck.ID())
			if closed := codeOf(err) == kanava.CodeNotFound; closed != (name == "ordered") || b.Bytes > queue {
				t.Errorf("the stuck client has %+v waiting, %v", b, err)
			}
		})
	}
}

// drain takes once what waits for each connection.
func drain(links []*kanava.Link, look func([]kanava.Frame)) {
	var batch []kanava.Frame
	for _, link := range links {
		batch, _ = link.Take(batch[:0], 1<<20)
		look(batch)
		for frames := batch; len(frames) > 0; {
			frames, _ = link.Take(nil, 1<<20)
		}
	}
}

// A publication for a client whose queue is full costs the same however much
// waits there: nobody looks through the queue.
func TestD11_AFullQueueCostsThePublisherNothing(t *testing.T) {
	const short, long = 8 << 10, 4 << 20 // about 50 and 25,000 events
	for name, class := range stuckClasses {
		for _, form := range []string{plainForm, envelope} {
			if name == "recoverable" && form == plainForm {
				continue // closes the connection
			}
			t.Run(name+" "+form, func(t *testing.T) {
				cost := func(queue int) func() time.Duration {
					srv := serve(t, kanava.Options[account]{Limits: kanava.Limits{Queue: queue}}, wiring{Public: true})
					topic := kanava.NewTopic[int](srv.EventHub(), "t", class)
					link := openIn(t, srv, form, "/test", newPeer())
					// What is never dropped stands before the events.
					for _, name := range []string{"other", "t:x"} {
						if err := srv.EventHub().Subscribe(t.Context(), name, link.ID()); err != nil {
							t.Fatal(err)
						}
						for b := (kanava.Backlog{}); name == "other" && b.Bytes < queue/3; {
							if err := srv.EventHub().Publish(t.Context(), name, 1); err != nil {
								t.Fatal(err)
							}
							var err error
							if b, err = srv.Conns().Backlog(t.Context(), link.ID()); err != nil {
								t.Fatal(err)
							}
						}
					}
					publish := func(n int) time.Duration {
						begin := time.Now()
						for i := range n {
							if err := topic.Publish(t.Context(), "x", i); err != nil {
								t.Fatal(err)
							}
						}
						return time.Since(begin)
					}
					publish(queue / 64) // more than fit
					if b, err := srv.Conns().Backlog(t.Context(), link.ID()); err != nil || b.Dropped == (kanava.Dropped{}) {
						t.Fatalf("%+v, %v: nothing was dropped", b, err)
					}
					return func() time.Duration { return publish(200) }
				}
				little, much := cost(short), cost(long)
				var a, b []time.Duration
				for range 30 { // the machine may be busy: the best of both counts
					a, b = append(a, little()), append(b, much())
				}
				if best, with := slices.Min(a), slices.Min(b); with > 5*best {
					t.Errorf("200 publications take %v where the queue is short, and %v where it is long", best, with)
				}
			})
		}
	}
}

// What one publication to 1,000 subscribers costs, when all read and when one
// of them does not.
func BenchmarkPublishBesideAStuckClient(b *testing.B) {
	for name, class := range stuckClasses {
		for _, stuck := range []int{0, 1} {
			b.Run(fmt.Sprintf("%s/stuck=%d", name, stuck), func(b *testing.B) {
				srv := serve(b, kanava.Options[account]{Limits: kanava.Limits{Queue: 64 << 10}}, wiring{Public: true})
				topic := kanava.NewTopic[string](srv.EventHub(), "t", class)
				var links []*kanava.Link
				for range 1000 {
					link := openIn(b, srv, envelope, "/test", newPeer())
					if err := srv.EventHub().Subscribe(b.Context(), "t:x", link.ID()); err != nil {
						b.Fatal(err)
					}
					links = append(links, link)
				}
				readers := links[stuck:]
				payload := strings.Repeat("x", 128)
				publish := func() {
					if err := topic.Publish(b.Context(), "x", payload); err != nil {
						b.Fatal(err)
					}
					drain(readers, func([]kanava.Frame) {})
				}
				for range 1000 { // the queue of the stuck client is full now
					publish()
				}
				for b.Loop() {
					publish()
				}
			})
		}
	}
}
