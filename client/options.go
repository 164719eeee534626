package client

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// Options are those of a connection. C is the generated type of the channel.
// The zero value is usable.
type Options[C any] struct {
	// Authenticate signs in. It runs on each connection before other calls are
	// sent, and again before the session ends. Calls that it makes with ctx are
	// sent at once; ctx ends with the connection. An *Error with
	// CodeUnauthenticated is a refusal: a second one in a row closes for good.
	// After any other error the client connects again.
	Authenticate func(ctx context.Context, chat C) error
	// Token returns a credential for the first frame of each connection.
	Token func(ctx context.Context) (string, error)
	// Setup runs before the client connects first: what it listens to misses
	// nothing. A call that it makes and waits for cannot end.
	Setup func(chat C)
	// Timeout is for calls whose context has no deadline. 0 is 10 s; less than 0
	// is none.
	Timeout time.Duration
	// Queue is how many calls wait while there is no connection. When there is
	// one more, the oldest fails with CodeUnavailable and OnDropped is told.
	// 0 is 64.
	Queue int
	// Transport is the only one that is used. The zero value is both: a
	// WebSocket, and server-sent events where something on the way lets no
	// WebSocket through.
	Transport Transport
	// HTTPClient makes the handshake, and the requests of server-sent events: its
	// Transport decides on TLS, proxies and how to dial, its Jar on cookies. Its
	// Timeout and CheckRedirect are not used. Nil is one with
	// http.DefaultTransport, which takes proxies from the environment.
	HTTPClient *http.Client
	// Header is sent with each of them.
	Header http.Header
	// ReadLimit is the largest message in bytes that the client takes. 0 is
	// 1 MiB: an event of 64 KiB and what stands around it.
	ReadLimit int
}

// Connect connects to a channel of the server at base, such as
// "wss://example.com". It returns at once: the connection is made in the
// background, and made again whenever it is lost, until Close or a code after
// which a client stays away. An error is one of the address or of the opening
// data, a value that marshals to a JSON object; nil is no data. Wrap makes the
// generated type.
func Connect[C any](spec Spec, base string, opening any, options Options[C], wrap func(*Conn) C) (C, error) {
	var none C
	url, header, err := spec.address(base, opening)
	if err != nil {
		return none, err
	}
	if t := options.Transport; t != "" && t != WebSocket && t != ServerSentEvents {
		return none, fmt.Errorf("client: Options.Transport: there is no %q", t)
	}
	for name, values := range options.Header {
		header[http.CanonicalHeaderKey(name)] = values
	}
	s := settings{
		token:   options.Token,
		timeout: cmp.Or(options.Timeout, 10*time.Second),
		queue:   cmp.Or(options.Queue, 64),
		random:  rand.Float64,
	}
	limit := cmp.Or(options.ReadLimit, 1<<20)
	if options.Transport != ServerSentEvents {
		s.webSocket = webSocketDialer(url, header, options.HTTPClient, limit)
		s.probe = webSocketProbe(url, header, options.HTTPClient)
	}
	if options.Transport != WebSocket {
		s.events = eventDialer(url, header, options.HTTPClient, limit)
	}
	c := newConn(spec, s)
	chat := wrap(c)
	if sign := options.Authenticate; sign != nil {
		c.settings.authenticate = func(ctx context.Context) error { return sign(ctx, chat) }
	}
	if options.Setup != nil {
		options.Setup(chat)
	}
	c.start()
	return chat, nil
}

// settings are options without the type of the channel.
type settings struct {
	authenticate func(ctx context.Context) error
	token        func(ctx context.Context) (string, error)
	timeout      time.Duration
	queue        int
	webSocket    dialer // nil if it is not to be used, as events
	events       dialer
	probe        func(ctx context.Context) bool // whether a WebSocket opens
	random       func() float64                 // from 0 to 1
}
