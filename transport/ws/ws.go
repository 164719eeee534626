// Package ws is the WebSocket transport of Kanava (RFC 6455, over HTTP/1.1).
//
//	mux.Handle("/chat", ws.Handler(srv, ws.Options{}))
//
// The handler matches the routes of the server's channels itself, so it may
// stand at one route, at several, or at "/".
package ws

import (
	"fmt"
	"net/http"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/wsframe"
)

// Options of a [Handler]. The zero value is right for most programs.
type Options struct {
	// Fallback answers requests that are not WebSocket upgrades, which lets
	// another transport share the route. The default answers 426.
	Fallback http.Handler

	// Ping is how long a client may be silent before it is sent a ping; the
	// default is 25 s. A proxy in front must allow more than that. If nothing
	// at all comes from the client for another PongWait, by default 10 s, the
	// connection is closed with [kanava.CloseTimeout].
	Ping, PongWait time.Duration

	// WriteStall is how long a client that data waits for may take none of it;
	// the default is 30 s. Then the connection is cut, and OnDisconnect
	// sees [kanava.CloseSlowConsumer].
	WriteStall time.Duration

	// Compress agrees to permessage-deflate (RFC 7692) with clients that offer
	// it, as browsers do. It saves two thirds of a kilobyte of JSON, and about
	// doubles what its echo costs the server. Each message is compressed by
	// itself, so that a connection needs no memory for it between two messages,
	// and an event is compressed once for all who receive it. Leave it off where
	// a message has both a secret and text that an attacker can choose: its size
	// tells whether the two are alike.
	Compress bool

	// CompressMin is the size in bytes from which messages are compressed; the
	// default is 512. Smaller ones hardly get smaller.
	CompressMin int

	// CompressLevel is from 1, the fastest, to 9, which makes the smallest
	// messages. The default is about as fast as 1, and needs 0.3 MB for each
	// processor that compresses; the others need about 1 MB. Handlers of one server
	// should use the same: an event that was compressed for a connection of one
	// goes out as it is to those of the others.
	CompressLevel int
}

// withDefaults fills in what is zero. It panics if a number makes no sense.
func (o Options) withDefaults() Options {
	def := func(name string, p *time.Duration, d time.Duration) {
		switch {
		case *p < 0:
			panic(fmt.Sprintf("ws: Options.%s is negative", name))
		case *p == 0:
			*p = d
		}
	}
	def("Ping", &o.Ping, 25*time.Second)
	def("PongWait", &o.PongWait, 10*time.Second)
	def("WriteStall", &o.WriteStall, 30*time.Second)
	switch {
	case o.CompressMin < 0:
		panic("ws: Options.CompressMin is negative")
	case o.CompressLevel < 0 || o.CompressLevel > wsframe.MaxLevel:
		panic(fmt.Sprintf("ws: Options.CompressLevel is not 0 to %d", wsframe.MaxLevel))
	case o.CompressMin == 0:
		o.CompressMin = 512
	}
	return o
}

// Handler returns the handler that opens channels of d for WebSocket clients.
// It returns from a request once the client is connected; the connection lives
// on until the client or the program ends it, or the server is shut down.
// [http.Server.Shutdown] does not know of it.
//
// Requests of HTTP/2 cannot become WebSocket connections here. Browsers use
// HTTP/1.1 for them by themselves.
//
// Header fields that handlers around this one have set, such as Set-Cookie, go
// out with the response.
func Handler(d kanava.Dispatcher, o Options) http.Handler {
	if d == nil {
		panic("ws: Handler has no Dispatcher")
	}
	kanava.Attach(d)
	return newHandler(d, o)
}

type handler struct {
	d       kanava.Dispatcher
	o       Options
	deflate wsframe.Deflate // nil: nothing is compressed
	stream  bool            // all connections are streamed, for tests
}

func newHandler(d kanava.Dispatcher, o Options) *handler {
	h := &handler{d: d, o: o.withDefaults()}
	if o.Compress {
		h.deflate = wsframe.NewDeflate(o.CompressLevel)
	}
	return h
}
