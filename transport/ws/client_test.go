package ws

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/kanava-go/kanava"
)

// client is a WebSocket client that can do everything wrong. It shares no code
// with the transport: frames are those of gobwas/ws.
type client struct {
	t        testing.TB
	nc       net.Conn
	inflates bool // permessage-deflate was agreed on
	packed   int  // messages that came compressed
}

var testMask = [4]byte{7, 0, 0xff, 0x80}

func newClient(t testing.TB, nc net.Conn) *client {
	t.Helper()
	c := &client{t: t, nc: nc}
	t.Cleanup(func() { _ = nc.Close() })
	return c
}

// masked returns a frame as a client sends it.
func masked(fin bool, op ws.OpCode, payload string) []byte {
	f := ws.MaskFrameInPlaceWith(ws.NewFrame(op, fin, []byte(payload)), testMask)
	return ws.MustCompileFrame(f)
}

func message(payload string) []byte { return masked(true, ws.OpText, payload) }

func closeFrame(code ws.StatusCode, reason string) []byte {
	return masked(true, ws.OpClose, string(ws.NewCloseFrameBody(code, reason)))
}

// write sends bytes as they are.
func (c *client) write(data ...[]byte) {
	c.t.Helper()
	if _, err := c.nc.Write(bytes.Join(data, nil)); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// read returns the next frame.
func (c *client) read() ws.Frame {
	c.t.Helper()
	h, err := ws.ReadHeader(c.nc)
	if err != nil {
		c.t.Fatalf("read: %v", err)
	}
	plain := h
	if c.inflates && h.OpCode.IsData() {
		plain.Rsv &^= ws.Rsv(true, false, false)
	}
	if err := ws.CheckHeader(plain, ws.StateClientSide); err != nil {
		c.t.Fatalf("the server broke a rule: %v in %+v", err, h)
	}
	f := ws.Frame{Header: h, Payload: make([]byte, h.Length)}
	if _, err := io.ReadFull(c.nc, f.Payload); err != nil {
		c.t.Fatalf("read: %v", err)
	}
	if h.Rsv != 0 {
		c.packed++
		if f.Payload, err = unpack(f.Payload); err != nil {
			c.t.Fatalf("decompress: %v", err)
		}
	}
	return f
}

// unpack returns the content of a compressed message (RFC 7692 section 7.2.2).
func unpack(payload []byte) ([]byte, error) {
	return io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))))
}

// packed returns a compressed text message as a client sends it (RFC 7692
// section 7.2.1).
func packed(content string) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err == nil {
		_, err = io.WriteString(w, content)
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		panic(err)
	}
	f := ws.NewTextFrame(bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff")))
	f.Header.Rsv = ws.Rsv(true, false, false)
	return ws.MustCompileFrame(ws.MaskFrameInPlaceWith(f, testMask))
}

// want reads a frame of this kind.
func (c *client) want(op ws.OpCode, payload string) {
	c.t.Helper()
	if f := c.read(); f.Header.OpCode != op || string(f.Payload) != payload {
		c.t.Fatalf("read opcode %#x %.100q, want %#x %.100q", f.Header.OpCode, f.Payload, op, payload)
	}
}

// wantClose reads a close frame with this code, and returns its reason.
func (c *client) wantClose(code kanava.CloseCode) string {
	c.t.Helper()
	f := c.read()
	if f.Header.OpCode != ws.OpClose {
		c.t.Fatalf("read opcode %#x %.100q, want a close frame", f.Header.OpCode, f.Payload)
	}
	got, reason := ws.ParseCloseFrameData(f.Payload)
	if kanava.CloseCode(got) != code {
		c.t.Fatalf("close code %d %q, want %d", got, reason, code)
	}
	return reason
}

// wantEOF reads the end of the stream.
func (c *client) wantEOF() {
	c.t.Helper()
	if n, err := c.nc.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		c.t.Fatalf("read %d bytes and %v, want the end of the stream", n, err)
	}
}
