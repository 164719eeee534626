// Package manifest describes a Kanava server to those who write clients and
// documents for it: its channels, what can be sent on them, and the types of
// all that as JSON Schemas. [kanava.Server.Manifest] makes one, and generators
// read one; neither needs the other.
//
// The JSON of a manifest is the same on every run and machine. What it says of
// the wire has a hash, which documentation does not change.
package manifest

import (
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Form is the version of the form in which manifests are written.
const Form = 1

// Manifest describes one server.
type Manifest struct {
	Form     int         `json:"kanava"`   // version of this form
	Level    int         `json:"level"`    // rises with each breaking change
	Hash     string      `json:"hash"`     // of what goes over the wire
	Channels []Channel   `json:"channels"` // in the order in which they were wired
	HTTP     []HTTPFunc  `json:"http,omitempty"`
	Types    Types       `json:"$defs"`
	Errors   []ErrorCode `json:"errors"`
	Closes   []CloseCode `json:"closes"`
}

// Contract returns level and hash as clients and servers tell each other
// (docs/protocol.md V3): "1.9f2c01ab".
func (m *Manifest) Contract() string { return strconv.Itoa(m.Level) + "." + m.Hash }

// Types are the JSON Schemas (draft 2020-12) of named types, by name. A schema
// refers to another as "#/$defs/" and its name. Beside the keywords of JSON
// Schema a type has "x-go", see [GoType].
type Types map[string]jsontext.Value

// Channel is one channel.
type Channel struct {
	Name    string    `json:"name"`
	Route   string    `json:"route"` // path pattern of net/http: "/chat/{room}"
	Doc     string    `json:"doc,omitzero"`
	Tags    []string  `json:"tags,omitempty"`
	Opening *Opening  `json:"opening,omitzero"` // nil: none
	Connect *Function `json:"connect,omitzero"` // OnConnect, if it has a result
	Message *Function `json:"message,omitzero"` // OnMessage
	Binary  bool      `json:"binary,omitzero"`  // whether there is OnBinary
	// Keys are the routing members in order, and Actions what they route to.
	Keys    []string `json:"keys,omitempty"`
	Actions []Action `json:"actions,omitempty"`

	Topics      []Topic      `json:"topics,omitempty"`
	Pushes      []Push       `json:"pushes,omitempty"`
	ClientFuncs []ClientFunc `json:"clientFuncs,omitempty"`
	Presences   []Presence   `json:"presences,omitempty"`
	Values      []Value      `json:"values,omitempty"`
}

// Opening is what a client gives when it opens a channel.
type Opening struct {
	Type   jsontext.Value `json:"type"` // an object
	Params []Param        `json:"params"`
}

// Param says where a member of the opening data travels: in each of the places
// that are named, and the first that has it counts.
type Param struct {
	Name   string `json:"name"` // of the member
	Path   string `json:"path,omitzero"`
	Query  string `json:"query,omitzero"`
	Header string `json:"header,omitzero"`
	Many   bool   `json:"many,omitzero"` // an array, whose values are repeated
}

// Function is a function of a channel.
type Function struct {
	Doc     string         `json:"doc,omitzero"`
	Tags    []string       `json:"tags,omitempty"`
	In      jsontext.Value `json:"in,omitempty"`  // absent: none
	Out     jsontext.Value `json:"out,omitempty"` // absent: none; of a stream: one value
	Stream  bool           `json:"stream,omitzero"`
	Session bool           `json:"session,omitzero"` // whether it needs a session
	Go      string         `json:"x-go,omitzero"`    // the Go function, as package path and name: "example.com/chat.App.Send"
}

// Action is a routed function.
type Action struct {
	By   string `json:"by"` // one of Channel.Keys
	Name string `json:"name"`
	Function
}

// HTTPFunc is a function that is called over HTTP. Its stream is one of
// server-sent events.
type HTTPFunc struct {
	Method  string `json:"method"`
	Pattern string `json:"pattern"` // path pattern of net/http: "/jobs/{id}"
	// Params say which members of In travel in the path, the query or the header;
	// the others are those of the body, a JSON object.
	Params []Param `json:"params,omitempty"`
	Function
}

// Topic is a family of topics "name:<key>".
type Topic struct {
	Name  string         `json:"name"`
	Class string         `json:"class"` // "ordered", "volatile", "latest" or "recoverable"
	Event jsontext.Value `json:"event"`
	Bytes bool           `json:"bytes,omitzero"` // events are bytes, not JSON
	// Subscribable says that clients may subscribe themselves, by the actions
	// subscribe and unsubscribe.
	Subscribable bool `json:"subscribable,omitzero"`
}

// Push is what the server sends at any time.
type Push struct {
	Name  string         `json:"name"`
	Value jsontext.Value `json:"value"`
	Bytes bool           `json:"bytes,omitzero"` // sent as binary frames, without the name
}

// ClientFunc is a function of the client that the server calls.
type ClientFunc struct {
	Name string         `json:"name"`
	In   jsontext.Value `json:"in,omitempty"`
	Out  jsontext.Value `json:"out,omitempty"`
}

// Presence is who is there, for each key: clients that are subscribed to the
// topic "name:<key>" are told.
type Presence struct {
	Name   string         `json:"name"`
	Member jsontext.Value `json:"member"` // what is told of a member besides its id and its number of connections
}

// Value is kept with a connection, on the server: clients never see it, and it
// does not count for the hash.
type Value struct {
	Name string         `json:"name"`
	Type jsontext.Value `json:"type"` // a schema with "$defs" of its own
}

// ErrorCode is a code of an error that a client can be told.
type ErrorCode struct {
	Code   string `json:"code"`
	Status int    `json:"status"` // of HTTP
}

// CloseCode is a code with which a connection ends.
type CloseCode struct {
	Code int    `json:"code"`
	Name string `json:"name"`
	Then string `json:"then"` // what a client does: "stop", "reconnect" or "authenticate"
}

// Append appends the JSON of m to dst, indented and with an end of line.
func (m *Manifest) Append(dst []byte) ([]byte, error) {
	raw, err := json.Marshal(m, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return dst, err
	}
	return append(append(dst, raw...), '\n'), nil
}
