package awslambda

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/kanava-go/kanava"
	"github.com/kanava-go/kanava/engine"
	"github.com/kanava-go/kanava/manifest"
	"github.com/kanava-go/kanava/transport/httpfunc"
)

// Server is what a [Handler] is for: a *[kanava.Server], whatever its session.
type Server interface {
	kanava.HTTPDispatcher
	Stateless(opts kanava.StatelessOptions) *kanava.Stateless
	Manifest() *manifest.Manifest
}

// Options of a [Handler]. The first two are needed.
type Options struct {
	// Store keeps the connections.
	Store engine.Store

	// Config says how calls of the gateway's management API are signed: it has a
	// region and credentials.
	Config aws.Config

	// Endpoint is the address of the management API, such as
	// https://abc.execute-api.eu-north-1.amazonaws.com/chat. The default is what Config
	// says, for instance by AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI, and else that
	// of the API and stage that a connection came by.
	Endpoint string

	// Path says by which path a client that connects asks for its channel, with
	// wildcards filled in: "/rooms/7". The default is described at the package.
	Path func(connect *events.APIGatewayWebsocketProxyRequest) string

	// RouteResponse says that the routes of the API have a route response: the last
	// message to a client that comes of its own message is then returned from the
	// function, which spares a call of the management API. Without a route response
	// such messages would be lost.
	RouteResponse bool

	// HTTP answers events of an HTTP API. The default serves the functions that are
	// wired with WireHTTP; [httpfunc.Handler] does that in a handler of the program's
	// own. The context of a request is that of the event.
	HTTP http.Handler

	// Logger hears what goes wrong here. nil: [slog.Default].
	Logger *slog.Logger
}

const (
	// What API Gateway allows:
	// https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
	maxMessage = 128 << 10
	maxFrame   = 32_000
	idleTime   = 10 * time.Minute
	lifeTime   = 2 * time.Hour

	keepAlive = idleTime / 2
	keep      = lifeTime + idleTime
)

// Handler returns the handler of a function behind API Gateway. It is made when all
// channels are wired, once in a process, outside of the function that handles an
// event. It panics if an option is missing.
func Handler(srv Server, o Options) *Function {
	if srv == nil {
		panic("awslambda: Handler has no Server")
	}
	kanava.Attach(srv)
	f := &Function{gateway: newGateway("Handler", o.Config, o.Endpoint, o.Store), routeResponse: o.RouteResponse, path: o.Path, http: o.HTTP, logger: o.Logger}
	if f.logger == nil {
		f.logger = slog.Default()
	}
	if f.path == nil {
		f.path = paths(srv.Manifest())
	}
	if f.http == nil {
		f.http = httpfunc.Handler(srv, httpfunc.Options{})
	}
	f.runtime = srv.Stateless(stateless(o.Store, f.gateway))
	return f
}

func stateless(store engine.Store, g *gateway) kanava.StatelessOptions {
	return kanava.StatelessOptions{
		Store: store, Platform: g,
		MaxMessage: maxMessage, MaxFrame: maxFrame, NoBinary: true, KeepAlive: keepAlive, Keep: keep,
	}
}

// Reach lets a program that holds connections of its own also send to those of a
// [Handler]: what is published on the server's hub goes to them from then on. Store is
// the one of the Handler. Both need the same engine, and the same channels. It is
// called when all channels are wired, and panics if an option is missing.
//
// Of the options Store, Config and Endpoint count.
func Reach(srv Server, o Options) {
	if srv == nil {
		panic("awslambda: Reach has no Server")
	}
	opts := stateless(o.Store, newGateway("Reach", o.Config, o.Endpoint, o.Store))
	opts.Resident = true
	srv.Stateless(opts)
}

// Function handles the events of a function. It is made by [Handler], is a
// lambda.Handler, and safe for concurrent use.
type Function struct {
	gateway       *gateway
	runtime       *kanava.Stateless
	path          func(*events.APIGatewayWebsocketProxyRequest) string
	http          http.Handler
	routeResponse bool
	logger        *slog.Logger
}

// Settle returns when what was published until now is sent, or ctx ends. Invoke does
// that by itself. It is for functions that publish for other reasons than an event
// of API Gateway: what they have not sent when they return may never be sent.
func (f *Function) Settle(ctx context.Context) error { return f.runtime.Settle(ctx) }

// paths returns the default of Options.Path.
func paths(m *manifest.Manifest) func(*events.APIGatewayWebsocketProxyRequest) string {
	routes := make(map[string]bool, len(m.Channels))
	for _, c := range m.Channels {
		routes[c.Route] = true
	}
	return func(ev *events.APIGatewayWebsocketProxyRequest) string {
		if path := "/" + ev.RequestContext.Stage; routes[path] || len(m.Channels) != 1 {
			return path
		}
		return m.Channels[0].Route
	}
}

// mustHave panics if an option is missing.
func mustHave(where, option string, has bool) {
	if !has {
		panic(fmt.Sprintf("awslambda: %s has no Options.%s", where, option))
	}
}
