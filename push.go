package kanava

import (
	"context"
	"fmt"
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
	where := callerPlace(0)
	if name == "" || len(name) > 256 {
		panic(fmt.Sprintf("kanava: push at %s: a name has 1 to 256 bytes", where))
	}
	m, err := typemodel.Of(reflect.TypeFor[T](), typemodel.Output)
	if err != nil {
		panic(fmt.Sprintf("kanava: push %q at %s: %v", name, where, err))
	}
	return &Push[T]{name, m}
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
