package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// patience bounds each wait of a client for something that has to come.
const patience = 30 * time.Second

// client is a WebSocket client that can do everything wrong.
type client struct {
	nc net.Conn
	br *bufio.Reader
	r  *rand.Rand

	inflates bool // the server may compress
}

// request is what a client asks for.
type request struct {
	path     string
	protocol string // "" for none
	token    string // "" for none
	compress bool
}

func (q request) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", q.path)
	b.WriteString("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
	if q.protocol != "" {
		b.WriteString("Sec-WebSocket-Protocol: " + q.protocol + "\r\n")
	}
	if q.compress {
		b.WriteString(offer)
	}
	if q.token != "" {
		b.WriteString("Authorization: Bearer " + q.token + "\r\n")
	}
	return b.String() + "\r\n"
}

// refusedError is how a handshake failed.
type refusedError struct{ status int }

func (e *refusedError) Error() string { return fmt.Sprintf("refused: %d", e.status) }

func dialTCP(addr string, r *rand.Rand) (*client, error) {
	nc, err := (&net.Dialer{Timeout: patience}).DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &client{nc: nc, br: bufio.NewReaderSize(nc, 1<<10), r: r}, nil
}

// dial connects. The error is a *refusedError if the server turns the client
// away.
func dial(addr string, r *rand.Rand, q request) (*client, error) {
	c, err := dialTCP(addr, r)
	if err != nil {
		return nil, err
	}
	if err := c.raw([]byte(q.String())); err != nil {
		c.drop()
		return nil, err
	}
	_ = c.nc.SetReadDeadline(time.Now().Add(patience))
	res, err := http.ReadResponse(c.br, nil)
	if err != nil {
		c.drop()
		return nil, fmt.Errorf("handshake: %w", err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusSwitchingProtocols {
		c.drop()
		return nil, &refusedError{res.StatusCode}
	}
	c.inflates = res.Header.Get("Sec-WebSocket-Extensions") != ""
	if c.inflates != q.compress {
		c.drop()
		return nil, fmt.Errorf("handshake: compression was offered: %t, and taken: %t", q.compress, c.inflates)
	}
	return c, nil
}

func (c *client) raw(p []byte) error {
	_ = c.nc.SetWriteDeadline(time.Now().Add(patience))
	_, err := c.nc.Write(p)
	return err
}

// frame returns a frame as clients send it.
func (c *client) frame(fin bool, op ws.OpCode, payload []byte) []byte {
	var mask [4]byte
	binary.BigEndian.PutUint32(mask[:], c.r.Uint32())
	f := ws.NewFrame(op, fin, payload)
	return ws.MustCompileFrame(ws.MaskFrameWith(f, mask))
}

func (c *client) text(format string, args ...any) error {
	return c.raw(c.frame(true, ws.OpText, fmt.Appendf(nil, format, args...)))
}

// closedError is a close frame of the server.
type closedError struct {
	code   ws.StatusCode
	reason string
}

func (e *closedError) Error() string { return fmt.Sprintf("closed %d %s", e.code, e.reason) }

// next returns the next message. It answers pings, and a close frame, which is
// an error.
func (c *client) next() ([]byte, error) {
	for {
		_ = c.nc.SetReadDeadline(time.Now().Add(patience))
		h, err := ws.ReadHeader(c.br)
		if err != nil {
			return nil, err
		}
		packed := h.Rsv == ws.Rsv(true, false, false) && c.inflates && !h.OpCode.IsControl()
		if h.Masked || !h.Fin || h.Rsv != 0 && !packed || h.Length > 1<<21 {
			return nil, fmt.Errorf("the server broke a rule: %+v", h)
		}
		p := make([]byte, h.Length)
		if _, err := io.ReadFull(c.br, p); err != nil {
			return nil, err
		}
		if packed {
			if p, err = inflated(p); err != nil {
				return nil, fmt.Errorf("the server compressed badly: %w", err)
			}
		}
		switch h.OpCode {
		case ws.OpPing:
			if err := c.raw(c.frame(true, ws.OpPong, p)); err != nil {
				return nil, err
			}
		case ws.OpPong:
		case ws.OpClose:
			_ = c.raw(c.frame(true, ws.OpClose, p))
			code, reason := ws.ParseCloseFrameData(p)
			return nil, &closedError{code, reason}
		default:
			return p, nil
		}
	}
}

// skipTo reads until a message contains text.
func (c *client) skipTo(text string) error {
	for {
		p, err := c.next()
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", text, err)
		}
		if strings.Contains(string(p), text) {
			return nil
		}
	}
}

// drain reads until the server ends the connection, and returns the code.
func (c *client) drain() (ws.StatusCode, error) {
	for {
		_, err := c.next()
		var closed *closedError
		switch {
		case err == nil:
		case errors.As(err, &closed):
			return closed.code, nil
		default:
			return 0, err
		}
	}
}

// leave closes as a client should.
func (c *client) leave() error {
	defer c.drop()
	if err := c.raw(c.frame(true, ws.OpClose, ws.NewCloseFrameBody(1000, "done"))); err != nil {
		return err
	}
	if code, err := c.drain(); err != nil || code != 1000 {
		return fmt.Errorf("the server answered the close with %d, %w", code, err)
	}
	return nil
}

// drop ends the connection without a word.
func (c *client) drop() { _ = c.nc.Close() }

// reset ends it with a TCP reset.
func (c *client) reset() {
	if t, ok := c.nc.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	c.drop()
}
