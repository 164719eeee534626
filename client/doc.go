// Package client is the run-time of generated Go clients of Kanava's channels:
// they are a thin typed layer over a [Conn]. It speaks the wire form kanava.v1
// over WebSocket, and over server-sent events and POST where something on the way
// lets no WebSocket through, and needs nothing of the server's packages.
//
// # A connection heals itself
//
// [Connect] returns at once. The connection is made in the background, and made
// again whenever it is lost: at once told by [Conn.OnState], after a random wait
// that grows from half a second to 20 s or that the server has advised, and for
// ever, until [Conn.Close] or a close code that says to stay away. On each
// connection Options.Authenticate runs before any other call.
//
// Where no WebSocket opens the same try goes on with server-sent events. While
// these are in use the client looks every 5 to 10 minutes whether a WebSocket
// opens by now, and comes back with one, without the loss of a call or an event.
// [State.Transport] says which it is; Options.Transport allows only one.
//
// # Calls
//
// A call waits for a connection if there is none, and for its turn if the
// server allows no more at a time. Its context ends it, or Options.Timeout, 10 s,
// where the context has no deadline. A call that was sent when the connection
// was lost fails with [CodeUnavailable] and [Error.OutcomeUnknown]: it may have
// run. It is not sent again, unless it has a [Key] and the server keeps keys.
//
// # Events
//
// Each event of a topic is delivered once and in order. After a lost connection
// the client asks for what it has missed; where that cannot be had, OnLost is
// told. Functions that listen are called one after the other on one goroutine of
// the connection, in the order in which things came. They may make calls, and
// may take their time, within bounds: while 1 MiB of events waits for them, the
// client stops reading, and after 30 s it gives the connection up and recovers
// on the next one. A panic in them is not caught.
//
// # Presence
//
// [OnPresence] tells who is there in a topic, as the server shows it to those who
// are subscribed, without gaps; [Members] asks for the whole list.
//
// # Limits
//
// Everything that a server can make the client keep is bounded: the size of a
// message (Options.ReadLimit), what waits for listeners and loops over streams,
// topics, members, events that are held because earlier ones are missing, and running
// handlers of the server's calls. After Close nothing is left running but
// functions of the program that have not returned; see [Conn.Done].
package client
