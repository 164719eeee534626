package kanava

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/kanava-go/kanava/internal/jsonscan"
)

// This file is the way of a call over HTTP: origin, limits, authentication and
// permissions when it is opened, then what dispatch.go and reply.go do with a
// message of a connection.

// HTTPDispatcher is what a transport drives that serves functions over HTTP.
// *Server is the one implementation.
type HTTPDispatcher interface {
	Dispatcher

	// OpenHTTP finds the function that is wired to the method and req.URL, checks
	// the origin and the limits, and authenticates. An error is always an *Error
	// with a text for the client: CodeNotFound where no function is wired, and
	// HTTPMethods tells whether another method would do. Otherwise the call is
	// ended with HTTPCall.End. It may call the program's own functions, and so
	// may block. ctx is the context of the request: it ends when the client has
	// left, and the function's ends with it.
	OpenHTTP(ctx context.Context, method string, req *OpenRequest) (*HTTPCall, error)

	// HTTPMethods returns the methods that are wired for req.URL, sorted.
	HTTPMethods(req *OpenRequest) []string
}

var _ HTTPDispatcher = (*Server[None])(nil)

// OpenHTTP implements [HTTPDispatcher].
func (s *Server[Session]) OpenHTTP(ctx context.Context, method string, req *OpenRequest) (*HTTPCall, error) {
	return s.c.openHTTP(ctx, method, req)
}

// HTTPMethods implements [HTTPDispatcher].
func (s *Server[Session]) HTTPMethods(req *OpenRequest) []string { return s.c.httpMethods(req) }

// CheckOrigin implements [Dispatcher].
func (s *Server[Session]) CheckOrigin(req *OpenRequest) error { return s.c.checkOrigin(req) }

// HTTPCall is one call of a function over HTTP.
type HTTPCall struct {
	core    *core
	f       *httpFunc
	source  openSource
	session *session        // nil: nobody has signed in
	ctx     context.Context //nolint:containedctx // of the call
	cancel  context.CancelCauseFunc
	send    func(ctx context.Context, item []byte) error
	stream  *streamEnd // of stream functions

	caller  *user      // nil: it is not counted by who calls
	counted *addresses // guarded by core.mu
}

func (s *core) httpMethods(req *OpenRequest) []string {
	s.wiringMu.RLock()
	defer s.wiringMu.RUnlock()
	var methods []string
	for method := range httpMethods {
		if matchIn(s.httpMux, method, req).http == nil {
			continue
		}
		methods = append(methods, method)
		if method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	slices.Sort(methods)
	return methods
}

func (s *core) openHTTP(ctx context.Context, method string, req *OpenRequest) (x *HTTPCall, err error) {
	s.wiringMu.RLock()
	m := matchIn(s.httpMux, method, req)
	s.wiringMu.RUnlock()
	if m.http == nil {
		return nil, Errorf(CodeNotFound, "no function has this path")
	}
	x = &HTTPCall{core: s, f: m.http, source: openSource{m, req, nil}}
	x.ctx, x.cancel = context.WithCancelCause(ctx)
	opening, stop := context.WithTimeout(x.ctx, s.limits.OpenTime)
	defer stop()
	opened := false
	defer func() {
		if p := recover(); p != nil {
			s.logger.Error("opening a call panicked", x.attrs("panic", p, "stack", string(debug.Stack()))...)
			err = errInternal
		}
		if opened {
			return
		}
		if err == nil { // Authenticate ends the goroutine
			err = errInternal
		}
		x.End()
		e := openError(opening, err)
		s.observer.OpenRefused(x.f.pattern(), e)
		s.logger.Debug("call refused", x.attrs("error", e)...)
		x, err = nil, e
	}()
	if err := s.checkOrigin(req); err != nil {
		return x, err
	}
	if err := s.checkSite(method, req); err != nil {
		return x, err
	}
	err = x.enter(opening, req)
	opened = err == nil
	return x, err
}

// enter counts the call, authenticates it and asks whether it may be made.
func (x *HTTPCall) enter(ctx context.Context, req *OpenRequest) error {
	s := x.core
	if e := s.addCall(x); e != nil {
		return e
	}
	counted, e := s.enterAddress(nil, req.RemoteAddr)
	if e != nil {
		return e
	}
	x.counted = counted
	if s.authenticate != nil {
		value, err := s.signIn(ctx, req)
		if err != nil {
			return err
		}
		if value != nil {
			x.session = &session{value: value, id: s.identify(value)}
		}
	}
	for _, check := range []func() *Error{func() *Error { return x.count(req.RemoteAddr) }, x.meter, x.permit} {
		if e := check(); e != nil {
			return e
		}
	}
	return nil
}

// checkSite refuses what a page of another site makes a browser ask for without
// telling its origin, such as an image. A link that is followed is let in.
func (s *core) checkSite(method string, req *OpenRequest) error {
	if len(req.Header.Values("Origin")) > 0 { // which was checked
		return nil
	}
	site := req.Header.Get("Sec-Fetch-Site")
	link := req.Header.Get("Sec-Fetch-Mode") == "navigate" && (method == http.MethodGet || method == http.MethodHead)
	if site == "" || site == "none" || site == "same-origin" || link || slices.Contains(s.origins, origin{any: true}) {
		return nil
	}
	return Errorf(CodePermissionDenied, "pages of other sites may not call")
}

// addCall makes a call known, unless the server shuts down.
func (s *core) addCall(x *HTTPCall) *Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return s.unavailable()
	}
	s.calls[x] = struct{}{}
	return nil
}

// errCut is why calls end for which a shutdown has no time left.
var errCut = errors.New("the server has shut down")

// cutCalls ends what still runs.
func (s *core) cutCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := range s.calls {
		x.cancel(errCut)
	}
}

// maxStrangers is how many addresses without a user are told apart.
const maxStrangers = 1 << 16

// count counts the call among those of its user, or of its address where that
// has a rate.
func (x *HTTPCall) count(remote string) *Error {
	s, who := x.core, caller{id: userOf(x.session)}
	if who.id == "" {
		if s.limits.AddressConns == 0 && x.f.opts.rate == (Rate{}) {
			return nil
		}
		who.from = addressOf(remote)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if who.id == "" && s.users[who] == nil && len(s.users) >= maxStrangers {
		who = caller{} // they are all one
	}
	u := s.user(who)
	if who.id != "" && len(u.conns)+u.calls >= s.limits.UserConns {
		return Errorf(CodeResourceExhausted, "too many connections of this user: the limit is %d", s.limits.UserConns)
	}
	u.calls++
	x.caller = u
	return nil
}

// ofHTTP is the key of the bucket that has Limits.Rate, which of a connection
// is the connection's own.
type ofHTTP struct{}

// meter charges the call before anything more is done for it.
func (x *HTTPCall) meter() *Error {
	u, l, now := x.caller, &x.core.limits, time.Now()
	if u == nil {
		return nil
	}
	var wait time.Duration
	if u.who.id != "" {
		wait = u.buckets.all.take(l.UserRate, now)
	}
	if wait == 0 && x.rated() {
		wait = u.buckets.of(ofHTTP{}).take(l.Rate, now)
	}
	if own := x.f.opts.rate; wait == 0 && own != (Rate{}) {
		wait = u.buckets.of(x.f.action).take(own, now)
	}
	return tooFast(wait)
}

// rated reports whether Limits.Rate is the caller's: an address stands for one
// client only where Limits.AddressConns says so.
func (x *HTTPCall) rated() bool {
	return x.caller != nil && (x.caller.who.id != "" || x.core.limits.AddressConns > 0)
}

// permit checks the session and the permissions.
func (x *HTTPCall) permit() *Error {
	switch {
	case x.session != nil && !x.session.live():
		return Errorf(CodeUnauthenticated, "the session has expired")
	case !x.f.needsSession:
		return nil
	case x.session == nil:
		return Errorf(CodeUnauthenticated, "sign in first")
	}
	return x.f.allows(x.session)
}

// End says that the transport is done with the call. Every call that OpenHTTP
// has returned is ended once.
func (x *HTTPCall) End() {
	x.cancel(context.Canceled)
	s := x.core
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaveAddress(x.counted)
	x.counted = nil
	if x.caller != nil {
		x.caller.calls--
		s.forget(x.caller)
		x.caller = nil
	}
	delete(s.calls, x)
	s.tellEmpty()
}

// Stream reports whether the function sends values while it runs.
func (x *HTTPCall) Stream() bool { return x.f.stream }

// Body reports whether requests for the function may have a body.
func (x *HTTPCall) Body() bool { return httpMethods[x.f.method] }

// Limits returns the limits of the call, without zero values where there is a
// default. Message, for the body, and OpenTime, for reading it, are the
// transport's to enforce.
func (x *HTTPCall) Limits() Limits { return x.core.limits }

// Run decodes and validates the input, runs the function, and returns the JSON
// of what it returned, nil where that is nothing. An error is always an *Error
// with a text for the client. Each value of a stream goes to send as JSON; it
// waits while there is no room, until ctx ends. Run is called once. It does not
// panic, but the function may end its goroutine.
func (x *HTTPCall) Run(body []byte, send func(ctx context.Context, item []byte) error) (result []byte, err error) {
	x.send = send
	if x.f.timeout > 0 {
		ctx, stop := context.WithTimeout(x.ctx, x.f.timeout)
		defer stop()
		x.ctx = ctx
	}
	if x.f.stream {
		x.stream = &streamEnd{to: x}
		defer x.stream.ended.Store(true)
	}
	x.ctx = context.WithValue(x.ctx, callKey{}, x)
	code := CodeInternal // if the function ends the goroutine
	if !x.core.quiet {
		var ended func(Code)
		if x.ctx, ended = x.core.observer.CallStarted(x.ctx, x.f.info); ended != nil {
			defer func() { ended(code) }()
		}
	}
	if result, err = x.answer(body); err == nil {
		code = ""
		return result, nil
	}
	e := x.core.toError(x, err)
	if e.Code == CodeCanceled && errors.Is(context.Cause(x.ctx), errCut) {
		e = x.core.unavailable()
	}
	if code = e.Code; x.rated() {
		x.caller.buckets.of(ofHTTP{}).charge(x.core.limits.Rate, errorCost-1, time.Now())
	}
	return nil, e
}

// answer runs the function and encodes what it returned.
func (x *HTTPCall) answer(body []byte) (result []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			result, err = nil, x.core.panicked(x, p)
		}
	}()
	out, err := x.invoke(body)
	if err != nil || x.f.stream || x.f.fn.out == nil && out == nil {
		return nil, err
	}
	return x.encode(KindMessage, out)
}

func (x *HTTPCall) invoke(body []byte) (any, error) {
	f := x.f
	in := f.newIn()
	l := &x.core.limits
	faults, err := f.plan.Decode(x.ctx, &x.source, body, jsonscan.Limits{Depth: l.Depth, Elements: l.Elements}, in)
	switch malformed, ok := errors.AsType[*jsonscan.Error](err); {
	case ok:
		return nil, Errorf(CodeInvalidArgument, "%s", malformed.Error()).Because(err)
	case err != nil:
		return nil, invalidByProgram(err)
	case faults != nil:
		return nil, faultsError("invalid input", faults)
	}
	if f.handler == nil {
		return f.call(x.ctx, nil, in, x.stream)
	}
	inv := &Invocation{Action: f.info.Action, Kind: f.fn.kind, Tags: f.tags, In: in, stream: x.stream}
	if s := x.liveSession(); s != nil {
		inv.Session = s.value
	}
	return f.handler(x.ctx, inv)
}

// encode makes the JSON of a value for the client; nil if outgoing middleware
// has dropped it.
func (x *HTTPCall) encode(kind Kind, v any) ([]byte, error) {
	f := x.f
	if f.send != nil {
		p := &Payload{Action: f.info.Action, Kind: kind, Value: v}
		if err := f.send(x.ctx, p); err != nil || !p.passed {
			return nil, err
		}
		v = p.Value
	}
	buf, err := encoded(func(buf []byte) ([]byte, error) { return appendValue(buf, f.fn.out, f.out, v) })
	if err != nil {
		return nil, err
	}
	return buf, overReply(len(buf), x.core.limits.Reply)
}

// sendItem sends one value of a stream.
func (x *HTTPCall) sendItem(ctx context.Context, v any) error {
	if err := cmp.Or(ctx.Err(), x.stopped()); err != nil {
		return err
	}
	item, err := x.encode(KindItem, v)
	if err != nil || item == nil {
		return err
	}
	if ctx.Value(callKey{}) != x { // it does not end with the call
		both, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(x.ctx, cancel)()
		err = x.send(both, item)
		return cmp.Or(ctx.Err(), x.stopped(), err)
	}
	return x.send(ctx, item)
}

func (x *HTTPCall) liveSession() *session {
	if x.session != nil && x.session.live() {
		return x.session
	}
	return nil
}

func (x *HTTPCall) stopped() error { return x.ctx.Err() }

func (x *HTTPCall) kind() Kind { return x.f.fn.kind }

func (x *HTTPCall) gone() bool { return x.ctx.Err() != nil }

func (x *HTTPCall) attrs(more ...any) []any {
	return append([]any{slog.String("function", x.f.pattern())}, more...)
}
