package ws

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/httperr"
	"github.com/kanava-go/kanava/internal/httptoken"
)

// ErrServerClosed is what Serve returns after Shutdown.
var ErrServerClosed = errors.New("ws: Server closed")

const (
	maxHead  = 16 << 10         // bytes of a request's head
	headTime = 10 * time.Second // for the head to come
	lastTime = time.Second      // for a client that was refused to see why
)

// Server serves WebSocket clients straight from the socket, where a program has
// no other use for the port: it opens connections with about half of what they
// cost behind net/http. It follows the same rules as [Handler] and gives the same
// answers, has no other paths than those of channels, and speaks no HTTP but the
// handshake.
type Server struct {
	h        *handler
	headTime time.Duration

	mu        sync.Mutex
	closed    bool                   // guarded by mu
	listeners map[io.Closer]struct{} // guarded by mu: those that are served
	shaking   map[shaker]struct{}    // guarded by mu: connections that are not open yet
	empty     chan struct{}          // guarded by mu: closed when shaking is empty; nil until Shutdown
}

// shaker is a connection whose handshake is under way.
type shaker interface {
	// stop ends it if its request has not come.
	stop()
}

// NewServer returns a server that opens channels of d. Options.Fallback has no
// use in it.
func NewServer(d kanava.Dispatcher, o Options) *Server {
	switch {
	case d == nil:
		panic("ws: NewServer has no Dispatcher")
	case o.Fallback != nil:
		panic("ws: NewServer serves nothing but WebSocket connections: Options.Fallback is for Handler")
	}
	kanava.Attach(d)
	return &Server{h: newHandler(d, o), headTime: headTime, listeners: make(map[io.Closer]struct{}), shaking: make(map[shaker]struct{})}
}

// Serve takes connections from l until Shutdown is called, and returns why it
// ended. Where l is a listener of package tls its connections have goroutines, as
// behind net/http; the handshake of TLS counts for the request's 10 s. l belongs to it: it may be closed at once, and another descriptor be in
// its place. It can run for several listeners at once.
func (s *Server) Serve(l net.Listener) error {
	err := s.accept(l)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrServerClosed
	}
	return err
}

// listen keeps what Shutdown has to close, until done is called.
func (s *Server) listen(l io.Closer) (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = l.Close()
		return nil, ErrServerClosed
	}
	s.listeners[l] = struct{}{}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, l)
		_ = l.Close()
	}, nil
}

// Shutdown closes the listeners and the connections from which no request has
// come, and returns when no handshake is under way, or with the error of ctx. It
// leaves open connections alone: [kanava.Server.Shutdown] ends them in good
// order, and is called after it.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	for l := range s.listeners {
		_ = l.Close()
	}
	var waiting []shaker
	for x := range s.shaking {
		waiting = append(waiting, x)
	}
	if s.empty == nil {
		s.empty = make(chan struct{})
		if len(s.shaking) == 0 {
			close(s.empty)
		}
	}
	empty := s.empty
	s.mu.Unlock()
	for _, x := range waiting {
		x.stop()
	}
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// enter counts a handshake, unless the server is closed.
func (s *Server) enter(x shaker) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.shaking[x] = struct{}{}
	}
	return !s.closed
}

func (s *Server) leave(x shaker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.shaking, x)
	if len(s.shaking) == 0 && s.empty != nil {
		select {
		case <-s.empty:
		default:
			close(s.empty)
		}
	}
}

// acceptEach takes connections of any listener, and gives each a goroutine for
// its handshake.
func (s *Server) acceptEach(l net.Listener) error {
	done, err := s.listen(l)
	if err != nil {
		return err
	}
	defer done()
	for pause := time.Duration(0); ; {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || !isShort(err) {
				return err
			}
			pause = nextPause(pause)
			time.Sleep(pause)
			continue
		}
		pause = 0
		go s.shake(nc)
	}
}

// nextPause is how long to wait for descriptors, or memory, to be there again.
func nextPause(last time.Duration) time.Duration {
	return min(max(2*last, 5*time.Millisecond), time.Second)
}

// isShort reports whether an error of accept may be over soon.
func isShort(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Temporary() //nolint:staticcheck // as net/http does: there is nothing else to tell it by
}

// plainShake is a handshake on a goroutine.
type plainShake struct {
	nc   net.Conn
	mu   sync.Mutex
	come bool // guarded by mu: the request has
}

func (x *plainShake) stop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.come {
		_ = x.nc.Close()
	}
}

// shake does the handshake of one connection.
func (s *Server) shake(nc net.Conn) {
	x := &plainShake{nc: nc}
	if !s.enter(x) {
		_ = nc.Close()
		return
	}
	defer s.leave(x)
	_ = nc.SetDeadline(time.Now().Add(s.headTime)) // a broken socket shows at the next read
	buf := make([]byte, 0, 1024)
	end := 0
	for end == 0 {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := nc.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if end = headEnd(buf); end != 0 {
			break
		}
		if err != nil {
			_ = nc.Close()
			return
		}
	}
	x.mu.Lock()
	x.come = true
	x.mu.Unlock()
	u, answer := s.answer(context.Background(), buf, end, nc.RemoteAddr().String())
	_ = nc.SetWriteDeadline(time.Now().Add(headTime))
	_, err := nc.Write(answer)
	switch {
	case u == nil:
		refuseGently(nc)
	case err != nil:
		_ = nc.Close()
		u.link.Disconnect(kanava.CloseAbnormal, "")
	default:
		_ = nc.SetDeadline(time.Time{})
		u.conn.begin(nc, u.link, bytes.Clone(buf[end:]))
	}
}

// refuseGently closes a connection whose client may still be sending: a reset
// could keep it from seeing the answer.
func refuseGently(nc net.Conn) {
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		_ = nc.SetReadDeadline(time.Now().Add(lastTime))
		_, _ = io.CopyN(io.Discard, nc, maxExcess)
	}
	_ = nc.Close()
}

// headEnd returns where the head of a request ends: 0 if it is not complete, -1
// if it is too long.
func headEnd(b []byte) int {
	if i := bytes.Index(b[:min(len(b), maxHead)], []byte("\r\n\r\n")); i >= 0 {
		return i + 4
	}
	if len(b) >= maxHead {
		return -1
	}
	return 0
}

// answer does what a request asks for, and returns the answer. The upgrade is
// nil if it was refused. end is that of headEnd. It may block.
func (s *Server) answer(ctx context.Context, buf []byte, end int, remote string) (u *upgrade, answer []byte) {
	w := &plainResponse{header: make(http.Header)}
	if end < 0 {
		refuse(http.StatusRequestHeaderFieldsTooLarge, kanava.CodeTooLarge, "the head of the request is longer than %d bytes", maxHead).write(w)
		return nil, w.bytes()
	}
	r, bad := readHead(buf[:end])
	if bad != nil {
		bad.write(w)
		return nil, w.bytes()
	}
	r.RemoteAddr = remote
	if !isUpgrade(r) {
		s.h.serveOther(w, r)
		return nil, w.bytes()
	}
	if u, bad = s.h.upgradeOf(r); bad != nil {
		bad.write(w)
		return nil, w.bytes()
	}
	if err := u.open(ctx); err != nil {
		httperr.Write(w, err)
		return nil, w.bytes()
	}
	return u, u.response(nil)
}

var headReaders = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

// readHead reads the head of a request, and refuses what net/http does.
func readHead(head []byte) (*http.Request, *refusal) {
	in := headReaders.Get().(*bufio.Reader)
	in.Reset(bytes.NewReader(head))
	r, err := http.ReadRequest(in)
	in.Reset(nil)
	headReaders.Put(in)
	switch {
	case err != nil:
		return nil, refuse(http.StatusBadRequest, kanava.CodeInvalidArgument, "the request is malformed")
	case r.ProtoAtLeast(1, 1) && r.Host == "":
		return nil, refuse(http.StatusBadRequest, kanava.CodeInvalidArgument, "the request has no Host field")
	}
	for name, values := range r.Header {
		if !httptoken.Is(name) {
			return nil, refuse(http.StatusBadRequest, kanava.CodeInvalidArgument, "the name of a field of the request is malformed")
		}
		for _, v := range values {
			for i := range len(v) {
				if v[i] < ' ' && v[i] != '\t' || v[i] == 0x7f {
					return nil, refuse(http.StatusBadRequest, kanava.CodeInvalidArgument, "a field of the request has a control character")
				}
			}
		}
	}
	return r, nil
}

// plainResponse is an answer that ends its connection.
type plainResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *plainResponse) Header() http.Header { return w.header }

func (w *plainResponse) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *plainResponse) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

func (w *plainResponse) bytes() []byte {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 " + strconv.Itoa(w.status) + " " + http.StatusText(w.status) + "\r\n")
	w.header.Add("Connection", "close")
	w.header.Set("Content-Length", strconv.Itoa(w.body.Len()))
	w.header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	_ = w.header.Write(&b) // a bytes.Buffer takes everything
	b.WriteString("\r\n")
	b.Write(w.body.Bytes())
	return b.Bytes()
}
