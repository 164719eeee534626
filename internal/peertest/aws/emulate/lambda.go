package emulate

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Lambda runs a function's bootstrap for events, as AWS Lambda does: an event
// goes to a process that has nothing to do, or to a new one. A process has one
// event at a time, and between events it stands still: not even its timers run.
// All methods may be called at once.
type Lambda struct {
	fn     Function
	server *httptest.Server // the Runtime API
	said   transcript       // what all processes said

	mu     sync.Mutex // guards what follows, and the processes' state
	all    map[string]*process
	idle   []*process // the one that had an event last is the last
	starts []time.Duration
	last   int // number of the last process or event
	ended  bool
}

// FunctionError is what a function says of an event that it failed at.
type FunctionError struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

func (e *FunctionError) Error() string { return e.Message }

// event is an event on its way through a process.
type event struct {
	id       string
	payload  []byte
	deadline time.Time
	answer   chan answer // has room for one
}

type answer struct {
	payload []byte
	err     error
}

// NewLambda returns a Lambda for Bootstrap with Env, and Fresh if the function
// says so; the rest is about a gateway. Its processes are killed when the test
// ends, and if that failed, its log has what they said.
func NewLambda(tb testing.TB, fn Function) *Lambda {
	tb.Helper()
	l := &Lambda{fn: fn, all: map[string]*process{}}
	l.server = httptest.NewServer(l.runtimeAPI())
	tb.Cleanup(func() {
		l.end()
		if tb.Failed() {
			tb.Logf("%s said:\n%s", fn.Bootstrap, &l.said)
		}
	})
	return l
}

// Invoke gives a process the event, which is JSON, and returns its answer, JSON
// too. It returns a *FunctionError if the function failed, and another error if
// the process ended in the midst of the event or had not answered when ctx ended,
// or Timeout had passed. Then the process is killed.
func (l *Lambda) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	e := &event{payload: payload, deadline: deadline, answer: make(chan answer, 1)}
	p, err := l.hand(e)
	if err != nil {
		return nil, err
	}
	select {
	case a := <-e.answer:
		return a.payload, a.err
	case <-p.ended:
		select {
		case a := <-e.answer: // and then it ended
			return a.payload, a.err
		default:
			return nil, fmt.Errorf("the process ended in the midst of an event: %w", p.err)
		}
	case <-ctx.Done():
		p.kill()
		return nil, fmt.Errorf("the function has not answered: %w", ctx.Err())
	}
}

// Starts returns, for each process that has asked for an event so far, how long
// after its start it did.
func (l *Lambda) Starts() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.starts)
}

// Kill kills all processes, whatever they are doing, and returns how many there
// were. It waits until they have ended.
func (l *Lambda) Kill() int {
	l.mu.Lock()
	var killed []*process
	for _, p := range l.all {
		killed = append(killed, p)
		p.kill()
	}
	l.mu.Unlock()
	for _, p := range killed {
		<-p.ended
	}
	return len(killed)
}

// end ends all processes and the Runtime API.
func (l *Lambda) end() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.Kill()
	l.server.Close()
}

// hand hands an event to a process that has nothing to do, or to a new one.
func (l *Lambda) hand(e *event) (*process, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil, errors.New("the test has ended")
	}
	e.id = l.number()
	var p *process
	if n := len(l.idle); n > 0 {
		p = l.idle[n-1]
		l.idle = l.idle[:n-1]
		p.thaw()
	} else {
		var err error
		if p, err = l.newProcess(l.number()); err != nil {
			return nil, err
		}
		l.all[p.id] = p
	}
	p.event = e
	p.next <- e // has room: the process has no event
	return p, nil
}

// number returns a number that no process and no event has. l.mu is held.
func (l *Lambda) number() string {
	l.last++
	return strconv.Itoa(l.last)
}

// asked notes that a process asks for an event. The first one is there already;
// then the last one is done, and the process may have another, or has to end.
func (l *Lambda) asked(p *process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !p.asked:
		p.asked = true
		l.starts = append(l.starts, time.Since(p.began))
	case p.event != nil: // asks again, without an answer: it gets nothing
	case l.fn.Fresh:
		p.kill()
	case !p.over:
		l.idle = append(l.idle, p)
		p.freeze()
	}
}

// answered gives the answer of a process to whom the event came from, and tells
// if this is the event that it has.
func (l *Lambda) answered(p *process, id string, a answer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.event == nil || p.event.id != id {
		return false
	}
	p.event.answer <- a
	p.event = nil
	return true
}

// gone notes that a process has ended.
func (l *Lambda) gone(p *process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.over = true
	delete(l.all, p.id)
	l.idle = slices.DeleteFunc(l.idle, func(idle *process) bool { return idle == p })
}

// find returns the process with this id, or nil.
func (l *Lambda) find(id string) *process {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[id]
}
