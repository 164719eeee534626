package kanava_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/transport/transporttest"
)

// statelessServer is a server, whatever its session.
type statelessServer interface {
	kanava.Dispatcher
	Stateless(opts kanava.StatelessOptions) *kanava.Stateless
}

// gateway is a platform in memory: it holds the clients, and hands each event of a
// client to one of its processes, one after the other.
type gateway struct {
	processes []*kanava.Stateless
	turn      atomic.Int64 // whose turn it is
	ids       atomic.Int64
	base      string
	quiet     bool // nobody says that a connection can be sent to

	mu      sync.Mutex
	clients map[string]*gatewayClient // guarded by mu
	running sync.WaitGroup
}

// newGateway makes a gateway in front of processes.
func newGateway(tb testing.TB, store engine.Store, change func(*kanava.StatelessOptions), processes ...statelessServer) *gateway {
	g := &gateway{clients: make(map[string]*gatewayClient), base: tb.Name()}
	opts := kanava.StatelessOptions{Store: store, Platform: g, TellsConnected: true}
	if change != nil {
		change(&opts)
	}
	g.quiet = !opts.TellsConnected
	for _, p := range processes {
		g.processes = append(g.processes, p.Stateless(opts))
	}
	tb.Cleanup(func() {
		g.mu.Lock()
		for _, c := range g.clients {
			c.end(kanava.CloseAbnormal, "")
		}
		g.mu.Unlock()
		g.running.Wait()
	})
	return g
}

// gatewayClient is one client of a gateway. It is a transporttest.Client.
type gatewayClient struct {
	g           *gateway
	id          string
	subprotocol string

	events chan func()
	ended  chan struct{} // closed when the connection has ended
	over   sync.Once

	mu       sync.Mutex
	accepted bool                  // guarded by mu
	inbox    []transporttest.Frame // guarded by mu
	came     chan struct{}         // holds one when something came
}

const eventTime = 10 * time.Second

func (g *gateway) event() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), eventTime)
}

// process returns who gets the next event.
func (g *gateway) process() *kanava.Stateless {
	return g.processes[int(g.turn.Add(1))%len(g.processes)]
}

// dial connects a client.
func (g *gateway) dial(ctx context.Context, r transporttest.Request) (*gatewayClient, error) {
	u, err := url.Parse(r.Path)
	if err != nil {
		return nil, err
	}
	req := &kanava.OpenRequest{URL: u, Header: http.Header{}, Subprotocols: r.Subprotocols}
	for name, value := range r.Headers {
		req.Header.Set(name, value)
	}
	if scheme, token, ok := strings.Cut(req.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		req.Token = token
	}
	c := &gatewayClient{
		g: g, id: g.base + strconv.FormatInt(g.ids.Add(1), 10),
		events: make(chan func(), 1<<16), ended: make(chan struct{}), came: make(chan struct{}, 1),
	}
	g.mu.Lock()
	g.clients[c.id] = c
	g.mu.Unlock()
	if c.subprotocol, err = g.process().Connect(ctx, c.id, req); err != nil {
		c.end(0, "")
		if e, ok := errors.AsType[*kanava.Error](err); ok {
			return nil, &transporttest.RefusedError{Status: e.HTTPStatus(), Body: errorBody(e)}
		}
		return nil, err
	}
	c.mu.Lock()
	c.accepted = true
	c.mu.Unlock()
	g.running.Go(c.run)
	if !g.quiet {
		c.do(func(ctx context.Context) error { return g.process().Connected(ctx, c.id) })
	}
	return c, nil
}

func errorBody(e *kanava.Error) []byte {
	var b struct {
		Error struct {
			Code    kanava.Code     `json:"code"`
			Message string          `json:"message"`
			Details []kanava.Detail `json:"details,omitempty"`
		} `json:"error"`
	}
	b.Error.Code, b.Error.Message, b.Error.Details = e.Code, e.Message, e.Details
	data, err := json.Marshal(b)
	if err != nil {
		panic(err)
	}
	return data
}

func (c *gatewayClient) run() {
	for {
		select {
		case f := <-c.events:
			f()
		case <-c.ended:
			return
		}
	}
}

// do queues an event behind those before it.
func (c *gatewayClient) do(event func(ctx context.Context) error) {
	c.events <- func() {
		ctx, cancel := c.g.event()
		defer cancel()
		if err := event(ctx); errors.Is(err, kanava.ErrGone) {
			c.end(kanava.CloseAbnormal, "")
		}
	}
}

// end ends the connection, and tells the server unless the code is 0.
func (c *gatewayClient) end(code kanava.CloseCode, reason string) {
	c.over.Do(func() {
		close(c.ended)
		c.g.running.Go(func() {
			c.g.mu.Lock()
			delete(c.g.clients, c.id)
			c.g.mu.Unlock()
			if code != 0 {
				ctx, cancel := c.g.event()
				defer cancel()
				_ = c.g.process().Disconnect(ctx, c.id, code, reason)
			}
		})
	})
}

func (g *gateway) client(id string) *gatewayClient {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.clients[id]
}

// Send implements kanava.Platform.
func (g *gateway) Send(_ context.Context, id string, f kanava.Frame) error {
	c := g.client(id)
	if c == nil {
		return kanava.ErrGone
	}
	frame := transporttest.Frame{Data: bytes.Clone(f.Data)}
	if f.Binary {
		frame.Kind = transporttest.KindBinary
	}
	return c.tell(frame)
}

// Close implements kanava.Platform.
func (g *gateway) Close(_ context.Context, id string, code kanava.CloseCode, reason string) error {
	if c := g.client(id); c != nil && c.tell(transporttest.Frame{Kind: transporttest.KindClosed, Code: int(code), Reason: reason}) == nil {
		c.end(code, reason)
	}
	return nil
}

func (c *gatewayClient) tell(f transporttest.Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.accepted {
		return kanava.ErrGone
	}
	if n := len(c.inbox); n > 0 && c.inbox[n-1].Kind == transporttest.KindClosed {
		return kanava.ErrGone
	}
	c.inbox = append(c.inbox, f)
	select {
	case c.came <- struct{}{}:
	default:
	}
	return nil
}

func (c *gatewayClient) Subprotocol() string { return c.subprotocol }

func (c *gatewayClient) Send(_ context.Context, data []byte, binary bool) error {
	data = bytes.Clone(data)
	c.do(func(ctx context.Context) error { return c.g.process().Message(ctx, c.id, data, binary, nil) })
	return nil
}

func (c *gatewayClient) Receive(ctx context.Context) (f transporttest.Frame, err error) {
	for {
		c.mu.Lock()
		if len(c.inbox) > 0 {
			f, c.inbox = c.inbox[0], c.inbox[1:]
			c.mu.Unlock()
			return f, nil
		}
		c.mu.Unlock()
		select {
		case <-c.came:
		case <-ctx.Done():
			return f, ctx.Err()
		}
	}
}

func (c *gatewayClient) Close(code int, reason string) error {
	c.end(kanava.CloseCode(code), reason)
	return nil
}

func (c *gatewayClient) Cut() { c.end(kanava.CloseAbnormal, "") }

// unread is why some things cannot be seen where a gateway holds the client.
const (
	unread = "the gateway takes what a client does not read"
	apart  = "the end of a connection is an event of its own, which can meet another process than functions that still run"
	over   = "the connections are the gateway's: they go on when a process ends"
)

// TestStatelessParity runs the suite of the transports where no process lives as
// long as a connection.
func TestStatelessParity(t *testing.T) {
	transporttest.Run(t, transporttest.Transport{
		Serve: func(tb testing.TB, d kanava.Dispatcher) transporttest.Dial {
			g := newGateway(tb, memory.NewStore(), nil, d.(statelessServer))
			return func(ctx context.Context, r transporttest.Request) (transporttest.Client, error) {
				return g.dial(ctx, r)
			}
		},
		Stateless: true,
		Omit: map[string]string{
			"needs process": "each message may meet another process",
			"D8 middleware changes and drops what is recovered":                        "an event that is on its way while a client subscribes comes once more: D5 drops it",
			"P14 a full connection is not read until there is room":                    unread,
			"P14 a client that sends faster than it reads is slowed down":              unread,
			"D11 a client that never reads is closed and costs the others nothing":     unread,
			"D11 a client that never reads loses Volatile events only":                 unread,
			"D11 a client that never reads gets the newest Latest event":               unread,
			"D11 a client that never reads gets on with a Recoverable topic":           unread,
			"P12 a stream waits for its client and ends with it":                       unread,
			"P12 a stream goes on when its client reads again":                         unread,
			"P16 contexts end with the connection":                                     apart,
			"§5 OnDisconnect runs once, after the functions":                           apart,
			"§5 a close of the server is seen by OnDisconnect":                         "it closes a channel that was kept beyond its call",
			"§5 every OnConnect has an OnDisconnect, also while the server shuts down": over,
			"§5 shutdown lets functions finish and tells clients to come back":         over,
			"§5 shutdown does not wait longer than it may":                             over,
			"S5 a connection is closed some time after its session has expired":        "no timer runs between events: it is closed at the next one, or when something is to be sent",
			"§9 connections from one address are bounded":                              "the gateway counts them",
			"needs rfc6455": "messages are handed over as they are: there are no bytes of frames, and no header of subprotocols",
			"needs rfc7692": "there are no extensions either",
		},
	})
}
