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
// # Types on the wire
//
// Inputs, outputs, opening data and events are Go types with json tags, as
// encoding/json has them; what a client sends must match its type exactly.
// Members are required unless their tag says omitempty or omitzero, or
// required:"false"; pointers may be null; unknown members are refused;
// jsontext.Value takes any JSON. More tags restrict inputs and opening data:
//
//	Name  string   `json:"name" minLength:"1" maxLength:"64" pattern:"^[a-z]+$"`
//	Mail  string   `json:"mail" format:"email"`
//	Role  string   `json:"role" enum:"member,admin"`
//	Count int      `json:"count" minimum:"1" maximum:"10"`
//	Price float64  `json:"price" exclusiveMinimum:"0" multipleOf:"0.05"`
//	Tags  []string `json:"tags" maxItems:"5" doc:"Shown below the title"`
//
// They are the keywords of JSON Schema: minLength, maxLength, pattern and format
// for strings; minimum, maximum, exclusiveMinimum, exclusiveMaximum and
// multipleOf for numbers; enum and const for both, const also for booleans;
// minItems, maxItems and uniqueItems for slices; minProperties and
// maxProperties for maps. The formats are date-time, date and time of RFC 3339,
// email (RFC 5321), hostname (RFC 1123), ipv4, ipv6, uri (RFC 3986) and uuid.
// The tags doc, example and deprecated:"true" only describe; the example must
// be a valid value. A tag that does not fit its field panics in Wire.
//
// Then comes a method Validate(context.Context) error, where a type, or one
// inside of it, has it; it usually returns [Invalid]. [OneOf] declares unions.
//
// Opening data says where each field comes from: path:"room" names a wildcard of
// the route, query:"room" a query parameter, header:"X-Client" a header field;
// of several the first that is present counts. default:"general" is for a
// field that is absent.
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
//
// A [Presence] knows who is there, and tells the subscribers of a topic;
// [Conns] are who is connected; a [Value] is kept with a connection.
package kanava
