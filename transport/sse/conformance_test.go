package sse_test

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/sse"
	"github.com/kanava-go/kanava/transport/transporttest"
)

// omitted are the vectors that this transport cannot carry.
var omitted = map[string]string{
	"needs rfc6455":                    "there are no bytes of WebSocket frames",
	"needs rfc7692":                    "there are no extensions of WebSocket either",
	"P5 white space around everything": "a message is one line, and this one has several",
	"§6 malformed JSON: a control character in a string, on /main": "the character is a line feed, which ends a message",
	"§6 OnDisconnect sees the code and the reason of the client":   "a client ends its request, without a code",
	"§6 OnDisconnect sees a client that leaves":                    "the same: it sees 1006, as of a client that is lost",
	"§6 OnDisconnect runs once":                                    "the same; OnDisconnect runs once, after the functions, in the behaviours",
	"P3 nothing is sent before the hello":                          "the hello is the body of the request, and comes first",
}

// TestConformance runs the suite of the transports over the loopback interface.
func TestConformance(t *testing.T) {
	for name, start := range map[string]func(*httptest.Server){
		"http1": (*httptest.Server).Start,
		"http2": func(srv *httptest.Server) {
			srv.EnableHTTP2 = true
			srv.StartTLS()
		},
	} {
		t.Run(name, func(t *testing.T) {
			transporttest.Run(t, transporttest.Transport{Serve: serve(start), Omit: omitted, NoClientCodes: true, NoReasons: true})
		})
	}
}

func serve(start func(*httptest.Server)) func(testing.TB, kanava.Dispatcher) transporttest.Dial {
	return func(tb testing.TB, d kanava.Dispatcher) transporttest.Dial {
		tb.Helper()
		srv := httptest.NewUnstartedServer(sse.Handler(d, sse.Options{}))
		start(srv)
		tb.Cleanup(srv.Close)
		return func(ctx context.Context, r transporttest.Request) (transporttest.Client, error) {
			c, err := dial(ctx, srv, r)
			if err != nil {
				return nil, err
			}
			return c, nil
		}
	}
}
