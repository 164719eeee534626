package sse

import (
	"net/http"
	"sync"
	"time"

	"github.com/kanava-go/kanava"
)

// This file writes to the client, which may be slow, or gone without a word.

const (
	maxBatch  = 64 << 10        // bytes that are taken from the link for one write
	maxPiece  = 16 << 10        // bytes that the client has to take within WriteStall
	patience  = 2 * time.Second // a write that takes longer is looked after
	closeTime = 5 * time.Second // for what is written when it is known that the connection ends
)

// batch is what one write takes.
type batch struct {
	frames []kanava.Frame
	bytes  []byte
}

var batches = sync.Pool{New: func() any { return new(batch) }}

func (b *batch) reset() {
	clear(b.frames)
	b.frames, b.bytes = b.frames[:0], b.bytes[:0]
}

func (b *batch) free() {
	b.reset()
	if cap(b.bytes) <= 2*maxBatch {
		batches.Put(b)
	}
}

// writer is the response of a stream.
type writer struct {
	w  http.ResponseWriter
	rc *http.ResponseController

	mu       sync.Mutex
	writing  bool        // guarded by mu, as is all that follows
	deadline time.Time   // of the write that is under way
	last     time.Time   // the latest deadline there may be; zero as long as the connection goes on
	late     bool        // a deadline has passed, and net/http was told: nothing can be written any more
	guard    *time.Timer // runs look while a write lasts
}

// take makes w the response, and reports whether it can be streamed. The
// WriteTimeout of the http.Server is for other requests.
func (o *writer) take(w http.ResponseWriter) bool {
	o.w, o.rc = w, http.NewResponseController(w)
	return flushes(w) && o.rc.SetWriteDeadline(time.Time{}) == nil
}

// flushes reports whether an http.ResponseController can flush w.
func flushes(w http.ResponseWriter) bool {
	for {
		switch x := w.(type) {
		case http.Flusher, interface{ FlushError() error }:
			return true
		case interface{ Unwrap() http.ResponseWriter }:
			w = x.Unwrap()
		default:
			return false
		}
	}
}

// write writes p and flushes. It blocks until the client has taken all but what
// fits into buffers on the way. If the client is gone, or takes nothing for
// WriteStall, the connection has ended so.
func (o *writer) write(s *stream, p []byte) *kanava.Closing {
	o.begin(s)
	var err error
	for len(p) > 0 && err == nil {
		n := min(len(p), maxPiece)
		o.extend(s.h.o.WriteStall)
		_, err = o.w.Write(p[:n])
		p = p[n:]
	}
	if err == nil {
		o.extend(s.h.o.WriteStall)
		err = o.rc.Flush()
	}
	switch late := o.end(); {
	case late: // what net/http calls that is different from version to version of HTTP
		if end := s.link.Closing(); end != nil {
			return end
		}
		return closing(kanava.CloseSlowConsumer)
	case err != nil:
		return &kanava.Closing{Code: kanava.CloseAbnormal}
	}
	return nil
}

func (o *writer) begin(s *stream) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing = true
	first := min(patience, s.h.o.WriteStall)
	if !o.last.IsZero() {
		first = min(first, time.Until(o.last))
	}
	if o.guard == nil {
		o.guard = time.AfterFunc(first, func() { o.look(s) })
		return
	}
	o.guard.Reset(first)
}

// end reports whether a deadline has passed.
func (o *writer) end() (late bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing = false
	o.guard.Stop()
	return o.late
}

// extend gives a write this long, or what is left.
func (o *writer) extend(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.deadline = time.Now().Add(d)
	if !o.last.IsZero() && o.deadline.After(o.last) {
		o.deadline = o.last
	}
}

// hurry says that the connection ends, and leaves what is still written
// closeTime.
func (o *writer) hurry() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.last.IsZero() {
		o.last = time.Now().Add(closeTime)
	}
}

// look runs while a write is blocked: at its deadline, and now and then before,
// because a link that is to be closed must not wait behind the write for long.
// No deadline that is yet to come is left to net/http: in HTTP/2 it ends streams
// that have just kept theirs, and nobody can tell that from a client that left.
func (o *writer) look(s *stream) {
	end := s.link.Closing()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.writing {
		return
	}
	now := time.Now()
	if end != nil && o.last.IsZero() {
		o.last = now.Add(closeTime)
		if o.deadline.After(o.last) {
			o.deadline = o.last
		}
	}
	switch left := o.deadline.Sub(now); {
	case left > 0:
		o.guard.Reset(min(patience, left))
	case !o.late:
		o.late = true
		_ = o.rc.SetWriteDeadline(time.Unix(1, 0)) // take has found that it can
		o.guard.Reset(patience)
	default:
		// The deadline of a stream of HTTP/2 is of no use while nobody takes
		// anything from the connection. The request stays until that ends, the
		// channel does not.
		if end == nil {
			end = closing(kanava.CloseSlowConsumer)
		}
		s.forget()
		s.link.Disconnect(end.Code, end.Reason)
	}
}
