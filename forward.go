package kanava

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

var _ Forwarder = (*Server[None])(nil)

// Relay implements [Forwarder].
func (s *Server[Session]) Relay(f func(ctx context.Context, request []byte) (response []byte)) (name string) {
	k := s.c.hub.cluster
	if k == nil {
		return ""
	}
	return k.relay.serve(func(ctx context.Context, _ string, in jsontext.Value) (any, error) {
		var request []byte
		if err := json.Unmarshal(in, &request); err != nil {
			return nil, fmt.Errorf("a request that cannot be read: %w", err)
		}
		return f(ctx, request), nil
	})
}

// Forward implements [Forwarder].
func (s *Server[Session]) Forward(ctx context.Context, name string, request []byte) (response []byte, err error) {
	k := s.c.hub.cluster
	if k == nil {
		return nil, errNoNode
	}
	k.start()
	ctx, cancel := limited(ctx, engineTime)
	defer cancel()
	if !k.relay.knows(ctx, name) {
		return nil, errNoNode
	}
	var failed error
	_, err = k.relay.ask(ctx, relayPrefix+name, "forward", request, 1, func(out jsontext.Value, err error) bool {
		if failed = err; err == nil {
			failed = json.Unmarshal(out, &response)
		}
		return true
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return nil, unavailable(err, "the node of the connection has not answered")
	}
	return response, nil
}

var errNoNode = Errorf(CodeNotFound, "there is no such node")
