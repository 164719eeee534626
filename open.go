package kanava

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/kanava-go/kanava/internal/form"
)

// This file opens connections: route, origin, limits, form, opening data,
// authentication, in this order.

// open implements Dispatcher.Open.
func (s *core) open(ctx context.Context, req *OpenRequest, peer Peer) (link *Link, err error) {
	return s.openFor(ctx, req, peer, nil)
}

// openFor is open of a connection which lives for an event only, if v is not nil.
func (s *core) openFor(ctx context.Context, req *OpenRequest, peer Peer, v *visit) (link *Link, err error) {
	var route string
	defer func() {
		if p := recover(); p != nil {
			s.logger.Error("open panicked", "route", route, "panic", p, "stack", string(debug.Stack()))
			err = errInternal
		}
		if err != nil {
			e := openError(ctx, err)
			s.observer.OpenRefused(route, e)
			s.logger.Debug("connection refused", "route", route, "error", e)
			err = e
		}
	}()
	m := s.match(req)
	if m.def == nil {
		return nil, Errorf(CodeNotFound, "no channel has this path")
	}
	route = m.def.route
	if err := s.checkOrigin(req); err != nil {
		return nil, err
	}
	if s.isDraining() {
		return nil, s.unavailable()
	}
	opened := &Link{conn{core: s, def: m.def, opened: sinceBegun(time.Now())}}
	c := &opened.c
	c.out.peer = peer
	if v != nil {
		v.enter(c)
	} else if refused := c.countAddress(req.RemoteAddr); refused != nil {
		return nil, refused
	}
	defer func() {
		if link == nil {
			s.remove(c)
		}
	}()
	within := newOpenContext(ctx, m.def.limits.OpenTime)
	defer within.close()
	ctx = within
	chosen, subprotocol, tooNew := s.chooseForm(req.Subprotocols)
	if c.form = chosen; subprotocol != "" {
		c.ownRare().subprotocol = subprotocol
	}
	c.ch = m.def.newChannel(c)
	refusal := c.decodeOpening(ctx, m, req)
	if c.form.Envelope() {
		c.v1 = &envelopeConn{ping: req.Ping, upstream: req.Upstream}
		own := *req
		c.v1.req = &own
		c.out.hold() // nothing goes out before the answer to the hello
	} else {
		if req.Marks {
			c.ownRare().marks = newMarks(req.LastID)
		}
		if refusal == nil {
			refusal = c.authenticate(ctx, req)
		}
		if refusal != nil {
			return nil, refusal
		}
	}
	if v == nil {
		if e := s.add(c); e != nil {
			c.endSession()
			return nil, e
		}
		c.watchSignIn()
	}
	if !s.quiet {
		s.observer.ConnOpened(ConnInfo{c.id.String(), m.def.name})
	}
	c.tellRefusal(ctx, tooNew, refusal)
	return opened, nil
}

// countAddress counts the connection among those of its address, if that has room.
func (c *conn) countAddress(remote string) error {
	counted, refused := c.core.enterAddress(c.def, remote)
	switch {
	case refused != nil:
		return refused
	case counted != nil:
		c.ownRare().addresses = counted
	}
	return nil
}

// tellRefusal tells a client that was not refused by the handshake: a browser can only
// be told by frames and a close code and, where no process stays, not before its hello.
func (c *conn) tellRefusal(ctx context.Context, tooNew bool, refusal error) {
	v := c.visit()
	switch {
	case tooNew && v != nil:
		v.rec.Code, v.rec.Reason = CloseUpgradeRequired, CloseUpgradeRequired.String()
	case tooNew:
		_ = c.close(ctx, CloseUpgradeRequired, CloseUpgradeRequired.String())
	case refusal != nil:
		e := openError(ctx, refusal)
		c.core.observer.OpenRefused(c.def.route, e)
		if v != nil {
			v.refused = e
			return
		}
		c.refuse(ctx, e)
	}
}

// openError is what a client is told whose connection could not be opened
// because of err. The deadline of ctx is Limits.OpenTime.
func openError(ctx context.Context, err error) *Error {
	if tooLate(ctx) {
		return asError(err, Errorf(CodeDeadlineExceeded, "opening the connection took too long"))
	}
	return asError(err, errInternal)
}

func tooLate(ctx context.Context) bool { return errors.Is(ctx.Err(), context.DeadlineExceeded) }

func (c *conn) decodeOpening(ctx context.Context, m *routeMatch, req *OpenRequest) error {
	data := c.ch.openingData()
	if req.opening != nil {
		if reflect.TypeOf(req.opening) != c.def.open {
			return fmt.Errorf("opening data is a %T, not a %s", req.opening, c.def.open)
		}
		reflect.ValueOf(data).Elem().Set(reflect.ValueOf(req.opening))
		return nil
	}
	faults, err := c.def.opening.Decode(ctx, &openSource{m, req, nil}, data)
	if err != nil {
		return invalidByProgram(err)
	}
	if faults != nil {
		return faultsError("invalid opening data", faults)
	}
	return nil
}

func (c *conn) authenticate(ctx context.Context, req *OpenRequest) error {
	if c.core.authenticate == nil {
		return nil
	}
	value, err := c.core.signIn(ctx, req)
	if err != nil || value == nil {
		return err
	}
	return c.setSession(ctx, value)
}

// signIn asks Options.Authenticate for a session; nil is none.
func (s *core) signIn(ctx context.Context, req *OpenRequest) (any, error) {
	value, err := s.authenticate(ctx, req)
	if err != nil && !tooLate(ctx) {
		return nil, asError(err, Errorf(CodeUnauthenticated, "authentication failed"))
	}
	return value, err
}

// routeMatch is what a route handler reports: the mux finds the channel, or the
// function over HTTP, by serving a request to it.
type routeMatch struct {
	def  *channelDef
	http *httpFunc
	req  *http.Request // nil where the route is one path
}

func (*routeMatch) Header() http.Header         { return http.Header{} }
func (*routeMatch) Write(p []byte) (int, error) { return len(p), nil }
func (*routeMatch) WriteHeader(int)             {}

type routeHandler struct{ def *channelDef }

func (h routeHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := w.(*routeMatch)
	m.def, m.req = h.def, r
}

func (s *core) match(req *OpenRequest) *routeMatch {
	s.wiringMu.RLock()
	defer s.wiringMu.RUnlock()
	if !s.hosts && req.URL.RawPath == "" { // no pattern is more specific than a path
		if def := s.literal[req.URL.Path]; def != nil {
			return &routeMatch{def: def}
		}
	}
	return matchIn(s.mux, http.MethodGet, req)
}

func matchIn(mux *http.ServeMux, method string, req *OpenRequest) *routeMatch {
	m := &routeMatch{}
	mux.ServeHTTP(m, &http.Request{Method: method, URL: req.URL, Host: req.Host, RequestURI: req.URL.RequestURI()})
	return m
}

// openSource is where opening data comes from.
type openSource struct {
	match *routeMatch
	req   *OpenRequest
	query url.Values
}

func (o *openSource) Path(name string) (string, bool) {
	if o.match.req == nil { // a path without wildcards
		return "", true
	}
	return o.match.req.PathValue(name), true
}

func (o *openSource) Query(name string) []string {
	if o.query == nil {
		o.query = o.req.URL.Query()
	}
	return o.query[name]
}

func (o *openSource) Header(name string) []string {
	if http.CanonicalHeaderKey(name) == "Host" {
		return []string{o.req.Host}
	}
	return o.req.Header.Values(name)
}

// chooseForm picks the wire form and the subprotocol to answer (P1). A client
// that speaks only forms that this server does not know is too new.
func (s *core) chooseForm(offered []string) (f form.Form, subprotocol string, tooNew bool) {
	newer := ""
	for _, p := range offered {
		switch {
		case p == "kanava.v1":
			return form.V1, p, false
		case p == "kanava.plain", slices.Contains(s.subprotocols, p):
			return form.Plain, p, false
		case strings.HasPrefix(p, "kanava.") && newer == "":
			newer = p
		}
	}
	if newer != "" {
		return form.V1, newer, true
	}
	return form.Plain, "", false
}

// origin is one entry of Options.Origins.
type origin struct {
	any, null    bool
	scheme, host string // a host that begins with a dot stands for all names below it
}

func parseOrigins(list []string) ([]origin, error) {
	var out []origin
	for _, text := range list {
		switch text {
		case "*":
			out = append(out, origin{any: true})
		case "null":
			out = append(out, origin{null: true})
		default:
			u, err := url.Parse(text)
			if err != nil || u.Scheme == "" || u.Host == "" || u.Path != "" || u.RawQuery != "" {
				return nil, fmt.Errorf("origin %q is not of the form https://app.example.com", text)
			}
			host, star := strings.CutPrefix(normalHost(u.Scheme, u.Host), "*")
			if strings.Contains(host, "*") || star && (len(host) < 2 || host[0] != '.') {
				return nil, fmt.Errorf("origin %q: a star stands for the first labels only, as in https://*.example.com", text)
			}
			out = append(out, origin{scheme: u.Scheme, host: host})
		}
	}
	return out, nil
}

// checkOrigin lets in clients that are no browsers, pages of the same host and
// port, and pages that Options.Origins lists (S1).
func (s *core) checkOrigin(req *OpenRequest) error {
	values := req.Header.Values("Origin")
	if len(values) == 0 {
		return nil
	}
	refused := Errorf(CodePermissionDenied, "pages of this origin may not connect")
	if len(values) > 1 {
		return refused
	}
	u, err := url.Parse(values[0])
	null := values[0] == "null"
	if !null && (err != nil || u.Host == "") {
		return refused
	}
	var host string
	if !null {
		host = normalHost(u.Scheme, u.Host)
		if host == normalHost(u.Scheme, req.Host) {
			return nil
		}
	}
	for _, o := range s.origins {
		switch {
		case o.any, o.null && null:
			return nil
		case null || o.scheme != u.Scheme || o.host == "":
		case o.host == host, o.host[0] == '.' && strings.HasSuffix(host, o.host):
			return nil
		}
	}
	return refused
}

// normalHost returns host and port in lower case, without the port that the
// scheme implies.
func normalHost(scheme, host string) string {
	host = strings.ToLower(host)
	_, port, err := net.SplitHostPort(host)
	if err == nil && (port == "80" && scheme == "http" || port == "443" && scheme == "https") {
		return strings.TrimSuffix(host, ":"+port)
	}
	return host
}
