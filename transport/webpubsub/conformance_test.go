package webpubsub_test

import (
	"context"
	"testing"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/transporttest"
	"github.com/kanava-go/kanava/transport/webpubsub"
)

// Why some things cannot be seen where the service holds the client.
const (
	codes = "the service does not tell the code of a client"
)

// TestConformance runs the suite of the transports.
func TestConformance(t *testing.T) {
	transporttest.Run(t, transporttest.Transport{
		Serve: func(tb testing.TB, d kanava.Dispatcher) transporttest.Dial {
			tb.Helper()
			w := newWorld(tb, d.(webpubsub.Server))
			return func(_ context.Context, r transporttest.Request) (transporttest.Client, error) {
				c, err := w.dial(r)
				if err != nil {
					return nil, err
				}
				return c, nil
			}
		},
		Stateless:     true,
		NoClientCodes: true,
		NoPlainCodes:  true,
		Omit: map[string]string{
			"§9 a channel has limits of its own":                         "the code is the service's",
			"P2 opening data: a query that is no UTF-8":                  "the service tells the query in JSON",
			"§6 OnDisconnect sees the code and the reason of the client": codes,
			"§6 OnDisconnect sees a client that leaves":                  codes,
			"§6 OnDisconnect runs once":                                  codes,
			"needs rfc6455":                                              "messages are handed over as they are: there are no bytes of frames, and no header of subprotocols",
			"needs rfc7692":                                              "there are no extensions either",
		},
	})
}
