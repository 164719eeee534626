package kanava_test

import (
	"context"
	"testing"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/engine/memory"
	"github.com/kanava-go/kanava/transport/transporttest"
)

// statelessServer is a server, whatever its session.
type statelessServer interface {
	kanava.Dispatcher
	Stateless(opts kanava.StatelessOptions) *kanava.Stateless
}

// newGateway makes a gateway in front of processes.
func newGateway(tb testing.TB, store engine.Store, change func(*kanava.StatelessOptions), processes ...statelessServer) *transporttest.Gateway {
	opts := kanava.StatelessOptions{Store: store, TellsConnected: true}
	if change != nil {
		change(&opts)
	}
	g := transporttest.NewGateway(tb, !opts.TellsConnected)
	opts.Platform = g
	for _, p := range processes {
		g.Add(p.Stateless(opts))
	}
	return g
}

// TestStatelessParity runs the suite of the transports where no process lives as
// long as a connection.
func TestStatelessParity(t *testing.T) {
	transporttest.Run(t, transporttest.Transport{
		Serve: func(tb testing.TB, d kanava.Dispatcher) transporttest.Dial {
			g := newGateway(tb, memory.NewStore(), nil, d.(statelessServer))
			return func(ctx context.Context, r transporttest.Request) (transporttest.Client, error) {
				return g.Dial(ctx, r)
			}
		},
		Stateless: true,
		Omit: map[string]string{
			"needs rfc6455": "messages are handed over as they are: there are no bytes of frames, and no header of subprotocols",
			"needs rfc7692": "there are no extensions either",
		},
	})
}
