package kanavatest

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/bridge"
)

// Wait is how long Next and the other methods that wait for something give the
// server before they fail the test.
const Wait = 5 * time.Second

// quiet is how long ExpectNone waits for a connection on which something runs.
const quiet = 50 * time.Millisecond

// Client is a client in memory. It reads all the time, unless it is stalled.
// Its methods are for the goroutine of the test; when they fail they end it.
type Client struct {
	tb   testing.TB
	link *kanava.Link
	wake chan struct{} // holds one: the link has news

	mu      sync.Mutex
	inbox   []kanava.Frame  // guarded by mu
	news    chan struct{}   // guarded by mu: closed and replaced when something below or in inbox changes
	stalled bool            // guarded by mu
	closing *kanava.Closing // guarded by mu: how the server closed, or the client itself
}

// Dial connects to the channel at target, a path with a query such as
// "/chat?room=general", and fails the test if that is refused. The client
// leaves when the test ends.
func Dial(tb testing.TB, d kanava.Dispatcher, target string) *Client {
	tb.Helper()
	u, err := url.Parse(target)
	if err != nil {
		tb.Fatalf("kanavatest: Dial: %v", err)
	}
	c, err := DialRequest(tb, d, &kanava.OpenRequest{URL: u})
	if err != nil {
		tb.Fatalf("kanavatest: Dial %s: %v", target, err)
	}
	return c
}

// DialRequest connects with a request of the test's making, for headers,
// tokens and origins. The error is that of the refusal.
func DialRequest(tb testing.TB, d kanava.Dispatcher, req *kanava.OpenRequest) (*Client, error) {
	tb.Helper()
	if req.Host == "" {
		req.Host = "kanava.test"
	}
	if req.Header == nil {
		req.Header = http.Header{}
	}
	c := &Client{tb: tb, wake: make(chan struct{}, 1), news: make(chan struct{})}
	link, err := d.Open(context.Background(), req, c)
	if err != nil {
		return nil, err
	}
	c.link = link
	link.Start()
	go c.read()
	tb.Cleanup(func() {
		c.Leave()
		<-link.Done()
	})
	return c, nil
}

// Wake implements kanava.Peer.
func (c *Client) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// read takes frames until the connection has ended.
func (c *Client) read() {
	var batch []kanava.Frame
	for {
		select {
		case <-c.link.Done():
			c.notify(func() {})
			return
		case <-c.wake:
		}
		for !c.isStalled() {
			var closing *kanava.Closing
			c.notify(func() { // at once: what left the outbox is in the inbox
				batch, closing = c.link.Take(batch[:0], 64<<10)
				c.inbox = append(c.inbox, batch...)
				if closing != nil {
					c.closing = closing
				}
			})
			if closing != nil {
				c.link.Disconnect(closing.Code, closing.Reason)
			}
			if len(batch) == 0 {
				break
			}
		}
	}
}

func (c *Client) isStalled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stalled
}

// notify changes something and tells who waits.
func (c *Client) notify(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.news)
	c.news = make(chan struct{})
}

// Stall stops reading: what the server sends fills its queue.
func (c *Client) Stall() { c.notify(func() { c.stalled = true }) }

// Resume reads again after Stall.
func (c *Client) Resume() {
	c.notify(func() { c.stalled = false })
	c.Wake()
}

// ID returns the id of the connection.
func (c *Client) ID() string { return c.link.ID() }

// Send sends v as JSON, in one text message.
func (c *Client) Send(v any) {
	c.tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		c.tb.Fatalf("kanavatest: Send: %v", err)
	}
	c.send(b, false)
}

// SendText sends text as it is, in one text message.
func (c *Client) SendText(text string) {
	c.tb.Helper()
	c.send([]byte(text), false)
}

// SendBinary sends p in one binary message.
func (c *Client) SendBinary(p []byte) {
	c.tb.Helper()
	c.send(append([]byte{}, p...), true)
}

// send waits, as a transport does, while the connection is full.
func (c *Client) send(p []byte, binary bool) {
	c.tb.Helper()
	c.link.Receive(p, binary)
	for start := time.Now(); c.link.Full(); {
		if time.Since(start) > Wait {
			c.tb.Fatalf("kanavatest: the server took no more messages for %v", Wait)
		}
		pause()
	}
}

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
	return append([]byte{}, f.Data...)
}

// NextFrame returns the next frame of either kind, or false if the connection
// ended before one came.
func (c *Client) NextFrame() (kanava.Frame, bool) {
	c.tb.Helper()
	return c.wait()
}

func (c *Client) next() kanava.Frame {
	c.tb.Helper()
	f, ok := c.wait()
	if !ok {
		code, reason := c.link.Ended()
		c.tb.Fatalf("kanavatest: the connection ended (%d %s) while the test waited for a frame", code, reason)
	}
	return f
}

// wait returns the next frame, or false at the end of the connection.
func (c *Client) wait() (kanava.Frame, bool) {
	c.tb.Helper()
	timeout := time.NewTimer(Wait)
	defer timeout.Stop()
	for {
		c.mu.Lock()
		news := c.news
		if len(c.inbox) > 0 {
			f := c.inbox[0]
			c.inbox = c.inbox[1:]
			c.mu.Unlock()
			return f, true
		}
		c.mu.Unlock()
		select {
		case <-c.link.Done():
			if c.pending() == 0 {
				return kanava.Frame{}, false
			}
		case <-news:
		case <-timeout.C:
			c.tb.Fatalf("kanavatest: no frame came within %v", Wait)
		}
	}
}

func (c *Client) pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.inbox)
}

// Expect demands that the next frame is the JSON text want; white space and
// the order of members do not matter.
func (c *Client) Expect(want string) {
	c.tb.Helper()
	if got := c.Next(); !SameJSON(got, want) {
		c.tb.Fatalf("kanavatest: the next frame is\n  %s\nwant\n  %s", got, want)
	}
}

// Into decodes the next frame.
func Into[T any](c *Client) T {
	c.tb.Helper()
	var v T
	if text := c.Next(); json.Unmarshal([]byte(text), &v) != nil {
		c.tb.Fatalf("kanavatest: the next frame is no %T: %s", v, text)
	}
	return v
}

// ExpectNone demands that nothing comes: it waits until no function of this
// connection runs, but for long-running ones a short time only.
func (c *Client) ExpectNone() {
	c.tb.Helper()
	for start := time.Now(); c.pending() == 0 && time.Since(start) < quiet; pause() {
		if bridge.Idle(c.link) {
			break
		}
	}
	if c.pending() > 0 {
		c.tb.Fatalf("kanavatest: a frame came, but none should: %s", c.next().Data)
	}
}

// ExpectClose demands that the server closes the connection with code and
// returns the reason. Frames before that are skipped.
func (c *Client) ExpectClose(code kanava.CloseCode) string {
	c.tb.Helper()
	for {
		if _, ok := c.wait(); !ok {
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing == nil || c.closing.Code != code {
		c.tb.Fatalf("kanavatest: the connection ended with %+v, want code %d", c.closing, code)
	}
	return c.closing.Reason
}

// Leave ends the connection as a client that goes away does.
func (c *Client) Leave() { c.link.Disconnect(kanava.CloseGoingAway, "") }

// Done returns a channel that is closed when the connection has ended and
// OnDisconnect has returned.
func (c *Client) Done() <-chan struct{} { return c.link.Done() }

// SameJSON reports whether two JSON texts are equal but for white space and
// the order of members.
func SameJSON(a, b string) bool {
	x, y := jsontext.Value(a), jsontext.Value(b)
	return x.Canonicalize() == nil && y.Canonicalize() == nil && reflect.DeepEqual(x, y)
}

// pause lets others run; in a synctest bubble it passes virtual time.
func pause() { time.Sleep(time.Millisecond) }
