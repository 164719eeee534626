package kanava

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// A listener that is too slow gets what the class of each topic promises: of a
// Volatile topic some events in order, of a Latest one never an older value of a
// key after a newer and in the end the newest, of a Recoverable one everything
// in order or word of what is lost, of an Ordered one everything or the end.
func TestD11_InboxKeepsThePromiseOfEachClass(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var failed any
		synctest.Test(t, func(*testing.T) {
			defer func() { failed = recover() }()
			inboxPromises(rt)
		})
		if failed != nil { // rapid's way to end a case, which has to leave the bubble
			panic(failed)
		}
	})
}

func inboxPromises(t *rapid.T) {
	hub := NewEventHub(HubOptions{})
	defer hub.Close()
	const ttl = 10 * time.Second
	type value struct {
		Key string
		N   int
	}
	topics := map[class]*Topic[value]{
		ordered: NewTopic[value](hub, "ordered"), volatile: NewTopic[value](hub, "volatile", Volatile()),
		latest:      NewTopic[value](hub, "latest", LatestBy(func(v value) string { return v.Key })),
		recoverable: NewTopic[value](hub, "recoverable", Recoverable(6, ttl)),
	}
	ctx := context.Background()
	l := hub.newListener()
	l.in.limit = rapid.IntRange(100, 800).Draw(t, "limit")
	l.in.ready = func() {}
	l.begin()
	subscribed, ended := map[class]bool{}, false
	published := map[class]int{} // the number of the last
	excepted := map[int]bool{}   // of the Recoverable topic
	newest := map[string]int{}   // of the Latest topic
	seen := map[class]int{}      // the last number that was seen, or is known to be lost
	seenKey := map[string]int{}
	take := func() bool {
		it := l.in.next()
		switch {
		case it == nil:
			return false
		case it.lost != nil:
			from, to, known := int(it.lost.From.Offset), int(it.lost.To.Offset), seen[recoverable]
			for known < from && excepted[known+1] {
				known++
			}
			if it.sub.class != recoverable || from != known || to <= from || to > published[recoverable] {
				t.Fatalf("%v is lost; %d was seen last, of %d", it.lost, seen[recoverable], published[recoverable])
			}
			seen[recoverable] = to
			return true
		}
		v, c := it.ev.own.(value), it.sub.class
		if !subscribed[c] {
			t.Fatalf("%d of a topic that is not subscribed to", v.N)
		}
		switch c {
		case latest:
			if v.N < seenKey[v.Key] {
				t.Fatalf("%s is %d after %d", v.Key, v.N, seenKey[v.Key])
			}
			seenKey[v.Key] = v.N
		case volatile:
			if v.N <= seen[c] {
				t.Fatalf("%d after %d", v.N, seen[c])
			}
		default:
			next := seen[c] + 1
			for c == recoverable && excepted[next] {
				next++
			}
			if v.N != next {
				t.Fatalf("%d of the %v topic after %d", v.N, c, seen[c])
			}
		}
		seen[c] = v.N
		return true
	}
	t.Repeat(map[string]func(*rapid.T){
		"subscribe": func(t *rapid.T) {
			c := class(rapid.IntRange(0, 3).Draw(t, "class"))
			if !ended && !subscribed[c] {
				if err := topics[c].Subscribe(ctx, l, "x"); err != nil {
					t.Fatal(err)
				}
				subscribed[c], seen[c] = true, published[c]
			}
		},
		"unsubscribe": func(t *rapid.T) {
			c := class(rapid.IntRange(0, 3).Draw(t, "class"))
			if err := topics[c].Unsubscribe(ctx, l, "x"); err != nil {
				t.Fatal(err)
			}
			subscribed[c] = false
		},
		"publish": func(t *rapid.T) {
			c := class(rapid.IntRange(0, 3).Draw(t, "class"))
			v := value{strings.Repeat(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"), rapid.IntRange(1, 60).Draw(t, "length")), published[c] + 1}
			var opts []PublishOption
			if c == recoverable && rapid.IntRange(0, 4).Draw(t, "except") == 0 {
				excepted[v.N] = true
				opts = append(opts, Except(l.ID()))
			}
			waits := l.in.bytes + itemCost + len(fmt.Sprintf(`{"Key":%q,"N":%d}`, v.Key, v.N))
			tooSlow := c == ordered && subscribed[c] && l.in.queue.len() > 0 && waits > l.in.limit && l.Err() == nil
			if err := topics[c].Publish(ctx, "x", v, opts...); err != nil {
				t.Fatal(err)
			}
			published[c] = v.N
			if c == latest {
				newest[v.Key] = v.N
			}
			if tooSlow {
				synctest.Wait()
				if !errors.Is(l.Err(), error(errSlowListener)) {
					t.Fatalf("%d bytes wait, the limit is %d, and the listener ends with %v", waits, l.in.limit, l.Err())
				}
				subscribed, ended = map[class]bool{}, true
			} else if l.Err() != nil && !ended {
				t.Fatal(l.Err())
			}
		},
		"take": func(*rapid.T) { take() },
		"wait": func(t *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 12).Draw(t, "seconds")) * time.Second) },
		"": func(t *rapid.T) {
			l.in.mu.Lock()
			defer l.in.mu.Unlock()
			sum := 0
			for i := range l.in.queue.len() {
				sum += (*l.in.queue.at(i)).size()
			}
			if sum != l.in.bytes || sum > l.in.limit && l.in.queue.len() > 1 && l.in.err == nil && !subscribedTo(subscribed, latest) {
				t.Fatalf("%d bytes wait, %d are booked, the limit is %d", sum, l.in.bytes, l.in.limit)
			}
		},
	})
	for take() {
	}
	if ended {
		return
	}
	for _, c := range []class{ordered, recoverable} {
		last := published[c]
		for c == recoverable && last > seen[c] && excepted[last] {
			last--
		}
		if subscribed[c] && seen[c] < last {
			t.Fatalf("%d of the %v topic was seen last, of %d", seen[c], c, published[c])
		}
	}
	for key, n := range newest {
		if subscribed[latest] && seenKey[key] != n {
			t.Fatalf("%s is %d, not %d", key, seenKey[key], n)
		}
	}
	l.Close()
}

func subscribedTo(all map[class]bool, c class) bool { return all[c] }

// A loop over a topic ends with its context, the hub, or itself, and leaves
// nothing behind.
func TestListenEnds(t *testing.T) {
	hub := NewEventHub(HubOptions{})
	topic := NewTopic[string](hub, "room", Recoverable(10, time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	publish := func(s string) {
		if err := topic.Publish(t.Context(), "x", s); err != nil {
			t.Fatal(err)
		}
	}
	publish("0")
	var got []string
	for s, err := range topic.Listen(ctx, "x", Since(Position{})) {
		if err != nil {
			got = append(got, err.Error())
			continue
		}
		if got = append(got, s); len(got) < 3 {
			publish(strconv.Itoa(len(got)))
		} else {
			cancel()
		}
	}
	for range topic.Listen(t.Context(), "x", Since(Position{})) {
		break
	}
	for _, err := range topic.Listen(t.Context(), "a\nb") {
		got = append(got, string(err.(*Error).Code))
	}
	for s, err := range topic.Listen(t.Context(), "x", Since(Position{"other", 7})) {
		if lost, ok := errors.AsType[*LostError](err); ok {
			got = append(got, fmt.Sprintf("lost from %d to %d", lost.From.Offset, lost.To.Offset))
		} else if got = append(got, s); s == "2" {
			hub.Close()
		} else if err != nil {
			got = append(got, err.Error())
		}
	}
	want := "0,1,2,context canceled,invalid_argument,lost from 7 to 0,0,1,2,," + ErrClosed.Error()
	if got := strings.Join(got, ","); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if ts := hub.shard("room:x").topics["room:x"]; len(ts.subs) != 0 {
		t.Errorf("%d subscriptions are left", len(ts.subs))
	}
	hub.sinks.Range(func(id, _ any) bool { t.Errorf("%v is left", id); return true })
}
