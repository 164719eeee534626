package kanava

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/kanava-go/kanava/internal/typemodel"
)

// This file reaches connections of other nodes: by their ids, or all of a user.
// Nobody keeps who is where: the nodes are asked.

// farTarget is what one node asks of the connections of others.
type farTarget struct {
	ID     string         `json:"id,omitzero"`   // of one connection
	User   string         `json:"user,omitzero"` // or whose connections
	Code   CloseCode      `json:"code,omitzero"`
	Reason string         `json:"reason,omitzero"`
	Name   string         `json:"name,omitzero"` // of a push, or a client function
	Value  jsontext.Value `json:"v,omitzero"`
	Binary []byte         `json:"b64,omitempty"` // in place of Value
}

// farReached is how many connections a node has found.
type farReached struct {
	N   int            `json:"n"`
	Out jsontext.Value `json:"out,omitzero"` // of a client function
}

// reachesFar reports whether there can be connections that are not of this process.
func (s *core) reachesFar() bool { return s.hub.cluster != nil || len(s.hub.stateless.all()) > 0 }

// everywhere asks the connections of Stores and of other nodes, adds up what was
// reached, and returns the first error. Where one is enough it does not wait for the
// rest.
func (s *core) everywhere(ctx context.Context, do string, t farTarget, one bool, wait time.Duration) (sum farReached, err error) {
	for _, rt := range s.hub.stateless.all() {
		r, failed := rt.reach(ctx, do, t)
		sum.N += r.N
		if err == nil {
			err = failed
		}
	}
	if one && sum.N > 0 {
		return sum, err
	}
	nodes, failed := s.askNodes(ctx, do, t, one, wait)
	if err == nil {
		err = failed
	}
	return farReached{sum.N + nodes.N, nodes.Out}, err
}

// askNodes is everywhere for the other nodes.
func (s *core) askNodes(ctx context.Context, do string, t farTarget, one bool, wait time.Duration) (sum farReached, err error) {
	k := s.hub.cluster
	if k == nil {
		return sum, nil
	}
	k.start()
	ctx, cancel := limited(ctx, wait)
	defer cancel()
	others, err := k.relay.others(ctx)
	if err != nil {
		return sum, unavailable(err, "other nodes were not asked")
	}
	if others == 0 {
		return sum, nil
	}
	if k.guest.isSet() {
		stop, err := k.relay.listen(ctx)
		if err != nil {
			return sum, unavailable(err, "other nodes were not asked")
		}
		defer stop()
	}
	var first error
	silent, err := k.relay.ask(ctx, relayAll, do, t, others, func(out jsontext.Value, err error) (done bool) {
		var r farReached
		if err == nil && out != nil {
			err = json.Unmarshal(out, &r)
		}
		if sum.N += r.N; r.N > 0 {
			sum.Out = r.Out
		}
		if first == nil {
			first = err
		}
		return one && (r.N > 0 || err != nil)
	})
	switch {
	case first != nil:
		return sum, first
	case err != nil && silent < others && errors.Is(err, context.DeadlineExceeded):
		return sum, Errorf(CodeUnavailable, "%d of %d other nodes did not answer", silent, others).Because(err)
	case err != nil:
		return sum, unavailable(err, "other nodes have not answered")
	}
	return sum, nil
}

// answerConns does what another node asks of the connections here.
func (k *cluster) answerConns(ctx context.Context, do string, in jsontext.Value) (any, error) {
	var t farTarget
	if err := json.Unmarshal(in, &t); err != nil {
		return nil, fmt.Errorf("a request that cannot be read: %w", err)
	}
	var found []*conn
	if t.ID != "" {
		if c := k.hub.homes.find(t.ID); c != nil {
			found = append(found, c)
		}
	} else {
		for _, home := range k.hub.homes.all() {
			found = append(found, home.ofUser(t.User)...)
		}
	}
	var sum farReached
	for _, c := range found {
		r, err := c.answerFar(ctx, do, t)
		if sum.N += r.N; r.Out != nil {
			sum.Out = r.Out
		}
		if err != nil {
			return sum, err
		}
	}
	return sum, nil
}

// answerFar does what another process asks of the connection.
func (c *conn) answerFar(ctx context.Context, do string, t farTarget) (r farReached, err error) {
	if !c.isLive() {
		return r, nil
	}
	switch do {
	case "close":
		if !t.Code.sendable() {
			return r, Errorf(CodeInvalidArgument, "no program may send this code")
		}
		return farReached{N: 1}, c.close(ctx, t.Code, t.Reason)
	case "push":
		took, err := c.pushFar(ctx, t)
		if took {
			r.N = 1
		}
		if errors.Is(err, ErrClosed) {
			err = nil
		}
		return r, err
	case "call":
		if !c.form.Envelope() {
			return r, errNotCallable()
		}
		out, err := c.ask(ctx, t.Name, t.Value, reflect.TypeFor[jsontext.Value](), rawModel)
		if errors.Is(err, ErrClosed) {
			err = Errorf(CodeNotFound, "the connection has ended")
		}
		if err != nil {
			return r, err
		}
		return farReached{1, out}, nil
	}
	return r, Errorf(CodeUnimplemented, "this node does not know how to %q", do)
}

// rawModel is that of JSON which is sent on as it is.
var rawModel = func() *typemodel.Model {
	m, err := typemodel.Of(reflect.TypeFor[jsontext.Value](), typemodel.Output)
	if err != nil {
		panic(err)
	}
	return m
}()

// pushFar pushes what another node has sent. Outgoing middleware sees the type
// that the channel declares for the push.
func (c *conn) pushFar(ctx context.Context, t farTarget) (took bool, err error) {
	if t.Binary != nil {
		return c.pushed(ctx, t.Name, t.Binary, nil)
	}
	if c.def.send == nil {
		return c.pushed(ctx, t.Name, t.Value, rawModel)
	}
	for _, v := range c.def.declares {
		if p := v.declared(); p.decode != nil && p.name == t.Name {
			v, err := p.decode(t.Value)
			if err != nil {
				return false, fmt.Errorf("push %q of another node: %w", t.Name, err)
			}
			return c.pushed(ctx, t.Name, v, p.model)
		}
	}
	return false, Errorf(CodeFailedPrecondition, "push %q reaches other nodes only on channels that declare it, as outgoing middleware wants to see its type", t.Name)
}
