package kanava

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"time"

	"github.com/kanava-go/kanava/internal/form"
	"github.com/kanava-go/kanava/internal/jsonscan"
)

// This file reads the frames of kanava.v1 (docs/protocol.md section 3). Calls
// wait for their turn; everything else is done at once, by the goroutine of the
// transport's reader (P13).

// The members that are looked for in a frame. The first ones name its kind.
const (
	memberHello = iota
	memberDo
	memberCancel
	memberRe
	memberRecover
	memberPresence
	memberPing
	memberBin
	kinds // their number

	memberID = iota - 1
	memberBy
	memberIn
	memberKey
	memberOut
	memberErr
	memberWait
	memberE
	memberO
	memberAfter
	members // their number
)

var frameMembers = []string{
	memberHello: "hello", memberDo: "do", memberCancel: "cancel", memberRe: "re",
	memberRecover: "recover", memberPresence: "presence", memberPing: "ping", memberBin: "bin",
	memberID: "id", memberBy: "by", memberIn: "in", memberKey: "key",
	memberOut: "out", memberErr: "err", memberWait: "wait",
	memberE: "e", memberO: "o",
	memberAfter: "after",
}

// Three invalid frames within this time close the connection (P10).
const (
	invalidTime = time.Minute
	invalidMost = 3
)

// maxID bounds ids: JavaScript has no greater integers.
const maxID = 1<<53 - 1

// receiveFrame does what a frame says, or puts it behind the calls that wait.
// It reports what enqueue does.
func (c *conn) receiveFrame(m message) (more, work bool) {
	if m.binary {
		return c.receiveBytes(m)
	}
	if cap(m.room.found) < members {
		m.room.found = make([]jsonscan.Member, members)
	}
	m.room.found = m.room.found[:members]
	kind, err := frameKind(&m, jsonscan.Limits{Depth: c.def.limits.Depth + 1, Elements: c.def.limits.Elements + members})
	if tooFast := c.meter(); tooFast != nil { // told to the call that it was, if it was one
		c.refuseFrame(&m, tooFast)
		c.strike(tooFast)
		return !c.full(), false
	}
	if err != nil {
		c.invalidFrame(&m, err)
		return !c.full(), false
	}
	if kind == memberDo && c.v1.said.Load() {
		return c.enqueue(m)
	}
	if kind == memberBin && c.v1.said.Load() && (c.v1.upstream != "" || c.visit() != nil) {
		data, ok := m.bytes(memberBin)
		if !ok {
			c.invalidFrame(&m, Errorf(CodeInvalidFrame, "the member %q is bytes in base64", "bin"))
			return !c.full(), false
		}
		m.release()
		return c.enqueue(message{data: data, binary: true})
	}
	if err := c.control(&m, kind); err != nil {
		c.invalidFrame(&m, err)
		return !c.full(), false
	}
	m.release()
	return !c.full(), false
}

func (c *conn) receiveBytes(m message) (more, work bool) {
	if tooFast := c.meter(); tooFast != nil {
		c.refuseFrame(&m, tooFast)
		c.strike(tooFast)
		return !c.full(), false
	}
	if c.v1.said.Load() {
		return c.enqueue(m)
	}
	c.invalidFrame(&m, errNoHello)
	return !c.full(), false
}

var errNoHello = Errorf(CodeInvalidFrame, "the first frame has to be a hello")

// noKind stands for a frame without any of the known kinds.
const noKind = kinds

// frameKind finds the members of a frame, its id, and the kind that it has.
func frameKind(m *message, limits jsonscan.Limits) (kind int, _ *Error) {
	found := m.room.found
	is, err := jsonscan.Scan(m.data, frameMembers, found, limits)
	if err != nil {
		return 0, Errorf(CodeInvalidFrame, "%s", err.Error()).Because(err)
	}
	if is != jsonscan.KindObject {
		return 0, Errorf(CodeInvalidFrame, "a frame is an object")
	}
	kind = noKind
	for k := range kinds {
		if !found[k].Found() {
			continue
		}
		if kind != noKind {
			return 0, Errorf(CodeInvalidFrame, "a frame has one of %q and %q, not both", frameMembers[kind], frameMembers[k])
		}
		kind = k
	}
	switch kind {
	case memberHello, memberCancel, memberRe: // they have no id that is to be answered
		return kind, nil
	case memberDo:
		if m.raw(memberDo)[0] != '"' {
			return 0, Errorf(CodeInvalidFrame, "the member %q is a string", "do")
		}
	}
	if found[memberID].Found() {
		var ok bool
		if m.id, ok = frameID(m.raw(memberID)); !ok {
			m.id = 0
			return 0, Errorf(CodeInvalidFrame, "an id is an integer from 1 to 2^53-1")
		}
	}
	return kind, nil
}

// raw returns the value of a member as it stands in the frame, nil if it is
// not there.
func (m *message) raw(member int) []byte {
	at := m.room.found[member]
	return m.room.data[at.ValueStart:at.ValueEnd]
}

// bytes returns what a member is in base64.
func (m *message) bytes(member int) ([]byte, bool) {
	text, ok := jsonscan.String(m.raw(member))
	data, err := base64.StdEncoding.DecodeString(text)
	return data, ok && err == nil
}

func frameID(raw []byte) (uint64, bool) {
	id, ok := frameOffset(raw)
	return id, ok && id >= 1
}

// frameOffset reads an integer of a frame.
func frameOffset(raw []byte) (uint64, bool) {
	n, err := strconv.ParseUint(string(raw), 10, 64)
	return n, err == nil && n <= maxID
}

// control does what a frame says that is no call.
func (c *conn) control(m *message, kind int) *Error {
	if kind == memberHello {
		return c.hello(m.raw(memberHello))
	}
	if !c.v1.said.Load() {
		return errNoHello
	}
	switch kind {
	case memberPing:
		switch v := c.visit(); {
		case m.id == 0:
		case v != nil:
			v.pong(m.id)
		default:
			_ = c.queueNow(outItem{frame: Frame{Data: form.AppendPong(nil, m.id)}})
		}
	case memberCancel:
		id, ok := frameID(m.raw(memberCancel))
		if !ok {
			return Errorf(CodeInvalidFrame, "the member %q is the id of a call", "cancel")
		}
		c.cancelCall(id)
	case memberRe:
		id, ok := frameID(m.raw(memberRe))
		if !ok {
			return Errorf(CodeInvalidFrame, "the member %q is the id of a call", "re")
		}
		return c.takeAnswer(id, m)
	case memberRecover:
		return c.recover(m)
	case memberPresence:
		return c.askPresence(m)
	default: // a kind of which this server knows no more than the name, if that
		if m.id != 0 {
			c.chargeError()
			c.sendError(form.Route{ID: m.id}, Errorf(CodeUnimplemented, "this server does not know frames of this kind"))
		}
	}
	return nil
}

// refuseFrame answers a frame with an error.
func (c *conn) refuseFrame(m *message, e *Error) {
	route := form.Route{ID: m.id}
	m.release()
	c.core.logRefusal(c, route, e)
	c.sendError(route, e)
}

// invalidFrame answers what is no frame. Too many of them, or one in place of
// the hello, close the connection.
func (c *conn) invalidFrame(m *message, e *Error) {
	m.id = 0
	if c.v1.hear() {
		m.release()
		c.refuse(context.Background(), e)
		return
	}
	c.chargeError()
	c.refuseFrame(m, e)
	now := time.Now()
	c.v1.broken = append(slices.DeleteFunc(c.v1.broken, func(t time.Time) bool { return now.Sub(t) > invalidTime }), now)
	if len(c.v1.broken) >= invalidMost {
		c.closeWith(context.Background(), Closing{Code: CloseBadRequest, Reason: CloseBadRequest.String()})
	}
}

// errCanceled is the end of a call that was canceled before it began.
var errCanceled = Errorf(CodeCanceled, "canceled")

// cancelCall ends the context of the call with this id, or keeps it from
// running if it waits. There need not be one.
func (c *conn) cancelCall(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for x := c.calls; x != nil; x = x.next {
		if x.m.id == id {
			x.cancel(context.Canceled)
			return
		}
	}
	if c.v1.taken == id {
		c.v1.canceled = true
		return
	}
	for i := range c.waiting.len() {
		if m := c.waiting.at(i); m.id == id {
			m.canceled = true
			return
		}
	}
}

// routeFrame finds the action for a call, and leaves only its input in m.
func (c *conn) routeFrame(m *message) (*action, form.Route, *Error) {
	def, route := c.def, form.Route{ID: m.id}
	found := m.room.found
	if m.canceled {
		return nil, route, errCanceled
	}
	raw := m.raw(memberDo)
	input := m.raw(memberIn)
	if len(raw) == len(`""`) {
		if def.onMessage == nil {
			return nil, route, Errorf(CodeNotFound, "no function takes messages here")
		}
		if len(input) == 0 {
			input = []byte("null")
		}
		m.data = input
		return def.onMessage, route, nil
	}
	by := 0
	if found[memberBy].Found() {
		name, _ := jsonscan.String(m.raw(memberBy))
		if by = slices.Index(def.keys, name); by < 0 {
			return nil, route, Errorf(CodeNotFound, "messages are not routed by this member here")
		}
	}
	if by >= len(def.keys) {
		return nil, route, Errorf(CodeNotFound, "no function is named here")
	}
	a := lookup(def.actions[by], raw)
	if a == nil {
		if name, _ := jsonscan.String(raw); len(name) <= 256 {
			return nil, route, Errorf(CodeNotFound, "no %s is named %q here", def.keys[by], name)
		}
		return nil, route, Errorf(CodeNotFound, "no %s has this name here", def.keys[by])
	}
	if a.stream && m.id == 0 {
		return nil, route, Errorf(CodeInvalidArgument, "the call of a stream needs an id")
	}
	if len(input) == 0 {
		input = []byte("{}")
	}
	m.data = input
	route.Key, route.Action = a.route.Key, a.route.Action
	return a, route, nil
}
