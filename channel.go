package kanava

import "context"

// State is the stage of a connection's life.
type State uint8

// The states, in their order.
const (
	StateInitial State = iota // until OnConnect has returned
	StateOpen
	StateClosed // closed, or about to be: only replies of functions that still run arrive
)

var stateNames = [...]string{"initial", "open", "closed"}

// String returns "initial", "open" or "closed".
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "unknown"
}

// Conn is any channel, whatever its types.
type Conn interface {
	Subscriber
	State() State
	conn() *conn
	openingData() any // a pointer to the opening data
}

// Channel is one client's connection as functions see it. Open is the type of
// its opening data, Session that of its session; declare one plain alias for
// each channel of the program:
//
//	type Room = kanava.Channel[RoomParams, User]
//
// Its methods are safe for concurrent use. Do not keep a Channel beyond the
// call it was given to: keep its ID and use Server.Conns.
type Channel[Open, Session any] struct {
	opening Open
	c       *conn
}

func (ch *Channel[Open, Session]) conn() *conn      { return ch.c }
func (ch *Channel[Open, Session]) sink() sink       { return ch.c }
func (ch *Channel[Open, Session]) openingData() any { return &ch.opening }

// ID returns the id of the connection: unique, made by the server, not secret.
func (ch *Channel[Open, Session]) ID() string { return ch.c.id.String() }

// Opening returns the opening data. It was validated when the connection
// opened and does not change.
func (ch *Channel[Open, Session]) Opening() Open { return ch.opening }

// State returns the stage of the connection's life.
func (ch *Channel[Open, Session]) State() State { return ch.c.state() }

// Session returns the session of this moment, or the zero value where there is
// none: before anyone signed in, after ClearSession, after its expiry. Read it
// once in a function, and do not change what it points to.
func (ch *Channel[Open, Session]) Session() Session {
	s, _ := ch.LookupSession()
	return s
}

// LookupSession is Session, and tells whether there is one.
func (ch *Channel[Open, Session]) LookupSession() (Session, bool) {
	if s := ch.c.liveSession(); s != nil {
		return s.value.(Session), true
	}
	var zero Session
	return zero, false
}

// SetSession signs the connection in with s, at once: the next statement and
// the next call see it. Where there was a session it is replaced, if both are
// of the same user (see [Identity]) or Options.AllowUserChange is set.
// Wiring.Admit decides first; then MaySubscribe of each subscription is asked
// again, and those it refuses end. If it returns an error nothing has changed.
func (ch *Channel[Open, Session]) SetSession(ctx context.Context, s Session) error {
	return ch.c.setSession(ctx, s)
}

// ClearSession signs the connection out. Subscriptions made while the user was
// signed in end, and so do the user's running calls, but for the one whose
// context ctx is. It is not an error if there is no session.
func (ch *Channel[Open, Session]) ClearSession(ctx context.Context) error {
	return ch.c.clearSession(ctx)
}

// SendBinary sends p as one binary frame. It does not wait: if the client's
// queue has no room the connection is closed with [CloseSlowConsumer]. The
// error is CodeTooLarge for more than Limits.Reply. It takes p: the caller must
// not change it.
func (ch *Channel[Open, Session]) SendBinary(ctx context.Context, p []byte) error {
	return ch.c.push(ctx, "", p, nil)
}

// Close ends the connection with code, one of Kanava's or the program's own
// from 4000 to 4399, and a reason, which is cut at 123 bytes. What was sent
// before goes out first, and so does the reply of the function that calls
// Close with its own context and of the function that has its turn; other
// running functions see their contexts end. Close does not wait for that. It
// panics if code may not be sent. Closing twice is not an error; the first code
// stands.
func (ch *Channel[Open, Session]) Close(ctx context.Context, code CloseCode, reason string) error {
	return ch.c.close(ctx, code, reason)
}

// Closed tells how the connection ended, as OnDisconnect wants to know: the
// close code and the reason. While it is open the code is 0.
func (ch *Channel[Open, Session]) Closed() (CloseCode, string) { return ch.c.closed() }

// Context returns a context that ends when the connection does.
func (ch *Channel[Open, Session]) Context() context.Context { return ch.c.context() }
