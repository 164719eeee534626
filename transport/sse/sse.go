// Package sse is the transport of Kanava for clients that cannot have a
// WebSocket: frames come down as server-sent events, messages go up by POST
// (docs/protocol.md section 7). It needs nothing but HTTP/1.1 or HTTP/2.
//
//	mux.Handle("/chat", ws.Handler(srv, ws.Options{Fallback: sse.Handler(srv, sse.Options{})}))
//
// It also stands alone. The handler matches the routes of the server's channels
// itself, so it may stand at one route, at several, or at "/".
package sse

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/httperr"
	"github.com/kanava-go/kanava/internal/openrequest"
)

// Options of a [Handler]. The zero value is right for most programs.
type Options struct {
	// Ping is how long a client may be told nothing before it is sent a sign of
	// life; the default is 25 s. A proxy in front must allow more silence than
	// that. A client of kanava.v1 says something as often: if nothing comes from
	// it for Ping and PongWait, by default 10 s, the connection is closed with
	// [kanava.CloseTimeout].
	Ping, PongWait time.Duration

	// WriteStall is how long a client that data waits for may take none of it;
	// the default is 30 s. Then the connection is cut, and OnDisconnect sees
	// [kanava.CloseSlowConsumer].
	WriteStall time.Duration
}

// withDefaults fills in what is zero. It panics if a number makes no sense.
func (o Options) withDefaults() Options {
	def := func(name string, p *time.Duration, d time.Duration) {
		switch {
		case *p < 0:
			panic(fmt.Sprintf("sse: Options.%s is negative", name))
		case *p == 0:
			*p = d
		}
	}
	def("Ping", &o.Ping, 25*time.Second)
	def("PongWait", &o.PongWait, 10*time.Second)
	def("WriteStall", &o.WriteStall, 30*time.Second)
	return o
}

// Handler returns the handler that opens channels of d for clients that read
// server-sent events, and takes what they say. A request that opens a channel
// lasts as long as the connection, whatever the WriteTimeout and ReadTimeout of
// the [http.Server]: shut down d first, and [http.Server.Shutdown] has nothing to
// wait for.
//
// What a client says has to reach the Handler that opened its connection: the
// program has one for each route, in one process.
func Handler(d kanava.Dispatcher, o Options) http.Handler {
	if d == nil {
		panic("sse: Handler has no Dispatcher")
	}
	kanava.Attach(d)
	h := &handler{d: d, o: o.withDefaults()}
	node := ""
	if f, ok := d.(kanava.Forwarder); ok {
		node = f.Relay(h.answerForwarded)
	}
	h.open = newRegister(node)
	return h
}

type handler struct {
	d         kanava.Dispatcher
	o         Options
	open      *register
	forwarded atomic.Int32 // requests that other nodes work on
}

const (
	fieldUp       = "Kanava-Up"       // the secret of the connection
	fieldSeq      = "Kanava-Seq"      // the number of a POST
	fieldProtocol = "Kanava-Protocol" // what Sec-WebSocket-Protocol is there
	allowed       = "GET, POST, OPTIONS"
	eventStream   = "text/event-stream"
)

// ServeHTTP tells the kinds of requests apart.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := allowRead(w, r); err != nil {
		httperr.Write(w, err)
		return
	}
	fromHere := h.allowPage(w, r)
	_, up := r.Header[fieldUp]
	switch {
	case r.Method == http.MethodOptions:
		preflight(w, r, fromHere)
	case r.Method == http.MethodPost && up:
		if fromHere != nil {
			httperr.Write(w, fromHere)
			return
		}
		h.serveUpstream(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		w.Header().Set("Allow", allowed)
		refuse(w, http.StatusMethodNotAllowed, "a channel is opened by GET or POST, and told something by POST")
	case r.Header.Get("Sec-Websocket-Key") != "":
		httperr.WriteStatus(w, http.StatusUpgradeRequired, kanava.Errorf(kanava.CodeFailedPrecondition,
			"the request is for a WebSocket, but has no Upgrade field any more, probably because of a proxy"))
	case !accepts(r):
		refuse(w, http.StatusNotAcceptable, "a channel is opened with the field Accept: "+eventStream)
	case r.Method == http.MethodGet && r.ContentLength != 0:
		refuse(w, http.StatusBadRequest, "a GET has no body")
	case r.Method == http.MethodPost && len(r.Header[fieldProtocol]) == 0:
		refuse(w, http.StatusBadRequest, "a POST has the field "+fieldProtocol+", which opens a channel, or "+fieldUp+", which speaks to an open one")
	case r.Method == http.MethodPost && mediaType(r) != typeJSON:
		refuse(w, http.StatusUnsupportedMediaType, "a hello is "+typeJSON)
	default:
		h.serveStream(w, r)
	}
}

// refuse answers a request that is not one for this handler.
func refuse(w http.ResponseWriter, status int, text string) {
	httperr.WriteStatus(w, status, kanava.Errorf(kanava.CodeInvalidArgument, "%s", text))
}

// accepts reports whether the client asks for server-sent events by name: what
// takes anything, as a browser that is pointed at the address, is not one that
// waits for them.
func accepts(r *http.Request) bool {
	for t := range openrequest.List(r.Header["Accept"]) {
		if name, _ := mediaTypeOf(t); name == eventStream {
			return true
		}
	}
	return false
}
