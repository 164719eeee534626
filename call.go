package kanava

import (
	"context"
	"time"

	"github.com/kanava-go/kanava/internal/form"
)

// call is one run of a function, and its context.
type call struct {
	lazyContext
	c      *conn
	a      *action
	ctx    context.Context //nolint:containedctx // the call is a context: itself, or what the Observer made of it
	ended  func(Code)      // of the Observer; may be nil
	stream *streamEnd      // of stream functions
	m      message         // what it answers; empty for lifecycle functions

	// Guarded by conn.mu.
	next, prev *call
	holds      bool // the close of the connection waits for it

	aborted atomicFlag // begun under a former user: its result is dropped
}

type callKey struct{}

func (x *call) Value(key any) any {
	if _, ok := key.(callKey); ok {
		return x
	}
	return nil
}

// callOf returns the call of a connection that ctx belongs to, or nil.
func callOf(ctx context.Context) *call {
	x, _ := ctx.Value(callKey{}).(*call)
	return x
}

// SessionFrom returns the session of the call that ctx belongs to, for plain
// functions. It is false where there is none, or one of another type.
func SessionFrom[Session any](ctx context.Context) (Session, bool) {
	var live *session
	switch x := ctx.Value(callKey{}).(type) {
	case *call:
		live = x.c.liveSession()
	case *HTTPCall:
		live = x.liveSession()
	}
	if live == nil {
		var zero Session
		return zero, false
	}
	s, ok := live.value.(Session)
	return s, ok
}

// newCall makes a call of a that is not yet begun.
func (c *conn) newCall(a *action, m message) *call {
	x := &call{c: c, a: a, m: m}
	if a.timeout > 0 {
		x.end = time.Now().Add(a.timeout)
	}
	if a.stream {
		x.stream = &streamEnd{to: x, call: x}
	}
	x.ctx = x
	return x
}

// route says what the call answers.
func (x *call) route() form.Route {
	r := x.a.route
	r.ID = x.m.id
	return r
}

// silent tells whether the client wants no answer but an error.
func (x *call) silent() bool {
	return x.m.id == 0 && x.a.kind == KindMessage && x.c.form.Envelope()
}

// observe tells the Observer that the call starts.
func (x *call) observe() {
	if !x.c.core.quiet {
		info := x.a.info
		info.Conn = x.c.id.String()
		x.ctx, x.ended = x.c.core.observer.CallStarted(x, info)
	}
}

// begin counts x among the running calls of its connection; ordered says that
// it is the one whose turn it is, and not one that others run beside. It
// reports false if the connection is closing: x must not run then.
func (c *conn) begin(x *call, ordered bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase >= phaseClosing && x.a.kind != KindDisconnect {
		return false
	}
	if v := c.v1; v != nil {
		x.m.canceled = x.m.canceled || v.canceled && x.m.id == v.taken
	}
	x.next = c.calls
	if x.next != nil {
		x.next.prev = x
	}
	c.calls = x
	c.running++
	c.looking = false
	if ordered {
		c.ordered = x
	} else {
		c.beside++
		c.resume()
	}
	return true
}

// finish takes x out again and does what waited for it.
func (c *conn) finish(x *call) {
	x.cancel(context.Canceled)
	c.mu.Lock()
	defer c.mu.Unlock()
	if x.prev != nil {
		x.prev.next = x.next
	} else {
		c.calls = x.next
	}
	if x.next != nil {
		x.next.prev = x.prev
	}
	c.running--
	if c.ordered == x {
		c.ordered = nil
	} else {
		c.beside--
	}
	if x.holds {
		c.holders--
	}
	c.resume()
	c.settle()
}
