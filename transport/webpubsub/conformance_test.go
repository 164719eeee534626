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
	unread = "the service takes what a client does not read"
	apart  = "the end of a connection is an event of its own, which can meet another process than functions that still run"
	codes  = "the service does not tell the code of a client"
	over   = "the connections are the service's: they go on when a process ends"
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
			"needs process": "each message may meet another process",
			"D8 middleware changes and drops what is recovered":                        "an event that is on its way while a client subscribes comes once more: D5 drops it",
			"P14 a full connection is not read until there is room":                    unread,
			"P14 a client that sends faster than it reads is slowed down":              unread,
			"D11 a client that never reads is closed and costs the others nothing":     unread,
			"D11 a client that never reads loses Volatile events only":                 unread,
			"D11 a client that never reads gets the newest Latest event":               unread,
			"D11 a client that never reads gets on with a Recoverable topic":           unread,
			"P12 a stream waits for its client and ends with it":                       unread,
			"P12 a stream goes on when its client reads again":                         unread,
			"P16 contexts end with the connection":                                     apart,
			"§5 OnDisconnect runs once, after the functions":                           apart,
			"§5 a close of the server is seen by OnDisconnect":                         "it closes a channel that was kept beyond its call",
			"§5 every OnConnect has an OnDisconnect, also while the server shuts down": over,
			"§5 shutdown lets functions finish and tells clients to come back":         over,
			"§5 shutdown does not wait longer than it may":                             over,
			"S5 a connection is closed some time after its session has expired":        "no timer runs between events: it is closed at the next one, or when something is to be sent",
			"§9 connections from one address are bounded":                              "the service does not tell addresses",
			"§9 a channel has limits of its own":                                       "the code is the service's",
			"P2 opening data: a query that is no UTF-8":                                "the service tells the query in JSON",
			"§6 OnDisconnect sees the code and the reason of the client":               codes,
			"§6 OnDisconnect sees a client that leaves":                                codes,
			"§6 OnDisconnect runs once":                                                codes,
			"needs rfc6455":                                                            "messages are handed over as they are: there are no bytes of frames, and no header of subprotocols",
			"needs rfc7692":                                                            "there are no extensions either",
		},
	})
}
