package kanava

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// asker is a client of kanava.v1 that is subscribed to "room:x", and asks.
type asker struct {
	link *Link
	id   int
}

func newAsker(t *testing.T, srv *Server[None]) *asker {
	t.Helper()
	link, err := srv.Open(context.Background(), &OpenRequest{URL: &url.URL{Path: "/a"}, Header: http.Header{}, Subprotocols: []string{"kanava.v1"}}, &wakePeer{func() {}})
	if err != nil {
		t.Fatal(err)
	}
	link.Start()
	link.Receive([]byte(`{"hello":{}}`), false)
	synctest.Wait()
	if err := srv.EventHub().Subscribe(t.Context(), "room:x", link.ID()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { link.Disconnect(CloseNormal, ""); <-link.Done() })
	a := &asker{link: link}
	a.take()
	return a
}

func (a *asker) take() (text string) {
	for frames, _ := a.link.Take(nil, 1<<20); len(frames) > 0; frames, _ = a.link.Take(nil, 1<<20) {
		for _, f := range frames {
			text += string(f.Data)
		}
	}
	return text
}

// ask returns the answer, without what it answers.
func (a *asker) ask(epoch string, from uint64) string {
	a.id++
	id := strconv.Itoa(a.id)
	a.link.Receive([]byte(`{"recover":"room:x","e":"`+epoch+`","o":`+strconv.FormatUint(from, 10)+`,"id":`+id+`}`), false)
	synctest.Wait()
	return strings.TrimPrefix(a.take(), `{"re":`+id)
}

// Equal answers are made once, for all who may see all of them; they are kept
// for a short time, and few of them.
func TestD7_EqualPagesAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := NewServer(Options[None]{Limits: Limits{Rate: Unlimited}})
		srv.Wire(Wiring[None, None]{Name: "a", Route: "/a", Public: true})
		hub := srv.EventHub()
		defer hub.Close()
		room := NewTopic[int](hub, "room", Recoverable(1000, time.Hour))
		kept := func() int {
			hub.pages.mu.Lock()
			defer hub.pages.mu.Unlock()
			return len(hub.pages.last)
		}
		first, second, other := newAsker(t, srv), newAsker(t, srv), newAsker(t, srv)
		epoch := hub.shard("room:x").topics["room:x"].log.at.Epoch
		for n := range 3 {
			var opts []PublishOption
			if n == 1 {
				opts = append(opts, Except(other.link.ID()))
			}
			if err := room.Publish(t.Context(), "x", n, opts...); err != nil {
				t.Fatal(err)
			}
		}
		for _, a := range []*asker{first, second, other} {
			a.take()
		}
		all := `,"out":{"ok":true,"e":"` + epoch + `","events":[{"o":1,"data":0},{"o":2,"data":1},{"o":3,"data":2}],"o":3}}`
		if one, two := first.ask(epoch, 0), second.ask(epoch, 0); one != all || two != all {
			t.Errorf("got  %s\nand  %s\nwant %s", one, two, all)
		}
		if got, want := other.ask(epoch, 0), strings.Replace(all, `{"o":2,"data":1},`, "", 1); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if n := kept(); n != 1 {
			t.Errorf("%d pages were made for all", n)
		}
		first.ask(epoch, 3)
		if n := kept(); n != 1 {
			t.Errorf("%d pages after an answer without events", n)
		}
		for n := range 2 * pagesMost {
			if err := room.Publish(t.Context(), "x", n); err != nil {
				t.Fatal(err)
			}
			first.ask(epoch, 0)
		}
		if n := kept(); n != pagesMost {
			t.Errorf("%d pages are kept, the limit is %d", n, pagesMost)
		}
		time.Sleep(2 * sweepTime)
		if n := kept(); n != 0 {
			t.Errorf("%d pages are kept for long", n)
		}
	})
}

// A server makes a bounded number of answers at a time; who asks for one more
// is told to come again.
func TestD7_RecoveriesOfAServerAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := NewServer(Options[None]{})
		srv.Wire(Wiring[None, None]{Name: "a", Route: "/a", Public: true})
		defer srv.EventHub().Close()
		NewTopic[int](srv.EventHub(), "room", Recoverable(1000, time.Hour))
		a := newAsker(t, srv)
		srv.c.recoveries.Store(recoverNode)
		if got := a.ask("x", 0); !strings.HasPrefix(got, `,"err":{"code":"resource_exhausted",`) || !strings.Contains(got, `"retryAfter":`) {
			t.Errorf("got %s", got)
		}
		if n := srv.c.recoveries.Add(-1); n != recoverNode-1 {
			t.Errorf("%d are under way", n)
		}
		if got := a.ask("x", 0); !strings.HasPrefix(got, `,"out":{"ok":false,`) {
			t.Errorf("got %s", got)
		}
	})
}
