package kanava

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/kanava-go/kanava/internal/form"
)

// said is an event as the model of a log knows it.
type said struct {
	o    uint64
	key  string
	size int
	when time.Time
}

func (s said) cost() int { return keptCost + 3*s.size + len(s.key) }

// A log keeps what its class says, as long as it says, and what it returns is
// complete or refused: it is checked against a list of all that was ever said.
func TestD1_LogOfATopic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &family{class: rapid.SampledFrom([]class{ordered, volatile, latest, recoverable}).Draw(t, "class")}
		if f.class == recoverable {
			f.size = rapid.IntRange(1, 8).Draw(t, "size")
			f.ttl = time.Duration(rapid.IntRange(1, 20).Draw(t, "ttl")) * time.Second
		}
		l := newTopicLog(f, "x")
		now := time.Now()
		var all []said
		trimmed := uint64(0) // events up to this one were let go of by trim
		// kept is what the model says is kept, oldest first.
		kept := func() (out []said) {
			switch f.class {
			case recoverable:
				for i, s := range all {
					if s.o > trimmed && i >= len(all)-f.size && now.Sub(s.when) < f.ttl {
						out = append(out, s)
					}
				}
			case latest:
				newest := map[string]said{}
				for _, s := range all {
					newest[s.key] = s
				}
				for _, s := range newest {
					if s.o > trimmed && now.Sub(s.when) < latestTime {
						out = append(out, s)
					}
				}
				slices.SortFunc(out, func(a, b said) int { return cmp.Compare(a.o, b.o) })
			}
			return out
		}
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(t *rapid.T) {
				s := said{o: uint64(len(all)) + 1, size: rapid.IntRange(0, 50).Draw(t, "bytes"), when: now}
				if f.class == latest {
					s.key = rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "key")
				}
				all = append(all, s)
				before := l.bytes
				ev := &event{key: s.key, data: make([]byte, s.size)}
				if grown := l.append(ev, now); l.bytes-before != grown {
					t.Fatalf("grew by %d, not %d", l.bytes-before, grown)
				}
				want := form.Position{Epoch: "x", Offset: s.o}
				if f.class == volatile {
					want = form.Position{}
				}
				if ev.at != want || l.at != want {
					t.Fatalf("the event is at %v, the topic at %v, want %v", ev.at, l.at, want)
				}
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 15).Draw(t, "seconds")) * time.Second)
				if f.class == latest {
					now = now.Add(latestTime / 3)
				}
			},
			"expire": func(*rapid.T) { l.expire(now) },
			"trim": func(t *rapid.T) {
				want := kept()
				l.expire(now)
				most := rapid.IntRange(0, 2000).Draw(t, "bytes")
				sum := 0
				for _, s := range want {
					sum += s.cost()
				}
				for _, s := range want {
					if sum <= most {
						break
					}
					trimmed, sum = s.o, sum-s.cost()
				}
				before := l.bytes
				if freed := l.trim(most); freed != before-l.bytes || l.bytes > most {
					t.Fatalf("trim(%d) freed %d of %d, %d are left", most, freed, before, l.bytes)
				}
			},
			"since": func(t *rapid.T) {
				from := form.Position{Epoch: rapid.SampledFrom([]string{"x", "x", "x", "y"}).Draw(t, "epoch"), Offset: rapid.Uint64Range(0, uint64(len(all))+2).Draw(t, "offset")}
				bytes := rapid.IntRange(0, 300).Draw(t, "bytes")
				limit := rapid.IntRange(1, 10).Draw(t, "limit")
				got, ok := l.since(from, limit, bytes, now)
				want := slices.DeleteFunc(kept(), func(s said) bool { return s.o <= from.Offset })
				known := from.Epoch == l.at.Epoch && from.Offset <= l.at.Offset && from.Offset+uint64(len(want)) == l.at.Offset
				if f.class == latest { // its events do not follow each other
					known, want = from == l.at, nil
				}
				if ok != known {
					t.Fatalf("since(%v) at %v is %v with %d events kept", from, l.at, ok, len(want))
				}
				if !ok {
					return
				}
				if len(want) > 0 && len(got) == 0 || len(got) > min(limit, len(want)) {
					t.Fatalf("%d events, of %d", len(got), len(want))
				}
				sum := 0
				for i, ev := range got {
					if ev.at.Offset != want[i].o {
						t.Fatalf("event %d is %d, want %d", i, ev.at.Offset, want[i].o)
					}
					if sum += len(ev.data) + itemLeast; i > 0 && sum > bytes {
						t.Fatalf("%d bytes, at most %d were asked for", sum, bytes)
					}
				}
			},
			"values": func(t *rapid.T) {
				after, to := rapid.Uint64Range(0, 20).Draw(t, "after"), rapid.Uint64Range(0, 20).Draw(t, "to")
				var got, want []uint64
				l.values(after, to, now, func(ev *event) bool { got = append(got, ev.at.Offset); return true })
				if f.class == latest {
					for _, s := range kept() {
						if s.o > after && s.o <= to {
							want = append(want, s.o)
						}
					}
				}
				if !slices.Equal(got, want) {
					t.Fatalf("values(%d, %d) are %v, want %v", after, to, got, want)
				}
			},
			"": func(t *rapid.T) {
				if l.class == ordered || l.class == volatile {
					if l.bytes != 0 || l.oldest() != nil {
						t.Fatalf("%d bytes are kept", l.bytes)
					}
				}
			},
		})
		l.expire(now)
		sum := 0
		for _, s := range kept() {
			sum += s.cost()
		}
		if l.bytes != sum {
			t.Fatalf("%d bytes are booked, %d are kept", l.bytes, sum)
		}
	})
}

// A Latest topic keeps 1,024 keys; the oldest goes first.
func TestD1_KeysOfALatestTopicAreBounded(t *testing.T) {
	l := newTopicLog(&family{class: latest}, "x")
	for i := range 2 * latestMost {
		l.append(&event{key: strconv.Itoa(i)}, time.Now())
	}
	var got []string
	l.values(0, math.MaxUint64, time.Now(), func(ev *event) bool { got = append(got, ev.key); return true })
	if len(got) != latestMost || len(l.newest) != latestMost || got[0] != strconv.Itoa(latestMost) {
		t.Errorf("%d keys, %d of them in order, the first %s", len(l.newest), len(got), got[0])
	}
}

// What expires is let go of also where nothing happens any more, and then
// nothing of the hub's runs.
func TestD2_HistoryExpiresWithoutPublications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewEventHub(HubOptions{})
		defer h.Close()
		room := NewTopic[string](h, "room", Recoverable(10, time.Minute))
		state := NewTopic[string](h, "state", Latest())
		for range 20 {
			if err := room.Publish(t.Context(), "x", "hello"); err != nil {
				t.Fatal(err)
			}
		}
		if err := state.Publish(t.Context(), "x", "hello"); err != nil {
			t.Fatal(err)
		}
		one := keptCost + 3*len(`"hello"`)
		for _, step := range []struct {
			after time.Duration
			want  int
		}{{0, 11 * one}, {time.Minute - sweepTime, 11 * one}, {2 * sweepTime, one}, {latestTime, 0}} {
			time.Sleep(step.after)
			synctest.Wait()
			if got := h.kept.bytes.Load(); got != int64(step.want) {
				t.Errorf("%v later %d bytes are kept, want %d", step.after, got, step.want)
			}
		}
		if h.kept.sweeping.Load() {
			t.Error("there is nothing to sweep any more")
		}
	})
}

// The position of a topic outlives its history, and both that nobody is
// subscribed, by a day at least.
func TestD2_PositionOutlivesHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := NewEventHub(HubOptions{})
		defer h.Close()
		const ttl = 100 * time.Hour // longer than that day
		topic := NewTopic[string](h, "room", Recoverable(10, ttl))
		publish := func() form.Position {
			if err := topic.Publish(t.Context(), "x", "hello"); err != nil {
				t.Fatal(err)
			}
			return h.shard("room:x").topics["room:x"].log.at
		}
		first := publish()
		time.Sleep(ttl + idleTime - sweepTime)
		second := publish()
		if second.Epoch != first.Epoch || second.Offset != 2 {
			t.Errorf("%v, then %v", first, second)
		}
	})
}

// All topics together keep no more than they may: those that keep the most lose
// their oldest events, and one that keeps little loses nothing.
func TestD2_HistoryIsBoundedInBytes(t *testing.T) {
	var log countingHandler
	h := NewEventHub(HubOptions{History: 1 << 20, Logger: slog.New(&log)})
	defer h.Close()
	greedy := NewTopic[string](h, "greedy", Recoverable(1_000_000, 24*time.Hour))
	small := NewTopic[string](h, "small", Recoverable(10, 24*time.Hour))
	publish := func(topic *Topic[string], key string) {
		if err := topic.Publish(t.Context(), key, "0123456789"); err != nil {
			t.Fatal(err)
		}
		if got := h.kept.bytes.Load(); got > 1<<20 {
			t.Fatalf("%d bytes are kept", got)
		}
	}
	for range 10 {
		publish(small, "x")
	}
	for i := range 100_000 {
		publish(greedy, strconv.Itoa(i%3))
	}
	if got := h.shard("small:x").topics["small:x"].log.events.len(); got != 10 {
		t.Errorf("the small topic keeps %d events of 10", got)
	}
	sum := 0
	h.eachTopic(func(ts *topicState) int {
		sum += ts.log.bytes
		if n := ts.log.events.len(); ts.topic != "small:x" && n < 500 {
			t.Errorf("%s keeps %d events", ts.topic, n)
		}
		return 0
	})
	if got := h.kept.bytes.Load(); got != int64(sum) || log.n != 1 {
		t.Errorf("%d bytes are booked, %d are kept; %d log entries", got, sum, log.n)
	}
}

// What is kept of the users of a Private topic is let go of when the last
// connection of one was lost for the ttl, and booked.
func TestD10_FloorsAreLetGoOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const ttl = 10 * time.Second
		s := floors{ttl: ttl}
		now, bytes, at := time.Now(), 0, uint64(0)
		type user struct {
			open []*floor
			from uint64
			left time.Time // the zero Time: there is no floor
		}
		users := map[string]*user{"a": {}, "b": {}, "": {}}
		draw := func(t *rapid.T) (string, *user) {
			name := rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "user")
			return name, users[name]
		}
		t.Repeat(map[string]func(*rapid.T){
			"join": func(t *rapid.T) {
				name, u := draw(t)
				at++
				if name == "" || len(u.open) == 0 && (u.left.IsZero() || now.Sub(u.left) >= ttl) {
					u.from = at
				}
				f, grown := s.join(name, at, now)
				bytes += grown
				if f.from != u.from {
					t.Fatalf("%q is let in from %d, not %d", name, f.from, u.from)
				}
				u.open = append(u.open, f)
				u.left = now
			},
			"leave": func(t *rapid.T) {
				name, u := draw(t)
				if len(u.open) == 0 {
					return
				}
				f := u.open[0]
				u.open = u.open[1:]
				s.leave(f, now)
				u.left = now
				if name != "" && len(u.open) == 0 && rapid.Bool().Draw(t, "for good") {
					bytes -= s.forget(f)
					u.left = time.Time{}
				}
			},
			"wait":   func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(1, 12).Draw(t, "seconds")) * time.Second) },
			"expire": func(*rapid.T) { bytes -= s.expire(now) },
			"": func(t *rapid.T) {
				if bytes != floorCost*len(s.byUser) {
					t.Fatalf("%d bytes for %d users", bytes, len(s.byUser))
				}
			},
		})
		bytes -= s.expire(now)
		want := 0
		for name, u := range users {
			if name != "" && !u.left.IsZero() && (len(u.open) > 0 || now.Sub(u.left) < ttl) {
				want++
			}
		}
		if len(s.byUser) != want || bytes != floorCost*want {
			t.Fatalf("%d users with %d bytes, want %d", len(s.byUser), bytes, want)
		}
	})
}

type countingHandler struct{ n int }

func (c *countingHandler) Enabled(context.Context, slog.Level) bool  { return true }
func (c *countingHandler) Handle(context.Context, slog.Record) error { c.n++; return nil }
func (c *countingHandler) WithAttrs([]slog.Attr) slog.Handler        { return c }
func (c *countingHandler) WithGroup(string) slog.Handler             { return c }

// A share is the greatest with which all fits.
func TestFairShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOf(rapid.IntRange(0, 100)).Draw(t, "sizes")
		total := rapid.IntRange(0, 500).Draw(t, "total")
		sum := func(share int) (n int) {
			for _, size := range sizes {
				n += min(size, share)
			}
			return n
		}
		got := fairShare(slices.Clone(sizes), total)
		if sum(got) > total || got != math.MaxInt && sum(got+1) <= total {
			t.Fatalf("%v share %d by %d", sizes, total, got)
		}
	})
}

// The books are right whatever happens at once.
func TestD2_BooksOfTheHistory(t *testing.T) {
	h := NewEventHub(HubOptions{History: 64 << 10, Logger: slog.New(slog.DiscardHandler)})
	topic := NewTopic[string](h, "a", Recoverable(50, 24*time.Hour))
	state := NewTopic[string](h, "b", Latest())
	done := make(chan struct{})
	for g := range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := range 2000 {
				_ = topic.Publish(context.Background(), strconv.Itoa((g*i)%40), "0123456789")
				_ = state.Publish(context.Background(), strconv.Itoa(i%7), "0123456789")
				if i%500 == 0 {
					h.sweep()
				}
			}
		}()
	}
	for range 4 {
		<-done
	}
	kept := map[string]int{}
	h.eachTopic(func(ts *topicState) int { kept[ts.topic] = ts.log.bytes; return 0 })
	sum := 0
	for n := range maps.Values(kept) {
		sum += n
	}
	if got := h.kept.bytes.Load(); got != int64(sum) || sum > 64<<10 || sum == 0 {
		t.Errorf("%d bytes are booked, %d are kept", got, sum)
	}
	h.Close()
	if got := h.kept.bytes.Load(); got != 0 {
		t.Errorf("%d bytes are kept of a closed hub", got)
	}
}
