package httpfunc

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/httperr"
)

// This file writes the values of a stream function as server-sent events: the
// function runs on a goroutine of its own, and this one writes what it sends.

const (
	// queueBytes is how much may wait to be written before Send blocks.
	queueBytes = 64 << 10
	// writeBytes is how much is written under one deadline.
	writeBytes = 16 << 10
	// early is how long the response is held back for: a function that fails in
	// this time, before its first value, is answered with the status of its error.
	early = time.Second
)

// stream runs a stream function, whose context cancel ends.
func (h *handler) stream(w http.ResponseWriter, r *http.Request, call *kanava.HTTPCall, cancel func(), body []byte) {
	if r.Method == http.MethodHead {
		eventHeader(w.Header())
		return
	}
	q := &queue{news: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		err := error(errCut)
		defer func() { q.end(err) }()
		_, err = call.Run(body, q.send)
	}()
	defer func() { <-q.done }() // the function is heard of no more when this returns
	defer q.close()

	out := &eventWriter{w: w, control: http.NewResponseController(w), stall: h.o.WriteStall}
	held, silent := time.NewTimer(early), time.NewTimer(h.o.KeepAlive)
	defer held.Stop()
	defer silent.Stop()
	for {
		var err error
		select {
		case <-q.done:
			out.end(q.take(), q.err)
			return
		case <-q.news:
			err = out.write(q.take())
		case <-held.C:
			err = out.write(nil)
		case <-silent.C:
			err = out.write([]byte(":\n\n"))
		case <-r.Context().Done():
			return
		}
		if err != nil {
			cancel()
			return
		}
		silent.Reset(h.o.KeepAlive)
	}
}

func eventHeader(head http.Header) {
	head.Set("Content-Type", "text/event-stream")
	head.Set("X-Accel-Buffering", "no")
	head.Set("X-Content-Type-Options", "nosniff")
}

// eventWriter writes events to the client.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	stall   time.Duration
	begun   bool // the status is out
}

// write writes events, and the status before the first. No deadline is left
// behind: in HTTP/2 it would end a stream of which nothing waits.
func (o *eventWriter) write(events []byte) error {
	defer func() { _ = o.control.SetWriteDeadline(time.Time{}) }()
	if !o.begun {
		if err := o.begin(); err != nil {
			return err
		}
	}
	for len(events) > 0 {
		part := events[:min(len(events), writeBytes)]
		events = events[len(part):]
		_ = o.control.SetWriteDeadline(time.Now().Add(o.stall)) // not every server has one
		if _, err := o.w.Write(part); err != nil {
			return err
		}
		if err := o.control.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func (o *eventWriter) begin() error {
	eventHeader(o.w.Header())
	_ = o.control.SetWriteDeadline(time.Now().Add(o.stall))
	err := o.control.Flush()
	if errors.Is(err, http.ErrNotSupported) {
		httperr.Write(o.w, kanava.Errorf(kanava.CodeInternal,
			"this server cannot stream: a handler around this one hides the http.Flusher of its http.ResponseWriter"))
	}
	o.begun = err == nil
	return err
}

// end writes what is left, and how the stream ended.
func (o *eventWriter) end(events []byte, err error) {
	var e *kanava.Error
	switch {
	case err == nil:
		events = append(events, "event: end\ndata: {}\n\n"...)
	case !errors.As(err, &e):
	case !o.begun && len(events) == 0:
		httperr.Write(o.w, e)
		return
	default:
		events = append(events, "event: error\n"...)
		if wait := e.RetryAfter.Milliseconds(); wait > 0 {
			events = append(strconv.AppendInt(append(events, "retry: "...), wait, 10), '\n')
		}
		events = appendEvent(events, httperr.Append(nil, e))
	}
	_ = o.write(events) // the client may have gone
}

// queue is what waits to be written.
type queue struct {
	news chan struct{} // holds a token while there is something to write
	done chan struct{} // closed by end

	mu     sync.Mutex
	events []byte        // guarded by mu
	room   chan struct{} // guarded by mu: closed when events have been taken; nil if nobody waits
	closed bool          // guarded by mu
	err    error         // how the function ended; set before done is closed
}

// send queues a value; it waits while there is no room.
func (q *queue) send(ctx context.Context, item []byte) error {
	for {
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return kanava.ErrClosed
		}
		if len(q.events) == 0 || len(q.events)+len(item) <= queueBytes {
			q.events = appendEvent(q.events, item)
			q.mu.Unlock()
			select {
			case q.news <- struct{}{}:
			default:
			}
			return nil
		}
		if q.room == nil {
			q.room = make(chan struct{})
		}
		room := q.room
		q.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// appendEvent appends a value, which is one line of JSON, as an event.
func appendEvent(events, item []byte) []byte {
	return append(append(append(events, "data: "...), item...), "\n\n"...)
}

// take returns what waits, and makes room.
func (q *queue) take() []byte {
	q.mu.Lock()
	defer q.mu.Unlock()
	events := q.events
	q.events = nil
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
	return events
}

// close lets nothing more in.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.take()
}

// end says that the function has ended.
func (q *queue) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed, q.err = true, err
	close(q.done)
}
