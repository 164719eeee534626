package ws_test

import (
	"bufio"
	"bytes"
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
	"testing"
	"time"
	"unicode/utf8"

	gobwas "github.com/gobwas/ws"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/transporttest"
	"github.com/kanava-go/kanava/transport/ws"
)

// TestConformance runs the suite of the transports over sockets of the
// loopback interface.
func TestConformance(t *testing.T) {
	t.Run("tcp", func(t *testing.T) {
		transporttest.Run(t, transporttest.Transport{Serve: serve((*httptest.Server).Start)})
	})
	t.Run("tls", func(t *testing.T) {
		transporttest.Run(t, transporttest.Transport{Serve: serve((*httptest.Server).StartTLS)})
	})
}

func serve(start func(*httptest.Server)) func(testing.TB, kanava.Dispatcher) transporttest.Dial {
	return func(tb testing.TB, d kanava.Dispatcher) transporttest.Dial {
		tb.Helper()
		srv := httptest.NewUnstartedServer(ws.Handler(d, ws.Options{}))
		start(srv)
		tb.Cleanup(srv.Close)
		return func(ctx context.Context, r transporttest.Request) (transporttest.Client, error) {
			return dialSocket(ctx, srv, r)
		}
	}
}

// socketClient is a client that shares no code with the transport: frames are
// those of gobwas/ws.
type socketClient struct {
	nc          net.Conn
	r           *bufio.Reader
	subprotocol string
	raw         bool // SendRaw was used: the client may have broken every rule
}

func dialSocket(ctx context.Context, srv *httptest.Server, r transporttest.Request) (transporttest.Client, error) {
	header := http.Header{}
	for name, value := range r.Headers {
		header.Set(name, value)
	}
	var refusal *transporttest.RefusedError
	var broken error
	d := gobwas.Dialer{
		Header:    gobwas.HandshakeHeaderHTTP(header),
		Protocols: r.Subprotocols,
		TLSConfig: &tls.Config{RootCAs: rootsOf(srv), MinVersion: tls.VersionTLS12},
		OnStatusError: func(_ int, _ []byte, raw io.Reader) {
			refusal, broken = readRefusal(raw)
		},
		NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil { // so that a client that does not read is noticed soon
				err = nc.(*net.TCPConn).SetReadBuffer(64 << 10)
			}
			return nc, err
		},
	}
	nc, early, hs, err := d.Dial(ctx, "ws"+strings.TrimPrefix(srv.URL, "http")+r.Path)
	switch {
	case broken != nil:
		return nil, broken
	case refusal != nil:
		return nil, refusal
	case err != nil:
		return nil, err
	}
	c := &socketClient{nc: nc, r: bufio.NewReader(nc), subprotocol: hs.Protocol}
	if early != nil { // frames that came with the response
		b, err := early.Peek(early.Buffered())
		if err != nil {
			return nil, err
		}
		c.r = bufio.NewReader(io.MultiReader(bytes.NewReader(bytes.Clone(b)), nc))
		gobwas.PutReader(early)
	}
	return c, nil
}

func rootsOf(srv *httptest.Server) (roots *x509.CertPool) {
	if t, ok := srv.Client().Transport.(*http.Transport); ok && t.TLSClientConfig != nil {
		roots = t.TLSClientConfig.RootCAs
	}
	return roots
}

// readRefusal reads the answer to a refused upgrade.
func readRefusal(raw io.Reader) (*transporttest.RefusedError, error) {
	res, err := http.ReadResponse(bufio.NewReader(raw), nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if got := res.Header.Get("Content-Type"); got != "application/json" {
		return nil, fmt.Errorf("the refusal has the type %q", got)
	}
	if res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") == "" {
		return nil, errors.New("the refusal does not say when to come back")
	}
	body, err := io.ReadAll(res.Body)
	return &transporttest.RefusedError{Status: res.StatusCode, Body: body}, err
}

func (c *socketClient) Subprotocol() string { return c.subprotocol }

func (c *socketClient) Send(ctx context.Context, data []byte, binary bool) error {
	op := gobwas.OpText
	if binary {
		op = gobwas.OpBinary
	}
	deadline, _ := ctx.Deadline() // the zero time is none
	err := c.nc.SetWriteDeadline(deadline)
	if err == nil {
		err = gobwas.WriteFrame(c.nc, gobwas.MaskFrame(gobwas.NewFrame(op, true, data)))
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
	if err := gobwas.CheckHeader(h, gobwas.StateClientSide); err != nil {
		return gobwas.Frame{}, err
	}
	f := gobwas.Frame{Header: h, Payload: make([]byte, h.Length)}
	_, err = io.ReadFull(c.r, f.Payload)
	return f, err
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
