package transporttest

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
)

// Gateway is a serverless platform in memory: it holds the clients, and hands each
// event of a client to one of the processes behind it, in turn, and one after the
// other. It is a kanava.Platform. Clients do not read: it keeps what they are sent.
type Gateway struct {
	processes []*kanava.Stateless
	silent    bool
	name      string
	turn      atomic.Int64 // whose turn it is
	ids       atomic.Int64

	mu      sync.Mutex
	clients map[string]*GatewayClient // guarded by mu
	running sync.WaitGroup
}

// NewGateway makes a gateway, which ends with tb. One that is silent does not say
// when a connection can be sent to; see kanava.StatelessOptions.TellsConnected.
func NewGateway(tb testing.TB, silent bool) *Gateway {
	g := &Gateway{clients: make(map[string]*GatewayClient), silent: silent, name: tb.Name()}
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

// Add puts one more process behind the gateway, before clients come.
func (g *Gateway) Add(process *kanava.Stateless) { g.processes = append(g.processes, process) }

// GatewayClient is a Client of a Gateway.
type GatewayClient struct {
	g           *Gateway
	id          string
	subprotocol string

	events chan func()   // bounded far above what tests send
	ended  chan struct{} // closed when the connection has ended
	over   sync.Once

	mu       sync.Mutex
	accepted bool          // guarded by mu
	inbox    []Frame       // guarded by mu
	came     chan struct{} // holds one when something came
}

// eventTime is how long an event may take.
const eventTime = 10 * time.Second

func eventContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), eventTime)
}

// Next returns the process that gets the next event.
func (g *Gateway) Next() *kanava.Stateless {
	return g.processes[int(g.turn.Add(1))%len(g.processes)]
}

// Dial connects a client. The error of one that is refused is a [*RefusedError].
func (g *Gateway) Dial(ctx context.Context, r Request) (*GatewayClient, error) {
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
	c := &GatewayClient{
		g: g, id: g.name + strconv.FormatInt(g.ids.Add(1), 10),
		events: make(chan func(), 1<<16), ended: make(chan struct{}), came: make(chan struct{}, 1),
	}
	g.mu.Lock()
	g.clients[c.id] = c
	g.mu.Unlock()
	if c.subprotocol, err = g.Next().Connect(ctx, c.id, req); err != nil {
		c.end(0, "")
		if e, ok := errors.AsType[*kanava.Error](err); ok {
			return nil, &RefusedError{Status: e.HTTPStatus(), Body: errorBody(e)}
		}
		return nil, err
	}
	c.Accept(true)
	g.running.Go(c.run)
	if !g.silent {
		c.do(func(ctx context.Context) error { return g.Next().Connected(ctx, c.id) })
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

func (c *GatewayClient) run() {
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
func (c *GatewayClient) do(event func(ctx context.Context) error) {
	c.events <- func() {
		ctx, cancel := eventContext()
		defer cancel()
		if err := event(ctx); errors.Is(err, kanava.ErrGone) {
			c.end(kanava.CloseAbnormal, "")
		}
	}
}

// end ends the connection, and tells the server unless the code is 0.
func (c *GatewayClient) end(code kanava.CloseCode, reason string) {
	c.over.Do(func() {
		close(c.ended)
		c.g.running.Go(func() {
			c.g.mu.Lock()
			delete(c.g.clients, c.id)
			c.g.mu.Unlock()
			if code != 0 {
				ctx, cancel := eventContext()
				defer cancel()
				_ = c.g.Next().Disconnect(ctx, c.id, code, reason)
			}
		})
	})
}

// Forget forgets a client without a word to anybody.
func (g *Gateway) Forget(c *GatewayClient) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.clients, c.id)
}

func (g *Gateway) client(id string) *GatewayClient {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.clients[id]
}

// Send implements kanava.Platform.
func (g *Gateway) Send(_ context.Context, id string, f kanava.Frame) error {
	c := g.client(id)
	if c == nil {
		return kanava.ErrGone
	}
	frame := Frame{Data: bytes.Clone(f.Data)}
	if f.Binary {
		frame.Kind = KindBinary
	}
	return c.tell(frame)
}

// Close implements kanava.Platform.
func (g *Gateway) Close(_ context.Context, id string, code kanava.CloseCode, reason string) error {
	if c := g.client(id); c != nil && c.tell(Frame{Kind: KindClosed, Code: int(code), Reason: reason}) == nil {
		c.end(code, reason)
	}
	return nil
}

func (c *GatewayClient) tell(f Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.accepted {
		return kanava.ErrGone
	}
	if n := len(c.inbox); n > 0 && c.inbox[n-1].Kind == KindClosed {
		return kanava.ErrGone
	}
	c.inbox = append(c.inbox, f)
	select {
	case c.came <- struct{}{}:
	default:
	}
	return nil
}

// ID returns the gateway's id of the connection.
func (c *GatewayClient) ID() string { return c.id }

// Accept says whether the client can be sent to: not while the platform opens its
// connection.
func (c *GatewayClient) Accept(can bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accepted = can
}

// Waiting takes all that the client was sent and has not received.
func (c *GatewayClient) Waiting() []Frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting := c.inbox
	c.inbox = nil
	return waiting
}

// Subprotocol implements Client.
func (c *GatewayClient) Subprotocol() string { return c.subprotocol }

// Send implements Client.
func (c *GatewayClient) Send(_ context.Context, data []byte, binary bool) error {
	data = bytes.Clone(data)
	c.do(func(ctx context.Context) error { return c.g.Next().Message(ctx, c.id, data, binary, nil) })
	return nil
}

// Receive implements Client.
func (c *GatewayClient) Receive(ctx context.Context) (f Frame, err error) {
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

// Close implements Client.
func (c *GatewayClient) Close(code int, reason string) error {
	c.end(kanava.CloseCode(code), reason)
	return nil
}

// Cut implements Client.
func (c *GatewayClient) Cut() { c.end(kanava.CloseAbnormal, "") }
