package kanava

import (
	"context"
	"sync/atomic"
)

// lifetime is how long a connection lives. It makes a context only when
// somebody asks for one, since most connections are never asked.
type lifetime struct {
	over atomicFlag
	made atomic.Pointer[lazyContext]
}

// context returns a context that ends when the connection does.
func (l *lifetime) context() context.Context {
	ctx := l.made.Load()
	if ctx == nil {
		ctx = &lazyContext{}
		if !l.made.CompareAndSwap(nil, ctx) {
			ctx = l.made.Load()
		}
		if l.over.isSet() { // before or after end has looked for the context
			ctx.cancel(context.Canceled)
		}
	}
	return ctx
}

// end ends the life.
func (l *lifetime) end() {
	l.over.set()
	if ctx := l.made.Load(); ctx != nil {
		ctx.cancel(context.Canceled)
	}
}

func (l *lifetime) isOver() bool { return l.over.isSet() }
