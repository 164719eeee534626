package kanava

import (
	"context"
	"sync/atomic"
)

// lifetime is how long a connection lives. It makes a context only when
// somebody asks for one, since most connections are never asked.
type lifetime struct{ made atomic.Pointer[lazyContext] }

// lifeIsOver is the context of all lives that are over.
var lifeIsOver = func() *lazyContext {
	ctx := &lazyContext{}
	ctx.cancel(context.Canceled)
	ctx.Done() // now: a channel belongs to the bubble of the test that makes it
	return ctx
}()

// context returns a context that ends when the connection does.
func (c *conn) context() context.Context { return c.ownRare().life.context() }

// isOver reports whether the connection has ended.
func (c *conn) isOver() bool { return c.rare().life.isOver() }

// context returns a context that ends when the connection does.
func (l *lifetime) context() context.Context {
	if ctx := l.made.Load(); ctx != nil {
		return ctx
	}
	l.made.CompareAndSwap(nil, &lazyContext{})
	return l.made.Load()
}

// end ends the life.
func (l *lifetime) end() {
	if ctx := l.made.Swap(lifeIsOver); ctx != nil {
		ctx.cancel(context.Canceled)
	}
}

func (l *lifetime) isOver() bool { return l.made.Load() == lifeIsOver }
