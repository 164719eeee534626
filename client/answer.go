package client

import (
	"bytes"
	"context"
	"time"

	"github.com/go-json-experiment/json"
)

// This file answers calls of the server (docs/protocol.md P13).

const (
	maxAsking = 64               // handlers that run at one time
	waitTime  = 10 * time.Minute // what Wait gives
)

// Handle answers the server's calls of a function with f, in place of a former
// handler. Each call has a goroutine of its own; ctx ends when the server no
// longer waits, and with the connection. The server is told an *Error with its
// code and text, and of any other error only that the handler failed. Stop
// takes the handler away.
func Handle[In, Out any](c *Conn, name string, f func(ctx context.Context, in In) (Out, error)) *Listener {
	l := &Listener{c: c, at: listenKey{listenCall, name}}
	l.answer = func(ctx context.Context, raw []byte) ([]byte, error) {
		var in In
		if len(raw) > 0 {
			if err := c.decode(raw, &in); err != nil {
				return nil, fault(CodeInvalidArgument, "the input is of another type").because(err)
			}
		}
		out, err := f(ctx, in)
		if err != nil {
			return nil, err
		}
		if _, none := any(out).(struct{}); none {
			return []byte("null"), nil
		}
		return json.Marshal(out, c.spec.options())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handlers[name] = l
	return l
}

// Wait tells the server that the answer to its call takes longer, because a
// person gives it: the server then waits for ten minutes from now on. Ctx is
// that of the handler; with another one Wait does nothing.
func Wait(ctx context.Context) {
	a, ok := ctx.Value(askKey{}).(*ask)
	if !ok {
		return
	}
	c := a.r.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.over {
		return
	}
	a.limit.Reset(waitTime)
	b := append(make([]byte, 0, 40), `{"re":`...)
	a.r.send(append(appendUint(b, a.id), `,"wait":true}`...))
}

type askKey struct{}

// ask is a call of the server. Its fields are guarded by Conn.mu.
type ask struct {
	r      *run
	id     uint64
	over   bool // the last frame was sent, or need not be
	limit  *time.Timer
	cancel context.CancelCauseFunc
}

func (r *run) takeCall(f *frame) error {
	name, err := f.text(memberCall)
	if err != nil {
		return err
	}
	id, err := f.integer(memberID)
	if err != nil {
		return err
	}
	var ms float64
	if f.has(memberMs) {
		if err := f.decode(memberMs, &ms); err != nil {
			return err
		}
	}
	if r.asked[id] != nil {
		return errTwice
	}
	c := r.c
	a := &ask{r: r, id: id}
	r.asked[id] = a
	ctx, cancel := context.WithCancelCause(context.WithValue(r.life, askKey{}, a))
	a.cancel = cancel
	a.limit = time.AfterFunc(millis(ms), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		a.abandon(fault(CodeDeadlineExceeded, "the server waits no longer"))
	})
	if ms <= 0 {
		a.limit.Stop()
	}
	l := c.handlers[name]
	switch {
	case l == nil:
		a.abandon(fault(CodeUnimplemented, "nothing handles this call"))
	case c.asking >= maxAsking:
		a.abandon(fault(CodeResourceExhausted, "too many calls are being handled"))
	default:
		in := bytes.Clone(f.raw(memberIn))
		c.asking++
		c.spawn(func() {
			out, err := l.answer(ctx, in)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.asking--
			a.finish(out, err)
		})
	}
	return nil
}

// abandon ends a call that need not be answered, or not by the handler. c.mu is
// held.
func (a *ask) abandon(err *Error) { a.finish(nil, err) }

// finish sends the last frame of a call, unless that is done. c.mu is held.
func (a *ask) finish(out []byte, err error) {
	if a.over {
		return
	}
	a.over = true
	a.limit.Stop()
	delete(a.r.asked, a.id)
	a.cancel(err)
	if a.r.ended {
		return
	}
	b := a.frame("out", out)
	if err == nil && len(b) > a.r.server.Max {
		err = tooLarge()
	}
	if err != nil {
		text, _ := json.Marshal(wire(err), json.Deterministic(true))
		b = a.frame("err", text)
	}
	a.r.send(b)
}

func (a *ask) frame(member string, value []byte) []byte {
	b := append(make([]byte, 0, len(value)+40), `{"re":`...)
	b = append(appendUint(b, a.id), `,"`...)
	b = append(append(append(b, member...), `":`...), value...)
	return append(b, '}')
}
