package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"

	natsgo "github.com/nats-io/nats.go"

	"github.com/kanava-go/kanava/engine"
)

// mostUnsent bounds what waits to be sent, in bytes.
const mostUnsent = 32 << 20

// sending is what waits to be sent. One goroutine sends it: the client waits for
// a server that does not read, and nobody else should.
type sending struct {
	mu       sync.Mutex // guards what follows
	messages []outgoing
	bytes    int
	changed  []*interest   // to be subscribed to, or not any more
	busy     bool          // the goroutine has taken some
	ending   chan struct{} // not nil: nothing else is taken; closed when all is sent
	wake     chan struct{}
	room     chan struct{} // not nil: somebody waits for room
}

// outgoing is a message, with a copy of what the caller has given.
type outgoing struct {
	subject, reply string
	header         natsgo.Header
	data           []byte
	call           *call // nil: nobody waits for an answer
	traced         bool  // answers come from the servers on its way, and it is not delivered
}

func (o *outgoing) size() int { return len(o.data) + len(o.subject) + 256 }

func (s *sending) init() { s.wake = make(chan struct{}, 1) }

func (s *sending) ring() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// enqueue has a message sent. It waits for room.
func (e *Engine) enqueue(ctx context.Context, m outgoing) error {
	for {
		room, err := e.sending.push(m)
		if room == nil || err != nil {
			return err
		}
		select {
		case <-room:
		case <-e.closed:
			return engine.ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", errPileUp, ctx.Err())
		}
	}
}

// push takes a message, or returns what is closed when there is room.
func (s *sending) push(m outgoing) (room <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != nil {
		return nil, engine.ErrClosed
	}
	if s.bytes > 0 && s.bytes+m.size() > mostUnsent {
		if s.room == nil {
			s.room = make(chan struct{})
		}
		return s.room, nil
	}
	s.bytes += m.size()
	s.messages = append(s.messages, m)
	if len(s.messages) == 1 {
		s.ring()
	}
	return nil, nil
}

// change has the server told of an interest that has begun or ended, before all
// messages that are enqueued later.
func (s *sending) change(i *interest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = append(s.changed, i)
	if len(s.changed) == 1 {
		s.ring()
	}
}

func (s *sending) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.messages) == 0 && !s.busy
}

// sealed refuses what is to come, and returns what is closed when all else is sent.
func (s *sending) sealed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending == nil {
		s.ending = make(chan struct{})
		s.ring()
	}
	return s.ending
}

// take returns what there is, and has what comes put into spare, which is the
// caller's no more.
func (s *sending) take(spare []outgoing) (changed []*interest, messages []outgoing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, messages = s.changed, s.messages
	s.changed, s.messages = nil, spare
	s.busy = len(messages) > 0
	return changed, messages
}

func (s *sending) sent(bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes -= bytes
	if s.room != nil && s.bytes <= mostUnsent/2 {
		close(s.room)
		s.room = nil
	}
}

// rest says that what was taken is sent, and tells whether that was the end.
func (s *sending) rest() (ending chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	if len(s.messages) == 0 {
		return s.ending
	}
	return nil
}

// listen subscribes to what is not events.
func (e *Engine) listen(nc *natsgo.Conn) error {
	for _, subject := range []string{e.topics.probe, e.names.nodes()} {
		if _, err := nc.ChanSubscribe(subject, e.topics.incoming); err != nil {
			return err
		}
	}
	if _, err := nc.Subscribe("$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.*", e.elected); err != nil {
		return err
	}
	_, err := nc.Subscribe(e.calls.inbox+"*", e.calls.answer)
	return err
}

// send sends until the end.
func (e *Engine) send(nc *natsgo.Conn) {
	if err := e.listen(nc); err != nil { // the connection is closed for good
		return
	}
	const keep = 4096 // places
	var spare []outgoing
	for {
		select {
		case <-e.sending.wake:
		case <-e.closed:
			return
		}
		for {
			changed, messages := e.sending.take(spare)
			if len(changed)+len(messages) == 0 {
				spare = messages
				break
			}
			for _, i := range changed {
				e.topics.apply(nc, i)
			}
			for i := range messages {
				e.sendOne(nc, &messages[i])
			}
			clear(messages)
			if spare = messages[:0]; cap(spare) > keep {
				spare = nil
			}
		}
		if ending := e.sending.rest(); ending != nil {
			if err := nc.FlushTimeout(writeTimeout); err != nil && !errors.Is(err, natsgo.ErrConnectionClosed) {
				e.log.Warn("nats: what was published last may not have been sent", "error", err)
			}
			close(ending)
			return
		}
	}
}

func (e *Engine) sendOne(nc *natsgo.Conn, m *outgoing) {
	e.sending.sent(m.size())
	if m.call != nil && !e.calls.sending(m.call) {
		return
	}
	err := nc.PublishMsg(&natsgo.Msg{Subject: m.subject, Reply: m.reply, Header: m.header, Data: m.data})
	if err == nil || m.call == nil {
		return
	}
	switch {
	case errors.Is(err, natsgo.ErrReconnectBufExceeded):
		err = errNotSent
	case errors.Is(err, natsgo.ErrMaxPayload):
		err = fmt.Errorf("%d bytes: %w, %d", len(m.data), errTooLarge, nc.MaxPayload())
	case errors.Is(err, natsgo.ErrConnectionClosed):
		err = engine.ErrClosed
	}
	e.calls.fail(m.call, err)
}
