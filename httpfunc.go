package kanava

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/kanava-go/kanava/internal/typemodel"
)

// This file mounts plain functions on HTTP; httpcall.go runs them, and package
// transport/httpfunc puts them on the network.

// httpMethods are the methods that a function can be wired to, and whether
// their requests have a body. A function for GET answers HEAD too.
var httpMethods = map[string]bool{
	http.MethodGet: false, http.MethodDelete: false,
	http.MethodPost: true, http.MethodPut: true, http.MethodPatch: true,
}

// WireHTTP adds a plain function under a pattern of [net/http.ServeMux] with a
// method, one of GET, POST, PUT, PATCH and DELETE:
//
//	srv.WireHTTP("POST /jobs", start)
//	srv.WireHTTP("GET /jobs/{id}/events", watch)
//
// Fields of the input with a path, query or header tag are filled from there,
// as those of opening data are, and the others from the body, a JSON object,
// which requests of GET and DELETE do not have. On a channel the same fields are
// members of the message like any other. What the function returns is the JSON
// of the response; a PlainStream sends its values as server-sent events.
//
// Session, permissions, middleware and limits are those of the server: the
// request is authenticated by Options.Authenticate, and the function needs a
// session unless it is Public. Package transport/httpfunc serves all functions
// of a server.
//
// It panics if the function cannot be mounted so, naming the places. Functions
// are wired before the server is used.
func (s *Server[Session]) WireHTTP(pattern string, p Plain) {
	s.c.wireHTTP(pattern, p.f, callerPlace(0))
}

// httpFunc is a function as it is mounted on HTTP. It does not change.
type httpFunc struct {
	*action
	method, path string
	plan         *typemodel.RequestPlan
	send         Sender // outgoing middleware; nil if there is none
	where        place
}

func (f *httpFunc) pattern() string { return f.method + " " + f.path }

// takes reports whether f gets requests that open the channel at route.
func (f *httpFunc) takes(route string) bool {
	if f.method != http.MethodGet {
		return false
	}
	mux := http.NewServeMux()
	return registerHTTP(mux, route, f) == nil && registerHTTP(mux, f.path, f) != nil
}

func (s *core) wireHTTP(pattern string, f *fn, where place) {
	wrong := func(format string, args ...any) {
		panic(fmt.Sprintf("kanava: WireHTTP(%q) at %s: ", pattern, where) + fmt.Sprintf(format, args...))
	}
	if f == nil {
		wrong("the function is a zero value: make it with PlainFunc, PlainDo or PlainStream")
	}
	method, path, _ := strings.Cut(pattern, " ")
	path = strings.TrimLeft(path, " \t")
	if _, known := httpMethods[method]; !known {
		wrong("a pattern begins with GET, POST, PUT, PATCH or DELETE, and a space")
	}
	h := &httpFunc{method: method, path: path, where: where}
	h.compile(s, f, wrong)
	s.wiringMu.Lock()
	defer s.wiringMu.Unlock()
	if err := registerHTTP(s.httpMux, h.pattern(), h); err != nil {
		for _, other := range s.https {
			alone := http.NewServeMux()
			if registerHTTP(alone, other.pattern(), other) == nil && registerHTTP(alone, h.pattern(), h) != nil {
				wrong("it matches the same requests as %q, wired at %s", other.pattern(), other.where)
			}
		}
		wrong("%v", err)
	}
	for _, d := range s.defs {
		if h.takes(d.route) {
			wrong("it matches the requests that open channel %q, whose Route is %q, wired at %s", d.name, d.route, d.where)
		}
	}
	s.https = append(s.https, h)
	s.contracted.Store(nil)
}

// registerHTTP adds a function to a mux, which panics if it cannot.
func registerHTTP(mux *http.ServeMux, pattern string, f *httpFunc) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		m := w.(*routeMatch)
		m.http, m.req = f, r
	})
	return nil
}

// compile checks the function and its options.
func (f *httpFunc) compile(s *core, plain *fn, wrong func(string, ...any)) {
	a := &action{fn: plain, tags: plain.opts.tags, timeout: plain.opts.timeout}
	f.action = a
	a.info = CallInfo{Action: f.pattern(), Kind: plain.kind}
	at := func(format string, args ...any) {
		wrong("the function made at %s: %s", plain.where, fmt.Sprintf(format, args...))
	}
	f.checkInput(at)
	if plain.out != nil {
		var err error
		if a.out, err = typemodel.Of(plain.out, typemodel.Output); err != nil {
			at("output %v", err)
		}
	}
	needs, text := plain.opts.needsSession(false)
	if a.needsSession = needs; text == "" {
		text = plain.opts.wrong(false)
	}
	if text != "" {
		at("%s", text)
	}
	if a.timeout == 0 && !plain.stream {
		a.timeout = s.limits.CallTime
	}
	guarded(func() { f.send = outgoingChain(s.outgoing) }, func(text string) { at("%s", text) })
	if len(s.middleware)+len(plain.opts.middleware) > 0 {
		inner := func(ctx context.Context, inv *Invocation) (any, error) { return a.call(ctx, nil, inv.In, inv.stream) }
		guarded(func() { a.handler = chain(nil, inner, s.middleware, plain.opts.middleware) }, func(text string) { at("%s", text) })
	}
}

// checkInput demands that everything in the input has a place in the request,
// and that every wildcard of the path has a field.
func (f *httpFunc) checkInput(wrong func(string, ...any)) {
	var err error
	if f.plan, err = typemodel.RequestOf(f.fn.in); err != nil {
		wrong("input %v", err)
	}
	f.in = f.plan.Model()
	if k := f.in.Kind(); !isObject(k) {
		wrong("input %s is no JSON object: a body always is one", f.fn.in)
	}
	if body := f.plan.Body(); body != "" && !httpMethods[f.method] {
		wrong("%s requests have no body, from which %s would come: give it a path, query or header tag", f.method, body)
	}
	wildcards, err := pathNames(f.path)
	if err != nil {
		wrong("%v", err)
	}
	delete(wildcards, "$")
	names := f.plan.PathNames()
	for _, n := range names {
		if !wildcards[n] {
			wrong("input %s: a field has path:%q, but the pattern has no {%s}", f.fn.in, n, n)
		}
	}
	for n := range wildcards {
		if !slices.Contains(names, n) {
			wrong("the pattern has {%s}, but no field of the input %s has path:%q", n, f.fn.in, n)
		}
	}
}
