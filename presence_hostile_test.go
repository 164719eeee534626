package kanava_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/kanavatest"
)

// crowd lets n clients join, and returns what lets them leave.
func (r *presenceRoom) crowd(srv *server, n int) []*presencePeer {
	r.t.Helper()
	list := make([]*presencePeer, n)
	for i := range list {
		list[i] = r.open(srv, fmt.Sprintf("m%03d", i))
		r.ok(r.here.Join(ctx, list[i].ch, "x", i))
	}
	return list
}

// D12 Above 200 members the number is told, and who wants to know asks page by
// page; at 150 everything is told again.
func TestD12_PagesOfMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPresenceRoom(t)
		srv := r.serve(wiring{Public: true})
		eye := r.watch(r.open(srv, ""))
		r.ok(eye.take())
		members := r.crowd(srv, 450)
		r.expect(eye, "")
		seen := eye.seen["room:x"]
		if seen.listed || seen.count != 450 || len(seen.told) != 2 || eye.bytes > 1000 {
			t.Fatalf("listed %v, count %d, %d frames, %d bytes", seen.listed, seen.count, len(seen.told), eye.bytes)
		}
		var ids []string
		next := ""
		for id := 1; id == 1 || next != ""; id++ {
			eye.link.Receive(fmt.Appendf(nil, `{"id":%d,"presence":"room:x","after":%q}`, id, next), false)
			r.ok(eye.take())
			page := eye.pages[id-1]
			if page.V != seen.v || page.Count != 450 || len(page.All) != []int{200, 200, 50}[id-1] {
				t.Fatalf("page %d: v %d of %d, count %d, %d members", id, page.V, seen.v, page.Count, len(page.All))
			}
			for _, m := range page.All {
				ids = append(ids, m.ID)
			}
			next = page.Next
		}
		for i, id := range ids {
			if id != fmt.Sprintf("m%03d", i) {
				t.Fatalf("the %d-th is %s", i, id)
			}
		}
		n := 0
		for m, err := range r.here.Members(ctx, "x") {
			if err != nil || m.Data != n || m.ID != ids[n] {
				t.Fatalf("the %d-th is %v, error %v", n, m, err)
			}
			n++
		}
		if n != 450 {
			t.Errorf("%d members", n)
		}
		for _, p := range members[150:] {
			p.leave()
		}
		time.Sleep(5 * time.Second)
		r.settle(eye)
		if !seen.listed || len(seen.members) != 150 {
			t.Errorf("listed %v, %d members", seen.listed, len(seen.members))
		}
		eye.link.Receive([]byte(`{"id":9,"presence":"room:x"}`), false)
		r.ok(eye.take())
		if page := eye.pages[3]; page.V != seen.v || len(page.All) != 150 || page.Next != "" {
			t.Errorf("v %d of %d, %d members, next %q", page.V, seen.v, len(page.All), page.Next)
		}
	})
}

// D12 However much changes while a client does not read, little waits for it, and
// it is not closed.
func TestD12_AClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPresenceRoom(t)
		srv := r.serve(wiring{Public: true, Limits: kanava.Limits{Queue: 400}})
		eye := r.watch(r.open(srv, ""))
		members := r.crowd(srv, 20)
		r.settle(eye)
		before, told := eye.bytes, eye.frames
		for round := range 1000 {
			for i, p := range members {
				r.ok(r.here.Join(ctx, p.ch, "x", round*i))
			}
			time.Sleep(gathered)
		}
		if err := eye.ch.SendBinary(ctx, make([]byte, 200)); err != nil {
			t.Errorf("there is no room left in the queue: %v", err)
		}
		r.settle(eye)
		if got := eye.seen["room:x"].members["m019"]; string(got.Data) != fmt.Sprint(999*19) {
			t.Errorf("it knows of %v", got)
		}
		if !eye.open || eye.frames != told+1 || eye.bytes-before > 2000 {
			t.Errorf("open %v; %d frames, %d bytes", eye.open, eye.frames-told, eye.bytes-before)
		}
	})
}

// What a transport takes at once is bounded, whatever there is to tell.
func TestPresenceIsTakenInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := kanava.NewEventHub(kanava.HubOptions{})
		here := kanava.NewPresence[string](hub, "room")
		srv := serve(t, kanava.Options[account]{EventHub: hub}, wiring{Public: true})
		r := &presenceRoom{t: t, hub: hub}
		eye := r.open(srv, "")
		for room := range 20 {
			key := fmt.Sprint(room)
			for i := range 4 {
				r.ok(here.Join(ctx, r.open(srv, fmt.Sprint(i)).ch, key, strings.Repeat("x", 50<<10)))
			}
			r.ok(hub.Subscribe(ctx, "room:"+key, eye.link.ID()))
		}
		read := func(least int) {
			t.Helper()
			total := 0
			for {
				frames, _ := eye.link.Take(nil, 64<<10)
				if len(frames) == 0 {
					break
				}
				bytes := 0
				for _, f := range frames {
					bytes += len(f.Data)
				}
				if total += bytes; bytes > 300<<10 {
					t.Fatalf("%d bytes at once", bytes)
				}
			}
			if total < least {
				t.Errorf("%d bytes in all", total)
			}
		}
		read(20 * 200 << 10)
		for id := range 4 {
			eye.link.Receive(fmt.Appendf(nil, `{"id":%d,"presence":"room:0"}`, id+1), false)
		}
		read(4 * 200 << 10)
	})
}

// Requests are answered in order, once each, also with errors; few wait.
func TestPresenceRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPresenceRoom(t)
		srv := r.serve(wiring{Public: true})
		p := r.open(srv, "ann")
		ask := func(id int, topic string) {
			p.link.Receive(fmt.Appendf(nil, `{"id":%d,"presence":%q}`, id, topic), false)
		}
		for id, topic := range []string{"room:x", "room", "", "other:x"} {
			ask(id+1, topic)
		}
		r.ok(p.take())
		if got := strings.Join(p.errors, " "); got != "not_found not_found not_found not_found" {
			t.Errorf("without a subscription: %s", got)
		}
		r.watch(p)
		r.ok(r.hub.Subscribe(ctx, "other:x", p.link.ID()))
		p.errors = nil
		ask(5, "other:x") // a topic without a presence
		for id := range 6 {
			ask(6+id, "room:x")
		}
		r.ok(p.take())
		if got := strings.Join(p.errors, " "); got != "not_found resource_exhausted resource_exhausted" || len(p.pages) != 4 {
			t.Errorf("errors %s, %d pages", got, len(p.pages))
		}
		p.errors = nil
		ask(12, "room:x")
		r.ok(r.hub.Unsubscribe(ctx, "room:x", p.link.ID()))
		r.ok(p.take())
		if got := strings.Join(p.errors, " "); got != "not_found" || len(p.pages) != 4 {
			t.Errorf("after the end of the subscription: errors %s, %d pages", got, len(p.pages))
		}
	})
}

// A page costs as many messages as it has 64 KiB.
func TestPresenceRequestsAreCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := kanava.NewEventHub(kanava.HubOptions{})
		here := kanava.NewPresence[string](hub, "room")
		srv := serve(t, kanava.Options[account]{EventHub: hub}, wiring{Public: true, Limits: kanava.Limits{Rate: kanava.Rate{PerSecond: 1, Burst: 20}}})
		r := &presenceRoom{t: t, hub: hub}
		p := r.open(srv, "ann")
		p.large = true
		r.watch(p)
		for i := range 6 {
			q := r.open(srv, fmt.Sprint(i))
			r.ok(here.Join(ctx, q.ch, "x", strings.Repeat("x", 60<<10)))
		}
		time.Sleep(time.Minute)
		for id := range 6 { // each is 240 KiB
			p.link.Receive(fmt.Appendf(nil, `{"id":%d,"presence":"room:x"}`, id+1), false)
			r.ok(p.take())
		}
		if len(p.pages) != 5 || len(p.pages[0].All) != 4 || p.pages[0].Next != "3" || strings.Join(p.errors, " ") != "resource_exhausted" {
			t.Errorf("%d pages, %d members, next %q, errors %v", len(p.pages), len(p.pages[0].All), p.pages[0].Next, p.errors)
		}
		for _, f := range p.seen["room:x"].told[1:] { // 360 KiB of data are too much for frames
			if f.All != nil || f.Join != nil || *f.Count < 5 {
				t.Errorf("told %+v", f)
			}
		}
	})
}

// Presences are held back from connections without a session, as events are.
func TestS5_PresenceNeedsASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPresenceRoom(t)
		srv := r.serve(wiring{})
		p, ann := r.watch(r.open(srv, "")), r.open(srv, "ann")
		r.ok(r.here.Join(ctx, ann.ch, "x", 1))
		p.link.Receive([]byte(`{"id":1,"presence":"room:x"}`), false)
		r.expect(p, "")
		if p.frames != 0 || len(p.pages) != 0 || strings.Join(p.errors, " ") != "unauthenticated" {
			t.Errorf("%d frames, %d pages, errors %v", p.frames, len(p.pages), p.errors)
		}
		r.ok(p.ch.SetSession(ctx, account{ID: "bob", Until: time.Now().Add(time.Minute)}))
		r.ok(p.take())
		if got := p.who("room:x"); got != "ann*1=1" {
			t.Errorf("signed in it knows of %q", got)
		}
		time.Sleep(time.Minute)
		r.ok(r.here.Join(ctx, ann.ch, "x", 2))
		r.expect(p, "ann*1=1") // the session has expired
		r.ok(p.ch.SetSession(ctx, account{ID: "bob"}))
		r.ok(p.take())
		if got := p.who("room:x"); got != "ann*1=2" {
			t.Errorf("with a new session it knows of %q", got)
		}
	})
}

// Outgoing middleware sees the data of each member: it changes what clients are
// told, and drops members.
func TestPresenceAndOutgoingMiddleware(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPresenceRoom(t)
		srv := r.serve(wiring{Public: true, Outgoing: []kanava.Outgoing{func(next kanava.Sender) kanava.Sender {
			return func(ctx context.Context, p *kanava.Payload) error {
				if p.Kind != kanava.KindPresence {
					return next(ctx, p)
				}
				switch n := p.Value.(int); {
				case p.Topic != "room:x":
					panic("of the topic " + p.Topic)
				case n == 13:
					return errors.New("unlucky")
				case n == 14:
					panic("unlucky")
				case n < 0 && p.Conn.(*line).Session().ID == "":
					return nil
				default:
					p.Value = n * 10
				}
				return next(ctx, p)
			}
		}}})
		eye := r.watch(r.open(srv, ""))
		r.ok(eye.take())
		who := []*presencePeer{r.open(srv, "a"), r.open(srv, "b"), r.open(srv, "c"), r.open(srv, "d")}
		for i, n := range []int{1, 13, 14, -2} {
			r.ok(r.here.Join(ctx, who[i].ch, "x", n))
		}
		hidden := func(want string) { // the number is that of all
			t.Helper()
			time.Sleep(gathered)
			synctest.Wait()
			for eye.open {
				frames, _ := eye.link.Take(nil, 64<<10)
				if len(frames) == 0 {
					break
				}
				for _, f := range frames {
					if got := string(f.Data); !kanavatest.SameJSON(got, want) {
						t.Errorf("got %s, want %s", got, want)
					}
					want = `"nothing more"`
				}
			}
			if want != `"nothing more"` {
				t.Errorf("nothing came, want %s", want)
			}
		}
		hidden(`{"presence":"room:x","v":2,"join":[{"id":"a","n":1,"data":10}],"leave":["b","c","d"],"count":4}`)
		r.ok(r.here.Join(ctx, who[0].ch, "x", -1))
		hidden(`{"presence":"room:x","v":3,"join":[],"leave":["a"],"count":4}`)
		eye.link.Receive([]byte(`{"id":1,"presence":"room:x"}`), false)
		hidden(`{"re":1,"out":{"v":3,"all":[],"count":4}}`)
		r.ok(eye.ch.SetSession(ctx, account{ID: "eve"}))
		hidden(`{"presence":"room:x","v":4,"all":[{"id":"a","n":1,"data":-10},{"id":"d","n":1,"data":-20}],"count":4}`)
	})
}

func TestPresenceErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := kanava.NewEventHub(kanava.HubOptions{Event: 10})
		here := kanava.NewPresence[string](hub, "room")
		srv := serve(t, kanava.Options[account]{EventHub: hub}, wiring{Public: true, Limits: kanava.Limits{Subscriptions: 2}})
		r := &presenceRoom{t: t, hub: hub}
		p := r.open(srv, "ann")
		for _, tc := range []struct {
			why, key, data string
			code           kanava.Code
		}{
			{"data over the limit", "x", "123456789", kanava.CodeTooLarge},
			{"a long key", strings.Repeat("x", 252), "", kanava.CodeInvalidArgument},
			{"a key with a line", "x\n", "", kanava.CodeInvalidArgument},
			{"a key", "x", "12345678", ""},
			{"the same key", "x", "", ""},
			{"no key", "", "", ""},
			{"a third one", "y", "", kanava.CodeResourceExhausted},
		} {
			if err := here.Join(ctx, p.ch, tc.key, tc.data); (tc.code == "") != (err == nil) || err != nil && !isCode(err, tc.code) {
				t.Errorf("%s: %v", tc.why, err)
			}
		}
		if n, err := here.Count(ctx, "y"); n != 0 || err != nil {
			t.Errorf("%d members, error %v", n, err)
		}
		for m, err := range here.Members(ctx, "x") {
			if err != nil || m.ID != "ann" || m.Conns != 1 {
				t.Errorf("%v, error %v", m, err)
			}
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		for m, err := range here.Members(ended, "x") {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%v, error %v", m, err)
			}
		}
		if err := here.Join(ended, p.ch, "x", ""); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that has ended: %v", err)
		}
		p.leave()
		synctest.Wait()
		if err := here.Join(ctx, p.ch, "x", ""); !errors.Is(err, kanava.ErrClosed) {
			t.Errorf("a connection that has ended: %v", err)
		}
		r.ok(here.Leave(ctx, p.ch, "x"))
		p = r.open(srv, "ann")
		hub.Close()
		if err := here.Join(ctx, p.ch, "x", ""); !errors.Is(err, kanava.ErrClosed) {
			t.Errorf("a hub that is closed: %v", err)
		}
	})
}

// Admit and MaySubscribe hold the session: Join inside of them is an error, and
// does not wait for ever.
func TestPresenceInAHook(t *testing.T) {
	r := newPresenceRoom(t)
	got := make(chan error, 2)
	var ch *line
	topic := kanava.NewTopic[int](r.hub, "hooked", kanava.MaySubscribe(func(ctx context.Context, _ account, _ string) error {
		got <- r.here.Join(ctx, ch, "x", 1)
		_, _, err := kanava.NewValue[int]("v").Get(ctx, ch)
		got <- err
		return nil
	}))
	srv := r.serve(wiring{Public: true})
	ch = r.open(srv, "ann").ch
	r.ok(topic.Subscribe(ctx, ch, "x"))
	for range 2 {
		if err := receive(t, got); err == nil || !strings.Contains(err.Error(), "Admit and MaySubscribe") {
			t.Errorf("error %v", err)
		}
	}
}

// Clients of the plain form are told nothing by themselves.
func TestPresenceInPlainForm(t *testing.T) {
	hub := kanava.NewEventHub(kanava.HubOptions{})
	defer hub.Close()
	here := kanava.NewPresence[int](hub, "room")
	ch := kanavatest.NewChannelOn[noOpen, account](t, hub, noOpen{}, nil)
	if err := errors.Join(hub.Subscribe(ctx, "room:x", ch.ID()), here.Join(ctx, ch, "x", 1)); err != nil {
		t.Fatal(err)
	}
	c := kanavatest.ClientOf(t, ch)
	c.ExpectNone()
	if n, err := here.Count(ctx, "x"); n != 1 || err != nil {
		t.Errorf("%d members, error %v", n, err)
	}
}

// TestPresenceUnderLoad lets everything happen at once: in the end all know the
// truth.
func TestPresenceUnderLoad(t *testing.T) {
	r := newPresenceRoom(t)
	srv := r.serve(wiring{Public: true})
	eye := r.watch(r.open(srv, ""))
	var peers []*presencePeer
	for i := range 16 {
		peers = append(peers, r.open(srv, fmt.Sprint("user", i%8)))
	}
	var work sync.WaitGroup
	for i, p := range peers {
		work.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			var errs []error
			for range 300 {
				switch rng.IntN(7) {
				case 0:
					errs = append(errs, r.here.Leave(ctx, p.ch, "x"))
				case 1:
					errs = append(errs, r.hub.Subscribe(ctx, "room:x", p.link.ID()))
				case 2:
					errs = append(errs, r.hub.Unsubscribe(ctx, "room:x", p.link.ID()))
				case 3:
					errs = append(errs, p.ch.SetSession(ctx, account{ID: fmt.Sprint("user", rng.IntN(8))}))
				case 4:
					errs = append(errs, p.take())
				default:
					errs = append(errs, r.here.Join(ctx, p.ch, "x", rng.IntN(5)))
				}
			}
			errs = append(errs, r.hub.Subscribe(ctx, "room:x", p.link.ID()), r.here.Join(ctx, p.ch, "x", 1))
			if err := errors.Join(errs...); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	want := func() string {
		members := map[string]presenceMember{}
		for m, err := range r.here.Members(ctx, "x") {
			r.ok(err)
			members[m.ID] = presenceMember{ID: m.ID, N: m.Conns, Data: fmt.Append(nil, m.Data)}
		}
		return presenceText(members)
	}
	peers = append(peers, eye)
	for _, p := range peers {
		for start := time.Now(); ; yield() {
			r.ok(p.take())
			if p.who("room:x") == want() {
				break
			}
			if time.Since(start) > 20*time.Second {
				t.Fatalf("a client knows of %q, there are %q", p.who("room:x"), want())
			}
		}
	}
	n := 0
	for m, err := range r.here.Members(ctx, "x") {
		r.ok(err)
		n += m.Conns
	}
	if n < len(peers)-1 {
		t.Errorf("%d connections of %d", n, len(peers))
	}
}
