package kanava

import (
	"context"
	"sync"
	"time"
)

// lazyContext is the context of a call or a connection. It makes a channel and
// a timer only when somebody asks for Done, since most functions never do.
// The zero value is a live context without a deadline.
type lazyContext struct {
	end   time.Time // deadline; zero is none
	mu    sync.Mutex
	err   error         // guarded by mu; set once
	ch    chan struct{} // guarded by mu; made by Done
	timer *time.Timer   // guarded by mu; runs from the first Done to the end
	after map[*func()]struct{}
}

var _ context.Context = (*lazyContext)(nil)

func (x *lazyContext) Deadline() (time.Time, bool) { return x.end, !x.end.IsZero() }

func (x *lazyContext) Done() <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ch == nil {
		x.ch = make(chan struct{})
		if x.err != nil {
			close(x.ch)
		} else {
			x.watch()
		}
	}
	return x.ch
}

// watch starts the timer of the deadline; x.mu is held.
func (x *lazyContext) watch() {
	if !x.end.IsZero() && x.timer == nil {
		x.timer = time.AfterFunc(time.Until(x.end), func() { x.cancel(context.DeadlineExceeded) })
	}
}

func (x *lazyContext) Err() error {
	x.mu.Lock()
	err := x.err
	x.mu.Unlock()
	if err == nil && !x.end.IsZero() && !time.Now().Before(x.end) {
		x.cancel(context.DeadlineExceeded)
		return context.DeadlineExceeded
	}
	return err
}

func (x *lazyContext) Value(any) any { return nil }

// AfterFunc is what package context looks for, so that a derived context needs
// no goroutine: f runs in its own goroutine when x ends, unless stopped first.
func (x *lazyContext) AfterFunc(f func()) (stop func() bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err != nil {
		go f()
		return func() bool { return false }
	}
	x.watch()
	if x.after == nil {
		x.after = make(map[*func()]struct{})
	}
	key := &f
	x.after[key] = struct{}{}
	return func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		_, waiting := x.after[key]
		delete(x.after, key)
		return waiting
	}
}

// cancel ends the context; only the first call counts.
func (x *lazyContext) cancel(err error) {
	x.mu.Lock()
	if x.err != nil {
		x.mu.Unlock()
		return
	}
	x.err = err
	if x.ch != nil {
		close(x.ch)
	}
	if x.timer != nil {
		x.timer.Stop()
	}
	after := x.after
	x.after = nil
	x.mu.Unlock()
	for f := range after {
		go (*f)()
	}
}
