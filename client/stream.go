package client

import (
	"context"
	"iter"
	"time"
)

// A stream that is faster than its reader ends when so much is unread.
const (
	maxItems     = 1000
	maxItemBytes = 1 << 20
)

// Stream calls a function of the server that sends many values, each time that
// the result is ranged over. Leaving the loop cancels the call. An error is the
// last pair and always an *Error.
//
// The call has to start within Options.Timeout, and may take as long as it
// likes, unless ctx has a deadline. If the loop is slower than the server, a
// thousand values or 1 MiB wait for it; when there is more, the stream ends with
// CodeResourceExhausted.
func Stream[Out any](ctx context.Context, c *Conn, by, action string, in any) iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) {
		var none Out
		x, err := c.stream(ctx, by, action, in)
		if err != nil {
			yield(none, err)
			return
		}
		defer x.giveUp(fault(CodeCanceled, "the loop was left"))
		for {
			raw, more, err := x.next(ctx)
			if err != nil {
				yield(none, err)
				return
			}
			if !more {
				return
			}
			var out Out
			if err := c.decode(raw, &out); err != nil {
				yield(none, err)
				return
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}

// items is what a stream has received and its reader has not taken; guarded by
// Conn.mu.
type items struct {
	list  [][]byte
	bytes int
	wake  chan struct{} // holds one: there is an item
	start *time.Timer   // ends a call that is not sent in time
}

// add takes an item. c.mu is held.
func (s *items) add(x *call, item []byte) {
	if len(s.list) >= maxItems || s.bytes+len(item) > maxItemBytes && len(s.list) > 0 {
		x.stop(fault(CodeResourceExhausted, "the stream is faster than its reader"))
		x.err.OutcomeUnknown = false
		return
	}
	s.list = append(s.list, item)
	s.bytes += len(item)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (c *Conn) stream(ctx context.Context, by, action string, in any) (*call, error) {
	x, err := c.newCall(by, action, in, nil)
	if err != nil {
		return nil, err
	}
	x.items = &items{wake: make(chan struct{}, 1)}
	if _, has := ctx.Deadline(); !has && c.settings.timeout > 0 {
		x.items.start = time.AfterFunc(c.settings.timeout, func() { x.giveUp(late()) })
	}
	if err := c.begin(ctx, x); err != nil {
		x.giveUp(late()) // stops the timer
		return nil, err
	}
	return x, nil
}

// next returns the next item. More is false at the end of the stream.
func (x *call) next(ctx context.Context) (item []byte, more bool, _ error) {
	for {
		if ctx.Err() != nil {
			x.giveUp(given(ctx, "the stream was given up"))
		}
		x.c.mu.Lock()
		s := x.items
		over, err := x.over, x.err
		if len(s.list) > 0 && ctx.Err() == nil {
			item, s.list[0] = s.list[0], nil
			s.list = s.list[1:]
			s.bytes -= len(item)
			x.c.mu.Unlock()
			return item, true, nil
		}
		x.c.mu.Unlock()
		if over {
			if err != nil {
				return nil, false, err
			}
			return nil, false, nil
		}
		select {
		case <-s.wake:
		case <-x.done:
		case <-ctx.Done():
		}
	}
}
