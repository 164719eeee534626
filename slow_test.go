package kanava_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
)

// slowLab is a connection whose transport takes only when the test says so, and
// topics of all classes that it is subscribed to.
type slowLab struct {
	t    *testing.T
	srv  *server
	link *kanava.Link
	note *kanava.Push[string]
	end  *kanava.Closing
}

// The queue holds ten events of 400 bytes.
const slowQueue = 4700

var prices = strings.Split("abcdefghijk", "")

func newSlowLab(t *testing.T, form string, onConnect func(l *slowLab)) *slowLab {
	t.Helper()
	return newSlowLabWith(t, kanava.Options[account]{}, form, onConnect)
}

func newSlowLabWith(t *testing.T, opts kanava.Options[account], form string, onConnect func(l *slowLab)) *slowLab {
	t.Helper()
	l := &slowLab{t: t, note: kanava.NewPush[string]("note")}
	w := wiring{Public: true, Declares: []kanava.Declared{l.note}}
	if onConnect != nil {
		w.OnConnect = kanava.ConnectFunc(func(_ context.Context, ch *line) (kanava.None, error) {
			l.subscribe(ch.ID())
			onConnect(l)
			return kanava.None{}, nil
		})
	}
	opts.Limits.Queue = slowQueue
	l.srv = serve(t, opts, w)
	hub := l.srv.EventHub()
	kanava.NewTopic[string](hub, "move", kanava.Volatile())
	kanava.NewTopic[string](hub, "price", kanava.Latest())
	kanava.NewTopic[string](hub, "rate", kanava.LatestBy(func(v string) string { return v[:1] }))
	kanava.NewTopic[string](hub, "log", kanava.Recoverable(1000, time.Hour))
	peer := newPeer()
	if onConnect != nil {
		req := request("/test")
		req.Subprotocols = []string{form}
		link, err := l.srv.Open(t.Context(), req, peer)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { link.Disconnect(kanava.CloseNormal, ""); <-link.Done() })
		l.link = link
		link.Start()
		link.Receive([]byte(`{"hello":{}}`), false)
		return l
	}
	l.link = openIn(t, l.srv, form, "/test", peer)
	l.subscribe(l.link.ID())
	l.take()
	return l
}

func (l *slowLab) subscribe(id string) {
	l.t.Helper()
	topics := []string{"move:x", "log:x", "log:y", "room:x", "rate:x"}
	for _, key := range prices {
		topics = append(topics, "price:"+key)
	}
	for _, topic := range topics {
		if err := l.srv.EventHub().Subscribe(l.t.Context(), topic, id); err != nil {
			l.t.Fatal(err)
		}
	}
}

// publish publishes values of 400 bytes with their wrapping, which begin with
// names.
func (l *slowLab) publish(topic string, names ...string) {
	l.t.Helper()
	for _, name := range names {
		if err := l.srv.EventHub().Publish(l.t.Context(), topic, name+strings.Repeat(".", 340-len(name))); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *slowLab) publishPrices(keys []string) {
	l.t.Helper()
	for _, key := range keys {
		l.publish("price:"+key, key)
	}
}

func (l *slowLab) push(name string) {
	l.t.Helper()
	ch, err := l.srv.Conns().Get(l.t.Context(), l.link.ID())
	if err == nil {
		err = l.note.Send(l.t.Context(), ch, name+strings.Repeat(".", 340-len(name)))
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// takeSome returns what is taken at once, in short, and whether that was all.
func (l *slowLab) takeSome(most int) (short string, all bool) {
	l.t.Helper()
	frames, end := l.link.Take(nil, most)
	l.end = end
	var list []string
	for _, f := range frames {
		list = append(list, shortFrame(f.Data))
	}
	return strings.Join(list, ", "), len(frames) == 0
}

func (l *slowLab) take() string {
	var list []string
	for {
		short, all := l.takeSome(1 << 20)
		if all {
			return strings.Join(list, ", ")
		}
		list = append(list, short)
	}
}

func (l *slowLab) expect(want string) {
	l.t.Helper()
	if got := l.take(); got != want || l.end != nil {
		l.t.Errorf("got  %s\nwant %s\nclosing %v", got, want, l.end)
	}
}

// shortFrame says what a frame is: an event by its value or, if its topic is
// Recoverable and has positions, by its topic and offset.
func shortFrame(data []byte) string {
	var f struct {
		On, At, Sub, Unsub, Topic, Push string
		O                               uint64
		Data, V                         string
	}
	if json.Unmarshal(data, &f) != nil { // a push of the plain form
		return strings.Trim(string(data), `".`)
	}
	switch {
	case strings.HasPrefix(f.On, "log:"):
		return fmt.Sprintf("%s=%d", f.On, f.O)
	case f.On+f.Topic != "":
		return strings.TrimRight(f.Data, ".")
	case f.At != "":
		return fmt.Sprintf("at %s=%d", f.At, f.O)
	case f.Sub != "":
		return "sub " + f.Sub
	case f.Unsub != "":
		return "unsub " + f.Unsub
	case f.V != "":
		return strings.TrimRight(f.V, ".")
	}
	return string(data)
}

// numbered returns the names from prefix1 to prefixn.
func numbered(prefix string, from, to int) (names []string) {
	for i := from; i <= to; i++ {
		names = append(names, fmt.Sprint(prefix, i))
	}
	return names
}

func list(names ...[]string) string {
	var all []string
	for _, n := range names {
		all = append(all, n...)
	}
	return strings.Join(all, ", ")
}

func eachForm(t *testing.T, f func(t *testing.T, form string)) {
	t.Helper()
	for _, form := range []string{plainForm, envelope} {
		t.Run("form "+form, func(t *testing.T) { f(t, form) })
	}
}

func TestD11_TheOldestVolatileGoFirst(t *testing.T) {
	eachForm(t, func(t *testing.T, form string) {
		l := newSlowLab(t, form, nil)
		l.publish("room:x", "o1")
		l.publish("move:x", numbered("v", 1, 9)...)
		l.publish("room:x", "o2", "o3", "o4")
		l.publish("move:x", "v10")
		l.push("p1")
		l.expect(list([]string{"o1"}, numbered("v", 6, 9), []string{"o2", "o3", "o4", "v10", "p1"}))
		// A Volatile event is never a reason to close.
		l.publish("room:x", numbered("o", 5, 14)...)
		l.publish("move:x", "v11")
		l.expect(list(numbered("o", 5, 14)))
	})
}

func TestD11_TheNewestOfAKeyTakesThePlaceOfTheOlder(t *testing.T) {
	eachForm(t, func(t *testing.T, form string) {
		l := newSlowLab(t, form, nil)
		l.publish("price:a", "a1")
		l.publish("price:b", "b1")
		l.publish("room:x", "o1")
		l.publish("price:a", numbered("a", 2, 50)...)
		l.publish("price:b", numbered("b", 2, 50)...)
		l.expect("a50, b50, o1")
		l.publish("price:a", "a51")
		l.expect("a51")
		l.publish("rate:x", "a1", "b1", "a2", "c1", "b2")
		l.expect("a2, b2, c1")
	})
}

func TestD11_ATopicIsBehindUntilTheQueueIsHalfEmpty(t *testing.T) {
	l := newSlowLab(t, envelope, nil)
	l.publish("log:x", numbered("", 1, 4)...)
	l.publish("log:y", numbered("", 1, 3)...)
	l.push("p1")
	l.push("p2")
	l.push("p3")
	l.push("p4") // log:x has the most bytes
	l.publish("log:y", "4")
	l.publish("log:x", "5", "6") // nobody gets them
	l.push("p5")
	got, _ := l.takeSome(900)
	if want := "log:y=1, log:y=2"; got != want { // more than half is left
		t.Fatalf("got %s, want %s", got, want)
	}
	l.publish("log:x", "7")
	if got, _ = l.takeSome(1700); got != "log:y=3, p1, p2" {
		t.Fatalf("got %s", got)
	}
	l.publish("log:x", "8")
	l.expect("p3, p4, log:y=4, p5, at log:x=7, log:x=8")
}

func TestD11_TheTopicThatFillsTheQueueAloneIsBehind(t *testing.T) {
	l := newSlowLab(t, envelope, nil)
	for round := range 3 {
		l.publish("log:x", numbered("", 1, 100)...)
		l.expect(fmt.Sprintf("at log:x=%d", 100*(round+1)))
	}
	l.publish("log:x", "1")
	l.expect("log:x=301")
}

func TestD11_NothingIsLeftToDrop(t *testing.T) {
	for name, fill := range map[string]func(l *slowLab){
		"ordered": func(l *slowLab) { l.publish("room:x", numbered("o", 1, 11)...) },
		"latest":  func(l *slowLab) { l.publishPrices(prices) },
		"a newer that is larger": func(l *slowLab) {
			l.publishPrices(prices[1:])
			if err := l.srv.EventHub().Publish(context.Background(), "price:b", "a"+strings.Repeat(".", 2000)); err != nil {
				l.t.Fatal(err)
			}
		},
		"recoverable, plain": func(l *slowLab) { l.publish("log:x", numbered("", 1, 11)...) },
	} {
		t.Run(name, func(t *testing.T) {
			form := envelope
			if strings.HasSuffix(name, "plain") {
				form = plainForm
			}
			l := newSlowLab(t, form, nil)
			fill(l)
			if got := l.take(); got != "" || l.end == nil || l.end.Code != kanava.CloseSlowConsumer {
				t.Errorf("got %q, closing %v", got, l.end)
			}
		})
	}
}

// What OnConnect subscribes comes after its end, in order, however much was
// published before.
func TestD3_NothingComesBeforeSubWhileOnConnectRuns(t *testing.T) {
	published := make(chan struct{})
	l := newSlowLab(t, envelope, func(l *slowLab) {
		l.publish("log:x", numbered("", 1, 12)...)
		l.publish("move:x", "v1")
		l.publish("log:x", "13")
		close(published)
	})
	receive(t, published)
	want := []string{"open", `{"push":""}`, "sub move:x, sub log:x, sub log:y, sub room:x, sub rate:x, sub price:a, sub price:b, sub price:c, sub price:d, sub price:e, sub price:f, sub price:g, sub price:h, sub price:i, sub price:j, sub price:k, v1, at log:x=13"}
	got := ""
	for strings.Count(got, ", ") < len(strings.Split(strings.Join(want, ", "), ", "))-1 {
		if more := l.take(); more != "" {
			if got != "" {
				got += ", "
			}
			got += more
		}
	}
	if !strings.HasSuffix(got, strings.Join(want[1:], ", ")) {
		t.Errorf("got %s", got)
	}
}

func TestD3_NothingComesAfterUnsub(t *testing.T) {
	l := newSlowLab(t, envelope, nil)
	hub, ctx := l.srv.EventHub(), context.Background()
	l.publish("log:x", numbered("", 1, 12)...) // behind
	l.publish("log:y", "1")
	for _, topic := range []string{"log:x", "log:y"} {
		if err := hub.Unsubscribe(ctx, topic, l.link.ID()); err != nil {
			t.Fatal(err)
		}
	}
	l.publish("log:x", "13")
	if err := hub.Subscribe(ctx, "log:x", l.link.ID()); err != nil {
		t.Fatal(err)
	}
	l.publish("log:x", "14")
	l.expect("unsub log:x, unsub log:y, sub log:x, log:x=14")

	l.publish("log:x", numbered("", 15, 26)...)
	l.takeSome(1) // at waits
	if err := hub.Unsubscribe(ctx, "log:x", l.link.ID()); err != nil {
		t.Fatal(err)
	}
	l.expect("unsub log:x")
}

// The client is told a position for each event that it is not to see, but for
// those of a topic that has none.
func TestD9_ExceptOnATopicThatIsBehind(t *testing.T) {
	l := newSlowLab(t, envelope, nil)
	except := func(topic string) {
		if err := l.srv.EventHub().Publish(context.Background(), topic, "-", kanava.Except(l.link.ID())); err != nil {
			t.Fatal(err)
		}
	}
	except("move:x")
	except("log:x")
	l.expect("log:x=1")
	l.publish("log:x", numbered("", 2, 13)...)
	except("log:x")
	l.expect("at log:x=14")
}
