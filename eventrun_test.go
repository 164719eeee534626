package kanava

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/kanava-go/kanava/internal/form"
)

// An outbox with events of runs, of others and replies between them hands out
// each once, in order, and counts its bytes, as a list does.
func TestRunsAreAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 4000
		c := &conn{form: form.Plain}
		o := &c.out
		o.peer = noPeer{}
		subs := []*subscription{{hubTopic: hubTopic{topic: "a"}}, {hubTopic: hubTopic{topic: "b"}}}
		topics := make([]runs, len(subs))
		var want []string // what waits
		bytes, next := 0, 0
		fits := func(size int, full bool) bool {
			if full != (bytes > 0 && bytes+size > limit) {
				t.Fatalf("full is %t with %d bytes for %d more", full, bytes, size)
			}
			return !full
		}
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(t *rapid.T) {
				i := rapid.IntRange(0, len(subs)-1).Draw(t, "topic")
				ev := &event{topic: subs[i].topic, data: fmt.Appendf(nil, "%q", fmt.Sprint(next, strings.Repeat("x", rapid.SampledFrom([]int{0, 10, 1000}).Draw(t, "more"))))}
				next++
				if rapid.Bool().Draw(t, "in a run") {
					topics[i].add(ev)
				}
				if rapid.IntRange(0, 9).Draw(t, "kept from this one") == 0 {
					return
				}
				data := ev.frame(c.form).Data
				full, closed := o.addRun(ev, subs[i], len(data), limit)
				if size := len(data) + itemCost; fits(size, full) && !closed {
					want = append(want, string(data))
					bytes += size
				}
			},
			"reply": func(*rapid.T) {
				data := fmt.Appendf(nil, "reply %d", next)
				next++
				if full, _ := o.add(outItem{frame: Frame{Data: data}}, limit); fits(len(data)+itemCost, full) {
					want = append(want, string(data))
					bytes += len(data) + itemCost
				}
			},
			"take": func(t *rapid.T) {
				var items []outItem
				o.take(&items, rapid.SampledFrom([]int{1, 500, 1 << 20}).Draw(t, "most"), limit)
				var frames []Frame
				for i := range items {
					if items[i].run > 0 {
						frames = c.appendRun(frames, &items[i])
					} else {
						frames = append(frames, items[i].frame)
					}
				}
				if len(frames) > len(want) || len(want) > 0 && len(frames) == 0 {
					t.Fatalf("%d frames were taken of %d", len(frames), len(want))
				}
				for i, f := range frames {
					if string(f.Data) != want[i] {
						t.Fatalf("frame %q, want %q", f.Data, want[i])
					}
					bytes -= len(f.Data) + itemCost
				}
				want = slices.Delete(want, 0, len(frames))
			},
			"": func(t *rapid.T) {
				if o.bytes() != bytes || (o.first() == 0) != (len(want) == 0) {
					t.Fatalf("%d bytes wait, want %d", o.bytes(), bytes)
				}
			},
		})
	})
}

// What was published while OnConnect runs comes behind what that returns, and
// is no part of an item that may go out before.
func TestRunsAreHeldBack(t *testing.T) {
	c := &conn{form: form.Plain}
	c.out.peer = noPeer{}
	sub := &subscription{hubTopic: hubTopic{topic: "a"}}
	var topic runs
	publish := func(n int) {
		ev := &event{topic: "a", data: fmt.Appendf(nil, "%d", n)}
		topic.add(ev)
		c.out.addRun(ev, sub, len(ev.frame(c.form).Data), 1<<20)
	}
	publish(1)
	c.out.hold()
	publish(2)
	publish(3)
	c.out.release(&outItem{frame: Frame{Data: []byte("welcome")}}, true)
	publish(4)
	var items []outItem
	c.out.take(&items, 1<<20, 1<<20)
	var frames []Frame
	for i := range items {
		if items[i].run > 0 {
			frames = c.appendRun(frames, &items[i])
		} else {
			frames = append(frames, items[i].frame)
		}
	}
	var got []string
	for _, f := range frames {
		got = append(got, string(f.Data))
	}
	want := []string{`{"topic":"a","data":1}`, "welcome", `{"topic":"a","data":2}`, `{"topic":"a","data":3}`, `{"topic":"a","data":4}`}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
