// Package kanava runs plain Go functions behind real-time channels.
//
// A channel is a route to which clients connect; what they send is routed to
// typed functions, decoded and validated first, and what the functions return
// is sent back. A [Wiring] is the value that says which functions a channel
// has; [Server.Wire] checks it; a transport such as package transport/ws
// mounts the server on net/http.
//
//	type Room = kanava.Channel[RoomParams, User]
//
//	func (a *App) SendMessage(ctx context.Context, ch *Room, in Text) (Message, error)
//
// # What a function may count on
//
// The messages of one connection run in the order they were sent, one at a
// time; streams and Concurrent functions start in that order and run beside
// the rest. Nothing a client does delays another client. A function's context
// ends when it returns, when the connection ends, or at its deadline; a
// function should return soon after. OnDisconnect runs once, after every other
// function of the connection has returned, with a context of its own.
//
// Functions need a session unless they, or their channel, are public. A
// session is one value: it is replaced by [Channel.SetSession], never changed.
//
// # Errors
//
// An error made by [Errorf] reaches the client; any other is logged and
// reaches the client as "internal" without its text. Wrong wiring panics when
// the program starts and names both places; wrong input is an error to the
// client that sent it, with a JSON pointer for each fault.
//
// # Events
//
// An [EventHub] carries events from publishers to subscribers; a [Topic] is
// its typed form. Publishing never waits for a subscriber: every connection
// has a bounded queue, and one that is not read is closed with
// [CloseSlowConsumer].
package kanava
