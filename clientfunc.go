package kanava

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava/internal/form"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// ClientFunc is a function that clients offer: the server asks one of them and
// waits for the answer.
type ClientFunc[In, Out any] struct {
	name    string
	in, out *typemodel.Model // out is nil for None
}

const (
	// askTime is how long a client may take for an answer unless the context
	// ends earlier.
	askTime = 30 * time.Second
	// waitTime is how long after it has asked for more time.
	waitTime = 10 * time.Minute
	// maxAsks is how many calls of one client may be unanswered.
	maxAsks = 32
)

// NewClientFunc makes a ClientFunc. It panics if the name is empty, or In or
// Out has no JSON form. A wiring lists it in Declares, so that generated
// clients know it. Out is [None] for a function without a result.
func NewClientFunc[In, Out any](name string) *ClientFunc[In, Out] {
	is := making{"client function", name, callerPlace(0)}
	is.named()
	f := &ClientFunc[In, Out]{name: name, in: modelOf[In](is, "input ", typemodel.Output)}
	if outType[Out]() != nil {
		f.out = modelOf[Out](is, "output ", typemodel.Input)
	}
	return f
}

// Call asks the client to run the function and waits for its answer, until ctx
// ends, but for no more than 30 s; a client that says that it needs longer has
// 10 minutes. An error of the client is an *Error with its code and text. Other
// errors are CodeUnimplemented where the client's wire form has no such calls,
// CodeResourceExhausted if 32 calls of the client are unanswered, CodeTooLarge
// for an input over Limits.Reply,
// CodeDeadlineExceeded if no answer came in time, CodeInvalidArgument for an
// answer that breaks the rules of Out, CodeAborted if the user changes
// meanwhile, and ErrClosed if the connection has ended.
//
// Messages of the client wait while a function has its turn. So a function that
// asks the client that has called it must be a stream or [Concurrent]: it is an
// error otherwise.
func (f *ClientFunc[In, Out]) Call(ctx context.Context, to Conn, in In) (out Out, err error) {
	c := to.conn()
	if !c.form.Envelope() {
		return out, errNotCallable()
	}
	if x := callOf(ctx); x != nil && x.c == c && !x.a.beside() {
		return out, fmt.Errorf("kanava: client function %q is called while the client's messages wait for this function: make it Concurrent", f.name)
	}
	answer, err := c.ask(ctx, f.name, in, reflect.TypeFor[In](), f.in)
	if err != nil {
		return out, err
	}
	return f.read(ctx, answer)
}

// CallID is Call of the connection with this id, on whatever node it is; ctx
// bounds it, for 10 minutes at the most. It is CodeNotFound if there is none.
// Outgoing middleware on another node sees the input as jsontext.Value.
func (f *ClientFunc[In, Out]) CallID(ctx context.Context, conns *Conns, id string, in In) (out Out, err error) {
	if to, err := conns.Get(ctx, id); err == nil {
		return f.Call(ctx, to, in)
	}
	if !conns.s.reachesFar() {
		return out, errNoConn
	}
	t := farTarget{ID: id, Name: f.name}
	t.Value, err = encoded(func(buf []byte) ([]byte, error) { return appendValue(buf, reflect.TypeFor[In](), f.in, in) })
	if err != nil {
		return out, err
	}
	sum, err := conns.s.everywhere(ctx, "call", t, true, waitTime)
	switch {
	case err != nil:
		return out, err
	case sum.N == 0:
		return out, errNoConn
	}
	return f.read(ctx, sum.Out)
}

func errNotCallable() error {
	return Errorf(CodeUnimplemented, "this client cannot be called: it does not speak kanava.v1")
}

// read decodes and checks an answer.
func (f *ClientFunc[In, Out]) read(ctx context.Context, answer []byte) (out Out, err error) {
	if f.out == nil {
		return out, nil
	}
	faults, err := f.out.Decode(ctx, answer, &out)
	switch {
	case err != nil:
		return out, err
	case faults != nil:
		return out, faultsError("the client's answer is invalid", faults)
	}
	return out, nil
}

func (f *ClientFunc[In, Out]) declared() declaration {
	if f == nil || f.name == "" {
		return declaration{what: "client function", zero: true}
	}
	return declaration{what: "client function", name: f.name, model: f.in, answer: f.out}
}

// asks is the calls of a client's functions that it has not answered; guarded
// by conn.mu.
type asks struct {
	last uint64
	open map[uint64]*ask
}

// ask is one of them.
type ask struct {
	by   *call         // of the same connection; nil if it is none
	long bool          // the client needs longer, and has said so; guarded by conn.mu
	more chan struct{} // closed then
	done chan struct{} // closed when the answer is there
	out  []byte
	err  error
}

// ask sends a call and waits for its answer.
func (c *conn) ask(ctx context.Context, name string, in any, t reflect.Type, m *typemodel.Model) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.visit() != nil {
		return nil, Errorf(CodeUnimplemented, "this client cannot be called: no process waits for its answer")
	}
	value, ok, err := c.outgoing(ctx, Payload{Kind: KindCall, Action: name, Value: in})
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errors.New("kanava: outgoing middleware dropped the call of a client function")
	}
	limit := askTime
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end))
	}
	id, a, err := c.openAsk(callOf(ctx))
	if err != nil {
		return nil, err
	}
	defer c.closeAsk(id)
	frame, err := encoded(func(buf []byte) ([]byte, error) {
		buf, err := appendValue(form.BeginAsk(buf, name, id), t, m, value)
		if err != nil {
			return buf, err
		}
		return form.EndAsk(buf, max(limit.Milliseconds(), 1)), nil
	})
	if err != nil {
		return nil, err
	}
	if err := c.queueOne(Frame{Data: frame}); err != nil {
		return nil, err
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	life, more := c.context(), a.more
	for {
		select {
		case <-a.done:
			return a.out, a.err
		case <-more:
			timer.Reset(waitTime)
			more = nil // once
			continue
		case <-ctx.Done():
			err = ctx.Err()
		case <-timer.C:
			err = Errorf(CodeDeadlineExceeded, "the client did not answer in time")
		case <-life.Done():
			return nil, ErrClosed
		}
		if c.closeAsk(id) {
			c.tell(form.AppendCancel(nil, id))
		}
		return nil, err
	}
}

func (c *conn) openAsk(by *call) (uint64, *ask, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.phase >= phaseClosing:
		return 0, nil, ErrClosed
	case len(c.v1.asks.open) >= maxAsks:
		return 0, nil, Errorf(CodeResourceExhausted, "too many calls wait for the client: the limit is %d", maxAsks)
	}
	asks := &c.v1.asks
	if asks.open == nil {
		asks.open = make(map[uint64]*ask)
	}
	asks.last++
	a := &ask{more: make(chan struct{}), done: make(chan struct{})}
	if by != nil && by.c == c {
		a.by = by
	}
	asks.open[asks.last] = a
	c.resume() // the answer has to be read
	return asks.last, a, nil
}

// closeAsk forgets a call, and reports whether it was there.
func (c *conn) closeAsk(id uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, found := c.v1.asks.open[id]
	delete(c.v1.asks.open, id)
	return found
}

// isAsking reports whether the client has calls to answer; c.mu is held.
func (c *conn) isAsking() bool { return c.v1 != nil && len(c.v1.asks.open) > 0 }

// abortAsks ends the calls of the client's functions that were begun under a
// former user, but for those of one call: the next user does not answer for
// the former. c.mu is held.
func (c *conn) abortAsks(but *call) {
	if c.v1 == nil {
		return
	}
	for id, a := range c.v1.asks.open {
		if but != nil && a.by == but {
			continue
		}
		a.err = errAborted
		delete(c.v1.asks.open, id)
		close(a.done)
		c.tell(form.AppendCancel(nil, id))
	}
}

// clientError is an error as a client tells it.
type clientError struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// takeAnswer takes what the client says of a call of its functions. An id that
// nobody waits for is not an error: the call may have been canceled.
func (c *conn) takeAnswer(id uint64, m *message) *Error {
	found := m.room.found
	n := 0
	for _, k := range []int{memberOut, memberErr, memberWait} {
		if found[k].Found() {
			n++
		}
	}
	if n > 1 {
		return Errorf(CodeInvalidFrame, "an answer has one of out, err and wait")
	}
	var failed error
	if found[memberErr].Found() {
		var e clientError
		if err := json.Unmarshal(m.raw(memberErr), &e); err != nil {
			return Errorf(CodeInvalidFrame, "an error is an object with code and message").Because(err)
		}
		failed = &Error{Code: e.known(), Message: e.Message}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.v1.asks.open[id]
	switch {
	case a == nil:
	case found[memberWait].Found():
		if !a.long {
			a.long = true
			close(a.more)
		}
	default:
		a.out, a.err = []byte("null"), failed
		if found[memberOut].Found() {
			a.out = bytes.Clone(m.raw(memberOut))
		}
		delete(c.v1.asks.open, id)
		close(a.done)
	}
	return nil
}

// known returns the code, or CodeAborted for one that is neither Kanava's nor
// the program's. What a client calls internal is no fault of this program.
func (e *clientError) known() Code {
	_, ours := httpStatus[e.Code]
	if ours && e.Code != CodeInternal || ownCode.MatchString(string(e.Code)) {
		return e.Code
	}
	return CodeAborted
}

// ownCode is the codes that a program may define.
var ownCode = regexp.MustCompile(`^x_[a-z0-9_]{1,62}$`)
