// Package load is a client that puts one kind of work on a WebSocket server and
// counts every message: a run in which one is lost, doubled or wrong fails. It
// speaks RFC 6455 itself, with as little of its own as that allows, so that one
// core of it can keep one core of a server busy.
package load

import (
	"bufio"
	"context"
	"crypto/sha1" //nolint:gosec // RFC 6455 section 4.2.2
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"time"
)

// conn is one connection. One goroutine reads and one writes.
type conn struct {
	net net.Conn
	in  *bufio.Reader
	buf []byte // of the last message
}

// Every wait for a server ends after this time.
const patience = 20 * time.Second

const handshakeKey = "dGhlIHNhbXBsZSBub25jZQ=="

// dial opens a connection at a path, offering a subprotocol unless it is "".
func dial(ctx context.Context, addr, path, subprotocol string) (*conn, error) {
	nc, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &conn{net: nc, in: bufio.NewReaderSize(nc, 4096)}
	if err := c.handshake(addr, path, subprotocol); err != nil {
		nc.Close()
		return nil, fmt.Errorf("handshake at %s: %w", path, err)
	}
	return c, nil
}

func (c *conn) handshake(addr, path, subprotocol string) error {
	req := "GET " + path + " HTTP/1.1\r\nHost: " + addr + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + handshakeKey + "\r\n"
	if subprotocol != "" {
		req += "Sec-WebSocket-Protocol: " + subprotocol + "\r\n"
	}
	if err := c.net.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(c.net, req+"\r\n"); err != nil {
		return err
	}
	text := textproto.NewReader(c.in)
	status, err := text.ReadLine()
	if err != nil {
		return err
	}
	header, err := text.ReadMIMEHeader()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 101 ") {
		return errors.New(status)
	}
	sum := sha1.Sum([]byte(handshakeKey + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // RFC 6455
	if got := http.Header(header).Get("Sec-WebSocket-Accept"); got != base64.StdEncoding.EncodeToString(sum[:]) {
		return fmt.Errorf("Sec-WebSocket-Accept is %q", got)
	}
	return c.net.SetDeadline(time.Time{})
}

func (c *conn) close() { c.net.Close() }

// patient gives everything from now on at most so long.
func (c *conn) patient(d time.Duration) { _ = c.net.SetDeadline(time.Now().Add(d)) }

func (c *conn) write(frame []byte) error {
	_, err := c.net.Write(frame)
	return err
}

// read returns the payload of the next data message, until the next read. It
// answers pings.
func (c *conn) read() ([]byte, error) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(c.in, head[:]); err != nil {
			return nil, err
		}
		n := int(head[1] & 0x7f)
		switch {
		case head[1]&0x80 != 0:
			return nil, errors.New("the server masks its frames")
		case n == 126:
			var ext [2]byte
			if _, err := io.ReadFull(c.in, ext[:]); err != nil {
				return nil, err
			}
			n = int(binary.BigEndian.Uint16(ext[:]))
		case n == 127:
			return nil, errors.New("a frame of more than 64 KiB")
		}
		if cap(c.buf) < n {
			c.buf = make([]byte, n)
		}
		c.buf = c.buf[:n]
		if _, err := io.ReadFull(c.in, c.buf); err != nil {
			return nil, err
		}
		switch op := head[0]; op {
		case 0x81, 0x82:
			return c.buf, nil
		case 0x89:
			if err := c.write(frame(0xa, c.buf)); err != nil {
				return nil, err
			}
		case 0x88:
			return nil, fmt.Errorf("closed by the server: %q", c.buf)
		case 0x8a:
		default:
			return nil, fmt.Errorf("a frame begins with %#x", op)
		}
	}
}

// text returns a text message as a masked frame.
func text(payload string) []byte { return frame(1, []byte(payload)) }

func frame(op byte, payload []byte) []byte {
	mask := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b := []byte{0x80 | op}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = append(b, 0x80|126, byte(n>>8), byte(n))
	default:
		panic("load: a message of more than 64 KiB")
	}
	b = append(b, mask[:]...)
	for i, x := range payload {
		b = append(b, x^mask[i%4])
	}
	return b
}
