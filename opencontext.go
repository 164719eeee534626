package kanava

import (
	"context"
	"sync"
	"time"
)

// openContext is the context of an opening: that of the request, with a
// deadline. Most openings ask nothing of it, so timer and channel are made only
// for those that do.
type openContext struct {
	parent context.Context //nolint:containedctx // it is a context itself
	end    time.Time

	mu   sync.Mutex
	made context.Context //nolint:containedctx // guarded by mu: what it stands for, once it is needed
	stop context.CancelFunc
	over bool // guarded by mu
}

func newOpenContext(parent context.Context, d time.Duration) *openContext {
	return &openContext{parent: parent, end: time.Now().Add(d)}
}

// close ends the context.
func (x *openContext) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over = true; x.made == nil && (x.parent.Err() != nil || !time.Now().Before(x.end)) {
		x.made, x.stop = context.WithDeadline(x.parent, x.end) // which says that it ended before
	}
	if x.made != nil {
		x.stop()
	}
}

// real returns the context that this one stands for.
func (x *openContext) real() context.Context {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.made == nil {
		x.made, x.stop = context.WithDeadline(x.parent, x.end)
		if x.over {
			x.stop()
		}
	}
	return x.made
}

func (x *openContext) Deadline() (time.Time, bool) {
	if t, ok := x.parent.Deadline(); ok && t.Before(x.end) {
		return t, true
	}
	return x.end, true
}

func (x *openContext) Done() <-chan struct{} { return x.real().Done() }

func (x *openContext) Err() error {
	x.mu.Lock()
	made, over := x.made, x.over
	x.mu.Unlock()
	switch {
	case made != nil:
		return made.Err()
	case over:
		return context.Canceled
	case x.parent.Err() == nil && time.Now().Before(x.end):
		return nil
	}
	return x.real().Err()
}

func (x *openContext) Value(key any) any {
	x.mu.Lock()
	made := x.made
	x.mu.Unlock()
	if made != nil { // package context finds what contexts made of this one end with
		return made.Value(key)
	}
	return x.parent.Value(key)
}
