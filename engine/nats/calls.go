package nats

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"

	natsgo "github.com/nats-io/nats.go"

	"github.com/kanava-go/kanava/engine"
)

var (
	errLost     = errors.New("the connection was lost before the answer came")
	errNotSent  = errors.New("not connected")
	errNobody   = errors.New("nobody answers for the stream")
	errPileUp   = errors.New("too much waits to be sent")
	errTooLarge = errors.New("larger than the servers' max_payload")
)

// calls are requests that wait for answers, all of which come to subjects below
// one that is subscribed to.
type calls struct {
	inbox string // with a dot at its end

	mu      sync.Mutex // guards what follows, and the fields of calls
	next    uint64
	waiting map[uint64]*call
}

// call is a request.
type call struct {
	id      uint64
	token   string                           // its reply subject
	enough  func(answers []*natsgo.Msg) bool // tells whether they are complete; nil: the first is all
	sent    bool
	done    chan struct{} // closed when answers are complete, or err is set
	answers []*natsgo.Msg
	err     error
}

func (cs *calls) init() {
	cs.inbox = natsgo.NewInbox() + "."
	cs.waiting = make(map[uint64]*call)
}

func (cs *calls) begin() *call {
	c := &call{done: make(chan struct{})}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.next++
	c.id = cs.next
	c.token = cs.inbox + strconv.FormatUint(c.id, 36)
	cs.waiting[c.id] = c
	return c
}

// end forgets a call: its answers come to nobody.
func (cs *calls) end(c *call) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.waiting, c.id)
}

// answer takes what has come to the inbox.
func (cs *calls) answer(m *natsgo.Msg) {
	id, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, cs.inbox), 36, 64)
	if err != nil {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.waiting[id]
	if c == nil {
		return
	}
	c.answers = append(c.answers, m)
	if c.enough == nil || status(m) == "503" || c.enough(c.answers) {
		cs.finishLocked(c, nil)
	}
}

// probed is answer for what an engine has sent to itself.
func (cs *calls) probed(m *natsgo.Msg) {
	cs.answer(&natsgo.Msg{Subject: m.Reply})
}

func (cs *calls) finishLocked(c *call, err error) {
	if _, ok := cs.waiting[c.id]; !ok {
		return
	}
	delete(cs.waiting, c.id)
	c.err = err
	close(c.done)
}

func (cs *calls) fail(c *call, err error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.finishLocked(c, err)
}

// sending notes that a call is on its way, and returns false if nobody waits for
// it any more.
func (cs *calls) sending(c *call) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	_, ok := cs.waiting[c.id]
	c.sent = ok
	return ok
}

// failSent ends those whose answers are lost with a connection.
func (cs *calls) failSent(err error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.waiting {
		if c.sent {
			cs.finishLocked(c, err)
		}
	}
}

func (cs *calls) failAll(err error) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, c := range cs.waiting {
		cs.finishLocked(c, err)
	}
}

// status returns what the server says in place of a message: 503 that nobody
// listens, 404 that there is none, 204 that there are no others.
func status(m *natsgo.Msg) string {
	if v := m.Header["Status"]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// ask sends a request and waits for answers: one, or as many as enough wants,
// which must not take long.
func (e *Engine) ask(ctx context.Context, m outgoing, enough func([]*natsgo.Msg) bool) ([]*natsgo.Msg, error) {
	var backoff backoff
	for {
		if err := e.usable(ctx); err != nil {
			return nil, err
		}
		c := e.calls.begin()
		c.enough = enough
		m.call = c
		if m.traced {
			m.setHeader("Nats-Trace-Only", "true")
			m.setHeader("Nats-Trace-Dest", c.token)
		} else {
			m.reply = c.token
		}
		err := e.enqueue(ctx, m)
		var answers []*natsgo.Msg
		if err == nil {
			answers, err = e.await(ctx, c)
		}
		e.calls.end(c)
		if !errors.Is(err, errNotSent) {
			return answers, err
		}
		if err := e.pause(ctx, &backoff); err != nil { // the connection is lost, and link does not know yet
			return nil, err
		}
	}
}

// await waits for the end of a call.
func (e *Engine) await(ctx context.Context, c *call) ([]*natsgo.Msg, error) {
	select {
	case <-c.done:
		if c.err == nil && len(c.answers) == 1 && status(c.answers[0]) == "503" {
			return nil, errNobody
		}
		return c.answers, c.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pause waits a little, longer each time.
func (e *Engine) pause(ctx context.Context, b *backoff) error {
	if b.wait(ctx.Done()) {
		if e.over() {
			return engine.ErrClosed
		}
		return nil
	}
	return ctx.Err()
}
