package kanavatest

import (
	"bytes"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/bridge"
)

// Next returns the next frame, which must be text.
func (c *Client) Next() string {
	c.tb.Helper()
	f := c.next()
	if f.Binary {
		c.tb.Fatalf("kanavatest: the next frame is binary: %x", f.Data)
	}
	return string(f.Data)
}

// NextBinary returns the next frame, which must be binary.
func (c *Client) NextBinary() []byte {
	c.tb.Helper()
	f := c.next()
	if !f.Binary {
		c.tb.Fatalf("kanavatest: the next frame is text: %s", f.Data)
	}
	return bytes.Clone(f.Data)
}

func (c *Client) next() kanava.Frame {
	c.tb.Helper()
	f, ok := c.NextFrame()
	if !ok {
		code, reason := c.link.Ended()
		c.tb.Fatalf("kanavatest: the connection ended (%d %s) while the test waited for a frame", code, reason)
	}
	return f
}

// NextFrame returns the next frame of either kind, or false if the connection
// ended before one came.
func (c *Client) NextFrame() (f kanava.Frame, ok bool) {
	c.tb.Helper()
	came := func() bool {
		if ok = len(c.inbox) > 0; ok {
			f, c.inbox = c.inbox[0], c.inbox[1:]
		}
		return ok || c.over
	}
	if !c.until(Wait, came) {
		c.tb.Fatalf("kanavatest: no frame came within %v", Wait)
	}
	return f, ok
}

// Expect demands that the next frame is the JSON text want, as SameJSON
// compares.
func (c *Client) Expect(want string) {
	c.tb.Helper()
	if _, err := canonical(want); err != nil {
		c.tb.Fatalf("kanavatest: Expect: what the test wants is not valid JSON: %v\n  %s", err, want)
	}
	if got := c.Next(); !SameJSON(got, want) {
		c.tb.Fatalf("kanavatest: the next frame is\n  %s\nwant\n  %s", got, want)
	}
}

// Into decodes the next frame.
func Into[T any](c *Client) T {
	c.tb.Helper()
	var v T
	text := c.Next()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		c.tb.Fatalf("kanavatest: the next frame is no %T: %v\n  %s", v, err, text)
	}
	return v
}

// ExpectNone demands that nothing comes: it waits until no function of this
// connection runs, nor outgoing middleware, but for long-running ones a short
// time only.
func (c *Client) ExpectNone() {
	c.tb.Helper()
	for start := time.Now(); ; pause() {
		idle := bridge.Idle(c.link) // asked first: what has left the outbox is seen below
		c.mu.Lock()
		inbox, taking := c.inbox, c.taking
		c.mu.Unlock()
		switch {
		case len(inbox) > 0 && inbox[0].Binary:
			c.tb.Fatalf("kanavatest: a frame came, but none should: binary %x", inbox[0].Data)
		case len(inbox) > 0:
			c.tb.Fatalf("kanavatest: a frame came, but none should: %s", inbox[0].Data)
		case idle && !taking, time.Since(start) >= quiet:
			return
		}
	}
}

// ExpectClose demands that the server closes the connection with code, waits
// until it has ended, and returns the reason. Frames before that are skipped.
func (c *Client) ExpectClose(code kanava.CloseCode) string {
	c.tb.Helper()
	over := c.until(Wait, func() bool {
		c.inbox = nil
		return c.over
	})
	c.mu.Lock()
	closing := c.closing
	c.mu.Unlock()
	switch {
	case closing == nil && over:
		c.tb.Fatalf("kanavatest: the client left, want a close of the server with code %d", code)
	case closing == nil:
		c.tb.Fatalf("kanavatest: the server did not close the connection within %v, want code %d", Wait, code)
	case closing.Code != code:
		c.tb.Fatalf("kanavatest: the server closed the connection with code %d and reason %q, want code %d", closing.Code, closing.Reason, code)
	case !over:
		c.tb.Fatalf("kanavatest: the server closed the connection with code %d, but within %v a function has not returned", code, Wait)
	}
	return closing.Reason
}

// SameJSON reports whether two JSON texts are equal but for white space, the
// order of members, and escapes in strings. Numbers are equal if they are
// written alike: 1 is not 1.0. A text that is not valid JSON equals none.
func SameJSON(a, b string) bool {
	x, errX := canonical(a)
	y, errY := canonical(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// canonical returns text as all texts that are the same JSON have it.
func canonical(text string) (jsontext.Value, error) {
	v := jsontext.Value(text)
	// A float64 does not hold every number.
	err := v.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false))
	return v, err
}
