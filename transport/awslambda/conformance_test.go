package awslambda_test

import (
	"context"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/transport/awslambda"
	"github.com/kanava-go/kanava/transport/transporttest"
)

// Why it cannot be shown so.
const (
	text     = "messages are text: the gateway refuses bytes, and clients of kanava.v1 are sent theirs in base64"
	code     = "the gateway chooses the code of a close; only clients of kanava.v1 are told ours before"
	refusing = "OnConnect runs before the client is accepted: its error refuses the client, with a status"
)

// omitted is what the platform cannot carry.
var omitted = map[string]string{
	"needs rfc6455": "there are no bytes of frames: the gateway speaks WebSocket",
	"needs rfc7692": "there are no extensions either",

	"P6 a binary frame goes to OnBinary and back":                                     text,
	"P6 an empty binary frame is a message too":                                       text,
	"P6 bytes that look like JSON are bytes":                                          text,
	"P6 bytes that are no UTF-8":                                                      text,
	"P6 an error of OnBinary has no action":                                           text,
	"P6 no OnBinary":                                                                  text,
	"P6 text and binary in order":                                                     text,
	"P6 bytes sent by a function come before its reply":                               text,
	"§2 a binary event is one binary frame":                                           text,
	"P12 calls run in the order sent":                                                 text,
	"P12 calls of an envelope run in the order sent":                                  text,
	"P6 binary frames are for OnBinary":                                               text,
	"P6 an error of OnBinary belongs to no id":                                        text,
	"P6 bytes without OnBinary":                                                       text,
	"§3 bytes that the server sends are a binary frame":                               text,
	"§9 frames over the rate are refused, calls with their ids, and close in the end": text,
	"P10 bytes in place of a hello":                                                   text,

	"V2 a form of the future alone":                                  code,
	"§6 a function closes: its reply goes out first":                 code,
	"§6 a function closes with a code after which clients reconnect": code,
	"§6 what was sent before the close goes out first":               code,
	"§6 messages behind the one that closes are not answered":        code,
	"§6 other clients stay":                                          code,
	"§9 a message of 64 KiB and one byte":                            code,
	"§9 a channel has limits of its own":                             code,

	"P12 what comes during OnConnect waits for it":                                refusing,
	"§6 OnConnect fails with unauthenticated: an error frame, then the close":     refusing,
	"§6 OnConnect fails with permission_denied: an error frame, then the close":   refusing,
	"§6 OnConnect fails with resource_exhausted: an error frame, then the close":  refusing,
	"§6 OnConnect fails with unavailable: an error frame, then the close":         refusing,
	"§6 OnConnect fails with invalid_argument: an error frame, then the close":    refusing,
	"§6 OnConnect fails with not_found: an error frame, then the close":           refusing,
	"§6 OnConnect fails with aborted: an error frame, then the close":             refusing,
	"§6 OnConnect fails with already_exists: an error frame, then the close":      refusing,
	"§6 OnConnect fails with failed_precondition: an error frame, then the close": refusing,
	"§6 OnConnect fails with too_large: an error frame, then the close":           refusing,
	"§6 OnConnect fails with canceled: an error frame, then the close":            refusing,
	"§6 OnConnect fails with x_closed_today: an error frame, then the close":      refusing,
	"§6 OnConnect fails with internal: an error frame, then the close":            refusing,
	"§6 OnConnect fails with unimplemented: an error frame, then the close":       refusing,
	"§6 OnConnect fails with deadline_exceeded: an error frame, then the close":   refusing,
	"§6 OnConnect fails with any other error":                                     refusing,
	"§6 OnConnect panics": refusing,
	"§6 messages sent before OnConnect failed are not answered": refusing,
	"§6 OnConnect closes: its result goes out first":            refusing,
	"§6 OnConnect fails and says when to come back":             refusing,
	"§6 OnConnect is unavailable and says when to come back":    refusing,
	"P16 OnConnect without the session that it needs":           refusing,
	"P16 OnConnect without the permission that it needs":        refusing,
	"§6 OnConnect that closes has its result sent":              refusing,

	"P3 wrong opening data is told by frames and a close":                   "nothing can be sent before the client has said hello, which this one does not",
	"P2 opening data: a query that is no UTF-8":                             "events are JSON: there is no such text in them",
	"D6 a page ends where it has 64 KiB":                                    "it ends where it has 32,000 bytes",
	"D13 a publisher among a hundred subscribers loses and doubles nothing": "AWS's client takes some 0.4 ms of a processor to sign a call: these are 40,000; the suite of the core does it without",
	"D1 positions grow by one, in one order for all":                        "a client has what it publishes itself before what another event of the gateway is still sending: section 4, serverless",
}

// TestConformance runs the suite of the transports.
func TestConformance(t *testing.T) {
	transporttest.Run(t, transporttest.Transport{
		Serve: func(tb testing.TB, d kanava.Dispatcher) transporttest.Dial {
			tb.Helper()
			w := newWorld(tb, d.(awslambda.Server), func(o *awslambda.Options) {
				o.Path = func(ev *events.APIGatewayWebsocketProxyRequest) string { return ev.MultiValueHeaders["X-Path"][0] }
			})
			return func(_ context.Context, r transporttest.Request) (transporttest.Client, error) {
				c, err := w.dial(r)
				if err != nil {
					return nil, err
				}
				return c, nil
			}
		},
		Omit:      omitted,
		NoReasons: true,
		Stateless: true,
		MaxFrame:  32_000,
	})
}
