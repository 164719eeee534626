// Package transporttest is the suite that every transport passes: the vectors
// of package conformance, and what vectors cannot show. A transport's own test
// describes it as a [Transport] and calls [Run].
package transporttest

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/kanava-go/kanava"
)

// Transport is what the suite knows of a transport.
type Transport struct {
	// Serve starts a server that carries d, and returns how to reach it. It
	// registers with tb what stops the server.
	Serve func(tb testing.TB, d kanava.Dispatcher) Dial

	// Omit lists what the transport cannot be tested for: a vector or a behaviour by
	// its name, or all vectors that have a need by "needs " and that need, with the
	// reason. An entry that matches nothing fails the suite.
	Omit map[string]string

	// NoClientCodes says that a client ends its connection without a code and
	// a reason: OnDisconnect sees CloseAbnormal.
	NoClientCodes bool

	// NoReasons says that a client of kanava.v1 is told the code of a close and
	// when to come back, and no reason.
	NoReasons bool

	// NoPlainCodes says that a client of the plain form is told the reason of a close,
	// and not its code.
	NoPlainCodes bool

	// Stateless says that no process of the server lives as long as a connection. A
	// client of kanava.v1 is to say something every 5 minutes then, its pings are
	// answered with where its topics stand, and nobody counts connections.
	Stateless bool

	// MaxFrame is how large a message of a client of kanava.v1 may be, where the
	// platform has a limit below the server's; default none. The client is told.
	MaxFrame int

	// Buffers is how many bytes the sockets between a client and the server hold
	// at most; default 32 MB, which is more than systems grant by themselves. It
	// says how much is sent to see that nobody reads.
	Buffers int

	enveloped bool // clients speak kanava.v1
}

// Dial connects a client. If the server refuses it the error is a [*RefusedError].
type Dial func(ctx context.Context, r Request) (Client, error)

// Request is what a client asks for.
type Request struct {
	Path         string // with the query
	Headers      map[string]string
	Subprotocols []string
}

// RefusedError is how a server turned a client away.
type RefusedError struct {
	Status int    // of HTTP, or the same for a transport that has none
	Body   []byte // {"error":{"code","message","details"}}
}

// Error implements error.
func (r *RefusedError) Error() string { return fmt.Sprintf("refused: %d %s", r.Status, r.Body) }

// Client is the other end of one connection. It takes what the server sends
// only while Receive runs, or up to a small buffer ahead of it. Send and
// Receive may run at the same time, each on one goroutine.
type Client interface {
	// Subprotocol returns what the server chose, "" for none.
	Subprotocol() string
	// Send sends one message. It may block while the server does not read. The
	// error of a connection that has ended may be dropped: Receive tells.
	Send(ctx context.Context, data []byte, binary bool) error
	// Receive returns the next thing that comes. After a KindClosed, or an error,
	// it is not called again. An error says that the connection was lost, or
	// that ctx ended.
	Receive(ctx context.Context) (Frame, error)
	// Close ends the connection as a client should, with a code and a reason.
	Close(code int, reason string) error
	// Cut ends the connection without a word. It may be called at any time,
	// and more than once.
	Cut()
}

// RawClient is a Client whose bytes reach the server as they are: what the
// need "rfc6455" asks for.
type RawClient interface {
	SendRaw(p []byte) error
}

// ExtendedClient is a Client that knows the extensions of RFC 6455: what the
// need "rfc7692" asks for. It decompresses what comes compressed.
type ExtendedClient interface {
	// Extensions returns what the server agreed to, as it wrote it; "" for none.
	Extensions() string
}

// Kind is the kind of a Frame.
type Kind uint8

// The kinds.
const (
	KindText Kind = iota
	KindBinary
	KindPong   // of RFC 6455
	KindClosed // the server has closed the connection
)

// String returns the name of the kind in lower case.
func (k Kind) String() string { return [...]string{"text", "binary", "pong", "closed"}[k] }

// Frame is one thing that a client received.
type Frame struct {
	Kind   Kind
	Data   []byte
	Code   int    // of a KindClosed; 1005 if the server gave none
	Reason string // of a KindClosed
}

// String shows the frame for messages of tests.
func (f Frame) String() string {
	switch {
	case f.Kind == KindClosed:
		return fmt.Sprintf("closed %d %q", f.Code, f.Reason)
	case f.Kind == KindText && len(f.Data) > 1000:
		return fmt.Sprintf("text of %d bytes: %.1000s…", len(f.Data), f.Data)
	case f.Kind == KindText:
		return "text " + string(f.Data)
	}
	return fmt.Sprintf("%s %x", f.Kind, f.Data)
}

// Run runs the suite. Each case is a subtest.
func Run(t *testing.T, tr Transport) {
	tr.Omit = tr.omits()
	t.Run("vectors", func(t *testing.T) { runVectors(t, tr) })
	for _, b := range behaviours {
		if reason := tr.Omit[b.name]; reason != "" {
			t.Logf("omitted: %s: %s", b.name, reason)
			continue
		}
		t.Run(b.name, func(t *testing.T) { b.run(t, tr) })
		if !b.plainOnly {
			t.Run(b.name+", in an envelope", func(t *testing.T) { b.run(t, inEnvelope(tr)) })
		}
	}
}

func isBehaviour(name string) bool {
	for _, b := range behaviours {
		if b.name == name {
			return true
		}
	}
	return false
}

// behaviours are what vectors cannot show. Those that are plainOnly are about
// sizes and refusals, which an envelope has otherwise: vectors show them.
var behaviours = []struct {
	name      string
	run       func(t *testing.T, tr Transport)
	plainOnly bool
}{
	{"P12 a thousand messages are answered in order", testOrder, false},
	{"P12 good and bad messages are answered one by one", testMix, true},
	{"P12 a blocking function delays only its own connection", testBlocking, false},
	{"P14 a full connection is not read until there is room", testBackpressure, false},
	{"P14 a client that sends faster than it reads is slowed down", testFastSender, false},
	{"D11 a client that never reads is closed and costs the others nothing", testSlowConsumer, false},
	{"D11 a client that never reads loses Volatile events only", slowOf(kanava.Volatile), false},
	{"D11 a client that never reads gets the newest Latest event", slowOf(kanava.Latest), false},
	{"D11 a client that never reads gets on with a Recoverable topic", testSlowRecoverable, false},
	{"P12 a stream waits for its client and ends with it", testStreamWaits, false},
	{"P12 a stream goes on when its client reads again", testStreamResumes, false},
	{"D13 a publisher among a hundred subscribers loses and doubles nothing", testChurn, false},
	{"D13 all subscribers see one order of many publishers", testOneOrder, false},
	{"§5 every OnConnect has an OnDisconnect, also while the server shuts down", testStorm, false},
	{"§5 OnDisconnect runs once, after the functions", testDisconnect, false},
	{"§5 a close of the server is seen by OnDisconnect", testServerCloses, false},
	{"P16 contexts end with the connection", testContexts, false},
	{"S5 a connection is closed some time after its session has expired", testExpiry, false},
	{"§5 shutdown lets functions finish and tells clients to come back", testDrain, false},
	{"§5 shutdown does not wait longer than it may", testCut, false},
	{"§9 connections of one user are bounded", testUserConns, true},
	{"§9 connections from one address are bounded", testAddressConns, false},
	{"§9 a channel has limits of its own", testChannelLimits, true},
}

// none is short for the opening data and the session of channels that have
// none.
type none = kanava.None

// lab is the channel of the tests that bring their own functions.
type lab = kanava.Channel[none, none]

// quiet returns options of a server that logs nothing.
func quiet() kanava.Options[none] {
	return kanava.Options[none]{Logger: slog.New(slog.DiscardHandler)}
}

// serveLab starts a server with one public channel at "/lab".
func serveLab(t *testing.T, tr Transport, opts kanava.Options[none], w kanava.Wiring[none, none]) (*kanava.Server[none], Dial) {
	t.Helper()
	srv := kanava.NewServer(opts)
	w.Name, w.Route, w.Public = "lab", "/lab", true
	srv.Wire(w)
	shutDown(t, srv.Shutdown)
	return srv, tr.Serve(t, srv)
}

// shutDown shuts a server down when the test ends.
func shutDown(t *testing.T, f func(context.Context) error) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		if err := f(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// eventually waits until cond is true.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", Patience, what)
		}
	}
}

// settles waits until n has not changed for a while, and returns it.
func settles(t *testing.T, n func() int64) int64 {
	t.Helper()
	const long = 300 * time.Millisecond
	last, since := n(), time.Now()
	eventually(t, "a count comes to rest", func() bool {
		if now := n(); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > long
	})
	return last
}

// tooMany returns how many messages of a size are more than all buffers hold:
// those of the sockets, and what waits on both sides of the server.
func (tr *Transport) tooMany(size int) int { return (cmp.Or(tr.Buffers, 32<<20) + 3<<20) / size }

// receive takes a value from a channel.
func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	select {
	case v := <-from:
		return v
	case <-deadline.C:
		t.Fatalf("not within %v: %s", Patience, what)
		panic("unreachable")
	}
}
