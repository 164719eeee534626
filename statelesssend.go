package kanava

import (
	"context"
	"encoding/base64"
	"errors"
	"time"
)

// This file sends what a connection without a process has to say: taken from its
// outbox while functions run, in order, until nothing can come any more.

// run sends what the connection has to say until nothing runs any more. The last
// message goes to respond, if that takes it.
func (v *visit) run(respond func(Frame) bool) error {
	err := v.drain(respond)
	if v.lost {
		v.rt.later(v.now(), v.key)
	}
	return err
}

// holdTime is how long the last message waits for another one, to be the answer to
// an event.
const holdTime = 5 * time.Millisecond

const visitBatch = 256 << 10 // bytes taken at a time

func (v *visit) drain(respond func(Frame) bool) error {
	var held []Frame // one at the most
	flush := func() {
		v.send(held)
		held = held[:0]
	}
	hold := time.NewTimer(holdTime)
	defer hold.Stop()
	over, late := v.now().Done(), false
	for {
		idle := v.isIdle() // asked before: what was said until then is taken
		frames, closing := v.c.take(nil, visitBatch)
		if n := len(frames); n > 0 {
			flush()
			if respond != nil {
				held = append(held, frames[n-1])
				frames = frames[:n-1]
				hold.Reset(holdTime)
			}
			v.send(frames)
			continue
		}
		if closing != nil {
			flush()
			return v.close(closing)
		}
		if idle && v.finish() {
			break
		}
		if idle {
			continue
		}
		select {
		case <-v.wake:
		case <-hold.C:
			flush()
		case <-over:
			if late {
				return context.Cause(v.now())
			}
			late = true
			over = v.interrupt()
		}
	}
	if len(held) > 0 && !v.answered(held[0], respond) {
		flush()
	}
	return nil
}

// answered hands the last message to who takes it as the answer to the event.
func (v *visit) answered(f Frame, respond func(Frame) bool) bool {
	if v.lost || respond == nil || !v.mayRespond() {
		return false
	}
	f, ok := v.wire(f)
	return ok && respond(f)
}

// finish ends what others in this process may hand to the connection: the program by
// its id, and functions that publish. It reports whether nothing has come since.
func (v *visit) finish() bool {
	v.c.core.visitors.remove(v.c)
	v.handing.Lock()
	defer v.handing.Unlock()
	v.over = true
	return v.isIdle() && v.c.out.isEmpty() && v.c.out.closingNow() == nil
}

// handNow gives the connection an event of a function of its own. It reports false
// where the event has to come in another way.
func (v *visit) handNow(ev *event) bool {
	v.handing.Lock()
	defer v.handing.Unlock()
	return !v.over && v.hand(ev)
}

// graceTime is how long a visit goes on whose event is out of time: for functions to
// return, and to tell the client. Transports leave somewhat more.
const graceTime = time.Second

// interrupt ends the functions that run, and returns what ends the time that is left.
func (v *visit) interrupt() <-chan struct{} {
	v.c.mu.Lock()
	for x := v.c.calls; x != nil; x = x.next {
		x.cancel(context.DeadlineExceeded)
	}
	v.c.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(v.now()), graceTime)
	context.AfterFunc(ctx, cancel)
	v.limit.Store(&ctx)
	return ctx.Done()
}

// isIdle reports whether nothing can come about any more that is to be sent.
func (v *visit) isIdle() bool {
	c := v.c
	c.mu.Lock()
	busy := c.running > 0 || c.working || c.waiting.len() > 0
	c.mu.Unlock()
	c.subMu.Lock()
	defer c.subMu.Unlock()
	return !busy && c.recoveries == 0
}

// send sends frames, after what has waited for the platform to accept the connection.
func (v *visit) send(frames []Frame) {
	if len(frames) == 0 {
		return
	}
	frames = append(v.takePending(), frames...)
	for i, f := range frames {
		if v.lost {
			return
		}
		f, ok := v.wire(f)
		if !ok {
			continue
		}
		if err := v.post(f); err != nil {
			v.failed(err, frames[i:])
			return
		}
	}
}

func (v *visit) post(f Frame) error {
	if v.sending {
		return v.rt.platform.Send(v.now(), v.at, f)
	}
	select {
	case v.rt.sends <- struct{}{}:
		defer func() { <-v.rt.sends }()
	case <-v.now().Done():
		return v.now().Err()
	}
	return v.rt.platform.Send(v.now(), v.at, f)
}

// wire returns a frame as the platform carries it; false if it cannot.
func (v *visit) wire(f Frame) (_ Frame, ok bool) {
	if f.Binary && v.rt.opts.NoBinary {
		if !v.c.form.Envelope() {
			v.rt.logger.Error("bytes for a client that can only be told text are dropped", "conn", v.key.String(), "channel", v.c.def.name)
			return f, false
		}
		data := base64.StdEncoding.AppendEncode([]byte(`{"bin":"`), f.Data)
		f = Frame{Data: append(data, `"}`...)}
	}
	if len(f.Data) > v.rt.opts.MaxMessage {
		v.rt.logger.Error("a message is larger than the platform carries, and is dropped", "conn", v.key.String(), "channel", v.c.def.name, "bytes", len(f.Data), "limit", v.rt.opts.MaxMessage)
		return f, false
	}
	return f, true
}

// failed deals with frames that cannot be sent. Those of a connection that is not
// accepted yet wait; any other is lost, as it would be on a socket.
func (v *visit) failed(err error, left []Frame) {
	if errors.Is(err, ErrGone) && v.isYoung() && !v.c.form.Envelope() {
		if err := v.pend(left); err == nil {
			return
		}
	}
	if !errors.Is(err, ErrGone) {
		v.rt.logger.Error("a message cannot be sent: the connection is closed", "conn", v.key.String(), "channel", v.c.def.name, "error", err)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(v.now()), graceTime)
		defer cancel()
		_ = v.rt.platform.Close(ctx, v.at, CloseInternal, CloseInternal.String())
	}
	v.lost = true
	v.c.mu.Lock()
	for x := v.c.calls; x != nil; x = x.next {
		x.cancel(context.Canceled)
	}
	v.c.mu.Unlock()
	v.c.out.close(Closing{Code: CloseAbnormal}, true)
}

const (
	pendingFrames = 64
	pendingBytes  = 64 << 10
)

// pend keeps frames until the platform has accepted the connection.
func (v *visit) pend(frames []Frame) error {
	return v.change(v.now(), func(k *keptConn) error {
		pending, bytes := append([]keptFrame{}, k.Pending...), 0
		for _, f := range frames {
			pending = append(pending, keep(f))
		}
		for _, p := range pending {
			bytes += len(p.Text) + len(p.Binary)
		}
		if len(pending) > pendingFrames || bytes > pendingBytes {
			return Errorf(CodeResourceExhausted, "too much waits for a connection that is not accepted yet")
		}
		k.Pending = pending
		return nil
	})
}

// takePending returns what has waited, if no other event has taken it.
func (v *visit) takePending() (frames []Frame) {
	if v.mayRespond() {
		return nil
	}
	var taken []keptFrame
	err := v.change(v.now(), func(k *keptConn) error {
		taken = k.Pending
		k.Pending = nil
		return nil
	})
	if err != nil {
		return nil
	}
	for _, p := range taken {
		frames = append(frames, p.frame())
	}
	return frames
}

// mayRespond reports whether the answer to an event may overtake nothing.
func (v *visit) mayRespond() bool { return len(v.kept().Pending) == 0 }

// close ends the connection from this side. The platform says when it has ended.
func (v *visit) close(end *Closing) error {
	err := v.change(v.now(), func(k *keptConn) error {
		if k.Phase != keptClosing {
			k.Phase, k.Code, k.Reason, k.Request = keptClosing, end.Code, end.Reason, nil
		}
		return nil
	})
	if errors.Is(err, ErrClosed) {
		err = nil
	}
	return errors.Join(err, v.rt.platform.Close(v.now(), v.at, end.Code, end.Reason))
}
