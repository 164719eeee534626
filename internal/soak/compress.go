package main

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"strings"

	"github.com/gobwas/ws"
)

// compressedCalls sends calls ahead, some of them compressed, and wants the
// replies in order, compressed or not.
func (v *visit) compressedCalls() error {
	c, err := v.dial(request{path: "/soak", compress: true})
	if err != nil {
		return err
	}
	defer c.drop()
	n := 1 + v.r.IntN(20)
	var all []byte
	for i := range n {
		p := fmt.Appendf(nil, `{"action":"echo","n":%d,"pad":"%s"}`, i, strings.Repeat(pick(v.r, "p", "pad", "padding"), v.r.IntN(3000)))
		if v.r.IntN(3) == 0 {
			all = append(all, c.frame(true, ws.OpText, p)...)
		} else {
			all = append(all, c.compressed(ws.OpText, deflated(p))...)
		}
	}
	if err := c.raw(all); err != nil {
		return err
	}
	for i := range n {
		p, err := c.next()
		if want := fmt.Sprintf(`{"n":%d,`, i); err != nil || !bytes.HasPrefix(p, []byte(want)) {
			return fmt.Errorf("reply %d: %.100q, %w", i, p, err)
		}
	}
	return c.leave()
}

// bombs are small, and stand for much, or for nothing.
func (v *visit) bombs() error {
	c, err := v.dial(request{path: pick(v.r, "/soak", "/tight"), compress: true})
	if err != nil {
		return v.busy(err)
	}
	defer c.drop()
	p, want := deflated(make([]byte, 1+(64<<10)+v.r.IntN(4<<20))), ws.StatusCode(1009)
	switch v.r.IntN(4) {
	case 0:
		p, want = []byte("\xff\xff\xff no block of deflate"), 1007
	case 1:
		p, want = deflated([]byte(`{"action":"echo","n":1,"pad":"`+"\xff\xfe"+`"}`)), 1007
	}
	frame := c.compressed(ws.OpText, p)
	go func() { // the server may close before it has read all
		_ = c.raw(frame)
	}()
	if code, err := c.drain(); code != want {
		return fmt.Errorf("% .20x was closed with %d, want %d, %w", p, code, want, err)
	}
	return nil
}

// offer is what a client that compresses asks for.
const offer = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n"

// tail ends each compressed message, and is left out.
const tail = "\x00\x00\xff\xff"

// compressed returns a frame whose payload is compressed already.
func (c *client) compressed(op ws.OpCode, payload []byte) []byte {
	f := c.frame(true, op, payload)
	f[0] |= 0x40
	return f
}

func deflated(p []byte) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err == nil {
		_, _ = w.Write(p) // a buffer takes all
		err = w.Flush()
	}
	if err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte(tail))
}

func inflated(p []byte) ([]byte, error) {
	last := "\x01\x00\x00\xff\xff" // an empty block that says so
	return io.ReadAll(io.LimitReader(flate.NewReader(io.MultiReader(bytes.NewReader(p), strings.NewReader(tail+last))), 1<<21))
}
