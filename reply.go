package kanava

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/kanava-go/kanava/internal/form"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// This file is the way out: what functions return, push and stream becomes
// frames in the outbox.

// errAborted is how a call ends that was begun under a former user.
var errAborted = Errorf(CodeAborted, "another user signed in, or the user signed out")

// answer sends the result of a call, or its error.
func (x *call) answer(out any, err error) {
	code := Code("")
	defer func() {
		if x.ended != nil {
			x.ended(code)
		}
	}()
	if x.aborted.isSet() {
		out, err = nil, errAborted
	}
	if err == nil {
		err = x.sendResult(out)
	}
	if err == nil {
		return
	}
	e := x.c.core.toError(x, err)
	code = e.Code
	if x.a.kind == KindDisconnect {
		return
	}
	if x.a.kind == KindConnect {
		x.c.refuse(x, e)
		return
	}
	x.c.chargeError()
	x.c.sendError(x.route(), e)
}

// refuse ends a connection for which OnConnect has returned an error.
func (c *conn) refuse(ctx context.Context, e *Error) {
	if v := c.visit(); v != nil {
		v.refused = e
	}
	c.out.release(&outItem{frame: c.errorFrame(form.Route{}, e)}, false)
	c.closeWith(ctx, closingFor(e))
}

// sendResult encodes and queues what the function returned.
func (x *call) sendResult(out any) (err error) {
	a, c := x.a, x.c
	defer func() {
		if p := recover(); p != nil { // a MarshalJSON method, or outgoing middleware
			err = x.panicked(p)
		}
	}()
	var buf []byte
	switch {
	case a.kind == KindDisconnect, x.silent():
		return nil
	case a.stream || a.fn.out == nil && out == nil: // the end of a stream, or a function without a result
		return x.sendEnd()
	default:
		var ok bool
		if out, ok, err = c.outgoing(x.ctx, Payload{Kind: a.kind, Action: a.route.Action, Value: out}); !ok {
			if err != nil {
				return err
			}
			return x.sendDropped()
		}
		if b, ok := out.([]byte); ok && a.kind == KindBinary {
			return c.queueOne(Frame{Data: b, Binary: true})
		}
		if buf, err = x.encodeResult(out); err != nil {
			return err
		}
	}
	it := outItem{frame: Frame{Data: buf}}
	if err := c.fits(it.frame); err != nil {
		return err
	}
	if a.kind == KindConnect {
		c.out.release(&it, true)
		return nil
	}
	return c.queue(it)
}

// sendEnd tells that the call is over and has no result.
func (x *call) sendEnd() error {
	c, route := x.c, x.route()
	switch {
	case x.a.kind == KindConnect:
		if it := c.openedItem(); it != nil {
			c.out.release(it, true)
		}
		return nil
	case route.Action == "" && !c.form.Envelope(), x.a.kind == KindBinary:
		return nil
	}
	buf := c.form.BeginReply(nil, route)
	return c.queue(outItem{frame: Frame{Data: c.form.EndReply(buf, len(buf), route)}})
}

// sendDropped is for a result that outgoing middleware has dropped: where calls
// have ids, each gets a last frame all the same (P15).
func (x *call) sendDropped() error {
	if !x.c.form.Envelope() {
		return nil
	}
	return x.sendEnd()
}

func (x *call) encodeResult(v any) ([]byte, error) {
	c, a := x.c, x.a
	if a.kind == KindConnect {
		return c.encodePush("", a.fn.out, a.out, v)
	}
	route := x.route()
	if reflect.TypeOf(v) != a.fn.out { // middleware put something else in its place
		route.Dynamic = true
	}
	return encoded(func(buf []byte) ([]byte, error) {
		buf = c.form.BeginReply(buf, route)
		from := len(buf)
		buf, err := appendValue(buf, a.fn.out, a.out, v)
		if err != nil {
			return buf, err
		}
		return c.form.EndReply(buf, from, route), nil
	})
}

func (c *conn) encodePush(name string, t reflect.Type, m *typemodel.Model, v any) ([]byte, error) {
	return encoded(func(buf []byte) ([]byte, error) {
		buf, err := appendValue(c.form.BeginPush(buf, name), t, m, v)
		if err != nil {
			return buf, err
		}
		return c.form.EndPush(buf), nil
	})
}

// scratch is where frames are encoded: they are kept in exactly the memory
// they need.
var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// encoded returns what write appends to an empty buffer.
func encoded(write func(buf []byte) ([]byte, error)) ([]byte, error) {
	room := scratch.Get().(*[]byte)
	defer scratch.Put(room)
	buf, err := write((*room)[:0])
	if cap(buf) <= 64<<10 {
		*room = buf
	}
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return bytes.Clone(buf), nil
}

// appendValue appends v as JSON, by the model m if v is of its type t, or an
// implementation of it.
func appendValue(dst []byte, t reflect.Type, m *typemodel.Model, v any) ([]byte, error) {
	if v == nil {
		return append(dst, "null"...), nil
	}
	if vt := reflect.TypeOf(v); m == nil || vt != t && (t.Kind() != reflect.Interface || !vt.Implements(t)) {
		var err error
		if m, err = modelFor(v); err != nil {
			return nil, err
		}
	}
	return m.Append(dst, v)
}

// outgoing runs the outgoing middleware and returns what it made of the value;
// it reports false if the payload is dropped.
func (c *conn) outgoing(ctx context.Context, p Payload) (value any, ok bool, err error) {
	if c.def.send == nil {
		return p.Value, true, nil
	}
	seen := p // only this copy needs memory of its own
	seen.Conn, seen.Channel = c.ch, c.def.name
	err = c.def.send(ctx, &seen)
	return seen.Value, seen.passed && err == nil, err
}

// errOverReply is why fits says no: for the log.
var errOverReply = errors.New("over Limits.Reply")

// fits returns an error for a frame of this connection alone that is too large.
func (c *conn) fits(f Frame) error {
	limit := c.def.limits.Reply
	if v := c.visit(); v != nil {
		if f.Binary && v.rt.opts.NoBinary && !c.form.Envelope() {
			return Errorf(CodeUnimplemented, "this client can only be told text")
		}
		limit = min(limit, v.rt.opts.MaxMessage)
	}
	return overReply(len(f.Data), limit)
}

func overReply(bytes, limit int) error {
	if bytes > limit {
		return Errorf(CodeTooLarge, "the message to the client has %d bytes; the limit is %d", bytes, limit).Because(errOverReply)
	}
	return nil
}

// queueOne is queue for a frame that the program has made.
func (c *conn) queueOne(f Frame) error {
	if err := c.fits(f); err != nil {
		return err
	}
	return c.queue(outItem{frame: f})
}

// queue adds a frame to the outbox; a full one ends the connection.
func (c *conn) queue(it outItem) error {
	return c.queued(c.out.add(it, c.queueLimit()))
}

// tell is queue for a frame of which nobody has to know whether it goes out: a
// connection that takes none has ended.
func (c *conn) tell(frame []byte) { _ = c.queue(outItem{frame: Frame{Data: frame}}) }

// queueNow is queue for a frame that does not wait for the end of OnConnect.
func (c *conn) queueNow(it outItem) error {
	if !c.isGreeted() {
		return c.queue(it)
	}
	return c.queued(c.out.addNow(it, c.queueLimit()))
}

func (c *conn) queued(full, closed bool) error {
	switch {
	case full:
		c.slow()
		return ErrClosed
	case closed:
		return ErrClosed
	}
	return nil
}

func (c *conn) queueLimit() int {
	if c.def.public || c.current.Load() != nil {
		return c.def.limits.Queue
	}
	return c.def.limits.QueueNoUser
}

// push sends a value outside of any call, under the name of a Push or none. The
// model is nil where the value is bytes.
func (c *conn) push(ctx context.Context, name string, v any, m *typemodel.Model) error {
	_, err := c.pushed(ctx, name, v, m)
	return err
}

// pushed is push, and reports whether the outbox took something: outgoing
// middleware may have dropped it.
func (c *conn) pushed(ctx context.Context, name string, v any, m *typemodel.Model) (took bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if c.out.isClosed() {
		return false, ErrClosed
	}
	t := reflect.TypeOf(v)
	v, ok, err := c.outgoing(ctx, Payload{Kind: KindPush, Action: name, Value: v})
	if !ok {
		return false, err
	}
	f := Frame{Binary: true}
	if f.Data, ok = v.([]byte); !ok {
		f.Binary = false
		if f.Data, err = c.encodePush(name, t, m, v); err != nil {
			return false, err
		}
	}
	err = c.queueOne(f)
	return err == nil, err
}

// sendItem sends one value of a stream as soon as there is room.
func (x *call) sendItem(ctx context.Context, v any) error {
	c, a := x.c, x.a
	if x.aborted.isSet() {
		return errAborted
	}
	// A stream that is not waiting for room has to learn of its end, too.
	if err := cmp.Or(ctx.Err(), x.Err()); err != nil {
		return err
	}
	v, ok, err := c.outgoing(ctx, Payload{Kind: KindItem, Action: a.route.Action, Value: v})
	if !ok {
		return err
	}
	buf, err := encoded(func(buf []byte) ([]byte, error) {
		buf, err := appendValue(c.form.BeginItem(buf, x.route()), a.fn.out, a.out, v)
		if err != nil {
			return buf, err
		}
		return c.form.EndItem(buf), nil
	})
	if err != nil {
		return err
	}
	it := outItem{frame: Frame{Data: buf}}
	if err := c.fits(it.frame); err != nil {
		return err
	}
	// Half of the queue is left to replies and events.
	return c.out.addWhenRoom(ctx, it, c.queueLimit(), x.stream)
}

func (c *conn) sendError(route form.Route, e *Error) {
	_ = c.queue(outItem{frame: c.errorFrame(route, e)})
}

func (c *conn) errorFrame(route form.Route, e *Error) Frame {
	fe := form.Error{Code: string(e.Code), Message: e.Message, RetryAfter: e.RetryAfter.Milliseconds()}
	for _, d := range e.Details {
		fe.Details = append(fe.Details, form.Detail(d))
	}
	return Frame{Data: c.form.Error(nil, route, fe)}
}
