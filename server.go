package kanava

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"path"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kanava-go/kanava/internal/typemodel"
)

// Options configures a [Server]. The zero value is a server on which nobody
// can sign in from outside a function, with an event hub of its own.
type Options[Session any] struct {
	// EventHub carries the server's events; default one of its own, with the
	// server's Limits.Event, Logger and Observer, which Shutdown closes.
	EventHub *EventHub

	// Authenticate signs a client in when it connects, by what the request
	// carries: a cookie, a header, OpenRequest.Token. A nil session lets it in
	// without one; an error refuses it, with CodeUnauthenticated unless it is an
	// *Error. Default: clients connect without a session.
	Authenticate func(ctx context.Context, r *OpenRequest) (*Session, error)

	// Identify tells the user, the expiry and the permissions of a session.
	// Default: sessions of one unnamed user, without permissions, for ever.
	Identify func(s Session) Identity

	// AllowUserChange lets SetSession put another user on a connection that
	// has one. The former user's subscriptions and other calls end.
	AllowUserChange bool

	// Origins are the web pages that may connect besides those of the same
	// host and port: "https://app.example.com", "https://*.example.com" for
	// all names below, "null" for pages without an origin, "*" for all.
	// Clients that send no Origin header are not browsers and are let in.
	Origins []string

	// Subprotocols are WebSocket subprotocols of the program's own that are
	// accepted besides Kanava's.
	Subprotocols []string

	// Middleware stands around each function of each channel. The first is the
	// outermost.
	Middleware []Middleware

	// Outgoing stands around every payload to a client.
	Outgoing []Outgoing

	// Level is the level of the contract with generated clients. It rises with
	// each change that breaks older ones; default 1.
	Level int

	// MinLevel is the lowest level that is still served. Clients generated for
	// a lower one are closed with [CloseUpgradeRequired]; default 1.
	MinLevel int

	// Limits bounds what one client can take; its zero value is the default. A
	// Wiring can have others.
	Limits Limits

	// DrainSpread is the time over which clients of a server that shuts down
	// are told to come back; default 5 s.
	DrainSpread time.Duration

	// Logger gets what clients are not told; default slog.Default(). Nothing
	// is logged for what clients do wrong, except at debug level.
	Logger *slog.Logger

	// Observer is told what happens; default none.
	Observer Observer
}

// Server holds channels and their connections. Transports put it on the
// network: see package transport/ws. It is safe for concurrent use.
type Server[Session any] struct{ c *core }

var _ Dispatcher = (*Server[None])(nil)

// NewServer makes a server. It panics if Session cannot be kept as JSON, which
// runtimes without a process of their own need, or an option is wrong.
func NewServer[Session any](opts Options[Session]) *Server[Session] {
	s := &core{
		hub:             opts.EventHub,
		sessionType:     reflect.TypeFor[Session](),
		identify:        func(any) Identity { return Identity{} },
		allowUserChange: opts.AllowUserChange,
		subprotocols:    opts.Subprotocols,
		middleware:      opts.Middleware,
		outgoing:        opts.Outgoing,
		level:           cmp.Or(opts.Level, 1),
		minLevel:        cmp.Or(opts.MinLevel, 1),
		drainSpread:     opts.DrainSpread,
		logger:          opts.Logger,
		observer:        opts.Observer,
		mux:             http.NewServeMux(),
		httpMux:         http.NewServeMux(),
		literal:         make(map[string]*channelDef),
		users:           make(map[caller]*user),
		calls:           make(map[*HTTPCall]struct{}),
		addresses:       make(map[address]int),
		outcomes:        newOutcomes(roomOfUser, roomOfAll),
	}
	if err := s.configure(opts.Limits, opts.Origins); err != nil {
		panic(fmt.Sprintf("kanava: NewServer at %s: %v", callerPlace(0), err))
	}
	if opts.Identify != nil {
		s.identify = func(v any) Identity { return opts.Identify(v.(Session)) }
	}
	if opts.Authenticate != nil {
		s.authenticate = func(ctx context.Context, r *OpenRequest) (any, error) {
			session, err := opts.Authenticate(ctx, r)
			if err != nil || session == nil {
				return nil, err
			}
			return *session, nil
		}
	}
	if s.drainSpread == 0 {
		s.drainSpread = 5 * time.Second
	}
	if s.logger == nil {
		s.logger = slog.Default()
	}
	if s.observer == nil {
		s.observer, s.quiet = NopObserver{}, true
	} else {
		s.observer = safeObserver{s.observer, s.logger}
	}
	if s.hub == nil {
		s.hub = NewEventHub(HubOptions{Event: s.limits.Event, Observer: s.observer, Logger: s.logger})
		s.ownHub = true
	}
	s.hub.homes.add(s)
	return &Server[Session]{s}
}

// configure checks what can be wrong with options.
func (s *core) configure(limits Limits, origins []string) (err error) {
	if _, err := typemodel.Of(s.sessionType, typemodel.Stored); err != nil {
		return fmt.Errorf("session %w", err)
	}
	switch {
	case s.drainSpread < 0:
		return errors.New("DrainSpread is negative")
	case s.level < 0:
		return errors.New("option Level is negative")
	case s.minLevel < 0 || s.minLevel > s.level:
		return fmt.Errorf("option MinLevel is %d; it goes from 1 to Level, which is %d", s.minLevel, s.level)
	}
	if s.limits, err = limits.over(&defaultLimits); err != nil {
		return err
	}
	s.origins, err = parseOrigins(origins)
	return err
}

// EventHub returns the server's hub.
func (s *Server[Session]) EventHub() *EventHub { return s.c.hub }

// Conns returns the server's connections.
func (s *Server[Session]) Conns() *Conns { return &Conns{s.c} }

// Limits returns the limits of the server. Those of a channel are its Wiring's.
func (s *Server[Session]) Limits() Limits { return s.c.limits }

// Open implements [Dispatcher].
func (s *Server[Session]) Open(ctx context.Context, req *OpenRequest, peer Peer) (*Link, error) {
	return s.c.open(ctx, req, peer)
}

// Wire adds channels. It panics if one of them is wrong, naming the places,
// and touches nothing outside the process. Channels are wired before the
// server is used.
func (s *Server[Session]) Wire(defs ...Definition[Session]) {
	where := callerPlace(0)
	var zero Session
	for _, d := range defs {
		if d == nil {
			panic(fmt.Sprintf("kanava: Wire at %s: a definition is nil", where))
		}
		decl := d.define(zero)
		decl.where = where
		s.c.wire(decl)
	}
}

// Shutdown ends the server in good order: new clients are refused with
// CodeUnavailable, running functions and messages already taken finish, each
// client is told to come back within DrainSpread, OnDisconnect runs. It returns
// when all connections have ended. When ctx ends first, contexts of functions
// that still run are canceled, connections are closed without waiting, and the
// error of ctx is returned. Calling it again waits again. A function does not
// call it: it would wait for itself.
func (s *Server[Session]) Shutdown(ctx context.Context) error { return s.c.shutdown(ctx) }

// core is the server without its types.
type core struct {
	hub             *EventHub
	ownHub          bool
	sessionType     reflect.Type
	authenticate    func(context.Context, *OpenRequest) (any, error) // nil if there is none
	identify        func(any) Identity
	allowUserChange bool
	origins         []origin
	subprotocols    []string
	middleware      []Middleware
	outgoing        []Outgoing
	limits          Limits
	level           int
	minLevel        int // of the contract
	drainSpread     time.Duration
	logger          *slog.Logger
	observer        Observer
	quiet           bool // nobody observes

	wiringMu   sync.RWMutex
	defs       []*channelDef          // guarded by wiringMu
	outcomes   *outcomes              // of calls with keys
	visitors   visitors               // connections that live for one event
	recoveries atomic.Int32           // answers to recover that are being made
	owners     sync.Map               // *EventHub -> *presenceOwner: what is said of its connections there
	contracted atomic.Pointer[string] // see contract
	mux        *http.ServeMux         // guarded by wiringMu: finds channels by path
	literal    map[string]*channelDef // guarded by wiringMu: those whose route is one path, by it; not asked where hosts is set
	hosts      bool                   // guarded by wiringMu: a route begins with a host
	https      []*httpFunc            // guarded by wiringMu: functions over HTTP, in the order of WireHTTP
	httpMux    *http.ServeMux         // guarded by wiringMu: finds them by method and path

	mu        sync.Mutex
	slots     []connSlots            // guarded by mu: the connections of each channel, by its index
	count     int                    // guarded by mu: of all of them
	signedIn  int                    // guarded by mu: users with a connection
	calls     map[*HTTPCall]struct{} // guarded by mu: those that run
	users     map[caller]*user       // guarded by mu: with live sessions, or calls over HTTP
	addresses map[address]int        // guarded by mu: connections, where Limits.AddressConns bounds them
	draining  bool                   // guarded by mu
	past      TotalBacklog           // guarded by mu: of connections that have ended
	empty     chan struct{}          // guarded by mu: closed when the last connection has gone; nil if nobody waits
}

// wire checks a channel and adds it.
func (s *core) wire(d *channelDecl) {
	s.wiringMu.Lock()
	defer s.wiringMu.Unlock()
	for _, other := range s.defs {
		if other.name == d.name {
			d.wrong("the name is already wired at %s", other.where)
		}
	}
	def := d.check(s)
	if err := register(s.mux, def); err != nil {
		for _, other := range s.defs {
			alone := http.NewServeMux()
			if register(alone, other) == nil && register(alone, def) != nil {
				d.wrong("Route %q matches the same requests as Route %q of channel %q at %s", d.route, other.route, other.name, other.where)
			}
		}
		d.wrong("Route %q: %v", d.route, err)
	}
	for _, f := range s.https {
		if f.takes(d.route) {
			d.wrong("Route %q matches the same requests as %q, which WireHTTP wired at %s", d.route, f.pattern(), f.where)
		}
	}
	if len(s.defs) > math.MaxUint16 {
		d.wrong("a server has at most %d channels", math.MaxUint16+1)
	}
	def.index = uint16(len(s.defs))
	s.defs = append(s.defs, def)
	switch {
	case !strings.HasPrefix(d.route, "/"):
		s.hosts = true
	case !strings.Contains(d.route, "{") && path.Clean(d.route) == d.route && d.route != "/":
		s.literal[d.route] = def
	}
	s.mu.Lock()
	s.slots = append(s.slots, connSlots{})
	s.mu.Unlock()
	s.contracted.Store(nil)
}

// register adds a channel's route to a mux, which panics if it cannot.
func register(mux *http.ServeMux, def *channelDef) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	mux.Handle(def.route, routeHandler{def})
	return nil
}

// pathNames returns the wildcards of a route pattern.
func pathNames(route string) (map[string]bool, error) {
	if strings.ContainsAny(route, " \t") {
		return nil, fmt.Errorf("a route is a path, without a method")
	}
	names := make(map[string]bool)
	for rest := route; ; {
		_, after, found := strings.Cut(rest, "{")
		if !found {
			return names, nil
		}
		name, tail, _ := strings.Cut(after, "}")
		names[strings.TrimSuffix(name, "...")] = true
		rest = tail
	}
}

func (s *core) shutdown(ctx context.Context) error {
	if s.runs(ctx) {
		return errors.New("kanava: Shutdown inside a function would wait for itself: call it in a goroutine, with a context of its own")
	}
	s.mu.Lock()
	s.draining = true
	if s.empty == nil {
		s.empty = make(chan struct{})
		s.tellEmpty()
	}
	empty := s.empty
	s.mu.Unlock()
	for c := range s.all() {
		c.drain()
	}
	if s.ownHub {
		defer s.hub.Close()
	}
	select {
	case <-empty: // also where ctx has ended
		s.hub.homes.remove(s)
		return nil
	default:
	}
	select {
	case <-empty:
		s.hub.homes.remove(s)
		return nil
	case <-ctx.Done():
		for c := range s.all() {
			c.cut(*s.drainClosing())
		}
		s.cutCalls()
		return ctx.Err()
	}
}

// runs reports whether ctx belongs to a function of this server.
func (s *core) runs(ctx context.Context) bool {
	switch x := ctx.Value(callKey{}).(type) {
	case *call:
		return x.c.core == s
	case *HTTPCall:
		return x.core == s
	}
	return false
}

func (s *core) drainClosing() *Closing {
	return &Closing{
		Code:   CloseDraining,
		Reason: fmt.Sprintf("%s 0-%d", CloseDraining, s.drainSpread.Milliseconds()),
		to:     s.drainSpread,
	}
}
