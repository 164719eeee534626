package nats

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/kanava-go/kanava/engine"
)

// round is one question to the leader of a stream, for all who wait for it.
type round struct {
	done chan struct{}
	err  error // when done
}

// confirm waits until what was subscribed to before will be delivered.
//
// That the server at the other end has read a subscription does not mean that
// others know of it, and events come from the server that leads the stream. A
// message to the stream follows the news of the subscription on the same way: so
// the leader knows when it answers. Events of Volatile topics (s is nil) come from any
// server that publishers are connected to: see reachAll.
func (e *Engine) confirm(ctx context.Context, s *stream) error {
	if s == nil {
		s = &e.everywhere
	}
	s.mu.Lock()
	r := s.next
	if r == nil {
		r = &round{done: make(chan struct{})}
		s.next = r
		if s.current == nil {
			s.current = r
			e.spawn(func() { e.confirmAll(s) })
		}
	}
	s.mu.Unlock()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	case <-e.closed:
		return engine.ErrClosed
	}
}

// confirmAll asks as long as somebody waits.
func (e *Engine) confirmAll(s *stream) {
	for {
		s.mu.Lock()
		r := s.next
		s.current, s.next = r, nil
		s.mu.Unlock()
		if r == nil {
			return
		}
		if s == &e.everywhere {
			r.err = e.reachAll()
		} else {
			_, r.err = e.leaderAt(s)
		}
		close(r.done)
	}
}

// leaderAt asks the leader of a stream for its last sequence, which includes what
// is not yet stored.
func (e *Engine) leaderAt(s *stream) (uint64, error) {
	ctx, cancel := e.lifetime(10 * time.Second)
	defer cancel()
	m := outgoing{subject: e.names.check(s.retention)}
	m.setHeader(natsgo.ExpectedLastSeqHdr, strconv.FormatUint(1<<53, 10)) // which it never is
	var backoff backoff
	for {
		at, err := e.leaderAtOnce(ctx, s, m)
		if err == nil || final(err) || ctx.Err() != nil {
			return at, err
		}
		if err := e.pause(ctx, &backoff); err != nil {
			return 0, err
		}
	}
}

func (e *Engine) leaderAtOnce(ctx context.Context, s *stream, m outgoing) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := e.store(ctx, s, m)
	api := (*apiError)(nil)
	if !errors.As(err, &api) || api.ErrCode != codeWrongLast {
		return 0, err
	}
	text := api.Description
	at, failed := strconv.ParseUint(text[strings.LastIndexByte(text, ' ')+1:], 10, 64)
	if failed != nil {
		return 0, err
	}
	return at, nil
}

// mark stores a message that is of no topic: an answer means that most of the
// stream's servers have it.
func (e *Engine) mark(ctx context.Context, s *stream) error {
	return e.store(ctx, s, outgoing{subject: e.names.check(s.retention)})
}

// linkUp is called when there is a connection, again or for the first time.
func (e *Engine) linkUp(again bool) {
	e.link.set(true, nil)
	if again {
		e.log.Info("nats: connected again")
		e.spawn(e.resume)
	}
}

func (e *Engine) linkDown(err error) {
	e.link.set(false, err)
	e.calls.failSent(errLost)
	if !e.over() {
		e.log.Warn("nats: connection lost", "error", err)
	}
}

func (e *Engine) linkError(sub *natsgo.Subscription, err error) {
	switch {
	case e.over():
	case errors.Is(err, natsgo.ErrSlowConsumer) && sub != nil:
		e.topics.miss(sub.Subject)
	default: // a violation of permissions, say
		e.link.note(err)
		e.log.Error("nats: connection", "error", err)
	}
}

// resume runs after a connection has been made again, with its subscriptions. It
// finds out whether streams are what they were, and then tells the hub.
func (e *Engine) resume() {
	up := e.link.connected()
	left := e.allStreams()
	var backoff backoff
	for {
		var failed []*stream
		for _, s := range left {
			ctx, cancel := e.lifetime(patience)
			if err := e.mark(ctx, s); err != nil {
				failed = append(failed, s)
			}
			cancel()
		}
		if up != e.link.connected() {
			return // lost again
		}
		e.resumed()
		if left = failed; len(left) == 0 || !backoff.wait(e.closed) {
			return
		}
	}
}

// elected runs when a stream has another leader: the former one may have died
// after it had stored events, and before it sent them on.
func (e *Engine) elected(m *natsgo.Msg) {
	name := lastToken(m.Subject)
	for _, s := range e.allStreams() {
		if s.seen().stream == name && s.retention != ofRegistry {
			e.spawn(func() {
				ctx, cancel := e.lifetime(10 * time.Second)
				defer cancel()
				if e.confirm(ctx, s) == nil {
					e.resumed()
				}
			})
		}
	}
}
