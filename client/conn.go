package client

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Conn is a connection to a channel that heals itself. Its methods, and the
// functions of this package that take one, are safe for concurrent use.
type Conn struct {
	spec     Spec
	settings settings

	mu    sync.Mutex // guards all below, and the fields of run
	state State
	run   *run     // the connection of the moment, or the last one
	was   []string // ids of former connections, the newest first

	path      path      // how connections are made
	failures  int       // tries in a row, for the back-off
	refused   int       // closes with 4401 in a row without an open between
	denied    int       // refusals of Authenticate in a row
	notBefore time.Time // the server's retryAfter
	reason    *Error    // the last error that belongs to no call
	ended     string    // why the last connection ended

	queue     []*call            // not sent yet
	wanted    map[string]*wanted // topics to subscribe to
	topics    map[string]*followed
	presences map[string]*present
	held      int         // bytes of held events
	impatient []*followed // wait for a recover of another to be answered
	timers    map[any]*time.Timer
	handlers  map[string]*Listener
	asking    int // handlers of server's calls that run
	events    events

	opened      chan struct{} // closed when firstOpened or openFailed is set
	firstOpened []byte
	openFailed  *Error

	running int // goroutines
	done    chan struct{}
}

func newConn(spec Spec, s settings) *Conn {
	return &Conn{
		spec:      spec,
		settings:  s,
		state:     State{Phase: Idle},
		topics:    map[string]*followed{},
		presences: map[string]*present{},
		wanted:    map[string]*wanted{},
		timers:    map[any]*time.Timer{},
		handlers:  map[string]*Listener{},
		events:    newEvents(),
		opened:    make(chan struct{}),
		done:      make(chan struct{}),
	}
}

func (c *Conn) start() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attempt()
}

// State returns where the connection stands.
func (c *Conn) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Close ends the connection for good. Calls that have not ended fail with
// CodeUnavailable. What was sent before goes out, and the server is told that
// the client leaves; Close waits for that, for two seconds at most, and for no
// handler: see Done. After it handlers are told of nothing but the state.
// Close twice is once. The error is always nil.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.events.silent = true
	if c.state.Phase != Closed {
		c.end(CloseNormal, "closed")
	}
	r := c.run
	c.mu.Unlock()
	if r != nil {
		<-r.over
	}
	return nil
}

// Done returns a channel that is closed when the connection is closed for good
// and everything that it has started has ended, handlers too.
func (c *Conn) Done() <-chan struct{} { return c.done }

// waitOpened returns OnConnect's result of the first connection.
func (c *Conn) waitOpened(ctx context.Context) ([]byte, error) {
	select {
	case <-c.opened:
	default:
		select {
		case <-c.opened:
		case <-ctx.Done():
			c.mu.Lock()
			defer c.mu.Unlock()
			message := "the channel is not open yet"
			if c.ended != "" {
				message += ": " + c.ended
			}
			return nil, given(ctx, message)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.openFailed != nil {
		return nil, c.openFailed
	}
	return c.firstOpened, nil
}

// given returns the error of a context that has ended.
func given(ctx context.Context, message string) *Error {
	code := CodeCanceled
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		code = CodeDeadlineExceeded
	}
	return fault(code, message).because(context.Cause(ctx))
}

// spawn runs f on a goroutine of the connection. c.mu is held.
func (c *Conn) spawn(f func()) {
	c.running++
	go func() {
		defer func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.running--
			c.rest()
		}()
		f()
	}()
}

// rest closes done if nothing runs any more. c.mu is held.
func (c *Conn) rest() {
	if c.state.Phase != Closed || c.running > 0 {
		return
	}
	select {
	case <-c.done:
	default:
		close(c.done)
	}
}

// later calls f with c.mu held after d, unless the timer of this name is set
// again or the connection is dropped before. c.mu is held.
func (c *Conn) later(name any, d time.Duration, f func()) {
	c.cancelTimer(name)
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.timers[name] == t {
			delete(c.timers, name)
			f()
		}
	})
	c.timers[name] = t
}

func (c *Conn) cancelTimer(name any) {
	if t := c.timers[name]; t != nil {
		t.Stop()
		delete(c.timers, name)
	}
}

// The names of timers. Topics are names too.
type timer string

const (
	timerGreet   timer = "greet"   // connecting and greeting take too long
	timerTurn    timer = "turn"    // it is the other transport's turn
	timerProbe   timer = "probe"   // look whether a WebSocket opens
	timerRetry   timer = "retry"   // the next try
	timerLife    timer = "life"    // the server may be silent
	timerKeep    timer = "keep"    // the next ping
	timerSession timer = "session" // authenticate again
	timerLeave   timer = "leave"   // the server has asked to come back
	timerBroken  timer = "broken"  // writing has failed, and reading not yet
)
