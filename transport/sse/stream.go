package sse

import (
	"context"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/httperr"
	"github.com/kanava-go/kanava/internal/openrequest"
)

// stream is one connection: the response that the client reads on one side, the
// link on the other. It has no goroutine but that of its request.
type stream struct {
	h        *handler
	link     *kanava.Link  // set before the stream is registered
	secret   string        //
	envelope bool          // kanava.v1
	born     time.Time     // what heard counts from
	news     chan struct{} // holds one: the link has something, or broken is set
	out      writer        // of the request's goroutine
	up       upstream

	heard  atomic.Int64                   // when the client last said something, in ns since born
	broken atomic.Pointer[kanava.Closing] // the client broke a rule
	opened bool                           // the client was sent a frame
	told   time.Duration                  // since born: when the client was last told something
	pinged time.Duration                  // when that was a sign of life
}

// Wake implements [kanava.Peer].
func (s *stream) Wake() {
	note(s.news)
	note(s.up.room)
}

// note tells whoever waits that there is something to look at.
func note(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// serveStream opens a channel, and lasts as long as the connection.
func (h *handler) serveStream(w http.ResponseWriter, r *http.Request) {
	s := &stream{h: h, secret: h.open.newSecret(), news: make(chan struct{}, 1), born: time.Now()}
	s.up.room = make(chan struct{}, 1)
	if !s.out.take(w) {
		httperr.Write(w, errHidden)
		return
	}
	req := openrequest.From(r)
	req.Ping, req.Upstream = h.o.Ping, s.secret
	req.Marks, req.LastID = true, r.Header.Get("Last-Event-Id")
	req.Subprotocols = slices.Collect(openrequest.List(r.Header[fieldProtocol]))
	l, err := h.d.Open(r.Context(), req, s)
	if err != nil {
		httperr.Write(w, err)
		return
	}
	end := kanava.Closing{Code: kanava.CloseAbnormal}
	defer func() { l.Disconnect(end.Code, end.Reason) }()
	s.link, s.envelope = l, l.KeepAlive() != nil
	if s.envelope != (r.Method == http.MethodPost) {
		w.Header().Set("Allow", allowed)
		refuse(w, http.StatusMethodNotAllowed, "kanava.v1 is opened by POST, the plain form by GET")
		return
	}
	hello, err := readBody(w, r, l.Limits().Message)
	if s.envelope && err == nil && len(hello) == 0 {
		err = kanava.Errorf(kanava.CodeInvalidArgument, "the body of the request is the hello")
	}
	if err != nil {
		httperr.Write(w, err)
		return
	}
	defer s.forget()
	if how := s.begin(w, hello); how != nil {
		end = *how
		return
	}
	end = s.run(r.Context())
}

// forget makes the secret worth nothing.
func (s *stream) forget() {
	s.h.open.remove(s)
	s.up.end()
}

// begin tells the client that it is connected, and the link. It returns how the
// connection has ended if it did.
func (s *stream) begin(w http.ResponseWriter, hello []byte) *kanava.Closing {
	header := w.Header()
	header.Set("Content-Type", eventStream)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx passes on what comes when it comes
	header.Set("X-Content-Type-Options", "nosniff")
	if p := s.link.Subprotocol(); p != "" {
		header.Set(fieldProtocol, p)
	}
	var first []byte
	if !s.envelope {
		header.Set(fieldUp, s.secret)
		first = appendUp(nil, s.secret)
	}
	s.link.Start() // who has the secret may say something at once
	s.h.open.add(s)
	w.WriteHeader(http.StatusOK)
	if end := s.out.write(s, first); end != nil {
		return end
	}
	if s.envelope {
		s.link.Receive(hello, false) // nobody has the secret before that is answered
	}
	return nil
}

// run writes what is to be written until the connection ends, and returns how
// it did.
func (s *stream) run(ctx context.Context) kanava.Closing {
	timer := time.NewTimer(s.h.o.Ping)
	defer timer.Stop()
	for {
		if end := s.flush(); end != nil {
			return *end
		}
		select {
		case <-s.news:
			s.up.resume(s.link)
			if end := s.broken.Load(); end != nil {
				return s.leave(end, true)
			}
		case <-timer.C:
			next, end := s.beat()
			if end != nil {
				return *end
			}
			timer.Reset(next)
		case <-ctx.Done():
			return kanava.Closing{Code: kanava.CloseAbnormal}
		}
	}
}

// flush writes what the link has. It returns how the connection ends if it
// does.
func (s *stream) flush() *kanava.Closing {
	b := batches.Get().(*batch)
	defer b.free()
	for {
		b.reset()
		var end *kanava.Closing
		if b.frames, end = s.link.Take(b.frames, maxBatch); end != nil {
			how := s.leave(end, end.Code == kanava.CloseSlowConsumer)
			return &how
		}
		if len(b.frames) == 0 {
			return nil
		}
		for _, f := range b.frames {
			b.bytes = appendFrame(b.bytes, f, s.envelope)
		}
		if end := s.tell(b.bytes); end != nil {
			return end
		}
		s.opened = true
	}
}

// tell writes events. It returns how the connection has ended if it did.
func (s *stream) tell(events []byte) *kanava.Closing {
	if end := s.out.write(s, events); end != nil {
		return end
	}
	s.told = time.Since(s.born)
	return nil
}

// leave tells the client how the connection ends, and takes nothing more. In
// kanava.v1 the core has told it, unless that is for the transport to say.
func (s *stream) leave(end *kanava.Closing, own bool) kanava.Closing {
	s.forget()
	s.out.hurry()
	switch {
	case !s.envelope:
		s.out.write(s, appendClose(nil, end)) // the end is the same if it cannot be told
	case own:
		s.out.write(s, appendAway(nil, end.Code))
	}
	return *end
}
