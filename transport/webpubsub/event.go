package webpubsub

import "time"

// EventType says what has happened to a connection.
type EventType string

// The service waits for the answer to Connect and to User before it goes on with
// the connection, and not for that to the others: Connected may come after the
// first User, and Disconnected beside the last.
const (
	Connect      EventType = "connect"      // a client wants to open a WebSocket
	Connected    EventType = "connected"    // it has done so
	User         EventType = "user"         // it has sent something
	Disconnected EventType = "disconnected" // the connection is over; comes also if Connected never did
)

// Event is what the service tells about a connection. Query, headers, subprotocols
// and messages are the client's word: the service checks the token, and what it
// has from it, and nothing else.
type Event struct {
	Type EventType

	// Name is "message" for what a plain client sends. A client of a subprotocol of
	// the service's own chooses it. For other types it is that of the type.
	Name string

	// ID tells events of one connection apart, and repeats of one event: the service
	// sends an event again if it was not answered, or with a status of 500 or more.
	ID string

	Hub          string // as the service writes it; hubs have no case
	ConnectionID string // made by the service: 1 to 512 bytes
	UserID       string // from the client's token or the answer to Connect; may be empty
	Subprotocol  string // of the WebSocket; empty for none, and in Connect
	Time         time.Time

	// State is what the answer to an earlier event set with [Response.State]; empty
	// for nothing.
	State string

	Connecting *Connecting // of Connect only
	Reason     string      // of Disconnected only: why, for people
	Message    Message     // of User only: what the client has sent, unchecked
}

// Connecting is what a client opens a connection with.
type Connecting struct {
	Claims       map[string][]string `json:"claims"`  // of its token
	Query        map[string][]string `json:"query"`   // of its address, without the token
	Headers      map[string][]string `json:"headers"` // names as the service writes them
	Subprotocols []string            `json:"subprotocols"`
	Certificates []Certificate       `json:"clientCertificates"`
}

// Certificate is one that a client has shown.
type Certificate struct {
	Thumbprint string `json:"thumbprint"` // SHA-1, hexadecimal
	Content    string `json:"content"`    // PEM; older services leave it out
}

// Response is the answer to an [Event]. nil, or the zero value, lets the connection
// go on as it is. Nothing of it counts for Connected and Disconnected.
type Response struct {
	// State is kept by the service with the connection and comes back with each later
	// event; nil leaves the old one. It is a field of HTTP: printable ASCII, so
	// anything else needs base64. Clients do not see it.
	State *string

	Accept  Accept  // of Connect
	Message Message // of User: sent to the client; the zero value for nothing
}

// Accept is what the service is told about a connection that it may open.
type Accept struct {
	UserID      string   `json:"userId,omitempty"`      // empty leaves that of the token
	Groups      []string `json:"groups,omitempty"`      // the connection is in from the start; none leaves those of the token
	Roles       []string `json:"roles,omitzero"`        // see Access.Roles; nil leaves those of the token, none takes them away
	Subprotocol string   `json:"subprotocol,omitempty"` // one that the client offers; empty: see EventHandler
}
