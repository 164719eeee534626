package kanava_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/kanavatest"
	"github.com/kanava-go/kanava/transport/transporttest"
)

// What one event sets is there in the next, in whatever process.
func TestStatelessKeepsWhatEventsSet(t *testing.T) {
	inCloud(t, nil, func(t *testing.T, c *cloud) {
		g := c.join(t)
		g.tell(`{"action":"whoami"}`)
		g.expect(`{"message":"","action":"whoami"}`)
		g.tell(`{"action":"login","id":"ann"}`)
		g.expect(`{"action":"login"}`)
		for range 4 {
			g.tell(`{"action":"whoami"}`)
			g.expect(`{"message":"ann","action":"whoami"}`)
		}
		for n := range 4 {
			g.do("count", "", strconv.Itoa(n+1))
		}
		g.do("enter", "hers", "in")
		g.tell(`{"action":"login","id":"bob"}`) // what was ann's is gone
		g.expect(`{"action":"login"}`)
		g.do("count", "", "1")
		if err := c.processes[0].room.Publish(t.Context(), "hers", "for ann"); err != nil {
			t.Fatal(err)
		}
		g.expectNone()
		g.tell(`{"action":"logout"}`)
		g.expect(`{"action":"logout"}`)
		g.tell(`{"action":"whoami"}`)
		g.expect(`{"message":"","action":"whoami"}`)
	})
}

// Events reach subscribers from whatever process publishes, but not whom they are
// kept from.
func TestStatelessEvents(t *testing.T) {
	inCloud(t, nil, func(t *testing.T, c *cloud) {
		a, b := c.join(t), c.join(t)
		for i := range 4 {
			a.do("say", fmt.Sprint("hi ", i), "said")
			b.expect(fmt.Sprintf(`{"topic":"room:all","data":"hi %d"}`, i))
		}
		a.expectNone()
		b.do("exit", "all", "out")
		a.do("say", "alone", "said")
		b.expectNone()
		b.do("enter", "all", "in")
		a.do("say", "back", "said")
		b.expect(`{"topic":"room:all","data":"back"}`)
	})
}

// Fifty clients that send at once lose no reply and no event.
func TestStatelessCrowd(t *testing.T) {
	inCloud(t, nil, func(t *testing.T, c *cloud) {
		const clients, each = 50, 4
		guests := make([]*guest, clients)
		for i := range guests {
			guests[i] = c.join(t)
		}
		var all sync.WaitGroup
		for i, g := range guests {
			all.Go(func() {
				for n := range each {
					g.tell(fmt.Sprintf(`{"action":"say","message":"%d.%d"}`, i, n))
				}
			})
		}
		all.Wait()
		for i, g := range guests {
			replies, events := 0, make(map[string]int)
			for range each + (clients-1)*each {
				if f := g.next(); f == `{"action":"say","result":"said"}` {
					replies++
				} else {
					events[f]++
				}
			}
			if replies != each || len(events) != (clients-1)*each {
				t.Fatalf("client %d got %d replies and %d different events", i, replies, len(events))
			}
			g.expectNone()
		}
	})
}

// Events of one connection that come at once, to different processes, undo nothing of
// each other.
func TestStatelessEventsAtOnce(t *testing.T) {
	inCloud(t, nil, func(t *testing.T, c *cloud) {
		const n = 40
		g := c.join(t)
		synctest.Wait()
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() {
				frame := fmt.Sprintf(`{"action":"enter","message":"r%d"}`, i)
				if i%4 == 0 {
					frame = fmt.Sprintf(`{"action":"login","id":"ann%d"}`, i)
				}
				ctx, cancel := context.WithTimeout(t.Context(), kanavatest.Wait)
				defer cancel()
				if err := c.Next().Message(ctx, g.ID(), []byte(frame), false, nil); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for range n {
			if f := g.next(); strings.Contains(f, "error") && !strings.Contains(f, `"aborted"`) {
				t.Error(f)
			}
		}
		g.tell(`{"action":"whoami"}`)
		if f := g.next(); !strings.HasPrefix(f, `{"message":"ann`) {
			t.Errorf("got %s", f)
		}
	})
}

// A connection that the platform knows no more is forgotten by whoever meets it, and
// leaves once.
func TestStatelessGone(t *testing.T) {
	inCloud(t, nil, func(t *testing.T, c *cloud) {
		a, b := c.join(t), c.join(t)
		b.do("say", "seen", "said")
		a.expect(`{"topic":"room:all","data":"seen"}`)
		c.Forget(b.GatewayClient)
		for range 2 {
			a.do("say", "anybody?", "said")
		}
		synctest.Wait()
		if n, code := c.left.Load(), <-c.codes; n != 1 || code != kanava.CloseAbnormal {
			t.Errorf("OnDisconnect ran %d times, with %d", n, code)
		}
		for member := range c.store.Members(t.Context(), "room:all") {
			if n := c.joined.Load(); n != 2 {
				t.Errorf("OnConnect ran %d times; %s is there", n, member)
			}
		}
		_ = b.Close(1000, "") // the platform says so later
		synctest.Wait()
		if n := c.left.Load(); n != 1 {
			t.Errorf("OnDisconnect ran %d times", n)
		}
	})
}

// Where nobody says that a connection can be sent to, what OnConnect returns comes
// with the first message, and what was published before that as well.
func TestStatelessWelcomeWaits(t *testing.T) {
	inCloud(t, func(o *kanava.StatelessOptions) { o.TellsConnected = false }, func(t *testing.T, c *cloud) {
		g := c.knock(t)
		g.Accept(false) // as it is while the platform opens it
		if err := c.processes[0].room.Publish(t.Context(), "all", "early"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		g.Accept(true)
		g.expectNone()
		g.tell("{}") // has no answer
		g.expect(`{"message":"welcome"}`, `{"topic":"room:all","data":"early"}`)
		if n := c.left.Load(); n != 0 {
			t.Errorf("OnDisconnect ran %d times", n)
		}
	})
}

// A client of kanava.v1 finds out with its next ping that it has missed something, and
// gets it.
func TestStatelessRecovers(t *testing.T) {
	inCloud(t, nil, func(t *testing.T, c *cloud) {
		g, _ := c.greet(t, `{"hello":{}}`)
		if err := c.processes[0].room.Publish(t.Context(), "all", "lost on its way"); err != nil {
			t.Fatal(err)
		}
		var on positioned
		g.into(&on)
		g.tell(`{"ping":true,"id":1}`)
		var pong struct {
			Out struct {
				At map[string]struct {
					E string `json:"e"`
					O uint64 `json:"o"`
				} `json:"at"`
			} `json:"out"`
		}
		g.into(&pong)
		if at := pong.Out.At["room:all"]; at.E != on.E || at.O != on.O || on.Data != "lost on its way" {
			t.Fatalf("the event is at %+v, the topic at %+v", on, at)
		}
		g.tell(`{"recover":"room:all","id":2,"e":"` + on.E + `","o":` + strconv.FormatUint(on.O-1, 10) + `}`)
		g.expect(fmt.Sprintf(`{"re":2,"out":{"ok":true,"e":%q,"events":[{"o":%d,"data":"lost on its way"}],"o":%d}}`, on.E, on.O, on.O))
	})
}

// A node that holds connections of its own and processes that hold none share one
// engine: what is published on either side reaches both.
func TestStatelessBesideNodes(t *testing.T) {
	inCloud(t, nil, func(t *testing.T, c *cloud) {
		node := c.newProcess(t)
		node.srv.Stateless(kanava.StatelessOptions{Store: c.store, Platform: c.Gateway, Resident: true})
		live := kanavatest.Dial(t, node.srv, "/test")
		live.Expect(`{"message":"welcome"}`)
		g := c.join(t)
		g.do("say", "from nowhere", "said")
		live.Expect(`{"topic":"room:all","data":"from nowhere"}`)
		live.SendText(`{"action":"say","message":"from a node"}`)
		live.Expect(`{"action":"say","result":"said"}`)
		g.expect(`{"topic":"room:all","data":"from a node"}`)
		g.expectNone()
		live.SendText(`{"action":"join","message":"here"}`)
		live.Expect(`{"action":"join","result":"there"}`)
		synctest.Wait()
		g.do("join", "there", "there")
		g.tell(`{"action":"who"}`)
		if f := g.next(); strings.Count(f, ",") != 2 {
			t.Errorf("who is there: %s", f)
		}
		g.tell(`{"action":"id"}`)
		var id struct {
			Result string `json:"result"`
		}
		g.into(&id)
		if err := node.note.SendID(t.Context(), node.srv.Conns(), id.Result, "psst"); err != nil {
			t.Fatal(err)
		}
		g.expect(`"psst"`)
		live.SendText(`{"action":"id"}`)
		live.SendText(`{"action":"login","id":"zoe"}`)
		nodeID := kanavatest.Into[struct {
			Result string `json:"result"`
		}](live)
		live.Expect(`{"action":"login"}`)
		p := c.processes[0]
		if err := p.note.SendID(t.Context(), p.srv.Conns(), nodeID.Result, "back"); err != nil {
			t.Fatal(err)
		}
		live.Expect(`"back"`)
		if n, err := p.note.SendUser(t.Context(), p.srv.Conns(), "zoe", "all"); n != 1 || err != nil {
			t.Errorf("reached %d: %v", n, err)
		}
		live.Expect(`"all"`)
	})
}

// Connections are found by their ids and by their users, whatever has become of the
// process that has last seen them.
func TestStatelessReached(t *testing.T) {
	inCloud(t, nil, func(t *testing.T, c *cloud) {
		a, b := c.join(t), c.join(t)
		for _, g := range []*guest{a, b} {
			g.tell(`{"action":"login","id":"ann"}`)
			g.expect(`{"action":"login"}`)
		}
		p := c.processes[1]
		if n, err := p.note.SendUser(t.Context(), p.srv.Conns(), "ann", "hello"); n != 2 || err != nil {
			t.Fatalf("reached %d: %v", n, err)
		}
		a.expect(`"hello"`)
		b.expect(`"hello"`)
		a.tell(`{"action":"id"}`)
		var id struct {
			Result string `json:"result"`
		}
		a.into(&id)
		if err := p.hub.Subscribe(t.Context(), "news", id.Result); err != nil {
			t.Fatal(err)
		}
		if err := p.hub.Publish(t.Context(), "news", 1); err != nil {
			t.Fatal(err)
		}
		a.expect(`{"topic":"news","data":1}`)
		if err := p.hub.Unsubscribe(t.Context(), "news", id.Result); err != nil {
			t.Fatal(err)
		}
		if err := p.srv.Conns().Close(t.Context(), id.Result, 4201, "out"); err != nil {
			t.Fatal(err)
		}
		if f := a.frame(); f.Kind != transporttest.KindClosed || f.Code != 4201 {
			t.Errorf("got %v", f)
		}
		if err := p.srv.Conns().CloseUser(t.Context(), "ann", 4202, "all"); err != nil {
			t.Fatal(err)
		}
		if f := b.frame(); f.Code != 4202 {
			t.Errorf("got %v", f)
		}
		synctest.Wait()
		codes := map[kanava.CloseCode]bool{<-c.codes: true, <-c.codes: true}
		if n := c.left.Load(); n != 2 || !codes[4201] || !codes[4202] {
			t.Errorf("OnDisconnect ran %d times, with %v", n, codes)
		}
		if err := p.srv.Conns().Close(t.Context(), id.Result, 4201, "again"); codeOf(err) != kanava.CodeNotFound {
			t.Errorf("got %v", err)
		}
	})
}

// The close of a function comes after its reply, and ends what comes later.
func TestStatelessCloses(t *testing.T) {
	inCloud(t, nil, func(t *testing.T, c *cloud) {
		g := c.join(t)
		g.do("leave", "", "bye")
		if f := g.frame(); f.Code != 4200 || f.Reason != "enough" {
			t.Errorf("got %v", f)
		}
		if code := <-c.codes; code != 4200 {
			t.Errorf("OnDisconnect saw %d", code)
		}
		ctx, cancel := context.WithTimeout(t.Context(), kanavatest.Wait)
		defer cancel()
		if err := c.Next().Message(ctx, g.ID(), []byte(`{"action":"id"}`), false, nil); !errors.Is(err, kanava.ErrGone) {
			t.Errorf("got %v", err)
		}
	})
}

// Who is there is the same in all processes, and told to those who watch.
func TestStatelessPresence(t *testing.T) {
	inCloud(t, nil, func(t *testing.T, c *cloud) {
		watcher, _ := c.greet(t, `{"hello":{}}`)
		synctest.Wait()
		g := c.join(t)
		g.tell(`{"action":"login","id":"ann"}`)
		g.expect(`{"action":"login"}`)
		g.do("join", "busy", "there")
		last := uint64(0)
		told := func(want string) {
			t.Helper()
			var p struct {
				Presence string `json:"presence"`
				V        uint64 `json:"v"`
				All      []struct {
					ID   string `json:"id"`
					N    int    `json:"n"`
					Data text   `json:"data"`
				} `json:"all"`
				Count int `json:"count"`
			}
			for p.Presence == "" {
				watcher.into(&p)
			}
			var all []string
			for _, m := range p.All {
				all = append(all, fmt.Sprint(m.ID, m.N, m.Data.Message))
			}
			if got := strings.Join(all, " "); got != want || p.Count != len(all) || p.V <= last || p.Presence != "room:all" {
				t.Fatalf("told %q, %+v; want %q", got, p, want)
			}
			last = p.V
		}
		time.Sleep(time.Millisecond)
		told("ann1busy")
		for range 2 {
			g.do("who", "", "ann")
		}
		time.Sleep(time.Millisecond)
		g.Cut()
		synctest.Wait()
		told("")
	})
}

// What no process waits for is said so at once.
func TestStatelessUnimplemented(t *testing.T) {
	inCloud(t, nil, func(t *testing.T, c *cloud) {
		g, _ := c.greet(t, `{"hello":{}}`)
		g.tell(`{"do":"ask","id":1,"in":{"message":""}}`)
		if f := g.next(); !strings.Contains(f, `"re":1`) || !strings.Contains(f, `"unimplemented"`) {
			t.Errorf("got %s", f)
		}
		g.tell(`{"do":"login","id":2,"in":{"id":"ann"}}`)
		g.expect(`{"re":2}`)
		g.tell(`{"do":"count","id":3,"in":{"message":""},"key":"k"}`)
		if f := g.next(); !strings.Contains(f, `"re":3`) || !strings.Contains(f, `"unimplemented"`) {
			t.Errorf("got %s", f)
		}
	})
}

// No timer runs between events: sessions are found to have expired when they are met.
func TestStatelessExpiry(t *testing.T) {
	inCloud(t, nil, func(t *testing.T, c *cloud) {
		a, b := c.join(t), c.join(t)
		for _, g := range []*guest{a, b} {
			g.tell(`{"action":"login","id":"ann","ms":60000}`)
			g.expect(`{"action":"login"}`)
		}
		time.Sleep(time.Minute + 25*time.Second + time.Millisecond)
		a.tell(`{"action":"whoami"}`)
		if f := a.frame(); f.Code != 4401 {
			t.Errorf("got %v", f)
		}
		if err := c.processes[0].room.Publish(t.Context(), "all", "news"); err != nil {
			t.Fatal(err)
		}
		if f := b.frame(); f.Code != 4401 {
			t.Errorf("got %v", f)
		}
	})
}

// The limits of a connection hold over all of its events.
func TestStatelessLimits(t *testing.T) {
	inCloud(t, nil, func(t *testing.T, c *cloud) {
		g := c.join(t)
		for i := range 127 {
			g.do("enter", strconv.Itoa(i), "in")
		}
		g.tell(`{"action":"enter","message":"one more"}`)
		if f := g.next(); !strings.Contains(f, `"resource_exhausted"`) {
			t.Errorf("got %s", f)
		}
		for range 64 {
			h := c.join(t)
			h.tell(`{"action":"login","id":"ann"}`)
			h.expect(`{"action":"login"}`)
		}
		g.tell(`{"action":"login","id":"ann"}`)
		if f := g.next(); !strings.Contains(f, `"resource_exhausted"`) {
			t.Errorf("got %s", f)
		}
		g.tell(`{"action":"whoami"}`)
		g.expect(`{"message":"","action":"whoami"}`)
	})
}

// A platform can take the last message as the answer to the event.
func TestStatelessResponds(t *testing.T) {
	inCloud(t, nil, func(t *testing.T, c *cloud) {
		g := c.join(t)
		for frame, want := range map[string][]string{
			`{"action":"id"}`:                        {"", "result"},
			`{"action":"three"}`:                     {"0 1 2", "three"},
			`{"action":"nonsense"}`:                  {"", "invalid_argument"},
			`{"action":"say","message":"to nobody"}`: {"", "said"},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), kanavatest.Wait)
			var answers []string
			err := c.Next().Message(ctx, g.ID(), []byte(frame), false, func(f kanava.Frame) bool {
				answers = append(answers, string(f.Data))
				return true
			})
			cancel()
			if err != nil || len(answers) != 1 || !strings.Contains(answers[0], want[1]) {
				t.Errorf("%s: %v, answers %q", frame, err, answers)
			}
			for item := range strings.FieldsSeq(want[0]) {
				if f := g.next(); !strings.Contains(f, item) {
					t.Errorf("got %s, want %s", f, item)
				}
			}
			g.expectNone()
		}
	})
}

// Functions that still run when the time of an event is over are told so, and the
// client is answered.
func TestStatelessOutOfTime(t *testing.T) {
	inCloud(t, nil, func(t *testing.T, c *cloud) {
		g := c.join(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Next().Message(ctx, g.ID(), []byte(`{"action":"wait"}`), false, nil); err != nil {
			t.Log(err)
		}
		if f := g.next(); !strings.Contains(f, `"deadline_exceeded"`) {
			t.Errorf("got %s", f)
		}
		g.do("count", "", "1")
	})
}

// Clients are told nothing of what goes wrong inside.
func TestStatelessSaysNothingInternal(t *testing.T) {
	inCloud(t, nil, func(t *testing.T, c *cloud) {
		g := c.join(t)
		g.tell(`{"action":"fail"}`)
		g.expect(`{"action":"fail","error":{"code":"internal","message":"internal error"}}`)
		broken := transporttest.NewGateway(t, false)
		store := &brokenStore{Store: c.store}
		broken.Add(c.processes[0].srv.Stateless(kanava.StatelessOptions{Store: store, Platform: c.Gateway}))
		g.do("say", "still", "said") // goes to both
		synctest.Wait()
		store.load = true
		if err := broken.Next().Message(t.Context(), g.ID(), []byte(`{"action":"login","id":"ann"}`), false, nil); err != nil {
			t.Error(err)
		}
		if f := g.next(); strings.Contains(f, "secret") || !strings.Contains(f, `"unavailable"`) {
			t.Errorf("got %s", f)
		}
		if _, err := broken.Dial(t.Context(), transporttest.Request{Path: "/test"}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v", err)
		}
		if !strings.Contains(c.log.String(), "secret") {
			t.Error("nothing was logged")
		}
	})
}

// brokenStore fails.
type brokenStore struct {
	engine.Store
	load bool // but for Load
}

func (s *brokenStore) Load(ctx context.Context, ids []string) ([]engine.Record, error) {
	if !s.load {
		return nil, errors.New("dsn=secret")
	}
	return s.Store.Load(ctx, ids)
}

func (*brokenStore) Save(context.Context, string, []byte, uint64, time.Duration) (uint64, error) {
	return 0, errors.New("dsn=secret")
}

// Platforms have limits, which are checked before anything is sent.
func TestStatelessPlatformLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, kanava.Options[account]{}, wiring{
			Public:   true,
			OnBinary: kanava.BinaryFunc(func(_ context.Context, _ *line, p []byte) ([]byte, error) { return p, nil }),
			Messages: by(kanava.On("long", func(context.Context, *line, kanava.None) (string, error) {
				return strings.Repeat("x", 2000), nil
			})),
		})
		g := newGateway(t, memory.NewStore(), func(o *kanava.StatelessOptions) {
			o.MaxMessage, o.MaxFrame, o.NoBinary = 1000, 32000, true
		}, srv)
		c := &cloud{Gateway: g}
		plain := c.knock(t)
		plain.tell(`{"action":"long"}`)
		if f := plain.next(); !strings.Contains(f, `"internal"`) && !strings.Contains(f, `"too_large"`) {
			t.Errorf("got %s", f)
		}
		if err := plain.Send(t.Context(), []byte{1, 2}, true); err != nil {
			t.Fatal(err)
		}
		if f := plain.next(); !strings.Contains(f, `"unimplemented"`) {
			t.Errorf("got %s", f)
		}
		v1 := c.knock(t, envelope)
		v1.tell(`{"hello":{}}`)
		if f := v1.next(); !strings.Contains(f, `"max":32000`) {
			t.Errorf("got %s", f)
		}
		v1.expect(`{"push":""}`)
		v1.tell(`{"bin":"AQI="}`)
		v1.expect(`{"bin":"AQI="}`)
	})
}

// What is wrong with the options is said when the runtime is made.
func TestStatelessMisuse(t *testing.T) {
	store, platform := memory.NewStore(), transporttest.NewGateway(t, false)
	srv := serve(t, kanava.Options[account]{}, wiring{})
	for want, opts := range map[string]kanava.StatelessOptions{
		"required":           {},
		"Store and Platform": {Store: store},
		"negative":           {Store: store, Platform: platform, Keep: -1},
	} {
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.Contains(text, want) || !strings.Contains(text, "stateless_test.go") {
					t.Errorf("got %s, want %s", text, want)
				}
			}()
			srv.Stateless(opts)
		}()
	}
}
