package ws_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	gobwas "github.com/gobwas/ws"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/transporttest"
	"github.com/kanava-go/kanava/transport/ws"
)

// smallBuffer is for sockets: so that a side that does not read is noticed soon.
const smallBuffer = 64 << 10

// TestConformance runs the suite of the transports over sockets of the
// loopback interface.
func TestConformance(t *testing.T) {
	open := ws.Options{Compress: true}
	for name, tr := range map[string]transporttest.Transport{
		"tcp": {Serve: serve((*httptest.Server).Start, open, false)},
		"goroutines": {
			Serve: serveHandler((*httptest.Server).Start, func(d kanava.Dispatcher) http.Handler {
				return ws.Streamed(ws.Handler(d, open))
			}, false),
		},
		"server":                 {Serve: serveAlone(func(s *ws.Server) *ws.Server { return s }, nil)},
		"server with goroutines": {Serve: serveAlone((*ws.Server).Streamed, nil)},
		"server with TLS":        {Serve: serveAlone(func(s *ws.Server) *ws.Server { return s }, certificate(t))},
		"tls": {
			Serve: serve((*httptest.Server).StartTLS, ws.Options{}, false),
			Omit:  map[string]string{"needs rfc7692": "compression is off"},
		},
		"compressed": {
			Serve: serve((*httptest.Server).Start, ws.Options{Compress: true, CompressMin: 1}, true),
			Omit:  map[string]string{"RFC6455 5.2 reserved bit 1": "it has a meaning here"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr.Buffers = 1 << 20 // of all four that are small
			transporttest.Run(t, tr)
		})
	}
}

// serve returns what starts a server. If compress is set, clients compress all
// that they send, unless a case asks for extensions of its own.
func serve(start func(*httptest.Server), o ws.Options, compress bool) func(testing.TB, kanava.Dispatcher) transporttest.Dial {
	return serveHandler(start, func(d kanava.Dispatcher) http.Handler { return ws.Handler(d, o) }, compress)
}

func serveHandler(start func(*httptest.Server), handler func(kanava.Dispatcher) http.Handler, compress bool) func(testing.TB, kanava.Dispatcher) transporttest.Dial {
	return func(tb testing.TB, d kanava.Dispatcher) transporttest.Dial {
		tb.Helper()
		srv := httptest.NewUnstartedServer(handler(d))
		srv.Listener = small(tb, srv.Listener)
		start(srv)
		tb.Cleanup(srv.Close)
		return func(ctx context.Context, r transporttest.Request) (transporttest.Client, error) {
			c, err := dialSocket(ctx, target{srv.Listener.Addr().String(), rootsOf(srv)}, r, compress)
			if err != nil {
				return nil, err
			}
			return c, nil
		}
	}
}

// certificate returns what a server with TLS has, and clients of it trust.
func certificate(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewTLSServer(nil)
	t.Cleanup(srv.Close)
	return srv
}

// serveAlone returns what starts a server without net/http, with TLS if there is
// a certificate.
func serveAlone(change func(*ws.Server) *ws.Server, cert *httptest.Server) func(testing.TB, kanava.Dispatcher) transporttest.Dial {
	return func(tb testing.TB, d kanava.Dispatcher) transporttest.Dial {
		tb.Helper()
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		l = small(tb, l)
		to := target{addr: l.Addr().String()}
		if cert != nil {
			l = tls.NewListener(l, &tls.Config{Certificates: cert.TLS.Certificates, MinVersion: tls.VersionTLS12})
			to.roots = rootsOf(cert)
		}
		s, over := change(ws.NewServer(d, ws.Options{Compress: true})), make(chan error, 1)
		go func() { over <- s.Serve(l) }()
		tb.Cleanup(func() {
			if err := s.Shutdown(context.Background()); err != nil {
				tb.Error(err)
			}
			if err := <-over; !errors.Is(err, ws.ErrServerClosed) {
				tb.Errorf("Serve: %v", err)
			}
		})
		return func(ctx context.Context, r transporttest.Request) (transporttest.Client, error) {
			c, err := dialSocket(ctx, to, r, false)
			if err != nil {
				return nil, err
			}
			return c, nil
		}
	}
}

// socketClient is a client that shares no code with the transport: frames are
// those of gobwas/ws, and the standard library compresses.
type socketClient struct {
	nc                      net.Conn
	r                       *bufio.Reader
	subprotocol, extensions string
	compress                bool // messages that are sent
	raw                     bool // SendRaw was used: the client may have broken every rule
}

// target is where clients connect to.
type target struct {
	addr  string
	roots *x509.CertPool // nil without TLS
}

func dialSocket(ctx context.Context, to target, r transporttest.Request, compress bool) (*socketClient, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+to.addr+r.Path, nil)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		req.Header.Set(name, value)
	}
	if len(r.Subprotocols) > 0 {
		req.Header.Set("Sec-WebSocket-Protocol", strings.Join(r.Subprotocols, ", "))
	}
	if compress {
		req.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate")
	}
	for name, value := range r.Headers {
		req.Header.Set(name, value)
	}
	nc, err := dialServer(ctx, to)
	if err != nil {
		return nil, err
	}
	c := &socketClient{nc: nc, r: bufio.NewReader(nc)}
	if err := c.shake(req, compress && r.Headers["Sec-WebSocket-Extensions"] == ""); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	return c, nil
}

func dialServer(ctx context.Context, to target) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", to.addr)
	if err != nil {
		return nil, err
	}
	tcp := nc.(*net.TCPConn)
	if err := errors.Join(tcp.SetReadBuffer(smallBuffer), tcp.SetWriteBuffer(smallBuffer)); err != nil {
		return nil, err
	}
	if to.roots == nil {
		return nc, nil
	}
	return tls.Client(nc, &tls.Config{RootCAs: to.roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}), nil
}

// shake does the opening handshake.
func (c *socketClient) shake(req *http.Request, compress bool) error {
	if err := req.Write(c.nc); err != nil {
		return err
	}
	res, err := http.ReadResponse(c.r, req)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		return readRefusal(res)
	}
	// The key is that of RFC 6455 section 1.3.
	if got := res.Header.Get("Sec-WebSocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		return fmt.Errorf("the server accepts another key: %q", got)
	}
	c.subprotocol, c.extensions = res.Header.Get("Sec-WebSocket-Protocol"), res.Header.Get("Sec-WebSocket-Extensions")
	c.compress = compress
	if compress && c.extensions == "" {
		return errors.New("the server does not agree to compression")
	}
	return nil
}

func rootsOf(srv *httptest.Server) (roots *x509.CertPool) {
	if t, ok := srv.Client().Transport.(*http.Transport); ok && t.TLSClientConfig != nil {
		roots = t.TLSClientConfig.RootCAs
	}
	return roots
}

// readRefusal reads the answer to a refused upgrade.
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

func (c *socketClient) Subprotocol() string { return c.subprotocol }

func (c *socketClient) Extensions() string { return c.extensions }

func (c *socketClient) Send(ctx context.Context, data []byte, binary bool) error {
	op := gobwas.OpText
	if binary {
		op = gobwas.OpBinary
	}
	deadline, _ := ctx.Deadline() // the zero time is none
	err := c.nc.SetWriteDeadline(deadline)
	if err == nil {
		f := gobwas.NewFrame(op, true, data)
		if c.compress {
			f = gobwas.NewFrame(op, true, packed(data))
			f.Header.Rsv = gobwas.Rsv(true, false, false)
		}
		err = gobwas.WriteFrame(c.nc, gobwas.MaskFrame(f))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil // also if the connection has ended: Receive tells
}

func (c *socketClient) SendRaw(p []byte) error {
	c.raw = true
	_, err := c.nc.Write(p)
	return err
}

func (c *socketClient) Receive(ctx context.Context) (transporttest.Frame, error) {
	deadline, _ := ctx.Deadline()
	if err := c.nc.SetReadDeadline(deadline); err != nil {
		return transporttest.Frame{}, err
	}
	for {
		f, err := c.frame()
		if err != nil {
			return transporttest.Frame{}, err
		}
		switch f.Header.OpCode {
		case gobwas.OpText:
			if !utf8.Valid(f.Payload) {
				return transporttest.Frame{}, fmt.Errorf("text that is not UTF-8: %x", f.Payload)
			}
			return transporttest.Frame{Kind: transporttest.KindText, Data: f.Payload}, nil
		case gobwas.OpBinary:
			return transporttest.Frame{Kind: transporttest.KindBinary, Data: f.Payload}, nil
		case gobwas.OpPong:
			return transporttest.Frame{Kind: transporttest.KindPong, Data: f.Payload}, nil
		case gobwas.OpClose:
			return c.closed(f.Payload)
		case gobwas.OpPing:
			if err := gobwas.WriteFrame(c.nc, gobwas.MaskFrame(gobwas.NewPongFrame(f.Payload))); err != nil {
				return transporttest.Frame{}, err
			}
		}
	}
}

// frame reads one frame and checks what RFC 6455 asks of a server.
func (c *socketClient) frame() (gobwas.Frame, error) {
	h, err := gobwas.ReadHeader(c.r)
	if err != nil {
		return gobwas.Frame{}, err
	}
	if h.Masked || !h.Fin || h.Length > 1<<20 {
		return gobwas.Frame{}, fmt.Errorf("a frame that no server should send: %+v", h)
	}
	state := gobwas.StateClientSide
	compressed := h.Rsv == gobwas.Rsv(true, false, false) && h.OpCode.IsData() && c.extensions != ""
	if compressed {
		state = state.Set(gobwas.StateExtended)
	}
	if err := gobwas.CheckHeader(h, state); err != nil {
		return gobwas.Frame{}, err
	}
	f := gobwas.Frame{Header: h, Payload: make([]byte, h.Length)}
	if _, err = io.ReadFull(c.r, f.Payload); err == nil && compressed {
		f.Payload, err = unpacked(f.Payload)
	}
	return f, err
}

// packers holds writers, each of which is a megabyte.
var packers = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		panic(err)
	}
	return w
}}

// packed returns the payload of a compressed message (RFC 7692 section 7.2.1).
func packed(content []byte) []byte {
	var b bytes.Buffer
	w := packers.Get().(*flate.Writer)
	defer packers.Put(w)
	w.Reset(&b)
	_, err := w.Write(content)
	if err = errors.Join(err, w.Flush()); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
}

// unpacked undoes packed (RFC 7692 section 7.2.2): a last block makes the end.
func unpacked(payload []byte) ([]byte, error) {
	return io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))))
}

// closed answers a close frame, and demands that the server ends the
// connection after it.
func (c *socketClient) closed(body []byte) (transporttest.Frame, error) {
	f := transporttest.Frame{Kind: transporttest.KindClosed, Code: int(gobwas.StatusNoStatusRcvd)}
	if len(body) > 0 {
		code, reason := gobwas.ParseCloseFrameData(body)
		if len(body) < 2 || !mayBeSent(code) || !utf8.ValidString(reason) {
			return f, fmt.Errorf("a close frame that no server should send: %x", body)
		}
		f.Code, f.Reason = int(code), reason
	}
	if !c.raw {
		answer := gobwas.NewCloseFrame(body[:min(2, len(body))])
		_ = gobwas.WriteFrame(c.nc, gobwas.MaskFrame(answer)) // the server may have ended already
	}
	return f, c.drained()
}

// mayBeSent reports whether a close code may stand in a frame: those of the
// registry of RFC 6455, section 11.7, and all from 3000 on.
func mayBeSent(code gobwas.StatusCode) bool {
	switch code {
	case 1004, 1005, 1006, 1015:
		return false
	}
	return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
}

// drained demands the end of what the server sends.
func (c *socketClient) drained() error {
	rest, err := io.ReadAll(c.r)
	var lost *net.OpError
	switch {
	case len(rest) > 0:
		return fmt.Errorf("after the close frame came %x", rest)
	case errors.As(err, &lost) && lost.Timeout():
		return fmt.Errorf("the server did not end the connection: %w", err)
	}
	return nil
}

func (c *socketClient) Close(code int, reason string) error {
	body := gobwas.NewCloseFrameBody(gobwas.StatusCode(code), reason)
	if err := gobwas.WriteFrame(c.nc, gobwas.MaskFrame(gobwas.NewCloseFrame(body))); err != nil {
		return err
	}
	if err := c.nc.SetReadDeadline(time.Now().Add(transporttest.Patience)); err != nil {
		return err
	}
	for {
		f, err := c.frame()
		if err != nil {
			return err
		}
		if f.Header.OpCode != gobwas.OpClose {
			continue
		}
		if got, _ := gobwas.ParseCloseFrameData(f.Payload); int(got) != code {
			return fmt.Errorf("the server answered the close code %d with %d", code, got)
		}
		return errors.Join(c.drained(), c.nc.Close())
	}
}

func (c *socketClient) Cut() { _ = c.nc.Close() }
