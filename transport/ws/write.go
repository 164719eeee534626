package ws

import (
	"errors"
	"net"
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

var (
	// errStalled says that the client takes nothing.
	errStalled = errors.New("ws: the client does not read")
	// errLater says that the wire goes on with the writer.
	errLater = errors.New("ws: the client does not read fast enough")
)

// kick makes sure that what is to be written now will be.
func (c *conn) kick() {
	for {
		switch s := c.writing.Load(); s {
		case idle:
			if c.writing.CompareAndSwap(idle, running) {
				c.wire().startWriter()
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
// connection; in that case it leaves the state running, so that it stays the
// last one. It does so as well where the wire goes on.
func (c *conn) write(out *batch) {
	for {
		c.writing.Store(running)
		if !c.flush(out) || c.writing.CompareAndSwap(running, idle) {
			return
		}
	}
}

// flush writes all that is to be written. It reports false if nothing is ever
// again, or the wire goes on.
func (c *conn) flush(out *batch) bool {
	for {
		out.reset()
		more, last := c.control(out)
		if !more {
			return false
		}
		var end *kanava.Closing
		if !last {
			end = c.gather(out)
		}
		if end != nil {
			out.turn = nil // it goes on behind this batch
		}
		if !out.empty() {
			out.finish()
			if !c.sent(c.wire().send(out, last), last) {
				return false
			}
		}
		if end == nil {
			return true
		}
		c.leaveAsTold(*end)
	}
}

// gather takes from the link what there is, as long as it is not too much for
// one write. If the link is to be closed after that it returns how.
func (c *conn) gather(out *batch) (end *kanava.Closing) {
	inline := c.wire().inline()
	for out.size < maxBatch {
		had := len(out.frames)
		out.frames, end = c.link.Take(out.frames, maxBatch-out.size)
		if end != nil || len(out.frames) == had {
			return end
		}
		if had == 0 && c.packed == 0 && out.again() {
			continue
		}
		for i := range out.frames[had:] {
			c.add(out, out.frames[had+i], inline)
		}
	}
	c.again()
	return nil
}

// again has the writer, which calls it, go round once more.
func (c *conn) again() { c.writing.Store(again) }

// sent goes on after a batch was sent, or was not. It reports whether there may
// be another.
func (c *conn) sent(err error, last bool) (more bool) {
	switch {
	case err == nil:
	case errors.Is(err, errLater):
		return false
	case errors.Is(err, errStalled):
		c.end(closing(kanava.CloseSlowConsumer), true)
		return false
	default:
		c.end(kanava.Closing{Code: kanava.CloseAbnormal}, false)
		return false
	}
	if c.alive {
		c.wrote.Store(clock())
	}
	if last {
		c.goodbyeSent()
	}
	return !last
}

// control moves the control frames that are due to out. It reports whether
// anything may be written, and whether this is the close frame, after which
// nothing may be (RFC 6455 section 5.5.1).
func (c *conn) control(out *batch) (more, last bool) {
	if c.phase.Load() == open && !c.flags.has(controlled) {
		return true, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	due := c.due
	c.due = 0
	c.flags.clear(controlled)
	out.odd = out.odd || due != 0
	switch {
	case c.phase.Load() == open:
		if due&duePong != 0 {
			out.bytes = wsframe.AppendServer(out.bytes, ws.OpPong, *c.pong)
			c.pong = nil
		}
		if due&duePing != 0 {
			if c.alive {
				out.bytes = wsframe.AppendServer(out.bytes, ws.OpText, c.link.KeepAlive())
			} else {
				out.bytes = wsframe.AppendServer(out.bytes, ws.OpPing, nil)
			}
			c.pinged, c.pingedAt = c.heard.Load(), clock()
		}
		return true, false
	case due&dueClose != 0:
		out.bytes = wsframe.AppendServer(out.bytes, ws.OpClose, c.ending.goodbye)
		c.ending.goodbye = nil
		return true, true
	}
	return false, false
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
	size   int         // of all payloads
	odd    bool        // there is more in it than the frames as they are
	bytes  []byte      // headers, control frames and small payloads
	start  int         // bytes[start:] is not in vecs yet
	vecs   net.Buffers // parts of bytes, and large payloads
	todo   net.Buffers // what of vecs is not written yet
	packed []byte      // where messages are compressed
	last   lastBatch
	turn   *looper // of a loop that may send it together with others; nil where it may not
}

// lastBatch is a batch of shared frames, and nothing else: the subscribers of a
// topic are written to one after the other, and get the same.
type lastBatch struct {
	frames []kanava.Frame
	size   int
	bytes  []byte
}

// again adds the last batch once more, if its frames are those that were taken.
func (b *batch) again() bool {
	last := &b.last
	if len(b.bytes) > 0 || len(b.frames) != len(last.frames) {
		return false
	}
	for i := range b.frames {
		x, y := &b.frames[i], &last.frames[i]
		if x.Shared == nil || x.Shared != y.Shared || x.Binary != y.Binary {
			return false
		}
	}
	b.vecs = append(b.vecs, last.bytes, nil)
	b.size = last.size
	return true
}

// remember makes the batch the last one, if it can be.
func (b *batch) remember() {
	if len(b.frames) == 0 || len(b.bytes) == 0 || len(b.vecs) != 1 || b.odd {
		return
	}
	for i := range b.frames {
		if b.frames[i].Shared == nil {
			return
		}
	}
	last := &b.last
	clear(last.frames)
	b.frames, last.frames = last.frames[:0], b.frames
	b.bytes, last.bytes = last.bytes[:0], b.bytes
	last.size = b.size
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// add appends a message; its payload is copied if it has at most inline bytes.
func (b *batch) add(binary bool, rsv byte, payload []byte, inline int) {
	h := ws.Header{Fin: true, Rsv: rsv, OpCode: ws.OpText, Length: int64(len(payload))}
	if binary {
		h.OpCode = ws.OpBinary
	}
	b.bytes = wsframe.AppendHeader(b.bytes, h)
	b.size += len(payload)
	if len(payload) <= inline {
		b.bytes = append(b.bytes, payload...)
		return
	}
	b.vecs = append(b.vecs, b.bytes[b.start:], payload)
	b.start = len(b.bytes)
}

func (b *batch) empty() bool { return len(b.bytes) == 0 && len(b.vecs) == 0 }

// finish makes todo all that was added.
func (b *batch) finish() {
	if b.start < len(b.bytes) {
		b.vecs = append(b.vecs, b.bytes[b.start:])
		b.start = len(b.bytes)
	}
	if len(b.vecs) == 2 && len(b.vecs[1]) == 0 {
		b.vecs = b.vecs[:1] // nothing came behind the last batch
	}
	b.todo = b.vecs
}

// keep returns todo as it is to be kept for later, when the batch has been used
// again: in no more memory than it needs, and the large payloads where they are.
func (b *batch) keep() (todo net.Buffers) {
	from := len(b.vecs) - len(b.todo) // every second one of vecs is a payload
	own := 0
	for i, p := range b.todo {
		if (from+i)%2 == 0 {
			own += len(p)
		}
	}
	bytes := make([]byte, 0, own)
	for i, p := range b.todo {
		if (from+i)%2 == 0 {
			bytes = append(bytes, p...)
			p = bytes[len(bytes)-len(p):]
		}
		todo = append(todo, p)
	}
	return todo
}

// reset forgets what was added, and lets go of all payloads.
func (b *batch) reset() {
	b.remember()
	clear(b.frames)
	clear(b.vecs)
	b.frames, b.size, b.odd, b.bytes, b.start = b.frames[:0], 0, false, b.bytes[:0], 0
	b.vecs, b.todo = b.vecs[:0], nil
}

// large reports whether the batch holds so much memory that it is not to be used
// again.
func (b *batch) large() bool {
	return max(cap(b.bytes), cap(b.packed), cap(b.last.bytes)) > 2*maxBatch
}

func (b *batch) free() {
	b.reset()
	clear(b.last.frames)
	b.last.frames = b.last.frames[:0]
	if !b.large() {
		batches.Put(b)
	}
}
