package kanava

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/kanava-go/kanava/internal/typemodel"
)

// Value is a value of type T that is kept with each connection from one of its
// calls to the next: a cursor, a filter, a step of a dialogue. It is kept as
// JSON, also in this process: what Get returns is the caller's own, and a
// runtime without a process between calls keeps the same.
//
// What was set while a user was signed in belongs to that user: it is gone when
// the user signs out or another one signs in. What was set before anyone had
// signed in stays.
type Value[T any] struct {
	name  string
	model *typemodel.Model
}

// NewValue makes a Value. Values of one name are the same value. It panics if
// the name is empty or T does not survive JSON. A wiring lists it in Declares.
func NewValue[T any](name string) *Value[T] {
	is := making{"value", name, callerPlace(0)}
	is.named()
	return &Value[T]{name, modelOf[T](is, "", typemodel.Stored)}
}

// Get returns what was set last, and whether something was. It works as long as
// the Conn does, OnDisconnect included. The error is CodeAborted in a call that
// was begun under a former user; any other says that the kept JSON is no T.
func (v *Value[T]) Get(ctx context.Context, c Conn) (value T, ok bool, err error) {
	data, err := c.conn().getValue(ctx, v.name)
	if data == nil || err != nil {
		return value, false, err
	}
	if err := decodeStored(ctx, v.model, data, &value); err != nil {
		var zero T
		return zero, false, fmt.Errorf("kanava: value %q is no %s: %w", v.name, reflect.TypeFor[T](), err)
	}
	return value, true, nil
}

// decodeStored decodes what was kept as JSON.
func decodeStored(ctx context.Context, m *typemodel.Model, data []byte, into any) error {
	faults, err := m.Decode(ctx, data, into)
	if faults != nil {
		return errors.New(faults[0].Pointer + " " + faults[0].Message)
	}
	return err
}

// Set keeps value in the place of what was kept before. If it fails, that
// remains: with CodeTooLarge if all values of the connection together would
// have more than Limits.Values bytes, CodeAborted in a call that was begun
// under a former user, ErrClosed if the connection has ended, or because value
// has no JSON.
func (v *Value[T]) Set(ctx context.Context, c Conn, value T) error {
	data, err := encoded(func(buf []byte) ([]byte, error) { return v.model.Append(buf, value) })
	if err != nil {
		return err
	}
	return c.conn().setValue(ctx, v.name, data)
}

// Delete undoes Set. It is not an error if nothing was set.
func (v *Value[T]) Delete(ctx context.Context, c Conn) error {
	return c.conn().setValue(ctx, v.name, nil)
}

func (v *Value[T]) declared() declaration {
	if v == nil || v.name == "" {
		return declaration{what: "value", zero: true}
	}
	return declaration{what: "value", name: v.name, model: v.model}
}

// values are those of one connection.
type values struct {
	kept  map[string]keptValue
	bytes int // of names and JSON
}

type keptValue struct {
	data  []byte
	owned bool // set while somebody was signed in
}

// steady holds the session still, for what belongs to the user of this moment,
// until release is called. It fails inside of Admit and MaySubscribe, which
// hold it too, and in a call that was begun under a former user.
func (c *conn) steady(ctx context.Context) (release func(), err error) {
	if err := c.checkHook(ctx); err != nil {
		return nil, err
	}
	c.sessions.RLock()
	if x := callOf(ctx); x != nil && x.c == c && x.aborted.isSet() {
		c.sessions.RUnlock()
		return nil, errAborted
	}
	return c.sessions.RUnlock, nil
}

// getValue returns the JSON of a value, nil if there is none.
func (c *conn) getValue(ctx context.Context, name string) ([]byte, error) {
	release, err := c.steady(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	if v := c.visit(); v != nil {
		return v.getValue(name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rare().values == nil {
		return nil, nil
	}
	return c.rare().values.kept[name].data, nil
}

// setValue keeps the JSON of a value; nil forgets it.
func (c *conn) setValue(ctx context.Context, name string, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	release, err := c.steady(ctx)
	if err != nil {
		return err
	}
	defer release()
	if v := c.visit(); v != nil {
		return v.setValue(ctx, name, data)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase >= phaseEnded {
		return ErrClosed
	}
	if data == nil {
		c.forgetValue(name)
		return nil
	}
	bytes, limit := len(name)+len(data), c.def.limits.Values
	if c.rare().values != nil {
		bytes += c.rare().values.bytes
		if former, ok := c.rare().values.kept[name]; ok {
			bytes -= len(name) + len(former.data)
		}
	}
	if bytes > limit {
		return errTooManyValues(bytes, limit)
	}
	if c.rare().values == nil {
		c.ownRare().values = &values{kept: make(map[string]keptValue)}
	}
	c.rare().values.kept[name] = keptValue{data, c.current.Load() != nil}
	c.rare().values.bytes = bytes
	return nil
}

func errTooManyValues(bytes, limit int) error {
	return Errorf(CodeTooLarge, "the values kept with the connection would have %d bytes; the limit is %d", bytes, limit)
}

// forgetValue forgets one value; c.mu is held.
func (c *conn) forgetValue(name string) {
	if c.rare().values == nil {
		return
	}
	if former, ok := c.rare().values.kept[name]; ok {
		c.rare().values.bytes -= len(name) + len(former.data)
		delete(c.rare().values.kept, name)
	}
	if len(c.rare().values.kept) == 0 {
		c.ownRare().values = nil // its memory
	}
}

// forgetOwned forgets what belongs to the former user; c.sessions is held.
func (c *conn) forgetOwned() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rare().values == nil {
		return
	}
	for name, v := range c.rare().values.kept {
		if v.owned {
			c.forgetValue(name)
			if c.rare().values == nil {
				return
			}
		}
	}
}
