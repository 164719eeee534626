package kanava

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"sync"

	"github.com/kanava-go/kanava/internal/form"
	"github.com/kanava-go/kanava/internal/jsonscan"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// This file is the way of a message: scan and route, session and permissions,
// decode and validate, middleware and function, outgoing middleware, encode.

// maxKeys is how many routing members are looked for without allocating.
const maxKeys = 4

// handle runs a message's function, or starts it if others may run beside it.
func (c *conn) handle(m message) {
	a, route, err := c.route(&m)
	if err == nil {
		err = c.permit(a)
	}
	if err != nil {
		m.release()
		c.core.logRefusal(c, route, err)
		c.sendError(route, err)
		return
	}
	x := c.newCall(a)
	switch {
	case !c.begin(x, !a.beside()):
		m.release()
	case a.beside():
		go x.run(m)
	default:
		x.run(m)
	}
}

// route finds the action for a message and removes the routing member from it.
// The route is that of the action, as far as it is known, also with an error.
func (c *conn) route(m *message) (*action, form.Route, *Error) {
	def := c.def
	if m.binary {
		if def.onBinary == nil {
			return nil, form.Route{}, Errorf(CodeNotFound, "no function takes binary messages here")
		}
		return def.onBinary, form.Route{}, nil
	}
	var room [maxKeys]jsonscan.Member
	found := room[:]
	if len(def.keys) > maxKeys {
		found = make([]jsonscan.Member, len(def.keys))
	}
	if _, err := jsonscan.Scan(m.data, def.keys, found, c.core.limits.Depth); err != nil {
		return nil, form.Route{}, Errorf(CodeInvalidArgument, "%s", err.Error()).Because(err)
	}
	var unknown form.Route
	for i, key := range def.keys {
		at := found[i]
		if !at.Found() {
			continue
		}
		raw := m.data[at.ValueStart:at.ValueEnd]
		if a := lookup(def.actions[i], raw); a != nil {
			jsonscan.Blank(m.data, at)
			return a, a.route, nil
		}
		if name, ok := jsonscan.String(raw); ok && unknown.Key == "" && name != "" && len(name) <= 256 {
			unknown = form.Route{Key: key, Action: name}
		}
	}
	switch {
	case def.onMessage != nil:
		return def.onMessage, form.Route{}, nil
	case unknown.Key != "":
		return nil, unknown, Errorf(CodeNotFound, "no %s is named %q here", unknown.Key, unknown.Action)
	case len(def.keys) > 0:
		return nil, form.Route{}, Errorf(CodeNotFound, "the message has no member %q that names a function here", def.keys[0])
	}
	return nil, form.Route{}, Errorf(CodeNotFound, "no function takes messages here")
}

// lookup finds an action by a JSON string, without allocating if it has no
// escapes.
func lookup(actions map[string]*action, raw []byte) *action {
	if inner, ok := jsonscan.Unescaped(raw); ok {
		return actions[string(inner)]
	}
	if name, ok := jsonscan.String(raw); ok {
		return actions[name]
	}
	return nil
}

// permit checks the session and the permissions of an action.
func (c *conn) permit(a *action) *Error {
	if !a.needsSession {
		return nil
	}
	s := c.liveSession()
	if s == nil {
		if c.current.Load() != nil {
			return Errorf(CodeUnauthenticated, "the session has expired")
		}
		return Errorf(CodeUnauthenticated, "sign in first")
	}
	for _, anyOf := range a.opts.allow {
		if !holdsOne(s.id.Permissions, anyOf) {
			return Errorf(CodePermissionDenied, "this needs a permission that the session does not have")
		}
	}
	return nil
}

func holdsOne(have, anyOf []string) bool {
	for _, want := range anyOf {
		for _, h := range have {
			if h == want {
				return true
			}
		}
	}
	return false
}

// errStopped is what a call ends with that has neither returned nor panicked.
var errStopped = errors.New("the function ended its goroutine")

// run runs the function and answers the client. It does not panic.
func (x *call) run(m message) {
	var out any
	err := errStopped
	defer func() {
		if p := recover(); p != nil {
			err = x.panicked(p)
		}
		m.release()
		if x.stream != nil {
			x.stream.ended.Store(true)
		}
		x.answer(out, err)
		x.c.finish(x)
	}()
	out, err = x.invoke(&m)
}

func (x *call) panicked(p any) error {
	x.c.core.logger.Error("function panicked", x.attrs(slog.Any("panic", p), slog.String("stack", string(debug.Stack())))...)
	return errPanicked
}

// errPanicked stands for a panic that is logged already.
var errPanicked = errors.New("panic")

func (x *call) attrs(more ...any) []any {
	return append([]any{"conn", x.c.id, "channel", x.c.def.name, "function", x.a.kind.String(), "action", x.a.name}, more...)
}

func (x *call) invoke(m *message) (any, error) {
	a, c := x.a, x.c
	var in any
	switch {
	case m.binary:
		in = &m.data
	case a.newIn != nil:
		in = a.newIn()
		faults, err := a.in.Decode(x.ctx, m.data, in)
		if err != nil {
			return nil, invalidByProgram(err)
		}
		if faults != nil {
			return nil, c.invalid(a, m.data, faults)
		}
		m.release() // the input is a copy
	}
	if a.handler == nil {
		return a.call(x.ctx, c.ch, in, x.stream)
	}
	inv := &Invocation{
		Conn: c.ch, Channel: c.def.name, Action: a.name, Kind: a.kind, Tags: a.tags,
		In: in, Opening: c.opening, stream: x.stream,
	}
	if s := c.liveSession(); s != nil {
		inv.Session = s.value
	}
	return a.handler(x.ctx, inv)
}

// invalid makes the error for an input that breaks the rules of its type.
func (c *conn) invalid(a *action, raw []byte, faults []typemodel.Fault) *Error {
	e := faultsError("invalid input", faults)
	if a.route.Action != "" {
		return e
	}
	// OnMessage got it because no route did: say so at the routing member.
	for i, d := range e.Details {
		for _, key := range c.def.keys {
			if d.Pointer == "/"+pointerEscaper.Replace(key) {
				e.Details[i].Message = "no " + key + " of this name here"
			}
		}
	}
	return e
}

func faultsError(text string, faults []typemodel.Fault) *Error {
	e := &Error{Code: CodeInvalidArgument, Message: text, Details: make([]Detail, len(faults))}
	for i, f := range faults {
		e.Details[i] = Detail(f)
	}
	return e
}

// invalidByProgram puts the pointer of the value whose Validate method
// returned an error in front of the pointers in that error.
func invalidByProgram(err error) error {
	var v *typemodel.ValidateError
	var e *Error
	if !errors.As(err, &v) || !errors.As(err, &e) || e == nil {
		return err
	}
	c := *e
	c.Details = make([]Detail, len(e.Details))
	for i, d := range e.Details {
		c.Details[i] = Detail{v.Pointer + d.Pointer, d.Message}
	}
	if len(c.Details) == 0 && v.Pointer != "" {
		c.Details = []Detail{{v.Pointer, e.Message}}
	}
	return &c
}

// answer sends the result of a call, or its error.
func (x *call) answer(out any, err error) {
	code := Code("")
	defer func() {
		if x.ended != nil {
			x.ended(code)
		}
	}()
	if x.aborted.isSet() {
		out, err = nil, Errorf(CodeAborted, "another user signed in, or the user signed out")
	}
	if err == nil {
		err = x.sendResult(out)
	}
	if err == nil {
		return
	}
	e := x.toError(err)
	if e == nil {
		return
	}
	code = e.Code
	if x.a.kind == KindDisconnect {
		return
	}
	x.c.sendError(x.a.route, e)
	if x.a.kind == KindConnect {
		closing := closeFor(e)
		_ = x.c.close(x, closing, closing.String())
	}
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
	case a.kind == KindDisconnect:
		return nil
	case a.stream || a.fn.out == nil && out == nil: // the end of a stream, or a function without a result
		if a.route.Action == "" {
			return nil
		}
		buf = c.form.EndReply(c.form.BeginReply(nil, a.route), 0, a.route)
	default:
		p := &Payload{Kind: a.kind, Action: a.name, Value: out}
		if ok, err := c.outgoing(x.ctx, p); !ok || err != nil {
			return err
		}
		if b, ok := p.Value.([]byte); ok && a.kind == KindBinary {
			return c.queue(outItem{frame: Frame{Data: b, Binary: true}})
		}
		if buf, err = c.encodeResult(a, p.Value); err != nil {
			return err
		}
	}
	return c.queue(outItem{frame: Frame{Data: buf}})
}

func (c *conn) encodeResult(a *action, v any) (buf []byte, err error) {
	route := a.route
	if reflect.TypeOf(v) != a.fn.out { // middleware put something else in its place
		route.Dynamic = true
	}
	buf = make([]byte, 0, 128)
	if a.kind == KindConnect {
		buf = c.form.BeginPush(buf, "")
	} else {
		buf = c.form.BeginReply(buf, route)
	}
	from := len(buf)
	if buf, err = appendValue(buf, a.fn.out, a.out, v); err != nil {
		return nil, fmt.Errorf("encode the result: %w", err)
	}
	if a.kind == KindConnect {
		return c.form.EndPush(buf), nil
	}
	return c.form.EndReply(buf, from, route), nil
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

// outgoing runs the outgoing middleware; it reports false if the payload is
// dropped.
func (c *conn) outgoing(ctx context.Context, p *Payload) (bool, error) {
	if c.def.send == nil {
		return true, nil
	}
	p.Conn, p.Channel = c.ch, c.def.name
	err := c.def.send(ctx, p)
	return p.passed && err == nil, err
}

// queue adds a frame to the outbox; a full one ends the connection.
func (c *conn) queue(it outItem) error {
	full, closed := c.out.add(it, c.queueLimit())
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
		return c.core.limits.Queue
	}
	return c.core.limits.QueueNoUser
}

// push sends a value outside of any call. The model is nil where the value is
// bytes.
func (c *conn) push(ctx context.Context, p *Payload, m *typemodel.Model) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.out.isClosed() {
		return ErrClosed
	}
	t := reflect.TypeOf(p.Value)
	if ok, err := c.outgoing(ctx, p); !ok {
		return err
	}
	if b, ok := p.Value.([]byte); ok && m == nil {
		return c.queue(outItem{frame: Frame{Data: b, Binary: true}})
	}
	buf := c.form.BeginPush(nil, p.Action)
	buf, err := appendValue(buf, t, m, p.Value)
	if err != nil {
		return err
	}
	return c.queue(outItem{frame: Frame{Data: c.form.EndPush(buf)}})
}

// sendItem sends one value of a stream as soon as there is room.
func (x *call) sendItem(ctx context.Context, v any) error {
	c, a := x.c, x.a
	if x.aborted.isSet() {
		return Errorf(CodeAborted, "another user signed in, or the user signed out")
	}
	p := &Payload{Kind: KindItem, Action: a.name, Value: v}
	if ok, err := c.outgoing(ctx, p); !ok {
		return err
	}
	buf := c.form.BeginItem(make([]byte, 0, 128), a.route)
	buf, err := appendValue(buf, a.fn.out, a.out, p.Value)
	if err != nil {
		return err
	}
	// Half of the queue is left to replies and events.
	return c.out.addWhenRoom(ctx, outItem{frame: Frame{Data: c.form.EndItem(buf)}}, c.queueLimit()/2)
}

func (c *conn) sendError(route form.Route, e *Error) {
	fe := form.Error{Code: string(e.Code), Message: e.Message, RetryAfter: e.RetryAfter.Milliseconds()}
	for _, d := range e.Details {
		fe.Details = append(fe.Details, form.Detail(d))
	}
	_ = c.queue(outItem{frame: Frame{Data: c.form.Error(nil, route, fe)}})
}

var takePool = sync.Pool{New: func() any { return new([]outItem) }}

// take implements Link.Take.
func (c *conn) take(batch []Frame, maxBytes int) ([]Frame, *Closing) {
	start := len(batch)
	items := takePool.Get().(*[]outItem)
	defer func() {
		clear(*items)
		takePool.Put(items)
	}()
	for {
		var closing *Closing
		*items, closing = c.out.take((*items)[:0], maxBytes)
		if len(*items) == 0 {
			return batch, closing
		}
		for i := range *items {
			it := &(*items)[i]
			if it.sub != nil && it.sub.ended.isSet() {
				continue
			}
			if it.ev == nil {
				batch = append(batch, it.frame)
			} else if f, ok := c.filter(it.ev); ok {
				batch = append(batch, f)
			}
		}
		if len(batch) > start {
			return batch, nil
		}
	}
}

// filter runs the outgoing middleware on an event. One that fails is dropped
// and logged.
func (c *conn) filter(ev *event) (f Frame, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			ok = false
			c.core.logger.Error("outgoing middleware panicked", "conn", c.id, "topic", ev.topic, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	p := &Payload{Kind: KindEvent, Topic: ev.topic, Value: ev.value}
	ok, err := c.outgoing(&c.life, p)
	if err == nil && ok {
		f, err = c.eventFrame(ev, p.Value)
	}
	if err != nil {
		c.core.logger.Error("outgoing middleware failed", "conn", c.id, "topic", ev.topic, "error", err)
		return f, false
	}
	return f, ok
}

// eventFrame encodes the event with what middleware made of its value.
func (c *conn) eventFrame(ev *event, value any) (Frame, error) {
	if sameValue(ev.value, value) {
		return ev.frame(c.form), nil
	}
	own := &event{topic: ev.topic}
	if err := own.encode(value, nil); err != nil {
		return Frame{}, err
	}
	return own.frame(c.form), nil
}

// sameValue reports whether middleware left the value alone. It may say no
// where it has: the event is encoded again then.
func sameValue(a, b any) bool {
	return a != nil && reflect.TypeOf(a) == reflect.TypeOf(b) && reflect.ValueOf(a).Comparable() && a == b
}
