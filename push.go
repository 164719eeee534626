package kanava

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"slices"

	"github.com/kanava-go/kanava/internal/form"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// Push sends values to one client at any time, outside of any call, or to
// several.
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

// SendAll is Send to each of to, such as [Conns.OfChannel]. The value is encoded
// once for all of one wire form, unless outgoing middleware sees it. It returns
// how many took it, and the first error of one who did not; that does not keep
// it from the others. Who has ended, or whose outgoing middleware drops it, just
// does not count. It stops where ctx ends.
func (p *Push[T]) SendAll(ctx context.Context, to iter.Seq[Conn], v T) (reached int, err error) {
	broadcast := broadcast{name: p.name, value: v, typ: reflect.TypeFor[T](), model: p.model}
	for c := range to {
		if ended := ctx.Err(); ended != nil {
			return reached, ended
		}
		took, failed := broadcast.send(ctx, c.conn())
		if took {
			reached++
		}
		if err == nil {
			err = failed
		}
	}
	return reached, err
}

// SendUser is SendAll to the connections on which the user is signed in, on all
// nodes where the hub has an engine. Nobody being there is not an error. Outgoing
// middleware on other nodes sees what the JSON of v says, and only on channels that
// declare the push: else it fails there with CodeFailedPrecondition. Other nodes
// have 2 s to answer, then the error is CodeUnavailable, and they may have sent it.
func (p *Push[T]) SendUser(ctx context.Context, conns *Conns, userID string, v T) (reached int, err error) {
	to, err := conns.OfUser(ctx, userID)
	if err != nil {
		return 0, err
	}
	reached, err = p.SendAll(ctx, slices.Values(to), v)
	far, farErr := p.sendFar(ctx, conns, farTarget{User: userID}, v)
	if err == nil {
		err = farErr
	}
	return reached + far, err
}

// SendID is Send to the connection with this id, on whatever node it is; see
// SendUser for that. It is CodeNotFound if there is none.
func (p *Push[T]) SendID(ctx context.Context, conns *Conns, id string, v T) error {
	if to, err := conns.Get(ctx, id); err == nil {
		return p.Send(ctx, to, v)
	}
	reached, err := p.sendFar(ctx, conns, farTarget{ID: id}, v)
	if err == nil && reached == 0 {
		err = errNoConn
	}
	return err
}

func (p *Push[T]) sendFar(ctx context.Context, conns *Conns, t farTarget, v T) (reached int, err error) {
	if !conns.s.reachesFar() {
		return 0, nil
	}
	t.Name = p.name
	if b, ok := any(v).([]byte); ok {
		t.Binary = b
	} else if t.Value, err = encoded(func(buf []byte) ([]byte, error) { return appendValue(buf, reflect.TypeFor[T](), p.model, v) }); err != nil {
		return 0, err
	}
	sum, err := conns.s.everywhere(ctx, "push", t, t.ID != "", relayTime)
	return sum.N, err
}

func (p *Push[T]) declared() declaration {
	if p == nil || p.name == "" {
		return declaration{what: "push", zero: true}
	}
	return declaration{what: "push", name: p.name, out: reflect.TypeFor[T](), model: p.model, decode: decoderOf[T]()}
}

// broadcast is a value that is pushed to several connections.
type broadcast struct {
	name   string
	value  any
	typ    reflect.Type
	model  *typemodel.Model
	frames [form.Count]Frame // nil until needed
}

// send sends the value to one of them and reports whether it took it.
func (b *broadcast) send(ctx context.Context, c *conn) (took bool, err error) {
	if c.def.send != nil {
		took, err = c.pushed(ctx, b.name, b.value, b.model)
	} else {
		f := &b.frames[c.form.Index()]
		if f.Data == nil {
			if f.Data, f.Binary = b.value.([]byte); !f.Binary {
				if f.Data, err = c.encodePush(b.name, b.typ, b.model, b.value); err != nil {
					return false, err
				}
			}
			f.Shared = &Shared{}
		}
		err = c.queueOne(*f)
		took = err == nil
	}
	if errors.Is(err, ErrClosed) {
		err = nil
	}
	return took, err
}
