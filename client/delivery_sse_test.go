package client

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/sse"
)

// eventLine is a line by server-sent events: the client's link, and the server's
// transport, as they are. What the transport writes waits until it is taken, and
// each request of the client until it is told to go on; of some the answer is lost.
// It is the body that the client reads, and the response that the server writes.
type eventLine struct {
	x       *deliveryClient
	at      int // the node
	handler http.Handler
	life    context.Context
	cut     context.CancelFunc
	in      chan []byte // to the client
	rest    []byte      // of Read
	header  http.Header // of the response
	begun   chan struct{}
	begin   sync.Once
	taken   chan struct{} // lets a write go on

	mu       sync.Mutex
	server   *kanava.Link  // guarded by mu, as all below
	status   int           // of the response
	writing  bool          // the server waits to be taken from
	deadline time.Time     // of that
	moved    chan struct{} // closed when the deadline has changed
	down     []any         // on its way to the client: events, and the ending
	up       []*heldPost
	posts    int
	ended    time.Time
}

// lineEvent is an event as the server has written it, and the frame in it.
type lineEvent struct{ raw, frame []byte }

// heldPost is a request that waits.
type heldPost struct {
	release chan struct{}
	life    context.Context
}

// lineDispatcher is the dispatcher of one line, which it connects with its link.
type lineDispatcher struct {
	kanava.Dispatcher
	l *eventLine
}

func (d lineDispatcher) Open(ctx context.Context, req *kanava.OpenRequest, p kanava.Peer) (*kanava.Link, error) {
	link, err := d.Dispatcher.Open(ctx, req, p)
	if err == nil {
		d.l.mu.Lock()
		defer d.l.mu.Unlock()
		d.l.server = link
	}
	return link, err
}

// RoundTrip implements http.RoundTripper: it is the network of a client.
func (x *deliveryClient) RoundTrip(req *http.Request) (*http.Response, error) {
	if secret := req.Header.Get("Kanava-Up"); secret != "" {
		l, _ := x.newest().(*eventLine)
		return l.post(req)
	}
	x.dials.Add(1)
	l := &eventLine{
		x: x, at: int(x.at.Load()), in: make(chan []byte, 1), header: http.Header{}, begun: make(chan struct{}), taken: make(chan struct{}), moved: make(chan struct{}),
	}
	l.life, l.cut = context.WithCancel(req.Context())
	x.mu.Lock()
	x.link = l
	x.mu.Unlock()
	if err := l.hold(l.life); err != nil {
		l.abort()
		return nil, err
	}
	l.handler = sse.Handler(lineDispatcher{x.w.node(l.at).srv, l}, sse.Options{Ping: 20 * time.Hour})
	go func() {
		defer l.begin.Do(func() { close(l.begun) })
		l.handler.ServeHTTP(l, req.WithContext(l.life))
		l.add(&ending{code: CloseLost})
	}()
	<-l.begun
	l.mu.Lock()
	defer l.mu.Unlock()
	return answer(l.status, l.header, l), nil
}

// hold keeps a request until it is told to go on.
func (l *eventLine) hold(life context.Context) error {
	p := &heldPost{make(chan struct{}), life}
	l.mu.Lock()
	l.up = append(l.up, p)
	l.mu.Unlock()
	select {
	case <-p.release:
		return nil
	case <-life.Done():
		return life.Err()
	}
}

// post answers what the client says. The answer is lost now and then.
func (l *eventLine) post(req *http.Request) (*http.Response, error) {
	if err := l.hold(req.Context()); err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.posts++
	lost := l.posts%3 == 0
	l.mu.Unlock()
	w := postRecorder{httptest.NewRecorder()}
	l.handler.ServeHTTP(w, req)
	if lost {
		return nil, failure("the answer is lost")
	}
	return w.Result(), nil
}

// postRecorder is what a POST is answered. Its body is there already.
type postRecorder struct{ *httptest.ResponseRecorder }

func (postRecorder) SetReadDeadline(time.Time) error { return nil }

// What the server does with the response.

func (l *eventLine) Header() http.Header { return l.header }

func (l *eventLine) WriteHeader(status int) {
	l.mu.Lock()
	l.status = status
	l.mu.Unlock()
	l.begin.Do(func() { close(l.begun) })
}

func (l *eventLine) Flush() {}

func (l *eventLine) SetReadDeadline(time.Time) error { return nil }

func (l *eventLine) SetWriteDeadline(t time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deadline = t
	close(l.moved)
	l.moved = make(chan struct{})
	return nil
}

func (l *eventLine) Write(p []byte) (int, error) {
	l.setWriting(true)
	defer l.setWriting(false)
	for {
		l.mu.Lock()
		late, moved := time.Until(l.deadline), l.moved
		if l.deadline.IsZero() {
			late = 1000 * time.Hour
		}
		l.mu.Unlock()
		t := time.NewTimer(late)
		select {
		case <-l.taken:
			t.Stop()
			l.send(p)
			return len(p), nil
		case <-l.life.Done():
			t.Stop()
			return 0, l.life.Err()
		case <-t.C:
			return 0, os.ErrDeadlineExceeded
		case <-moved:
			t.Stop()
		}
	}
}

func (l *eventLine) setWriting(is bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writing = is
}

// send puts what was written on its way, event by event.
func (l *eventLine) send(p []byte) {
	for len(p) > 0 {
		raw, rest, _ := bytes.Cut(p, []byte("\n\n"))
		p = rest
		frame := bytes.ReplaceAll(bytes.TrimPrefix(raw, []byte("data: ")), []byte("\ndata: "), []byte("\n"))
		l.add(lineEvent{append(bytes.Clone(raw), "\n\n"...), bytes.Clone(frame)})
	}
}

func (l *eventLine) add(m any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = append(l.down, m)
}

// What the client does with the body.

func (l *eventLine) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		select {
		case b := <-l.in:
			if l.rest = b; b == nil {
				return 0, io.EOF
			}
		case <-l.life.Done():
			l.abort()
			return 0, l.life.Err()
		}
	}
	n := copy(p[:min(len(p), 7)], l.rest) // cut anywhere
	l.rest = l.rest[n:]
	return n, nil
}

func (l *eventLine) Close() error {
	l.abort()
	return nil
}

// What the test does with the line.

func (l *eventLine) node() int { return l.at }

func (l *eventLine) id() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server == nil {
		return "" // the hello is on its way
	}
	return l.server.ID()
}

func (l *eventLine) take() (some bool) {
	for {
		synctest.Wait()
		l.mu.Lock()
		writing := l.writing
		l.mu.Unlock()
		if !writing {
			return some
		}
		some = true
		l.taken <- struct{}{}
	}
}

func (l *eventLine) nextDown() (m any, frame []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.down) == 0 {
		return nil, nil
	}
	m = l.down[0]
	l.down = l.down[1:]
	if ev, ok := m.(lineEvent); ok && !strings.HasPrefix(string(ev.raw), ":") {
		frame = ev.frame
	}
	return m, frame
}

func (l *eventLine) hand(m any) {
	ev, _ := m.(lineEvent)
	select {
	case l.in <- ev.raw: // nil is the end
	case <-l.life.Done():
	}
}

func (l *eventLine) handUp() bool {
	for {
		l.mu.Lock()
		if len(l.up) == 0 {
			l.mu.Unlock()
			return false
		}
		p := l.up[0]
		l.up = l.up[1:]
		l.mu.Unlock()
		if p.life.Err() == nil {
			close(p.release)
			return true
		}
	}
}

func (l *eventLine) abort() {
	l.cut()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended.IsZero() {
		l.ended = time.Now()
	}
}

func (l *eventLine) over() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}
