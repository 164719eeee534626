package calls

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/client"
	"github.com/kanava-go/kanava/internal/testport"
	"github.com/kanava-go/kanava/transport/ws"
)

// toxiproxy passes what is on its way to a goroutine of its own that may have ended
// with the connection, and then waits for ever (v2.5.0, toxics/noop.go, and before it
// stream/io_chan.go).
var stuckInToxiproxy = []goleak.Option{
	goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"),
	goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read"),
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, stuckInToxiproxy...) }

type (
	none   struct{}
	user   struct{ ID string }
	line   = kanava.Channel[none, user]
	number struct {
		N int `json:"n"`
	}
	text struct {
		Text string `json:"text"`
	}
)

// app counts how often each number was added.
type app struct {
	numbers *kanava.Topic[number]

	mu    sync.Mutex
	added map[int]int
}

func (a *app) Join(ctx context.Context, ch *line) (kanava.None, error) {
	return kanava.None{}, a.numbers.Subscribe(ctx, ch, "all")
}

func (a *app) Login(ctx context.Context, ch *line, _ kanava.None) error {
	return ch.SetSession(ctx, user{"ann"})
}

func (a *app) Add(_ context.Context, _ *line, in number) (number, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.added[in.N]++
	return in, nil
}

func (a *app) Count(ctx context.Context, _ *line, in number, out *kanava.Stream[number]) error {
	for n := range in.N {
		if err := out.Send(ctx, number{n + 1}); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) Echo(_ context.Context, _ *line, in text) (text, error) { return in, nil }

// node is a server that can be killed.
type node struct {
	app  *app
	srv  *kanava.Server[user]
	http *http.Server
	done chan struct{}
}

// startNode runs a server on a port of loopback; "" chooses one.
func startNode(t *testing.T, addr string, o ws.Options) (*node, string) {
	t.Helper()
	if addr == "" {
		addr = testport.Address(t)
	}
	var l net.Listener
	for start := time.Now(); l == nil; { // the port of one that was just killed
		var err error
		if l, err = net.Listen("tcp", addr); err != nil && time.Since(start) > 5*time.Second {
			t.Fatal(err)
		}
	}
	srv := kanava.NewServer(kanava.Options[user]{
		Identify: func(u user) kanava.Identity { return kanava.Identity{UserID: u.ID} },
		Logger:   slog.New(slog.DiscardHandler),
		Limits:   kanava.Limits{Rate: kanava.Unlimited},
	})
	a := &app{numbers: kanava.NewTopic[number](srv.EventHub(), "numbers"), added: map[int]int{}}
	srv.Wire(kanava.Wiring[none, user]{
		Name: "line", Route: "/line",
		OnConnect: kanava.ConnectFunc(a.Join),
		Messages: kanava.By("action",
			kanava.OnDo("login", a.Login, kanava.Public()),
			kanava.On("add", a.Add, kanava.Concurrent()),
			kanava.On("echo", a.Echo),
			kanava.OnStream("count", a.Count),
		),
		Declares: []kanava.Declared{a.numbers},
	})
	n := &node{a, srv, &http.Server{Handler: ws.Handler(srv, o), ReadHeaderTimeout: 10 * time.Second}, make(chan struct{})}
	go func() {
		defer close(n.done)
		_ = n.http.Serve(l)
	}()
	t.Cleanup(n.kill)
	return n, l.Addr().String()
}

// kill ends a server without a word to anybody that it could wait for.
func (n *node) kill() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	n.http.Close()
	_ = n.srv.Shutdown(ctx)
	<-n.done
}

// proxyTo puts a network that can fail in front of a server.
func proxyTo(t *testing.T, upstream string) *network {
	t.Helper()
	p := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "p", testport.Address(t), upstream)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return &network{t, p}
}

type network struct {
	t *testing.T
	p *toxiproxy.Proxy
}

func (n *network) url() string { return "ws://" + n.p.Listen }

// add makes the network bad. JSON is that of toxiproxy's toxics.
func (n *network) add(toxic string) {
	n.t.Helper()
	if _, err := n.p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
		n.t.Fatal(err)
	}
}

// heal makes it good again.
func (n *network) heal() { n.p.Toxics.ResetToxics(context.Background()) }

// cut ends all connections and refuses new ones until heal.
func (n *network) cut() { n.p.Stop() }

func (n *network) mend() {
	n.t.Helper()
	if err := n.p.Start(); err != nil {
		n.t.Fatal(err)
	}
}

// dial connects a client that signs in, and closes it with the test: nothing
// of it may be left.
func dial(t *testing.T, url string, setup func(c *client.Conn)) *client.Conn {
	t.Helper()
	tr := &http.Transport{}
	c, err := client.Connect(client.Spec{Path: "/line"}, url, nil, client.Options[*client.Conn]{
		HTTPClient:   &http.Client{Transport: tr},
		Setup:        setup,
		Authenticate: func(ctx context.Context, c *client.Conn) error { return client.Do(ctx, c, "", "login", nil) },
	}, func(c *client.Conn) *client.Conn { return c })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		begun := time.Now()
		c.Close()
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("Close took %v", took)
		}
		select {
		case <-c.Done():
		case <-time.After(10 * time.Second):
			t.Error("something of the client still runs")
		}
		tr.CloseIdleConnections()
	})
	return c
}

func add(ctx context.Context, c *client.Conn, n int) error {
	_, err := client.Call[number](ctx, c, "", "add", number{n})
	return err
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// states returns what a connection's state becomes.
func states(c *client.Conn) <-chan client.State {
	ch := make(chan client.State, 1000)
	c.OnState(func(s client.State) { ch <- s })
	return ch
}

// await waits for a state.
func await(t *testing.T, ch <-chan client.State, phase client.Phase, limit time.Duration) client.State {
	t.Helper()
	timeout := time.After(limit)
	for {
		select {
		case s := <-ch:
			if s.Phase == phase {
				return s
			}
		case <-timeout:
			t.Fatalf("not %s in %v", phase, limit)
		}
	}
}

func asError(err error) *client.Error {
	e, _ := errors.AsType[*client.Error](err)
	return e
}
