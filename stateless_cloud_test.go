package kanava_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/kanavatest"
	"github.com/kanava-go/kanava/transport/transporttest"
)

// process is one of those that a gateway hands events to. They share an engine and a
// Store, and nothing else.
type process struct {
	hub    *kanava.EventHub
	srv    *server
	room   *kanava.Topic[string]
	people *kanava.Presence[text]
	note   *kanava.Push[string]
}

// said is the input of most actions.
type said struct {
	Message string `json:"message,omitempty"`
}

// cloud is a gateway and its processes.
type cloud struct {
	*transporttest.Gateway
	ground    *memory.Backend
	store     engine.Store
	processes []*process

	joined, left atomic.Int64 // how often OnConnect and OnDisconnect ran
	codes        chan kanava.CloseCode
	log          logBuffer
	gate         chan struct{} // what "wait" waits for
}

// inCloud runs a test on a gateway with two processes, in a bubble.
func inCloud(t *testing.T, change func(*kanava.StatelessOptions), f func(t *testing.T, c *cloud)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{ground: memory.New(), store: memory.NewStore(), codes: make(chan kanava.CloseCode, 1000), gate: make(chan struct{})}
		for range 2 {
			c.processes = append(c.processes, c.newProcess(t))
		}
		c.Gateway = newGateway(t, c.store, change, c.processes[0].srv, c.processes[1].srv)
		f(t, c)
	})
}

// newProcess makes a process that is not behind the gateway yet.
func (c *cloud) newProcess(t *testing.T) *process {
	t.Helper()
	p := &process{hub: kanava.NewEventHub(kanava.HubOptions{Engine: c.ground.Engine(), Logger: slog.New(slog.DiscardHandler)})}
	t.Cleanup(p.hub.Close)
	p.room = kanava.NewTopic[string](p.hub, "room", kanava.Recoverable(1000, time.Hour))
	p.people = kanava.NewPresence[text](p.hub, "room")
	p.note = kanava.NewPush[string]("note")
	count := kanava.NewValue[int]("count")
	ask := kanava.NewClientFunc[kanava.None, string]("ask")
	named := func(name string, f func(ctx context.Context, ch *line, in said) (string, error)) route {
		return kanava.On(name, f, kanava.Public())
	}
	p.srv = serve(t, kanava.Options[account]{EventHub: p.hub, AllowUserChange: true, Logger: c.log.logger()}, wiring{
		Public: true,
		OnConnect: kanava.ConnectFunc(func(ctx context.Context, ch *line) (text, error) {
			c.joined.Add(1)
			return text{"welcome"}, p.room.Subscribe(ctx, ch, "all")
		}),
		OnDisconnect: kanava.DisconnectFunc(func(_ context.Context, ch *line) error {
			c.left.Add(1)
			code, _ := ch.Closed()
			c.codes <- code
			return nil
		}),
		OnMessage: kanava.Func(func(context.Context, *line, text) (kanava.None, error) { return kanava.None{}, nil }),
		Messages: by(login(), logout(), whoami(),
			named("say", func(ctx context.Context, ch *line, in said) (string, error) {
				return "said", p.room.Publish(ctx, "all", in.Message, kanava.Except(ch.ID()))
			}),
			named("enter", func(ctx context.Context, ch *line, in said) (string, error) {
				return "in", p.room.Subscribe(ctx, ch, in.Message)
			}),
			named("exit", func(ctx context.Context, ch *line, in said) (string, error) {
				return "out", p.room.Unsubscribe(ctx, ch, in.Message)
			}),
			named("count", func(ctx context.Context, ch *line, _ said) (string, error) {
				n, _, err := count.Get(ctx, ch)
				if err != nil {
					return "", err
				}
				return strconv.Itoa(n + 1), count.Set(ctx, ch, n+1)
			}),
			named("join", func(ctx context.Context, ch *line, in said) (string, error) {
				return "there", p.people.Join(ctx, ch, "all", text(in))
			}),
			named("who", func(ctx context.Context, _ *line, _ said) (string, error) {
				var ids []string
				for m, err := range p.people.Members(ctx, "all") {
					if err != nil {
						return "", err
					}
					ids = append(ids, m.ID)
				}
				return strings.Join(ids, ","), nil
			}),
			kanava.On("ask", func(ctx context.Context, ch *line, _ said) (string, error) {
				return ask.Call(ctx, ch, kanava.None{})
			}, kanava.Public(), kanava.Concurrent()),
			named("leave", func(ctx context.Context, ch *line, _ said) (string, error) {
				return "bye", ch.Close(ctx, 4200, "enough")
			}),
			named("wait", func(ctx context.Context, _ *line, _ said) (string, error) {
				select {
				case <-c.gate:
					return "waited", nil
				case <-ctx.Done():
					return "", ctx.Err()
				}
			}),
			named("id", func(_ context.Context, ch *line, _ said) (string, error) { return ch.ID(), nil }),
			named("fail", func(context.Context, *line, said) (string, error) { return "", errors.New("dsn=secret") }),
			kanava.OnStream("three", func(ctx context.Context, _ *line, _ kanava.None, out *kanava.Stream[int]) error {
				for i := range 3 {
					if err := out.Send(ctx, i); err != nil {
						return err
					}
				}
				return nil
			}, kanava.Public()),
		),
		Declares: []kanava.Declared{p.room, p.people, p.note, count, ask},
	})
	return p
}

// guest is a client of a gateway, as tests like it.
type guest struct {
	t *testing.T
	*transporttest.GatewayClient
}

// join connects a client of the plain form, and reads the welcome.
func (c *cloud) join(t *testing.T) *guest {
	t.Helper()
	g := c.knock(t)
	g.expect(`{"message":"welcome"}`)
	return g
}

// knock connects a client of the plain form.
func (c *cloud) knock(t *testing.T, subprotocols ...string) *guest {
	t.Helper()
	gc, err := c.Dial(t.Context(), transporttest.Request{Path: "/test", Subprotocols: subprotocols})
	if err != nil {
		t.Fatal(err)
	}
	return &guest{t, gc}
}

// greet connects a client of kanava.v1, and reads up to the end of OnConnect.
func (c *cloud) greet(t *testing.T, hello string) (g *guest, id string) {
	t.Helper()
	g = c.knock(t, envelope)
	g.tell(hello)
	var opened struct {
		Open struct {
			ID   string `json:"id"`
			Max  int    `json:"max"`
			Keep int    `json:"keep"`
		} `json:"open"`
	}
	g.into(&opened)
	if opened.Open.Keep != 300_000 || opened.Open.Max == 0 {
		t.Fatalf("open says %+v", opened.Open)
	}
	for _, want := range []string{`{"push":"",`, `{"sub":"room:all",`, `{"presence":"room:all",`} {
		if f := g.next(); !strings.HasPrefix(f, want) {
			t.Fatalf("got %s, want %s", f, want)
		}
	}
	return g, opened.Open.ID
}

func (g *guest) tell(frame string) {
	g.t.Helper()
	if err := g.Send(g.t.Context(), []byte(frame), false); err != nil {
		g.t.Fatal(err)
	}
}

// frame returns what comes next, of any kind.
func (g *guest) frame() transporttest.Frame {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), kanavatest.Wait)
	defer cancel()
	f, err := g.Receive(ctx)
	if err != nil {
		g.t.Fatalf("nothing came: %v", err)
	}
	return f
}

func (g *guest) next() string {
	g.t.Helper()
	f := g.frame()
	if f.Kind != transporttest.KindText {
		g.t.Fatalf("got %v", f)
	}
	return string(f.Data)
}

func (g *guest) into(v any) {
	g.t.Helper()
	if err := json.Unmarshal([]byte(g.next()), v); err != nil {
		g.t.Fatal(err)
	}
}

func (g *guest) expect(frames ...string) {
	g.t.Helper()
	for _, want := range frames {
		if got := g.next(); got != want {
			g.t.Fatalf("got %s\nwant %s", got, want)
		}
	}
}

// do calls an action and expects this result.
func (g *guest) do(action, message, result string) {
	g.t.Helper()
	g.tell(`{"action":"` + action + `","message":"` + message + `"}`)
	g.expect(`{"action":"` + action + `","result":"` + result + `"}`)
}

// expectNone demands that nothing has come, once all is at rest.
func (g *guest) expectNone() {
	g.t.Helper()
	synctest.Wait()
	if waiting := g.Waiting(); len(waiting) > 0 {
		g.t.Fatalf("got %v", waiting[0])
	}
}
