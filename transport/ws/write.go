package ws

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/wsframe"
)

// States of the writer. It is started by whoever changes idle to running; who
// has news for a running one changes that to again, and it goes round once more.
const (
	idle = iota
	running
	again
)

const (
	maxBatch = 64 << 10 // bytes that are taken from the link for one write

	// A payload of up to this size is copied behind its header; a larger one
	// is written from where it lies.
	smallPayload = 512
	tlsRecord    = 16 << 10 // the same where there is no writev: the largest record of TLS

	patience = 2 * time.Second // see step
)

// errStalled says that the client takes nothing.
var errStalled = errors.New("ws: the client does not read")

// kick makes sure that what is to be written now will be.
func (c *conn) kick() {
	for {
		switch s := c.writing.Load(); s {
		case idle:
			if c.writing.CompareAndSwap(idle, running) {
				go c.write()
				return
			}
		case running:
			if c.writing.CompareAndSwap(running, again) {
				return
			}
		case again:
			return
		}
	}
}

// write is the writer: it ends when nothing is left to be written, or with the
// connection; in that case it leaves the state running, so that it stays the last one.
func (c *conn) write() {
	out := batches.Get().(*batch)
	defer out.free()
	for {
		c.writing.Store(running)
		if !c.flush(out) || c.writing.CompareAndSwap(running, idle) {
			return
		}
	}
}

// flush writes all that is to be written. It reports false if nothing is ever
// again.
func (c *conn) flush(out *batch) bool {
	inline := tlsRecord
	switch c.nc.(type) {
	case *net.TCPConn, *net.UnixConn:
		inline = smallPayload
	}
	for {
		out.reset()
		more, last := c.control(out)
		if !more {
			return false
		}
		if !last {
			var end *kanava.Closing
			if out.frames, end = c.link.Take(out.frames[:0], maxBatch); end != nil {
				c.leaveAsTold(*end)
				continue
			}
			for _, f := range out.frames {
				c.add(out, f, inline)
			}
		}
		if out.empty() {
			return true
		}
		out.finish()
		if err := c.send(out); err != nil {
			if errors.Is(err, errStalled) {
				c.end(closing(kanava.CloseSlowConsumer), true)
			} else {
				c.end(kanava.Closing{Code: kanava.CloseAbnormal}, false)
			}
			return false
		}
		if c.alive != nil {
			c.wrote.Store(int64(time.Since(c.born)))
		}
		if last {
			c.goodbyeSent()
			return false
		}
	}
}

// control moves the control frames that are due to out. It reports whether
// anything may be written, and whether this is the close frame, after which
// nothing may be (RFC 6455 section 5.5.1).
func (c *conn) control(out *batch) (more, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	due := c.due
	c.due = 0
	switch {
	case c.phase.Load() == open:
		if due&duePong != 0 {
			out.bytes = wsframe.AppendServer(out.bytes, ws.OpPong, c.pong)
			c.pong = nil
		}
		if due&duePing != 0 {
			op := ws.OpPing
			if c.alive != nil {
				op = ws.OpText
			}
			out.bytes = wsframe.AppendServer(out.bytes, op, c.alive)
			c.pinged, c.pingedAt = c.heard.Load(), time.Now()
		}
		return true, false
	case due&dueClose != 0:
		out.bytes = wsframe.AppendServer(out.bytes, ws.OpClose, c.goodbye)
		c.goodbye = nil
		return true, true
	}
	return false, false
}

// send writes the batch to the socket. It blocks until the client has taken
// it, or took nothing for WriteStall, or the connection has ended.
func (c *conn) send(out *batch) error {
	if t, ok := c.nc.(*tls.Conn); ok {
		return c.sendTLS(t, out)
	}
	step := c.step()
	now := time.Now()
	progress := now
	for {
		// Setting the deadline costs more than finding that it is good enough.
		if c.expiry.Sub(now) < step/2 {
			c.expiry = now.Add(step)
			if err := c.nc.SetWriteDeadline(c.expiry); err != nil {
				return err
			}
		}
		n, err := out.writeTo(c.nc)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if now = time.Now(); n > 0 {
			progress = now
		}
		if now.Sub(progress) >= c.h.o.WriteStall {
			return errStalled
		}
		c.lookUp()
	}
}

// sendTLS is send for a connection that a write which timed out leaves broken.
// So each record has to be taken within WriteStall.
func (c *conn) sendTLS(t *tls.Conn, out *batch) error {
	done := make(chan struct{})
	defer close(done)
	timer := time.AfterFunc(c.step(), func() { // ends with this call
		for {
			c.lookUp()
			select {
			case <-time.After(c.step()):
			case <-done:
				return
			}
		}
	})
	defer timer.Stop()
	for _, b := range out.todo {
		for len(b) > 0 {
			n := min(len(b), tlsRecord)
			if err := t.SetWriteDeadline(time.Now().Add(c.h.o.WriteStall)); err != nil {
				return err
			}
			_, err := t.Write(b[:n])
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded):
				return errStalled
			case err != nil:
				return err
			}
			b = b[n:]
		}
	}
	return nil
}

// step is how long a write blocks before the writer looks up.
func (c *conn) step() time.Duration { return min(patience, c.h.o.WriteStall/4) }

// lookUp is called now and then while a write is blocked: if the link is to be
// closed, that must not wait behind the write for long.
func (c *conn) lookUp() {
	if end := c.link.Closing(); end != nil {
		c.leaveAsTold(*end)
	}
}

// batch is what one write takes.
type batch struct {
	frames []kanava.Frame
	bytes  []byte      // headers, control frames and small payloads
	start  int         // bytes[start:] is not in vecs yet
	vecs   net.Buffers // parts of bytes, and large payloads
	todo   net.Buffers // what of vecs is not written yet
	packed []byte      // where messages are compressed
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// add appends a message; its payload is copied if it has at most inline bytes.
func (b *batch) add(binary bool, rsv byte, payload []byte, inline int) {
	h := ws.Header{Fin: true, Rsv: rsv, OpCode: ws.OpText, Length: int64(len(payload))}
	if binary {
		h.OpCode = ws.OpBinary
	}
	b.bytes = wsframe.AppendHeader(b.bytes, h)
	if len(payload) <= inline {
		b.bytes = append(b.bytes, payload...)
		return
	}
	b.vecs = append(b.vecs, b.bytes[b.start:], payload)
	b.start = len(b.bytes)
}

func (b *batch) empty() bool { return len(b.bytes) == 0 }

// finish makes todo all that was added.
func (b *batch) finish() {
	if b.start < len(b.bytes) {
		b.vecs = append(b.vecs, b.bytes[b.start:])
		b.start = len(b.bytes)
	}
	b.todo = b.vecs
}

// writeTo writes what is left of todo. After an error it can go on.
func (b *batch) writeTo(nc net.Conn) (int64, error) {
	if len(b.todo) > 1 {
		return b.todo.WriteTo(nc) // takes from todo what is written
	}
	n, err := nc.Write(b.todo[0])
	b.todo[0] = b.todo[0][n:]
	return int64(n), err
}

// reset forgets what was added, and lets go of all payloads.
func (b *batch) reset() {
	clear(b.frames)
	clear(b.vecs)
	b.frames, b.bytes, b.start = b.frames[:0], b.bytes[:0], 0
	b.vecs, b.todo = b.vecs[:0], nil
}

func (b *batch) free() {
	b.reset()
	if cap(b.bytes) <= 2*maxBatch && cap(b.packed) <= 2*maxBatch {
		batches.Put(b)
	}
}
