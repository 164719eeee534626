package kanava

import (
	"errors"
	"fmt"
	"slices"

	"github.com/kanava-go/kanava/internal/form"
	"github.com/kanava-go/kanava/internal/jsonscan"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// This file is the way of a message: scan and route, session and permissions,
// decode and validate, middleware and function, outgoing middleware, encode.

// handle runs a message's function, or starts it if others may run beside it.
// It returns the host that the caller still has, and false if another goroutine
// goes on with what waits.
func (c *conn) handle(m message, host Host) (_ Host, more bool) {
	if !c.form.Envelope() { // else the reader has done it
		if err := c.meter(); err != nil {
			m.release()
			c.sendError(form.Route{}, err)
			c.strike(err)
			c.lookedAt()
			return host, true
		}
	}
	a, route, err := c.route(&m)
	if err == nil {
		err = c.permit(a)
	}
	if err == nil {
		err = c.meterAction(a)
	}
	if err == nil && a.beside() {
		err = c.besideRoom()
	}
	if err != nil {
		m.release()
		c.chargeError()
		c.core.logRefusal(c, route, err)
		c.sendError(route, err)
		c.lookedAt()
		return host, true
	}
	x := c.newCall(a, m)
	switch {
	case !c.begin(x, !a.beside()):
		m.release()
	case a.beside():
		go x.run()
	case host == nil:
		a.pace.run(x)
	case a.pace.isSlow():
		go c.workFrom(x)
		return nil, false
	default:
		x.run()
		if !host.Waits() {
			a.pace.tookLong()
			return nil, true
		}
	}
	return host, true
}

// workFrom runs a call that has begun, and then what waits behind it.
func (c *conn) workFrom(x *call) {
	done := false
	defer func() {
		if !done {
			go c.work(false, nil)
		}
	}()
	x.a.pace.run(x)
	done = true
	c.work(false, nil)
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
	if c.form.Envelope() {
		return c.routeFrame(m)
	}
	if cap(m.room.found) < len(def.keys) {
		m.room.found = make([]jsonscan.Member, len(def.keys))
	}
	found := m.room.found[:len(def.keys)]
	limits := jsonscan.Limits{Depth: c.def.limits.Depth, Elements: c.def.limits.Elements}
	if _, err := jsonscan.Scan(m.data, def.keys, found, limits); err != nil {
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
		return c.sessionMissing()
	}
	return a.allows(s)
}

// allows checks the permissions of a session.
func (a *action) allows(s *session) *Error {
	for _, anyOf := range a.opts.allow {
		if !holdsOne(s.id.Permissions, anyOf) {
			return Errorf(CodePermissionDenied, "this needs a permission that the session does not have")
		}
	}
	return nil
}

// sessionMissing says why there is no live session.
func (c *conn) sessionMissing() *Error {
	if c.current.Load() != nil {
		return Errorf(CodeUnauthenticated, "the session has expired")
	}
	return Errorf(CodeUnauthenticated, "sign in first")
}

// besideRoom refuses a call that others run beside if there are as many as may
// be. It does not wait: they can last as long as the connection.
func (c *conn) besideRoom() *Error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit := c.def.limits.WaitingCalls; int(c.beside) >= limit {
		return Errorf(CodeResourceExhausted, "too many calls are running: the limit is %d", limit)
	}
	return nil
}

func holdsOne(have, anyOf []string) bool {
	for _, want := range anyOf {
		if slices.Contains(have, want) {
			return true
		}
	}
	return false
}

// errStopped is what a call ends with that has neither returned nor panicked.
var errStopped = errors.New("the function ended its goroutine")

// run runs the function and answers the client. It does not panic.
func (x *call) run() {
	var out any
	err := errStopped
	defer x.c.finish(x) // whatever else ends the goroutine
	defer func() {
		if p := recover(); p != nil {
			err = x.panicked(p)
		}
		x.m.release()
		if x.stream != nil {
			x.stream.ended.Store(true)
		}
		x.answer(out, err)
	}()
	x.observe()
	switch {
	case x.m.canceled:
		err = errCanceled
	case x.hasKey():
		out, err = x.once()
	default:
		out, err = x.invoke()
	}
}

func (x *call) panicked(p any) error { return x.c.core.panicked(x, p) }

func (x *call) stopped() error { return x.Err() }

func (x *call) kind() Kind { return x.a.kind }

func (x *call) gone() bool { return x.c.out.isClosed() }

func (x *call) attrs(more ...any) []any {
	return append([]any{"conn", x.c.id.String(), "channel", x.c.def.name, "function", x.a.kind.String(), "action", x.a.route.Action}, more...)
}

func (x *call) invoke() (any, error) {
	a, c, m := x.a, x.c, &x.m
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
			return nil, c.invalid(a, m, faults)
		}
		m.release() // the input is a copy
	}
	if a.handler == nil {
		return a.call(x.ctx, c.ch, in, x.stream)
	}
	inv := &Invocation{
		Conn: c.ch, Channel: c.def.name, Action: a.route.Action, Kind: a.kind, Tags: a.tags,
		In: in, Opening: c.ch.openingData(), stream: x.stream,
	}
	if s := c.liveSession(); s != nil {
		inv.Session = s.value
	}
	return a.handler(x.ctx, inv)
}

// invalid makes the error for an input that breaks the rules of its type.
func (c *conn) invalid(a *action, m *message, faults []typemodel.Fault) *Error {
	e := faultsError("invalid input", faults)
	if a.route.Action != "" || c.form.Envelope() {
		return e
	}
	// OnMessage got it because no route did: say so at the routing member.
	found := m.room.found[:len(c.def.keys)] // as route left it
	for i, d := range e.Details {
		for k, key := range c.def.keys {
			if d.Pointer != "/"+pointerEscaper.Replace(key) {
				continue
			}
			e.Details[i].Message = "no " + key + " of this name here"
			if name, ok := jsonscan.String(m.data[found[k].ValueStart:found[k].ValueEnd]); ok && len(name) <= 256 {
				e.Details[i].Message = fmt.Sprintf("no %s is named %q here", key, name)
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
	e, _ := find(err)
	if e == nil || !errors.As(err, &v) {
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
