package kanava

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// This file is the seam between the core and the transports: a transport turns
// bytes into frames and back and owns the socket; it knows no channel. It
// calls Dispatcher.Open for a client that wants in, tells the Link what the
// client sends, and writes what the Link's outbox holds when its Peer is
// woken. Package transporttest has the suite that every transport passes.

// OpenRequest is what a transport knows of a client that wants to open a
// channel.
type OpenRequest struct {
	URL          *url.URL    // path chooses the channel; path and query fill the opening data
	Host         string      // as the client asked for it
	Header       http.Header // not to be changed after Open: a client of kanava.v1 is authenticated later
	RemoteAddr   string      // "address:port" of the peer, as net/http reports it
	Subprotocols []string    // offered by the client, in its order
	Token        string      // bearer credential: from the Authorization header, a kanava.bearer subprotocol, or the hello of kanava.v1; never logged

	// Ping is how long the transport leaves a silent connection alone before it
	// sends a sign of life. Clients of kanava.v1 are told.
	Ping time.Duration

	// Upstream is set by a transport on which what the client says comes by
	// requests of their own, without binary frames: the secret that each of them
	// carries. A client of kanava.v1 is told it in its open frame, and may send
	// bytes as the frame {"bin":"<base64>"}; other clients the transport tells
	// itself. See docs/protocol.md P21 and S2.
	Upstream string

	// Marks asks for Frame.Mark, on behalf of a client that keeps the ID of the
	// last one. LastID is what it has kept of an earlier connection: a claim of
	// the client, which gives access to nothing. The form with an envelope has
	// positions of its own, and no marks.
	Marks  bool
	LastID string

	opening any // set by the test kit in place of path, query and header
}

// Frame is one message on its way to a client. Data is shared by all who
// receive it: nobody may change it.
type Frame struct {
	Data   []byte
	Binary bool
	Shared *Shared // nil for a frame that one connection receives
	Mark   *Mark   // nil unless OpenRequest.Marks asks for it
}

// Shared is what the transports of all who receive one frame share.
type Shared struct {
	once     sync.Once
	deflated []byte // set in once
}

// Deflated returns what the first call got from deflate, which is not called
// again: the Data as the payload of a message that RFC 7692 section 7.2.1
// describes, compressed without context takeover, or nil if that is not worth
// it. Nobody may change it.
func (s *Shared) Deflated(deflate func() []byte) []byte {
	s.once.Do(func() { s.deflated = deflate() })
	return s.deflated
}

// Peer is the transport's side of one connection.
type Peer interface {
	// Wake says that the Link has news: frames in its outbox, a close, or room
	// for messages again after Receive returned false. It comes from any
	// goroutine, also from inside a call of a method of the Link, with locks
	// held: it must return at once and must not call the Link. What Wake
	// starts calls Link.Take until that returns nothing. There is one Wake for
	// each change from nothing to something; none while the transport has not
	// yet taken everything.
	Wake()
}

// Dispatcher is what a transport drives. *Server is the one implementation.
type Dispatcher interface {
	// Open finds the channel by req.URL, checks the origin and the limits,
	// decodes and validates the opening data, and authenticates. An error is
	// always an *Error with a text for the client; nothing has to be undone
	// then. It may call the program's own functions, and so may block; ctx
	// ends them, as does Limits.OpenTime. The context is not kept. A client of
	// kanava.v1 can be told of most refusals only after it is connected, by
	// frames of that form.
	Open(ctx context.Context, req *OpenRequest, peer Peer) (*Link, error)

	// CheckOrigin returns an *Error if the request comes from a page that may not
	// speak to the server; see Options.Origins. Open does that itself: this is for
	// the other requests of a transport on HTTP.
	CheckOrigin(req *OpenRequest) error
}

// Forwarder is a [Dispatcher] that reaches the other nodes of a cluster, as a
// [Server] does whose hub has an engine. It is for transports on which what a
// client says can come to another node than that of its connection.
type Forwarder interface {
	// Relay has f answer what other nodes forward to name, for as long as the
	// server lives. f is called concurrently, 256 at a time at the most. The name
	// is "" where there are no other nodes.
	Relay(f func(ctx context.Context, request []byte) (response []byte)) (name string)

	// Forward sends a request to whoever has name, and returns the answer. It waits
	// for 5 s at the most. The error is CodeNotFound if name is of no node, and
	// CodeUnavailable if that does not answer: then it may have done what was asked.
	Forward(ctx context.Context, name string, request []byte) (response []byte, err error)
}

// Limits bounds what one client can take. In [Options] the zero value of each
// field stands for the default in its comment. A [Wiring] has Limits of its
// own, in which it stands for what the server has; what there counts over the
// whole server, whatever the channel, is marked: a channel's own value counts
// on that channel alone and holds besides the server's. A negative value is
// refused when the server is made, or the channel wired.
type Limits struct {
	Message       int           // bytes of one message from a client; default 64 KiB
	Depth         int           // nesting of objects and arrays in a message; default 64
	Elements      int           // values in a message, at all depths together; default 16,384
	WaitingCalls  int           // calls of one connection that wait or have their turn, and as many streams and Concurrent calls; default 32
	WaitingBytes  int           // bytes of messages that wait, one connection; default 256 KiB
	Subscriptions int           // topics of one connection, and as many places where it is present; default 128
	Queue         int           // bytes that wait to be written to one connection; default 1 MiB
	QueueNoUser   int           // the same while the connection has no session and the channel is not Public; default 64 KiB
	Reply         int           // bytes of one message that answers or is addressed to one client: a reply, an item of a stream, a push, a call of a client function; default 1 MiB, which generated clients take unless told otherwise
	Values        int           // bytes of all [Value]s kept with one connection, as JSON, with their names; default 64 KiB
	Event         int           // bytes of one published event, or of the data of a member of a [Presence]; default 64 KiB; not for a channel: topics belong to none
	UserConns     int           // connections of one user; counts over the server; default 64
	AddressConns  int           // connections from one IPv4 address, or one /64 network of IPv6, by OpenRequest.RemoteAddr; counts over the server; default no limit
	Rate          Rate          // messages of one connection, bad ones and control frames included; one answered with an error costs 5; default 200 a second, 1,000 at once
	UserRate      Rate          // messages of one user over all connections; counts over the server; default Unlimited
	OpenTime      time.Duration // what Open may take, with Authenticate, and as long to take the answer; default 15 s
	AuthWithin    time.Duration // time without a session on a channel that is not Public, then CloseUnauthenticated; default no limit
	CallTime      time.Duration // context of a function that is not a stream; default 30 s
	ExpiryGrace   time.Duration // from the expiry of a session to the close; default 25 s
}

// defaultLimits are those of a server whose Options say nothing.
var defaultLimits = Limits{
	Message:       64 << 10,
	Depth:         64,
	Elements:      16 << 10,
	WaitingCalls:  32,
	WaitingBytes:  256 << 10,
	Subscriptions: 128,
	Queue:         1 << 20,
	QueueNoUser:   64 << 10,
	Reply:         1 << 20,
	Values:        64 << 10,
	Event:         64 << 10,
	UserConns:     64,
	Rate:          Rate{PerSecond: 200, Burst: 1000},
	UserRate:      Unlimited,
	OpenTime:      15 * time.Second,
	CallTime:      30 * time.Second,
	ExpiryGrace:   25 * time.Second,
}

// over returns l with what is zero taken from base, and says which limit is
// wrong.
func (l Limits) over(base *Limits) (Limits, error) {
	for _, x := range []struct {
		name string
		n    *int
		base int
	}{
		{"Message", &l.Message, base.Message},
		{"Depth", &l.Depth, base.Depth},
		{"Elements", &l.Elements, base.Elements},
		{"WaitingCalls", &l.WaitingCalls, base.WaitingCalls},
		{"WaitingBytes", &l.WaitingBytes, base.WaitingBytes},
		{"Subscriptions", &l.Subscriptions, base.Subscriptions},
		{"Queue", &l.Queue, base.Queue},
		{"QueueNoUser", &l.QueueNoUser, base.QueueNoUser},
		{"Reply", &l.Reply, base.Reply},
		{"Values", &l.Values, base.Values},
		{"Event", &l.Event, base.Event},
		{"UserConns", &l.UserConns, base.UserConns},
		{"AddressConns", &l.AddressConns, base.AddressConns},
	} {
		if *x.n < 0 {
			return l, fmt.Errorf("field Limits.%s is negative", x.name)
		}
		*x.n = cmp.Or(*x.n, x.base)
	}
	for _, x := range []struct {
		name string
		t    *time.Duration
		base time.Duration
	}{
		{"OpenTime", &l.OpenTime, base.OpenTime},
		{"AuthWithin", &l.AuthWithin, base.AuthWithin},
		{"CallTime", &l.CallTime, base.CallTime},
		{"ExpiryGrace", &l.ExpiryGrace, base.ExpiryGrace},
	} {
		if *x.t < 0 {
			return l, fmt.Errorf("field Limits.%s is negative", x.name)
		}
		*x.t = cmp.Or(*x.t, x.base)
	}
	for _, x := range []struct {
		name string
		r    *Rate
		base Rate
	}{
		{"Rate", &l.Rate, base.Rate},
		{"UserRate", &l.UserRate, base.UserRate},
	} {
		if !x.r.valid() {
			return l, fmt.Errorf("field Limits.%s needs a positive PerSecond and Burst", x.name)
		}
		*x.r = cmp.Or(*x.r, x.base)
	}
	return l, nil
}

// Link is one connection as its transport sees it. Its methods are safe for
// concurrent use, but a transport calls Receive from one goroutine at a time,
// and Take from one goroutine at a time.
type Link struct{ c conn }

// ID returns the id of the connection. It is not secret.
func (l *Link) ID() string { return l.c.id.String() }

// Subprotocol returns the subprotocol to tell the client, or "" for none.
func (l *Link) Subprotocol() string { return l.c.rare().subprotocol }

// Limits returns the limits of the channel, without zero values where there is
// a default. Message and OpenTime are the transport's to enforce.
func (l *Link) Limits() Limits { return l.c.def.limits }

// KeepAlive returns the text message that the transport sends as a sign of
// life, at the latest when nothing was sent to the client or has come from it
// for OpenRequest.Ping. It is nil where a ping of the transport's own does.
func (l *Link) KeepAlive() []byte {
	if l.c.form.Envelope() {
		return emptyFrame
	}
	return nil
}

// emptyFrame is a sign of life in kanava.v1.
var emptyFrame = []byte("{}")

// Start runs OnConnect. The transport calls it once, when the client has been
// told that it is connected; it returns at once. Every Link is ended with
// Disconnect, also one that was never started.
func (l *Link) Start() { l.c.start() }

// Receive takes one message of the client, in order, and returns at once. It
// copies what it keeps: data is the caller's again, though it may have been
// changed. When it returns false the message was taken, but the connection is
// full: the transport stops reading until Wake and until then it must not
// blame the client for silence.
func (l *Link) Receive(data []byte, binary bool) (more bool) { return l.c.receive(data, binary) }

// Host is a goroutine of a transport on which functions run, though others of
// its connections have to wait for it.
type Host interface {
	// Waits reports whether others wait for the goroutine. Once it says no, it
	// belongs to the function's connection, and may take as long as it likes.
	Waits() bool
}

// Accept is Receive for a transport that lends functions a goroutine, which
// spares each connection one of its own. If work is true, the transport has to
// call Work.
func (l *Link) Accept(data []byte, binary bool) (more, work bool) { return l.c.accept(data, binary) }

// Work runs the functions of messages that wait, one after the other. Those
// that are known to take long run on goroutines of their own, and so does all
// that comes behind them. One that takes long for the first time blocks Work,
// and may also end the goroutine, by runtime.Goexit: the host has to see to it
// that nobody else waits for it. A nil host says that nobody does.
func (l *Link) Work(host Host) { l.c.work(false, host) }

// Charge takes from the rate of the connection what n messages cost, for what
// a client can send without end and Receive does not see: control frames, and
// small parts of a message. It closes the connection of a client that goes on
// and on over its rate. It belongs to the goroutine that calls Receive.
func (l *Link) Charge(n int) { l.c.chargeNoise(n) }

// Full reports whether the transport has to go on waiting after Receive
// returned false. If so, Wake comes when that has changed.
func (l *Link) Full() bool { return l.c.full() }

// Take moves frames from the outbox to the end of batch, at most about
// maxBytes of them (at least one frame), and returns it. When nothing is left
// it returns batch as it was, and the next frame wakes the Peer; if the
// connection is to be closed, closing then tells how: the transport writes
// that to the client, in place of further frames, and calls Disconnect.
// Take may run outgoing middleware, so it can block.
func (l *Link) Take(batch []Frame, maxBytes int) (frames []Frame, closing *Closing) {
	return l.c.take(batch, maxBytes)
}

// Closing returns how the connection is to be closed if nothing is to be
// written before that, and nil otherwise. A transport whose write is blocked
// looks here now and then: no Wake tells it, and a close for a client that
// reads too slowly must not wait until it has read.
func (l *Link) Closing() *Closing { return l.c.out.closingNow() }

// Closing says how the server ends a connection.
type Closing struct {
	Code   CloseCode
	Reason string // at most 123 bytes of UTF-8

	from, to time.Duration // when to come back; to is 0 where nothing is said of that
}

// ComeBack returns the range of times in which the client is asked to come
// back. ok is false where nothing is said of that.
func (c *Closing) ComeBack() (from, to time.Duration, ok bool) { return c.from, c.to, c.to > 0 }

// Disconnect says that the connection has ended: the client left, was lost, or
// was closed after Take returned a Closing. Code and reason are what
// OnDisconnect sees. It returns at once; OnDisconnect runs after the running
// functions have returned. Only the first call counts.
func (l *Link) Disconnect(code CloseCode, reason string) { l.c.disconnect(code, reason) }

// Done returns a channel that is closed when the connection has ended
// and OnDisconnect has returned.
func (l *Link) Done() <-chan struct{} { return l.c.doneChan() }

// Ended returns how the connection ended, 0 while it has not.
func (l *Link) Ended() (CloseCode, string) { return l.c.closed() }
