package sse_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/transporttest"
)

// client is a client of the suite, in both forms. Each has sockets of its own,
// with small buffers, so that one that does not read is noticed soon.
type client struct {
	http     *http.Client
	url      string
	request  transporttest.Request
	envelope bool
	cancel   context.CancelFunc
	opened   chan struct{} // closed when res and failed are set
	res      *http.Response
	failed   error
	hello    *helloBody // of kanava.v1

	sendMu sync.Mutex
	seq    uint64 // guarded by sendMu: of the last POST

	secret atomic.Pointer[string] // nil until it is known

	readMu sync.Mutex
	events *reader // guarded by readMu, as is all that follows
	inbox  []transporttest.Frame
	away   *away // the last one
	ended  error // why nothing comes any more
}

// away is how kanava.v1 says that the connection ends.
type away struct {
	Code kanava.CloseCode `json:"code"`
	In   []int            `json:"in"`
}

// helloBody is the body of the request that opens a connection of kanava.v1. It
// is asked for when the server has let the client in, and waits for the first
// message.
type helloBody struct {
	asked chan struct{} // closed when the server wants it
	said  chan []byte   // holds one
	once  sync.Once
	begun atomic.Bool
	over  context.Context // of the connection
	rest  []byte
}

func (b *helloBody) Read(p []byte) (int, error) {
	b.once.Do(func() {
		close(b.asked)
		select {
		case b.rest = <-b.said:
		case <-b.over.Done():
		}
	})
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func dial(ctx context.Context, srv *httptest.Server, r transporttest.Request) (*client, error) {
	c := &client{url: srv.URL + r.Path, request: r, opened: make(chan struct{})}
	t := srv.Client().Transport.(*http.Transport).Clone()
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return nc, nc.(*net.TCPConn).SetReadBuffer(64 << 10)
	}
	t.ExpectContinueTimeout = transporttest.Patience
	t.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10}
	c.http = &http.Client{Transport: t}
	c.envelope = strings.Contains(strings.Join(r.Subprotocols, " "), "kanava.v") && !slices.Contains(r.Subprotocols, "kanava.plain")
	life, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	req, err := c.openRequest(life)
	if err != nil {
		return nil, err
	}
	go func() {
		c.res, c.failed = c.http.Do(req)
		close(c.opened)
	}()
	var asked chan struct{}
	if c.envelope {
		asked = c.hello.asked
	}
	select {
	case <-asked:
		return c, nil
	case <-c.opened:
	case <-ctx.Done():
		c.Cut()
		return nil, ctx.Err()
	}
	if err := c.begun(); err != nil {
		c.Cut()
		return nil, err
	}
	return c, nil
}

func (c *client) openRequest(ctx context.Context) (*http.Request, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if c.envelope {
		c.hello = &helloBody{asked: make(chan struct{}), said: make(chan []byte, 1), over: ctx}
		method, body = http.MethodPost, c.hello
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	if c.envelope {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Expect", "100-continue")
	}
	if len(c.request.Subprotocols) > 0 {
		req.Header.Set("Kanava-Protocol", strings.Join(c.request.Subprotocols, ", "))
	}
	for name, value := range c.request.Headers {
		req.Header.Set(name, value)
	}
	return req, nil
}

// begun looks at the answer to the request that opens the connection.
func (c *client) begun() error {
	if c.failed != nil {
		return c.failed
	}
	if c.res.StatusCode != http.StatusOK {
		return readRefusal(c.res)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no",
		"Kanava-Protocol": c.Subprotocol(), "X-Content-Type-Options": "nosniff",
	} {
		if got := c.res.Header.Get(name); got != want {
			return fmt.Errorf("the answer has %s %q, want %q", name, got, want)
		}
	}
	if c.envelope != (c.res.Header.Get("Kanava-Up") == "") {
		return errors.New("only the plain form has its secret in the header")
	}
	return nil
}

// readRefusal reads the answer to a refused request.
func readRefusal(res *http.Response) error {
	defer res.Body.Close()
	if got := res.Header.Get("Content-Type"); got != "application/json" {
		return fmt.Errorf("the refusal has the type %q", got)
	}
	if res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") == "" {
		return errors.New("the refusal does not say when to come back")
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	return &transporttest.RefusedError{Status: res.StatusCode, Body: body}
}

// Subprotocol returns what the server chooses; begun checks that it does.
func (c *client) Subprotocol() string {
	if !c.envelope {
		return c.res.Header.Get("Kanava-Protocol")
	}
	for _, p := range c.request.Subprotocols {
		if p == "kanava.v1" {
			return p
		}
	}
	return c.request.Subprotocols[0]
}

func (c *client) Send(ctx context.Context, data []byte, binary bool) error {
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	contentType := "application/json"
	switch {
	case binary && c.envelope:
		data = fmt.Appendf(nil, `{"bin":"%s"}`, base64.StdEncoding.EncodeToString(data))
	case binary:
		contentType = "application/octet-stream"
	case bytes.IndexByte(data, '\n') >= 0:
		return errors.New("a message with a line feed cannot be sent: omit the vector")
	default:
		data = append(bytes.Clone(data), '\n')
	}
	if c.sayHello(data) {
		return nil
	}
	secret, err := c.getSecret(ctx)
	if err != nil || secret == "" { // it has ended: Receive tells
		return err
	}
	c.seq++
	for {
		again, err := c.post(ctx, secret, contentType, data)
		if !again {
			return err
		}
		select { // the suite waits for nothing as long as a client should
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sayHello sends the first message in the body of the first request. It
// reports false if that is over.
func (c *client) sayHello(data []byte) bool {
	if c.hello == nil || !c.hello.begun.CompareAndSwap(false, true) {
		return false
	}
	c.hello.said <- data // which holds one
	return true
}

// post sends one request up. It reports whether to send it again.
func (c *client) post(ctx context.Context, secret, contentType string, data []byte) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(data))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Kanava-Up", secret)
	req.Header.Set("Kanava-Seq", strconv.FormatUint(c.seq, 10))
	if o := c.request.Headers["Origin"]; o != "" {
		req.Header.Set("Origin", o)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return false, ctx.Err() // if the server has gone, Receive tells
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	switch res.StatusCode {
	case http.StatusNoContent, http.StatusNotFound, http.StatusRequestEntityTooLarge:
		return false, nil // Receive tells if it has ended
	case http.StatusTooManyRequests:
		if res.Header.Get("Retry-After") == "" {
			return false, errors.New("the answer does not say when to come back")
		}
		return true, nil
	}
	return false, fmt.Errorf("status %s: %s, %v", res.Status, body, err)
}

// getSecret returns the secret, "" if the connection has ended before it was
// told. It reads until then, unless Receive does.
func (c *client) getSecret(ctx context.Context) (string, error) {
	for ctx.Err() == nil {
		if secret := c.secret.Load(); secret != nil {
			return *secret, nil
		}
		if !c.readMu.TryLock() { // Receive does
			time.Sleep(time.Millisecond)
			continue
		}
		over := c.ended != nil
		if !over && c.secret.Load() == nil {
			_ = c.read(ctx) // Receive tells
		}
		c.readMu.Unlock()
		if over {
			break
		}
	}
	return "", ctx.Err()
}

func (c *client) Receive(ctx context.Context) (transporttest.Frame, error) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	for {
		switch {
		case len(c.inbox) > 0:
			f := c.inbox[0]
			c.inbox = c.inbox[1:]
			return f, nil
		case c.ended != nil:
			return transporttest.Frame{}, c.ended
		}
		if err := c.read(ctx); err != nil {
			return transporttest.Frame{}, err
		}
	}
}

// read reads one event; c.readMu is held.
func (c *client) read(ctx context.Context) error {
	if c.envelope && c.events == nil { // a client of the future says hello, too, whatever a vector does
		c.sayHello([]byte(`{"hello":{}}`))
	}
	stop := context.AfterFunc(ctx, c.cancel)
	defer stop()
	<-c.opened
	if c.events == nil {
		if c.ended = c.begun(); c.ended != nil {
			return nil
		}
		c.events = newReader(c.res.Body)
		if !c.envelope {
			secret := c.res.Header.Get("Kanava-Up")
			c.secret.Store(&secret)
		}
	}
	e, err := c.events.next()
	switch {
	case errors.Is(err, io.EOF) && c.envelope && c.away != nil:
		c.closed(transporttest.Frame{Code: int(c.away.Code), Reason: c.away.reason()})
		return nil
	case err != nil:
		c.ended = err
		return ctx.Err()
	}
	return c.take(e)
}

// closed ends the connection after what is in the inbox.
func (c *client) closed(f transporttest.Frame) {
	f.Kind = transporttest.KindClosed
	c.inbox = append(c.inbox, f)
	c.ended = errors.New("the connection has ended")
	c.cancel()
}

// reason is that of a WebSocket's close frame, as far as it can be known.
func (a *away) reason() string {
	if len(a.In) == 2 {
		return fmt.Sprintf("%s %d-%d", a.Code, a.In[0], a.In[1])
	}
	return a.Code.String()
}

// take looks at an event.
func (c *client) take(e event) error {
	switch {
	case e.name == "up" && !c.envelope:
		if header := c.res.Header.Get("Kanava-Up"); e.data != header {
			return fmt.Errorf("the event has the secret %q, the header %q", e.data, header)
		}
	case e.name == "binary" && !c.envelope:
		return c.takeBytes(e.data)
	case e.name == "close" && !c.envelope:
		var f struct {
			Code   int    `json:"code"`
			Reason string `json:"reason"`
		}
		if err := json.Unmarshal([]byte(e.data), &f, json.RejectUnknownMembers(true)); err != nil {
			return err
		}
		if _, err := c.events.next(); !errors.Is(err, io.EOF) {
			return fmt.Errorf("after the close came %v", err)
		}
		c.closed(transporttest.Frame{Code: f.Code, Reason: f.Reason})
	case e.name != "":
		return fmt.Errorf("an unknown event: %+v", e)
	case c.envelope:
		return c.takeFrame(e.data)
	default:
		c.inbox = append(c.inbox, transporttest.Frame{Kind: transporttest.KindText, Data: []byte(e.data)})
	}
	return nil
}

func (c *client) takeBytes(coded string) error {
	data, err := base64.StdEncoding.Strict().DecodeString(coded)
	c.inbox = append(c.inbox, transporttest.Frame{Kind: transporttest.KindBinary, Data: data})
	return err
}

// takeFrame looks at a frame of kanava.v1.
func (c *client) takeFrame(data string) error {
	var f struct {
		Open *struct {
			Up string `json:"up"`
		} `json:"open"`
		Bin  *string `json:"bin"`
		Away *away   `json:"away"`
	}
	if err := json.Unmarshal([]byte(data), &f); err != nil {
		return err
	}
	switch {
	case f.Bin != nil:
		return c.takeBytes(*f.Bin)
	case f.Open != nil:
		c.secret.Store(&f.Open.Up)
	case f.Away != nil:
		c.away = f.Away
		switch f.Away.Code { // said by the transport, in place of a close frame
		case kanava.CloseProtocolError, kanava.CloseInvalidText, kanava.CloseTooBig, kanava.CloseTimeout, kanava.CloseSlowConsumer:
			return nil
		}
	}
	c.inbox = append(c.inbox, transporttest.Frame{Kind: transporttest.KindText, Data: []byte(data)})
	return nil
}

// Close ends the connection: a client has no code to give.
func (c *client) Close(int, string) error {
	c.Cut()
	return nil
}

func (c *client) Cut() {
	c.cancel()
	c.http.CloseIdleConnections()
}
