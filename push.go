package kanava

import (
	"context"
	"reflect"

	"github.com/kanava-go/kanava/internal/typemodel"
)

// Push sends values to one client at any time, outside of any call.
type Push[T any] struct {
	name  string
	model *typemodel.Model
}

// NewPush makes a Push. It panics if the name is empty or T has no JSON form.
// A wiring lists it in Declares, so that generated clients know it.
func NewPush[T any](name string) *Push[T] {
	is := making{"push", name, callerPlace(0)}
	is.named()
	return &Push[T]{name, modelOf[T](is, "", typemodel.Output)}
}

// Send sends v to one client, as JSON, or as a binary frame if it is a []byte,
// which Send then takes: the caller must not change it. It does not wait: if the
// client's queue has no room the connection is closed with [CloseSlowConsumer].
// It returns [ErrClosed] if the connection has ended, and CodeTooLarge for more
// than Limits.Reply; nil does not say that the client has got it.
func (p *Push[T]) Send(ctx context.Context, to Conn, v T) error {
	return to.conn().push(ctx, p.name, v, p.model)
}

func (p *Push[T]) declared() declaration {
	if p == nil || p.name == "" {
		return declaration{what: "push", zero: true}
	}
	return declaration{what: "push", name: p.name, out: reflect.TypeFor[T](), model: p.model}
}
