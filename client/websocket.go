package client

import (
	"crypto/rand"
	"errors"
	"io"
	"sync"

	"github.com/gobwas/ws"

	"github.com/kanava-go/kanava/internal/wsframe"
)

// webSocket implements link.
type webSocket struct {
	body   io.ReadWriteCloser
	parser wsframe.Parser
	in     []byte
	rest   []byte        // of in, not parsed
	ended  chan struct{} // closed when read has failed
	failed error         // what read returns from then on

	mu     sync.Mutex // guards writing, and what follows
	out    []byte
	closed bool // a close frame was sent
}

func (w *webSocket) read() (message, error) {
	for w.failed == nil {
		m, rest, err := w.parser.Next(w.rest)
		w.rest = rest
		switch {
		case err != nil:
			e := &wsframe.Error{}
			errors.As(err, &e)
			w.sendClose(e.Code)
			return w.fail(&ending{code: CloseLost, reason: "the server broke a rule", cause: err})
		case m.Op == ws.OpText || m.Op == ws.OpBinary:
			return message{m.Data, m.Op == ws.OpBinary}, nil
		case m.Op == ws.OpPing:
			_ = w.send(ws.OpPong, m.Data)
		case m.Op == ws.OpClose:
			code, reason := wsframe.ParseClose(m.Data)
			w.sendClose(code)
			return w.fail(&ending{code: CloseCode(code), reason: reason})
		case m.Op == 0:
			n, err := w.body.Read(w.in)
			if w.rest = w.in[:n]; n == 0 && err != nil {
				return w.fail(&ending{code: CloseLost, reason: "the connection was lost", cause: err})
			}
		}
	}
	return message{}, w.failed
}

func (w *webSocket) fail(e *ending) (message, error) {
	w.failed = e
	close(w.ended)
	return message{}, e
}

func (w *webSocket) write(batch []message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out = w.out[:0]
	for _, m := range batch {
		op := ws.OpText
		if m.binary {
			op = ws.OpBinary
		}
		w.out = wsframe.AppendClient(w.out, op, newMask(), m.data)
	}
	return w.flush()
}

func (w *webSocket) send(op ws.OpCode, data []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.out = wsframe.AppendClient(w.out[:0], op, newMask(), data)
	return w.flush()
}

func (w *webSocket) sendClose(code ws.StatusCode) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.out = wsframe.AppendClient(w.out[:0], ws.OpClose, newMask(), wsframe.AppendCloseBody(nil, code, ""))
	_ = w.flush()
	w.closed = true
}

// flush writes out. After a close frame nothing is written any more. w.mu is
// held.
func (w *webSocket) flush() error {
	if w.closed {
		return io.ErrClosedPipe
	}
	_, err := w.body.Write(w.out)
	if cap(w.out) > 64<<10 {
		w.out = nil
	}
	return err
}

func newMask() (mask [4]byte) {
	_, _ = rand.Read(mask[:]) // never fails
	return mask
}

func (w *webSocket) close(code CloseCode) {
	if code != 0 {
		w.sendClose(ws.StatusCode(code))
		<-w.ended
	}
	w.body.Close()
}

func (w *webSocket) abort() { w.body.Close() }

func (w *webSocket) textOnly() bool { return false }
