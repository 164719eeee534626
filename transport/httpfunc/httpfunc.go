// Package httpfunc serves the functions that a server has wired to HTTP with
// [kanava.Server.WireHTTP]: JSON in, JSON out, and streams as server-sent
// events.
//
//	srv.WireHTTP("POST /jobs", start)
//	srv.WireHTTP("GET /jobs/{id}/events", watch)
//	mux.Handle("/", httpfunc.Handler(srv, httpfunc.Options{}))
//
// The handler matches the patterns of the server itself, so it may stand at
// each of them or at "/". docs/protocol.md P22 says what requests and responses
// look like.
package httpfunc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/internal/httperr"
	"github.com/kanava-go/kanava/internal/openrequest"
)

// Options of a [Handler]. The zero value is right for most programs.
type Options struct {
	// Fallback answers requests that no function takes, and those of a channel's
	// clients that use server-sent events: so a channel's route may be a
	// function's path too. The default answers 404, or 405 where another method
	// would do.
	Fallback http.Handler

	// BodyTime is how long a client may take to send the body of its request;
	// the default is 15 s.
	BodyTime time.Duration

	// KeepAlive is how long a stream may be silent before a comment is sent; the
	// default is 25 s. A proxy in front must allow more than that.
	KeepAlive time.Duration

	// WriteStall is how long the client of a stream may take none of what waits
	// for it; the default is 30 s. Then the connection is cut, and the function's
	// context ends.
	WriteStall time.Duration
}

// withDefaults fills in what is zero. It panics if a time makes no sense.
func (o Options) withDefaults() Options {
	def := func(name string, p *time.Duration, d time.Duration) {
		switch {
		case *p < 0:
			panic(fmt.Sprintf("httpfunc: Options.%s is negative", name))
		case *p == 0:
			*p = d
		}
	}
	def("BodyTime", &o.BodyTime, 15*time.Second)
	def("KeepAlive", &o.KeepAlive, 25*time.Second)
	def("WriteStall", &o.WriteStall, 30*time.Second)
	return o
}

// Handler returns the handler that serves the functions of d.
//
// The context of a function comes from that of the request: what handlers
// around this one have put there is there, and it ends when the client leaves.
func Handler(d kanava.HTTPDispatcher, o Options) http.Handler {
	if d == nil {
		panic("httpfunc: Handler has no HTTPDispatcher")
	}
	kanava.Attach(d)
	return &handler{d, o.withDefaults()}
}

type handler struct {
	d kanava.HTTPDispatcher
	o Options
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.o.Fallback != nil && (r.Header.Get("Kanava-Up") != "" || r.Header.Get("Kanava-Protocol") != "") {
		h.o.Fallback.ServeHTTP(w, r)
		return
	}
	req := openrequest.From(r)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	cut := true // by the program's own code, if it ends this goroutine
	defer func() {
		if cut {
			if r.ProtoMajor == 1 {
				w.Header().Set("Connection", "close") // as net/http does behind this goroutine: the client is not to use it again
			}
			httperr.Write(w, errCut)
			_ = http.NewResponseController(w).Flush()
		}
	}()
	call, err := h.d.OpenHTTP(ctx, r.Method, req)
	if err != nil {
		cut = false
		h.refuse(w, r, req, err)
		return
	}
	defer call.End()
	share(w, r)
	w.Header().Set("Cache-Control", "no-store")
	if call.Stream() && !takesEvents(r) {
		cut = false
		refuseStatus(w, r, http.StatusNotAcceptable, "this answers with text/event-stream only")
		return
	}
	body, ok := h.body(w, r, call)
	switch {
	case !ok:
	case call.Stream():
		h.stream(w, r, call, cancel, body)
	default:
		answer(w, call, body)
	}
	cut = false
}

// errCut is what a client is told whose function has called runtime.Goexit.
var errCut = kanava.Errorf(kanava.CodeInternal, "internal error")

// refuse answers a request for which there is no call.
func (h *handler) refuse(w http.ResponseWriter, r *http.Request, req *kanava.OpenRequest, err error) {
	var e *kanava.Error
	if errors.As(err, &e) && e.Code == kanava.CodeNotFound {
		switch methods := h.d.HTTPMethods(req); {
		case slices.Contains(methods, r.Method): // the program says so
		case h.o.Fallback != nil && (r.Method != http.MethodOptions || len(methods) == 0):
			h.o.Fallback.ServeHTTP(w, r)
			return
		case len(methods) > 0:
			h.otherMethod(w, r, req, methods)
			return
		}
	}
	if h.d.CheckOrigin(req) == nil {
		share(w, r)
	}
	leaveBody(w, r)
	httperr.Write(w, err)
}

// otherMethod answers a request for a function's path with a method that is not
// wired.
func (h *handler) otherMethod(w http.ResponseWriter, r *http.Request, req *kanava.OpenRequest, methods []string) {
	allow := strings.Join(append(methods, http.MethodOptions), ", ")
	if err := h.d.CheckOrigin(req); err != nil {
		leaveBody(w, r)
		httperr.Write(w, err)
		return
	}
	share(w, r)
	w.Header().Set("Allow", allow)
	if r.Method != http.MethodOptions {
		refuseStatus(w, r, http.StatusMethodNotAllowed, "this path takes "+allow)
		return
	}
	if r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != "" {
		head := w.Header()
		head.Set("Access-Control-Allow-Methods", allow)
		head.Set("Access-Control-Max-Age", "600")
		if asked := r.Header.Values("Access-Control-Request-Headers"); len(asked) > 0 {
			head.Set("Access-Control-Allow-Headers", strings.Join(asked, ", "))
		}
	}
	leaveBody(w, r)
	w.WriteHeader(http.StatusNoContent)
}

// share lets the page that the request comes from, whose origin was checked,
// read the response.
func share(w http.ResponseWriter, r *http.Request) {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return
	}
	head := w.Header()
	head.Set("Access-Control-Allow-Origin", origin)
	head.Set("Access-Control-Allow-Credentials", "true")
	head.Set("Access-Control-Expose-Headers", "Retry-After")
	head.Add("Vary", "Origin")
}

// answer runs a function that is not a stream.
func answer(w http.ResponseWriter, call *kanava.HTTPCall, body []byte) {
	result, err := call.Run(body, nil)
	switch {
	case err != nil:
		httperr.Write(w, err)
	case result == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		head := w.Header()
		head.Set("Content-Type", "application/json")
		head.Set("Content-Length", strconv.Itoa(len(result)))
		head.Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(result) // the client may have gone
	}
}

func refuseStatus(w http.ResponseWriter, r *http.Request, status int, text string) {
	leaveBody(w, r)
	httperr.WriteStatus(w, status, kanava.Errorf(kanava.CodeInvalidArgument, "%s", text))
}
