package sse

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/httperr"
)

// This file takes what clients say (docs/protocol.md P21).

const (
	maxSeq   = 1<<53 - 1   // JavaScript has no greater integers
	maxPosts = 4           // requests of one connection at once: one, and its repeats where the network has lost it
	roomTime = time.Second // how long a POST waits for room before its client has to
)

// upstream is the way up of one stream.
type upstream struct {
	room  chan struct{} // holds one: there may be room
	posts atomic.Int32  // requests under way

	mu   sync.Mutex
	last uint64 // guarded by mu: the number of the POST that was taken last
	rest packet // guarded by mu: what the link has had no room for yet of it
	full bool   // guarded by mu: the link has said so
	over bool   // guarded by mu: the stream has ended
}

// packet is the messages of one POST.
type packet struct {
	messages [][]byte
	binary   bool
}

// serveUpstream answers a request that carries what a client says.
func (h *handler) serveUpstream(w http.ResponseWriter, r *http.Request) {
	var s *stream
	if secret := r.Header[fieldUp]; len(secret) == 1 {
		if node := h.open.elsewhere(secret[0]); node != "" {
			h.forward(w, r, node)
			return
		}
		s = h.open.find(secret[0])
	}
	if s == nil {
		httperr.Write(w, errUnknown)
		return
	}
	s.hear()
	defer s.up.posts.Add(-1)
	var number uint64
	var p packet
	err := error(errMany)
	if s.up.posts.Add(1) <= maxPosts {
		number, p, err = s.readPost(w, r)
	}
	if err == nil {
		err = s.up.take(r.Context(), s.link, number, p)
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	s.up.charge(s.link)
	s.fail(w, err)
}

// readPost returns the number and the messages of a request.
func (s *stream) readPost(w http.ResponseWriter, r *http.Request) (number uint64, p packet, err error) {
	field := r.Header[fieldSeq]
	if len(field) == 1 {
		number, err = strconv.ParseUint(field[0], 10, 64)
	}
	if number < 1 || number > maxSeq || err != nil {
		return 0, p, kanava.Errorf(kanava.CodeInvalidArgument, "the field %s is the number of the request: the first has 1", fieldSeq)
	}
	limit := s.link.Limits().Message
	switch t := mediaType(r); {
	case t == typeJSON:
		body, err := readBody(w, r, max(limit, smallMax)+1)
		if err != nil {
			return 0, p, err
		}
		p.messages, err = splitLines(body, limit)
		return number, p, err
	case t == typeBytes && !s.envelope:
		body, err := readBody(w, r, limit)
		return number, packet{[][]byte{body}, true}, err
	}
	return 0, p, errType
}

var (
	errUnknown = kanava.Errorf(kanava.CodeNotFound, "no connection has this secret here: it may have ended")
	errType    = kanava.Errorf(kanava.CodeInvalidArgument, "messages are %s, one a line; bytes are %s in the plain form", typeJSON, typeBytes)
	errMany    = later("one request at a time speaks to a connection")
	errFull    = later("too many messages wait: wait a little")
)

// later returns an error that asks the client to send the same again.
func later(text string) *kanava.Error {
	e := kanava.Errorf(kanava.CodeResourceExhausted, "%s", text)
	e.RetryAfter = roomTime
	return e
}

// orderError says that another POST is expected.
type orderError struct{ expected uint64 }

func (e orderError) Error() string { return fmt.Sprintf("expected %d", e.expected) }

// fail answers a request of which nothing was taken. Where the client broke a
// limit the connection ends, as it would if it were a WebSocket.
func (s *stream) fail(w http.ResponseWriter, err error) {
	var order orderError
	var broken *kanava.Error
	switch {
	case errors.As(err, &order):
		w.Header().Set("Content-Type", typeJSON)
		w.WriteHeader(http.StatusConflict)
		_, _ = fmt.Fprintf(w, `{"expected":%d}`, order.expected) // the client may have gone
		return
	case errors.Is(err, errType):
		httperr.WriteStatus(w, http.StatusUnsupportedMediaType, err)
		return
	case errors.Is(err, errNotText):
		s.breakOff(kanava.CloseInvalidText, err)
	case errors.As(err, &broken) && broken.Code == kanava.CodeTooLarge:
		s.breakOff(kanava.CloseTooBig, err)
	}
	httperr.Write(w, err)
}

// breakOff ends the connection of a client that broke a rule.
func (s *stream) breakOff(code kanava.CloseCode, why error) {
	end := closing(code)
	if e, ok := errors.AsType[*kanava.Error](why); ok {
		end.Reason += ": " + e.Message
	}
	s.broken.CompareAndSwap(nil, end)
	note(s.news)
}

// take hands the messages to the link, if they are the next ones. Those that it
// has no room for stay here, and the next ones wait for them.
func (u *upstream) take(ctx context.Context, l *kanava.Link, number uint64, p packet) error {
	patience := time.NewTimer(roomTime)
	defer patience.Stop()
	for {
		if done, err := u.tryTake(l, number, p); done {
			return err
		}
		select {
		case <-u.room:
		case <-patience.C:
			return errFull
		case <-ctx.Done():
			return errFull // nobody reads it
		}
	}
}

// tryTake is take without waiting; it reports false if there is no room.
func (u *upstream) tryTake(l *kanava.Link, number uint64, p packet) (done bool, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.over:
		return true, errUnknown
	case number <= u.last:
		l.Charge(1)
		return true, nil
	case number != u.last+1:
		return true, orderError{u.last + 1}
	case !u.feed(l):
		return false, nil
	}
	if len(p.messages) == 0 {
		l.Charge(1)
	}
	u.last, u.rest = number, p
	u.feed(l)
	return true, nil
}

// feed hands over what waits, and reports whether there is room for more; u.mu
// is held.
func (u *upstream) feed(l *kanava.Link) (room bool) {
	for !u.isFull(l) {
		if len(u.rest.messages) == 0 {
			u.rest = packet{}
			return true
		}
		u.full = !l.Receive(u.rest.messages[0], u.rest.binary)
		u.rest.messages[0] = nil
		u.rest.messages = u.rest.messages[1:]
	}
	return false
}

func (u *upstream) isFull(l *kanava.Link) bool {
	u.full = u.full && l.Full()
	return u.full
}

// resume hands over what waits, if there is room now.
func (u *upstream) resume(l *kanava.Link) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.rest.messages) > 0 {
		u.feed(l)
	}
}

// charge makes a request cost what a message does of which nothing came.
func (u *upstream) charge(l *kanava.Link) {
	u.mu.Lock()
	defer u.mu.Unlock()
	l.Charge(1)
}

// end takes nothing any more.
func (u *upstream) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.over, u.rest = true, packet{}
}
