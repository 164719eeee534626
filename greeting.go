package kanava

import (
	"context"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava/internal/form"
)

// This file is how a connection of kanava.v1 begins (docs/protocol.md P3): the
// client says hello, is authenticated, and is told that it is open. A refusal
// that comes after the route, the origin and the limits is told by frames,
// because browsers cannot read a refused handshake.

// envelopeConn is what a connection of kanava.v1 has besides what all have.
type envelopeConn struct {
	greeting
	greeted atomicFlag // the client is told that it is open

	ping     time.Duration // OpenRequest.Ping
	upstream string        // OpenRequest.Upstream
	was      []string      // ids that the client's last connections had, as it says; set by the hello
	broken   []time.Time   // when the last invalid frames came; of the goroutine that reads

	asks     asks   // guarded by conn.mu, as is all that follows: calls of the client's functions that it has not answered
	taken    uint64 // id of the message that was taken from waiting last
	canceled bool   // the client has canceled it before its call began
}

// greeting is what is kept until the client has said hello.
type greeting struct {
	req *OpenRequest // nil once the client is authenticated

	said atomic.Bool // the client has said hello, or it is too late for that

	mu    sync.Mutex
	timer *time.Timer // guarded by mu; nil until it is started
}

// hello is the first frame of a client.
type hello struct {
	Contract string   `json:"contract"`
	Token    string   `json:"token"`
	Was      []string `json:"was"` // ids of the client's last connections
}

// start waits for the hello. c.mu is held.
func (g *greeting) start(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.timer = time.AfterFunc(c.def.limits.OpenTime, func() {
		if g.hear() {
			c.refuse(context.Background(), Errorf(CodeUnauthenticated, "no hello came in time"))
		}
	})
}

// hear reports whether the caller is the first to end the waiting.
func (g *greeting) hear() bool {
	if !g.said.CompareAndSwap(false, true) {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer != nil {
		g.timer.Stop()
	}
	return true
}

// hello takes the first frame. A second one is an error.
func (c *conn) hello(raw []byte) *Error {
	var h hello
	if err := json.Unmarshal(raw, &h); err != nil {
		return Errorf(CodeInvalidFrame, "the hello is not as it should be").Because(err)
	}
	if !c.v1.hear() {
		return Errorf(CodeInvalidFrame, "hello is for the first frame of a connection")
	}
	if c.core.tooOld(h.Contract) {
		c.closeWith(context.Background(), Closing{Code: CloseUpgradeRequired, Reason: CloseUpgradeRequired.String()})
		return nil
	}
	if h.Token != "" {
		c.v1.req.Token = h.Token
	}
	c.v1.was = formerConns(h.Was)
	if v := c.visit(); v != nil {
		switch err := v.greeted(c.v1.was); err {
		case nil:
		case errSecondHello:
			return err
		default:
			c.refuse(context.Background(), err)
			return nil
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != phaseGreeting {
		return nil
	}
	c.phase, c.working = phaseConnecting, true
	go c.work(true, nil)
	return nil
}

// formerConns returns what is kept of the ids that a client says its last
// connections had: the first 8, and nothing that is longer than an id.
func formerConns(was []string) []string {
	was = slices.DeleteFunc(was, func(id string) bool { return id == "" || len(id) > 64 })
	return slices.Clone(was[:min(len(was), 8)])
}

// greet authenticates the client and tells it that it is open. It reports
// whether OnConnect comes next. In forms without a hello that is so.
func (c *conn) greet() (ok bool) {
	if c.v1 == nil {
		return true
	}
	refusal := errInternal
	defer func() {
		if p := recover(); p != nil {
			c.core.logger.Error("Authenticate panicked", "conn", c.id.String(), "channel", c.def.name, "panic", p, "stack", string(debug.Stack()))
		}
		if !ok { // also where Authenticate has ended the goroutine
			c.core.observer.OpenRefused(c.def.route, refusal)
			c.refuse(context.Background(), refusal)
		}
	}()
	ctx, cancel := context.WithTimeout(c.context(), c.def.limits.OpenTime)
	defer cancel()
	// The client is told in time, whether Authenticate minds its context or not.
	stop := context.AfterFunc(ctx, func() { c.refuse(context.Background(), openError(ctx, ctx.Err())) })
	defer stop()
	err := c.authenticate(ctx, c.v1.req)
	c.v1.req = nil
	if err != nil {
		refusal = openError(ctx, err)
		return false
	}
	if !c.tellOpen() {
		return false
	}
	if s := c.current.Load(); s != nil {
		c.tellSession(s)
	}
	return true
}

// tellOpen sends the frame that comes before all others. It reports false if
// the connection has ended by now.
func (c *conn) tellOpen() bool {
	l, contract := &c.def.limits, c.core.contract() // which the first client has made
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase != phaseConnecting {
		return false
	}
	g := form.Greeting{
		ID: c.id.String(), Max: l.Message, Calls: l.WaitingCalls, Ping: c.v1.ping.Milliseconds(), Keys: keyTime.Milliseconds(),
		Contract: contract, Upstream: c.v1.upstream,
	}
	if v := c.visit(); v != nil {
		g.Max, g.Keep, g.Keys = v.rt.messageLimit(l.Message), v.rt.opts.KeepAlive.Milliseconds(), 0
	}
	c.out.addFirst(outItem{frame: Frame{Data: form.AppendOpen(nil, g)}}, &c.v1.greeted)
	c.started = true
	if c.draining {
		c.tellDraining()
	}
	return true
}

// tellDraining tells the client, once it is open, that the server shuts down;
// c.mu is held.
func (c *conn) tellDraining() {
	end := c.core.drainClosing()
	if c.isGreeted() && c.phase < phaseClosing && c.announce(end) {
		_ = c.queueNow(outItem{frame: awayFrame(end)})
	}
}

// announce reports whether the client is still to be told that the connection
// ends so; a client that does not read is not. c.mu is held.
func (c *conn) announce(end *Closing) bool {
	if c.v1 == nil || c.away == end.Code || end.Code == CloseSlowConsumer {
		return false
	}
	c.away = end.Code
	return true
}

// isGreeted reports whether the client is told that it is open, which only
// kanava.v1 does.
func (c *conn) isGreeted() bool { return c.v1 != nil && c.v1.greeted.isSet() }

// openedItem is the frame that says that OnConnect is over and has returned
// nothing; nil in forms that have no such frame.
func (c *conn) openedItem() *outItem {
	if !c.form.Envelope() {
		return nil
	}
	return &outItem{frame: Frame{Data: form.AppendOpened(nil)}}
}

// tellSession tells the client when its session ends.
func (c *conn) tellSession(s *session) {
	if !c.isGreeted() || s.id.Expires.IsZero() {
		return
	}
	left := max(time.Until(s.id.Expires), 0)
	c.tell(form.AppendSession(nil, left.Milliseconds()))
}

// awayFrame says that the connection ends.
func awayFrame(end *Closing) Frame {
	return Frame{Data: form.AppendAway(nil, uint16(end.Code), end.from.Milliseconds(), end.to.Milliseconds())}
}
