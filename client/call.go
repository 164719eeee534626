package client

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
)

// This file is calls of the server's functions (docs/protocol.md P11 to P18).

// CallOption is an option of one call.
type CallOption func(*call)

// Key makes a call idempotent, where the server can: it is sent again after a
// lost connection, and runs once. A server without such keys is not sent it.
func Key(key string) CallOption { return func(x *call) { x.key = key } }

// Call calls a function of the server and returns its result. By names the
// routing member; "" is the channel's first one. The action "" is OnMessage. In
// is the input; nil is none.
//
// It waits until the call has ended, also for a connection, until ctx ends, or
// for Options.Timeout if ctx has no deadline. Every error is an *Error.
func Call[Out any](ctx context.Context, c *Conn, by, action string, in any, options ...CallOption) (Out, error) {
	var out Out
	raw, err := c.call(ctx, by, action, in, options)
	if err == nil && len(raw) > 0 {
		err = c.decode(raw, &out)
	}
	return out, err
}

// Do is Call for a function without a result.
func Do(ctx context.Context, c *Conn, by, action string, in any, options ...CallOption) error {
	_, err := c.call(ctx, by, action, in, options)
	return err
}

// decode reads a value that the server has sent.
func (c *Conn) decode(raw []byte, to any) error {
	if err := json.Unmarshal(raw, to, c.spec.options()); err != nil {
		return fault(CodeInvalidFrame, "the server sent a value of another type").because(err)
	}
	return nil
}

// call is one call, or one stream if items is not nil. Its fields are guarded
// by Conn.mu.
type call struct {
	c      *Conn
	action string
	text   []byte // its frame from the member behind the id on
	key    string
	run    *run      // the connection on which it was sent
	id     uint64    // on that; 0: not sent, or answered
	sent   time.Time // when it was sent first; zero: never
	items  *items
	aside  bool // nobody waits for it: its error is told to OnError

	over bool
	out  []byte
	err  *Error
	done chan struct{} // closed when over
}

func (c *Conn) call(ctx context.Context, by, action string, in any, options []CallOption) ([]byte, error) {
	x, err := c.newCall(by, action, in, options)
	if err != nil {
		return nil, err
	}
	return c.await(ctx, x)
}

// await makes a call and waits for its end.
func (c *Conn) await(ctx context.Context, x *call) ([]byte, error) {
	if err := c.begin(ctx, x); err != nil {
		return nil, err
	}
	var limit <-chan time.Time
	if _, has := ctx.Deadline(); !has && c.settings.timeout > 0 {
		t := time.NewTimer(c.settings.timeout)
		defer t.Stop()
		limit = t.C
	}
	select {
	case <-x.done:
	case <-ctx.Done():
		x.giveUp(given(ctx, "the call was given up"))
	case <-limit:
		x.giveUp(late())
	}
	if x.err != nil {
		return nil, x.err
	}
	return x.out, nil
}

func late() *Error {
	return fault(CodeDeadlineExceeded, "no answer in time").because(context.DeadlineExceeded)
}

func tooLarge() *Error {
	return fault(CodeTooLarge, "the message is larger than the server takes")
}

func (c *Conn) newCall(by, action string, in any, options []CallOption) (*call, error) {
	x := &call{c: c, action: action, done: make(chan struct{})}
	for _, o := range options {
		o(x)
	}
	b := append(make([]byte, 0, 128), `"do":`...)
	b = append(b, quote(action)...)
	if by != "" {
		b = append(append(b, `,"by":`...), quote(by)...)
	}
	if in != nil {
		value, err := json.Marshal(in, c.spec.options())
		if err != nil {
			return nil, fault(CodeInvalidArgument, "the input cannot be sent").because(err)
		}
		b = append(append(b, `,"in":`...), value...)
	}
	b = append(b, '}')
	x.text = b
	return x, nil
}

// begin sends a call, or lets it wait for its turn.
func (c *Conn) begin(ctx context.Context, x *call) error {
	if ctx.Err() != nil {
		return given(ctx, "the call was given up")
	}
	own, _ := ctx.Value(signInKey{}).(*run)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state.Phase == Closed:
		return fault(CodeUnavailable, "the connection is closed: "+c.state.Reason)
	case own != nil && own.c == c && (own.ended || own.away != nil):
		return fault(CodeUnavailable, "there is no connection")
	case own != nil && own.c == c:
		x.transmit(own)
	default:
		c.queue = append(c.queue, x)
		c.flush()
		c.trim()
	}
	return nil
}

// flush sends what waits, as far as it may be sent. c.mu is held.
func (c *Conn) flush() {
	r := c.run // nil while Options.Setup runs
	for len(c.queue) > 0 && r != nil && r.ready && !r.ended && r.away == nil &&
		r.running < r.server.Calls && r.outBytes < maxUnwritten {
		x := c.queue[0]
		c.queue = slices.Delete(c.queue, 0, 1)
		x.transmit(r)
	}
}

// trim refuses the oldest calls if too many wait for a connection. c.mu is held.
func (c *Conn) trim() {
	if c.run != nil && c.run.ready && !c.run.ended {
		return
	}
	for len(c.queue) > c.settings.queue {
		x := c.queue[0]
		c.queue = slices.Delete(c.queue, 0, 1)
		err := fault(CodeUnavailable, "too many calls wait for a connection")
		err.OutcomeUnknown = !x.sent.IsZero()
		x.finish(nil, err)
		c.tell(listenDropped, Dropped{Action: x.action, Err: err})
	}
}

// transmit sends a call, if the connection can take it. c.mu is held.
func (x *call) transmit(r *run) {
	again := x.key != "" && r.server.Keys > 0
	now := time.Now()
	if !x.sent.IsZero() && !(again && now.Before(x.sent.Add(millis(r.server.Keys)))) {
		x.lose()
		return
	}
	id := r.ids + 1
	b := append(make([]byte, 0, len(x.text)+len(x.key)+32), `{"id":`...)
	b = append(appendUint(b, id), ',')
	if again {
		b = append(append(b, `"key":`...), quote(x.key)...)
		b = append(b, ',')
	}
	b = append(b, x.text...)
	if len(b) > r.server.Max {
		x.finish(nil, tooLarge())
		return
	}
	x.run, x.id = r, r.nextID()
	if x.sent.IsZero() {
		x.sent = now
	}
	if x.items != nil && x.items.start != nil {
		x.items.start.Stop()
	}
	r.running++
	r.replies[id] = x
	r.send(b)
	x.c.events.stir() // whoever waits with reading now reads the answer
}

func appendUint(b []byte, n uint64) []byte { return strconv.AppendUint(b, n, 10) }

// lose ends a call of which nobody knows whether it has run.
func (x *call) lose() {
	err := x.c.lost()
	err.OutcomeUnknown = true
	x.finish(nil, err)
}

// replied takes an item or the last frame of the call.
func (x *call) replied(f *frame) {
	if f.has(memberItem) {
		if x.items != nil && !x.over {
			x.items.add(x, bytes.Clone(f.raw(memberItem)))
		}
		return
	}
	r, c := x.run, x.c
	delete(r.replies, f.id)
	r.running--
	x.id = 0
	if f.has(memberErr) {
		var w wireError
		if err := f.decode(memberErr, &w); err != nil {
			w = wireError{Code: CodeInvalidFrame, Message: "the server sent an error that makes no sense"}
		}
		x.finish(nil, w.told())
	} else if !x.over {
		x.finish(bytes.Clone(f.raw(memberOut)), nil)
	}
	if r.away != nil && r.running == 0 && !time.Now().Before(r.away.at) {
		c.leave()
	}
	c.flush()
}

// abandoned takes that the connection is lost.
func (x *call) abandoned() {
	x.id = 0
	switch {
	case x.over:
	case x.key != "" && x.run.server.Keys > 0:
		x.c.queue = append(x.c.queue, x)
	default:
		x.lose()
	}
}

// finish ends the call. c.mu is held.
func (x *call) finish(out []byte, err *Error) {
	if x.over {
		return
	}
	x.over, x.out, x.err = true, out, err
	if x.aside && err != nil && !err.OutcomeUnknown { // what was lost is done again
		x.c.tell(listenError, err)
	}
	if x.items != nil && x.items.start != nil {
		x.items.start.Stop()
	}
	close(x.done)
}

// giveUp ends the call for the caller, and asks the server to end it.
func (x *call) giveUp(err *Error) {
	x.c.mu.Lock()
	defer x.c.mu.Unlock()
	x.stop(err)
}

// stop is giveUp with c.mu held.
func (x *call) stop(err *Error) {
	if x.over {
		return
	}
	if x.id > 0 {
		b := append(make([]byte, 0, 32), `{"cancel":`...)
		x.run.send(append(appendUint(b, x.id), '}'))
	}
	if i := slices.Index(x.c.queue, x); i >= 0 {
		x.c.queue = slices.Delete(x.c.queue, i, i+1)
	}
	err.OutcomeUnknown = !x.sent.IsZero()
	x.finish(nil, err)
}
