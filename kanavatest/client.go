package kanavatest

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava"
)

// Wait is how long Next and the other methods that wait for something give the
// server before they fail the test.
const Wait = 5 * time.Second

// quiet is how long ExpectNone and Stall wait for functions that go on.
const quiet = 50 * time.Millisecond

// Client is a client in memory. It reads all the time, unless it is stalled.
// Its methods are for the goroutine of the test; when they fail they end it.
type Client struct {
	tb    testing.TB
	link  *kanava.Link
	wake  chan struct{} // holds one: the link has news
	limit int           // bytes of a message
	full  bool          // Receive has returned false; of the goroutine that sends

	mu      sync.Mutex
	news    chan struct{}   // guarded by mu: closed and replaced when something below changes
	inbox   []kanava.Frame  // guarded by mu
	taking  bool            // guarded by mu: frames may be on their way from the link to inbox
	stalled bool            // guarded by mu
	left    bool            // guarded by mu: the client ended the connection before the server did
	closing *kanava.Closing // guarded by mu: how the server ended it
	over    bool            // guarded by mu: the connection has ended, nothing comes any more
}

// Dial connects to the channel at target, a path with a query such as
// "/chat?room=general", and fails the test if that is refused. The client
// leaves when the test ends; a function of the connection that has not returned
// after Wait fails the test.
//
// Dial returns when the client is connected, and OnConnect runs from then on.
// What depends on it, such as an event on a topic to which OnConnect
// subscribes, comes after an Expect of the welcome, or after ExpectNone where
// there is none.
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

// DialRequest is Dial with a request of the test's making, for headers, tokens
// and origins. The error is that of the refusal.
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
	c.link, c.limit = link, link.Limits().Message
	link.Start()
	go c.read()
	target := req.URL.String()
	tb.Cleanup(func() {
		c.Leave()
		if !c.until(Wait, func() bool { return c.over }) {
			tb.Errorf("kanavatest: the client of %s (connection %s) left %v ago, but a function of the connection has not returned: functions return soon after their context has ended",
				target, link.ID(), Wait)
		}
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
	defer c.notify(func() { c.over = true })
	var batch []kanava.Frame
	for {
		select {
		case <-c.link.Done():
			return
		case <-c.wake:
		}
		for c.beginTaking() {
			var closing *kanava.Closing
			batch, closing = c.link.Take(batch[:0], 64<<10)
			c.notify(func() {
				c.taking = false
				c.inbox = append(c.inbox, batch...)
			})
			if closing != nil {
				c.closed(*closing)
			}
			if len(batch) == 0 {
				break
			}
		}
	}
}

// beginTaking reports whether the client reads. If so, what leaves the link's
// outbox from now on is seen to be on its way.
func (c *Client) beginTaking() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taking = !c.stalled
	return c.taking
}

// closed ends the connection from the server's side.
func (c *Client) closed(how kanava.Closing) {
	c.notify(func() {
		if !c.left && c.closing == nil {
			c.closing = &how
		}
	})
	c.link.Disconnect(how.Code, how.Reason)
}

// notify changes something and tells who waits.
func (c *Client) notify(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.news)
	c.news = make(chan struct{})
}

// until waits for cond, which is called with mu held whenever something has
// changed, and reports false if that takes longer than limit.
func (c *Client) until(limit time.Duration, cond func() bool) bool {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for {
		c.mu.Lock()
		ok, news := cond(), c.news
		c.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-news:
		case <-timeout.C:
			return false
		}
	}
}

// Stall stops reading: what the server sends fills its queue. A close is not
// seen either, until Resume.
func (c *Client) Stall() {
	c.notify(func() { c.stalled = true })
	c.until(quiet, func() bool { return !c.taking })
}

// Resume reads again after Stall.
func (c *Client) Resume() {
	c.notify(func() { c.stalled = false })
	c.Wake()
}

// ID returns the id of the connection.
func (c *Client) ID() string { return c.link.ID() }

// Send sends v as JSON, in one text message. Like the other methods that send,
// it returns when the server has the message, without waiting for the function;
// while the connection is full it waits for room, as a transport does. A message
// over Limits.Message ends the connection with CloseTooBig.
func (c *Client) Send(v any) {
	c.tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		c.tb.Fatalf("kanavatest: Send: %v", err)
	}
	c.send(b, false)
}

// SendText sends text as it is, in one text message. Text that is not UTF-8
// ends the connection with CloseInvalidText.
func (c *Client) SendText(text string) {
	c.tb.Helper()
	c.send([]byte(text), false)
}

// SendBinary sends p in one binary message.
func (c *Client) SendBinary(p []byte) {
	c.tb.Helper()
	c.send(bytes.Clone(p), true)
}

func (c *Client) send(p []byte, binary bool) {
	c.tb.Helper()
	for start := time.Now(); c.isFull(); pause() {
		if time.Since(start) > Wait {
			c.tb.Fatalf("kanavatest: the server took no more messages for %v", Wait)
		}
	}
	c.deliver(p, binary)
}

// isFull reports whether a transport would not be reading now.
func (c *Client) isFull() bool { return c.full && c.link.Full() }

// deliver hands a message to the server, or ends the connection as a transport
// does if the message is not allowed. p is given away.
func (c *Client) deliver(p []byte, binary bool) {
	switch {
	case len(p) > c.limit:
		c.closed(kanava.Closing{Code: kanava.CloseTooBig, Reason: kanava.CloseTooBig.String()})
	case !binary && !utf8.Valid(p):
		c.closed(kanava.Closing{Code: kanava.CloseInvalidText, Reason: kanava.CloseInvalidText.String()})
	default:
		c.full = !c.link.Receive(p, binary)
	}
}

// Leave ends the connection as a client that goes away does.
func (c *Client) Leave() {
	c.notify(func() { c.left = c.closing == nil })
	c.link.Disconnect(kanava.CloseGoingAway, "")
}

// Done returns a channel that is closed when the connection has ended and
// OnDisconnect has returned.
func (c *Client) Done() <-chan struct{} { return c.link.Done() }

// pause lets others run; in a synctest bubble it passes virtual time.
func pause() { time.Sleep(time.Millisecond) }
