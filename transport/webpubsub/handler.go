package webpubsub

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/manifest"
)

// Server is what a [Handler] is for: a *[kanava.Server], whatever its session.
type Server interface {
	kanava.Dispatcher
	Stateless(opts kanava.StatelessOptions) *kanava.Stateless
	Manifest() *manifest.Manifest
}

// Options of a [Handler]. The first two are needed.
type Options struct {
	// Store keeps the connections, of one hub.
	Store engine.Store

	// Client is that of the hub. By it clients are sent to.
	Client *Client

	// Hosts are those of [EventOptions]; the default is the one of Client's endpoint.
	Hosts []string

	// AccessKeys are those of [EventOptions]; the default is the one of Client. With
	// tokens of Microsoft Entra they are needed here.
	AccessKeys []string

	// Path says by which path a client that connects asks for its channel, with
	// wildcards filled in: "/rooms/7". The default is described at the package.
	Path func(connect *Event) string

	// Logger hears what goes wrong here. nil: [slog.Default].
	Logger *slog.Logger
}

// keep is how long a connection is known of which nothing is heard. Web PubSub
// has no longest lifetime, and a client of the plain form that only listens says
// nothing: after keep it is forgotten, and gets nothing any more, without a word.
// What is kept for nothing, of connections whose end was not told, costs little: it
// is found when something is sent, see checked.
const keep = 7 * 24 * time.Hour

// Handler returns the handler that the service posts the events of Client's hub to:
// an [EventHandler] that runs the channels of a server. As the settings of the hub
// say, these are the system events connect, connected and disconnected, and all of
// the clients' (*). It is made when all channels are wired, once in a process, and
// panics if an option is missing.
//
// An event runs once. The service sends one again that was not answered; it is
// refused then, with 409, and the service ends the connection: nobody knows how far
// the first run has come. So is one that is older than 10 minutes.
func Handler(srv Server, o Options) *Function {
	o.check("Handler", srv)
	f := &Function{store: o.Store, platform: platform{o.Client}, path: o.Path, logger: o.Logger}
	if f.logger == nil {
		f.logger = slog.Default()
	}
	if f.path == nil {
		f.path = paths(o.Client.hub, srv.Manifest())
	}
	if len(o.Hosts) == 0 {
		o.Hosts = []string{o.Client.endpoint.Host}
	}
	if len(o.AccessKeys) == 0 {
		if o.Client.key == nil {
			panic("webpubsub: Handler has no Options.AccessKeys, and its Client has none")
		}
		o.AccessKeys = []string{string(o.Client.key)}
	}
	f.events = EventHandler(f.handle, EventOptions{Hub: o.Client.hub, Hosts: o.Hosts, AccessKeys: o.AccessKeys, Logger: f.logger})
	kanava.Attach(srv)
	f.runtime = srv.Stateless(o.stateless())
	return f
}

// Reach lets a program that holds connections of its own also send to those of a
// [Handler]: what is published on the server's hub goes to them from then on. Store is
// the one of the Handler. Both need the same engine, and the same channels. It is
// called when all channels are wired, and panics if an option is missing.
//
// Of the options Store and Client count.
func Reach(srv Server, o Options) {
	o.check("Reach", srv)
	opts := o.stateless()
	opts.Resident = true
	srv.Stateless(opts)
}

func (o *Options) check(where string, srv Server) {
	switch {
	case srv == nil:
		panic(fmt.Sprintf("webpubsub: %s has no Server", where))
	case o.Store == nil:
		panic(fmt.Sprintf("webpubsub: %s has no Options.Store", where))
	case o.Client == nil:
		panic(fmt.Sprintf("webpubsub: %s has no Options.Client", where))
	}
}

func (o *Options) stateless() kanava.StatelessOptions {
	return kanava.StatelessOptions{
		Store: o.Store, Platform: platform{o.Client}, TellsConnected: true,
		MaxMessage: MaxMessage, MaxFrame: MaxMessage, Keep: keep,
	}
}

// Function answers the events of a hub. It is made by [Handler], is an
// http.Handler, and safe for concurrent use.
type Function struct {
	events   http.Handler
	runtime  *kanava.Stateless
	store    engine.Store
	platform platform
	path     func(*Event) string
	logger   *slog.Logger
}

var _ http.Handler = (*Function)(nil)

// ServeHTTP answers an event, or the service's question whether it may send some.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) { f.events.ServeHTTP(w, r) }

// Settle returns when what was published until now is sent, or ctx ends. ServeHTTP
// does that by itself. It is for functions that publish for other reasons than an
// event of the service: what they have not sent when they return may never be sent.
func (f *Function) Settle(ctx context.Context) error { return f.runtime.Settle(ctx) }
