package kanava

import (
	"context"
	"reflect"

	"github.com/kanava-go/kanava/internal/typemodel"
)

// Wiring says what a channel is: its name and route, its functions, and who
// may use it. It is a plain value; [Server.Wire] checks it and panics if it is
// wrong.
type Wiring[Open, Session any] struct {
	// Name is unique on the server and names the channel in logs, metrics and
	// generated clients. Required.
	Name string

	// Route is a path in the pattern syntax of [net/http.ServeMux], without a
	// method: "/chat", "/chat/{room}". Required.
	Route string

	OnConnect    Connect[Open, Session]    // see ConnectFunc
	OnDisconnect Disconnect[Open, Session] // see DisconnectFunc
	OnMessage    Message[Open, Session]    // what no route takes; see Func
	OnBinary     Binary[Open, Session]     // binary frames; see BinaryFunc
	Messages     Router[Open, Session]     // see By

	// Admit decides whether a session may be on a channel with this opening
	// data: tenants, bans. It runs when the connection opens with a session
	// and at each SetSession. Its error goes to the client.
	Admit func(ctx context.Context, open Open, s Session) error

	// Middleware stands around each function of the channel, inside that of
	// the server. The first is the outermost.
	Middleware []Middleware

	// Outgoing stands around every payload to the channel's clients, inside
	// that of the server.
	Outgoing []Outgoing

	// Declares lists the topics, presences, pushes and client functions of the
	// channel's clients, and the values that are kept with them.
	Declares []Declared

	// Limits are those of the channel, where they differ from the server's: a
	// zero field is what the server has.
	Limits Limits

	// Public lets connections without a session call the channel's functions
	// and receive events. A function's own option always wins.
	Public bool

	// Tags are metadata: they reach Invocation.Tags and generated documents.
	Tags []string
}

// Definition is a Wiring for sessions of type Session, whatever its opening
// data.
type Definition[Session any] interface {
	define(Session) *channelDecl
}

// Declared is what a Wiring declares: a [Topic], a [Presence], a [Push], a
// [ClientFunc] or a [Value].
type Declared interface {
	declared() declaration
}

type declaration struct {
	what    string // "topic", "presence", "push", "client function", "value"
	name    string
	hub     *EventHub        // nil for what needs none
	session reflect.Type     // the session that its hooks take; nil for any
	out     reflect.Type     // what clients are sent; nil for nothing
	model   *typemodel.Model // of what clients are sent, or of a value
	answer  *typemodel.Model // of what they answer; nil for nothing
	family  *family          // of a topic
	zero    bool             // not made by its constructor

	decode func(data []byte) (any, error) // of a push
}

// channelDecl is a Wiring with its types erased.
type channelDecl struct {
	name, route                          string
	open                                 reflect.Type
	channel                              reflect.Type // *Channel[Open, Session]
	newChannel                           func(*conn) Conn
	connect, disconnect, message, binary *fn
	routers                              []router
	admit                                func(ctx context.Context, open, session any) error
	middleware                           []Middleware
	outgoing                             []Outgoing
	declares                             []Declared
	own, limits                          Limits // as declared, and in force once checked
	public                               bool
	tags                                 []string
	where                                place
}

func (w Wiring[Open, Session]) define(Session) *channelDecl {
	d := &channelDecl{
		name: w.Name, route: w.Route,
		open:       reflect.TypeFor[Open](),
		channel:    reflect.TypeFor[*Channel[Open, Session]](),
		newChannel: func(c *conn) Conn { return &Channel[Open, Session]{c: c} },
		connect:    w.OnConnect.f, disconnect: w.OnDisconnect.f,
		message: w.OnMessage.f, binary: w.OnBinary.f,
		routers:    w.Messages.routers,
		middleware: w.Middleware, outgoing: w.Outgoing,
		declares: w.Declares, own: w.Limits, public: w.Public, tags: w.Tags,
	}
	if w.Admit != nil {
		d.admit = func(ctx context.Context, open, session any) error {
			return w.Admit(ctx, *open.(*Open), session.(Session))
		}
	}
	return d
}

// Route is one action of a channel; see [On], [OnDo] and [OnStream].
type Route[Open, Session any] struct {
	_    [0]func(Open, Session)
	name string
	f    *fn
}

// Router sends messages to functions by the value of a member; see [By].
type Router[Open, Session any] struct {
	_       [0]func(Open, Session)
	routers []router
}

// router is the routes of one routing member.
type router struct {
	key    string
	routes []route
	where  place
}

type route struct {
	name string
	f    *fn
}

// By routes messages by their member key: an object whose member key is the
// name of one of routes goes to that function, which gets the object without
// that member. Everything else goes to the next By, and then to OnMessage.
func By[Open, Session any](key string, routes ...Route[Open, Session]) Router[Open, Session] {
	return Router[Open, Session]{}.by(key, routes)
}

// By adds routes for another member. Members are tried in the order of the
// By calls.
func (r Router[Open, Session]) By(key string, routes ...Route[Open, Session]) Router[Open, Session] {
	return r.by(key, routes)
}

func (r Router[Open, Session]) by(key string, routes []Route[Open, Session]) Router[Open, Session] {
	next := router{key: key, where: callerPlace(1)}
	for _, rt := range routes {
		next.routes = append(next.routes, route{rt.name, rt.f})
	}
	// The routers are copied: a Router is a value, and adding to one must not
	// show in another.
	return Router[Open, Session]{routers: append(append([]router{}, r.routers...), next)}
}

// Plain adds a route for a plain function, by the member of the last By. It
// panics if there was none.
func (r Router[Open, Session]) Plain(name string, p Plain) Router[Open, Session] {
	if len(r.routers) == 0 {
		panic("kanava: Plain at " + callerPlace(0).String() + " comes before any By: start with kanava.By(key)")
	}
	routers := append([]router{}, r.routers...)
	last := &routers[len(routers)-1]
	last.routes = append(append([]route{}, last.routes...), route{name, p.f})
	return Router[Open, Session]{routers: routers}
}
