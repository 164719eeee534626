package client

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scripted is a server whose every step is the test's. Each dial waits until
// the test accepts it.
type scripted struct {
	mu    sync.Mutex
	made  []*scriptedLink // dialed, not taken by the test
	links []*scriptedLink // all
}

func (s *scripted) dial(ctx context.Context, hello []byte) (link, error) {
	l := &scriptedLink{answer: make(chan error, 1), in: make(chan any, 1000), ended: make(chan struct{}), aborted: make(chan struct{})}
	s.mu.Lock()
	s.made = append(s.made, l)
	s.links = append(s.links, l)
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		l.mu.Lock()
		l.closed = true
		l.mu.Unlock()
		return nil, ctx.Err()
	case err := <-l.answer:
		if err != nil {
			return nil, err
		}
		return l, l.write([]message{{data: hello}})
	}
}

// take returns the next connection that the client has begun, nil if there is
// none.
func (s *scripted) take() peer {
	if l := s.next(); l != nil {
		return l
	}
	return nil
}

func (s *scripted) next() *scriptedLink {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.made) == 0 {
		return nil
	}
	l := s.made[0]
	s.made = s.made[1:]
	return l
}

func (s *scripted) open() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.links {
		if !l.isClosed() {
			n++
		}
	}
	return n
}

// scriptedLink is one of its connections.
type scriptedLink struct {
	answer  chan error    // to the dial
	in      chan any      // message or *ending, for read
	ended   chan struct{} // closed when read has returned an error
	aborted chan struct{}
	once    sync.Once
	stall   chan struct{} // if set, writing waits for it

	mu     sync.Mutex
	over   *ending
	sent   []message
	closed bool
	code   CloseCode
}

func (l *scriptedLink) accept() { l.answer <- nil }

func (l *scriptedLink) text(text string) { l.in <- message{data: []byte(text)} }

func (l *scriptedLink) bytes(p []byte) { l.in <- message{p, true} }

func (l *scriptedLink) drop(code CloseCode) {
	e := &ending{code: code}
	select {
	case l.answer <- e: // if it was not accepted
	default:
	}
	l.in <- e
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

func (l *scriptedLink) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// next returns the first message that was sent and not looked at, nil if there
// is none.
func (l *scriptedLink) next() *message {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sent) == 0 {
		return nil
	}
	m := l.sent[0]
	l.sent = l.sent[1:]
	return &m
}

func (l *scriptedLink) read() (message, error) {
	if l.over != nil {
		return message{}, l.over
	}
	select {
	case x := <-l.in:
		if m, ok := x.(message); ok {
			return m, nil
		}
		l.over, _ = x.(*ending)
	case <-l.aborted:
		l.over = &ending{code: CloseLost, reason: "aborted"}
	}
	close(l.ended)
	return message{}, l.over
}

func (l *scriptedLink) write(batch []message) error {
	if l.stall != nil {
		select {
		case <-l.stall:
		case <-l.aborted:
			return errors.New("aborted")
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errors.New("written to a closed link")
	}
	for _, m := range batch {
		l.sent = append(l.sent, message{bytes.Clone(m.data), m.binary})
	}
	return nil
}

func (l *scriptedLink) close(code CloseCode) {
	l.mu.Lock()
	l.closed, l.code = true, code
	l.mu.Unlock()
	l.abort() // a peer that answers at once
}

func (l *scriptedLink) textOnly() bool { return false }

func (l *scriptedLink) abort() { l.once.Do(func() { close(l.aborted) }) }
