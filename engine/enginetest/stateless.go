package enginetest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/kanavatest"
	"github.com/kanava-go/kanava/transport/transporttest"
)

// RunStateless runs a node that holds connections of its own, and two processes behind
// a gateway that hold none, on the engines of a backend and a Store: what happens on
// either side reaches both. Each behaviour is a subtest.
func RunStateless(t *testing.T, b Backend, store func(testing.TB) engine.Store) {
	for _, x := range []struct {
		name string
		run  func(*statelessLab)
	}{
		{"events reach both sides", testBothSides},
		{"what one event sets is there in the next", testNextEvent},
		{"a client recovers what it has missed", testMissed},
		{"presence and pushes reach both sides", testPresentOnBothSides},
		{"50 clients at once lose nothing", testAtOnce},
	} {
		t.Run(x.name, func(t *testing.T) {
			l := &statelessLab{T: t, b: b, store: store(t), gateway: transporttest.NewGateway(t, false), room: fmt.Sprint(time.Now().UnixNano())}
			l.node = l.join(true)
			l.gateway.Add(l.join(false).runtime)
			l.gateway.Add(l.join(false).runtime)
			x.run(l)
		})
	}
}

type statelessLab struct {
	*testing.T
	b       Backend
	store   engine.Store
	gateway *transporttest.Gateway
	room    string // of this test
	node    *statelessProcess
}

type statelessProcess struct {
	srv     *kanava.Server[statelessUser]
	runtime *kanava.Stateless
	note    *kanava.Push[string]
}

type (
	statelessUser struct {
		ID string `json:"id"`
	}
	statelessText struct {
		Text string `json:"text,omitempty"`
	}
	statelessLine = kanava.Channel[kanava.None, statelessUser]
)

// join starts a process of the program: a resident one is a node.
func (l *statelessLab) join(resident bool) *statelessProcess {
	hub := kanava.NewEventHub(kanava.HubOptions{Engine: l.b.New(l), Logger: slog.New(slog.DiscardHandler)})
	l.Cleanup(hub.Close)
	room := kanava.NewTopic[string](hub, "slroom", kanava.Recoverable(10_000, time.Hour))
	there := kanava.NewPresence[string](hub, "slroom")
	step := kanava.NewValue[int]("step")
	p := &statelessProcess{note: kanava.NewPush[string]("note")}
	p.srv = kanava.NewServer(kanava.Options[statelessUser]{
		EventHub: hub, Logger: slog.New(slog.DiscardHandler),
		Identify: func(u statelessUser) kanava.Identity { return kanava.Identity{UserID: u.ID} },
	})
	on := func(name string, f func(ctx context.Context, ch *statelessLine, in statelessText) (string, error)) kanava.Route[kanava.None, statelessUser] {
		return kanava.On(name, f)
	}
	p.srv.Wire(kanava.Wiring[kanava.None, statelessUser]{
		Name: "line", Route: "/line", Public: true,
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *statelessLine) (string, error) {
			return ch.ID(), room.Subscribe(ctx, ch, l.room)
		}),
		Messages: kanava.By("do",
			on("say", func(ctx context.Context, ch *statelessLine, in statelessText) (string, error) {
				return "said", room.Publish(ctx, l.room, in.Text, kanava.Except(ch.ID()))
			}),
			on("login", func(ctx context.Context, ch *statelessLine, in statelessText) (string, error) {
				return "in", ch.SetSession(ctx, statelessUser{in.Text})
			}),
			on("whoami", func(_ context.Context, ch *statelessLine, _ statelessText) (string, error) {
				return ch.Session().ID, nil
			}),
			on("step", func(ctx context.Context, ch *statelessLine, _ statelessText) (string, error) {
				n, _, err := step.Get(ctx, ch)
				if err != nil {
					return "", err
				}
				return fmt.Sprint(n + 1), step.Set(ctx, ch, n+1)
			}),
			on("enter", func(ctx context.Context, ch *statelessLine, in statelessText) (string, error) {
				return "there", there.Join(ctx, ch, l.room, in.Text)
			}),
			on("who", func(ctx context.Context, _ *statelessLine, _ statelessText) (string, error) {
				var all []string
				for m, err := range there.Members(ctx, l.room) {
					if err != nil {
						return "", err
					}
					all = append(all, m.ID+"="+m.Data)
				}
				return strings.Join(all, " "), nil
			}),
		),
		Declares: []kanava.Declared{room, there, step, p.note},
	})
	if resident {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := hub.Ready(ctx); err != nil {
			l.Fatalf("the hub is not ready: %v", err)
		}
	}
	p.runtime = p.srv.Stateless(kanava.StatelessOptions{Store: l.store, Platform: l.gateway, TellsConnected: true, Resident: resident})
	return p
}

// statelessClient is a client of the gateway.
type statelessClient struct {
	l *statelessLab
	*transporttest.GatewayClient
}

func (l *statelessLab) dial(subprotocols ...string) *statelessClient {
	l.Helper()
	c, err := l.gateway.Dial(l.Context(), transporttest.Request{Path: "/line", Subprotocols: subprotocols})
	if err != nil {
		l.Fatal(err)
	}
	return &statelessClient{l, c}
}

// visitor connects a client of the plain form, and returns its id.
func (l *statelessLab) visitor() (c *statelessClient, id string) {
	l.Helper()
	c = l.dial()
	if err := json.Unmarshal([]byte(c.next()), &id); err != nil {
		l.Fatal(err)
	}
	return c, id
}

// statelessTime bounds each wait.
const statelessTime = 20 * time.Second

func (c *statelessClient) next() string {
	c.l.Helper()
	ctx, cancel := context.WithTimeout(c.l.Context(), statelessTime)
	defer cancel()
	f, err := c.Receive(ctx)
	if err != nil {
		c.l.Fatalf("nothing came: %v", err)
	}
	return string(f.Data)
}

func (c *statelessClient) expect(want string) {
	c.l.Helper()
	if got := c.next(); got != want {
		c.l.Fatalf("got %s\nwant %s", got, want)
	}
}

func (c *statelessClient) tell(frame string) { _ = c.Send(c.l.Context(), []byte(frame), false) }

func call(do, text string) string { return fmt.Sprintf(`{"do":%q,"text":%q}`, do, text) }

func answer(do, result string) string { return fmt.Sprintf(`{"do":%q,"result":%q}`, do, result) }

func (l *statelessLab) event(text string) string {
	return fmt.Sprintf(`{"topic":"slroom:%s","data":%q}`, l.room, text)
}

// live connects a client to the node.
func (l *statelessLab) live() (c *kanavatest.Client, id string) {
	l.Helper()
	c = kanavatest.Dial(l, l.node.srv, "/line")
	return c, kanavatest.Into[string](c)
}

func testBothSides(l *statelessLab) {
	live, _ := l.live()
	a, _ := l.visitor()
	b, _ := l.visitor()
	for i := range 10 {
		text := fmt.Sprint("event ", i)
		a.tell(call("say", text))
		a.expect(answer("say", "said"))
		b.expect(l.event(text))
		live.Expect(l.event(text))
		text += " of the node"
		live.SendText(call("say", text))
		live.Expect(answer("say", "said"))
		a.expect(l.event(text))
		b.expect(l.event(text))
	}
}

func testNextEvent(l *statelessLab) {
	c, _ := l.visitor()
	c.tell(call("login", "ann"))
	c.expect(answer("login", "in"))
	for i := range 6 {
		c.tell(call("whoami", ""))
		c.expect(answer("whoami", "ann"))
		c.tell(call("step", ""))
		c.expect(answer("step", fmt.Sprint(i+1)))
	}
}

func testMissed(l *statelessLab) {
	c := l.dial("kanava.v1")
	c.tell(`{"hello":{}}`)
	var at struct {
		Sub string `json:"sub"`
		E   string `json:"e"`
		O   uint64 `json:"o"`
	}
	for at.Sub == "" {
		if err := json.Unmarshal([]byte(c.next()), &at); err != nil {
			l.Fatal(err)
		}
	}
	live, _ := l.live()
	for i := range 3 {
		live.SendText(call("say", fmt.Sprint(i)))
		live.Expect(answer("say", "said"))
	}
	c.tell(fmt.Sprintf(`{"recover":%q,"id":1,"e":%q,"o":%d}`, at.Sub, at.E, at.O))
	for {
		f := c.next()
		if !strings.HasPrefix(f, `{"re":1,`) {
			continue // events that were not missed, and who is there
		}
		for i := range 3 {
			if !strings.Contains(f, fmt.Sprintf(`"data":"%d"`, i)) {
				l.Errorf("event %d is not in %s", i, f)
			}
		}
		return
	}
}

func testPresentOnBothSides(l *statelessLab) {
	live, liveID := l.live()
	c, id := l.visitor()
	c.tell(call("login", "ann"))
	c.expect(answer("login", "in"))
	c.tell(call("enter", "cloud"))
	c.expect(answer("enter", "there"))
	live.SendText(call("login", "zoe"))
	live.Expect(answer("login", "in"))
	live.SendText(call("enter", "node"))
	live.Expect(answer("enter", "there"))
	const all = "ann=cloud zoe=node"
	for _, ask := range []func() string{
		func() string { c.tell(call("who", "")); return c.next() },
		func() string { live.SendText(call("who", "")); return live.Next() },
	} {
		for tries := 0; ; tries++ { // the node says so soon, not at once
			got := ask()
			if got == answer("who", all) {
				break
			}
			if tries == 100 {
				l.Fatalf("got %s", got)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	ctx, cancel := context.WithTimeout(l.Context(), statelessTime)
	defer cancel()
	conns := l.node.srv.Conns()
	if err := l.node.note.SendID(ctx, conns, id, "one"); err != nil {
		l.Fatal(err)
	}
	c.expect(`"one"`)
	if n, err := l.node.note.SendUser(ctx, conns, "ann", "two"); n != 1 || err != nil {
		l.Fatalf("reached %d: %v", n, err)
	}
	c.expect(`"two"`)
	if err := l.node.note.SendID(ctx, conns, liveID, "three"); err != nil {
		l.Fatal(err)
	}
	live.Expect(`"three"`)
}

func testAtOnce(l *statelessLab) {
	const clients, each = 50, 2
	all := make([]*statelessClient, clients)
	for i := range all {
		all[i], _ = l.visitor()
	}
	var sending sync.WaitGroup
	for i, c := range all {
		sending.Go(func() {
			for n := range each {
				c.tell(call("say", fmt.Sprintf("%d.%d", i, n)))
			}
		})
	}
	sending.Wait()
	for i, c := range all {
		replies, events := 0, make(map[string]bool)
		for range each + (clients-1)*each {
			if f := c.next(); f == answer("say", "said") {
				replies++
			} else {
				events[f] = true
			}
		}
		if replies != each || len(events) != (clients-1)*each {
			l.Fatalf("client %d got %d replies and %d different events", i, replies, len(events))
		}
	}
}
