// Package conformance holds the vectors of the wire protocol: what a client
// sends and what a server answers, step by step. README.md says what the files
// mean and which application the server under test has to offer. Every
// transport and every client passes the same vectors; package transporttest
// runs them against a transport.
package conformance

import (
	"bytes"
	"cmp"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

//go:embed *.json
var files embed.FS

// First is the name of a case's own client; [Case.Clients] names the others.
const First = "a"

// Case is one vector: clients, and what they send and are sent.
type Case struct {
	Name    string          `json:"name"` // begins with the rule that it shows: "P5 …"
	Open                    // what the first client asks for
	Clients map[string]Open `json:"clients,omitempty"` // more clients, by name
	Needs   []Need          `json:"needs,omitempty"`   // what a transport must be able to do
	Steps   []Step          `json:"steps"`
	File    string          `json:"-"` // where it stands
}

// Open is the request with which a client opens a channel.
type Open struct {
	Path         string            `json:"path"` // with the query
	Headers      map[string]string `json:"headers,omitempty"`
	Subprotocols []string          `json:"subprotocols,omitempty"`
}

// V1 is the subprotocol of the form with an envelope.
const V1 = "kanava.v1"

// Envelope reports whether the client speaks kanava.v1.
func (o Open) Envelope() bool { return slices.Contains(o.Subprotocols, V1) }

// Need is something that not every transport can do.
type Need string

// The needs.
const (
	RFC6455      Need = "rfc6455"      // bytes of the client reach the server as they are
	RFC7692      Need = "rfc7692"      // it agrees to permessage-deflate, without context takeover
	MessageLimit Need = "messageLimit" // the transport refuses messages that are too large
	Process      Need = "process"      // one process of the server lives as long as the connection, and takes all that it sends
)

// Step is one thing that a client does or expects. Exactly one member besides
// Client and Note is set.
type Step struct {
	Client string `json:"client,omitempty"` // default [First]
	Note   string `json:"note,omitempty"`   // for people

	Send          *string        `json:"send,omitempty"`          // one text message
	SendLike      jsontext.Value `json:"sendLike,omitempty"`      // one text message, with blanks that were filled: see [Captures]
	SendRepeat    *Repeat        `json:"sendRepeat,omitempty"`    // one long text message
	SendBinary    *Hex           `json:"sendBinary,omitempty"`    // one binary message
	SendRaw       *Hex           `json:"sendRaw,omitempty"`       // bytes on the connection
	SendRawRepeat *RepeatHex     `json:"sendRawRepeat,omitempty"` // many bytes on the connection
	SendClose     *Ending        `json:"sendClose,omitempty"`     // the client closes
	Leave         bool           `json:"leave,omitzero"`          // the client goes away without a word
	Greet         *Hello         `json:"greet,omitempty"`         // the client of kanava.v1 says hello, and is open

	Opened       *Opened        `json:"opened,omitempty"`       // the connection opens
	Refused      *Refused       `json:"refused,omitempty"`      // it does not
	Expect       *string        `json:"expect,omitempty"`       // a text message, byte for byte
	ExpectJSON   jsontext.Value `json:"expectJSON,omitempty"`   // a text message, as JSON
	ExpectLike   jsontext.Value `json:"expectLike,omitempty"`   // a text message, as JSON with blanks: see [Captures]
	ExpectError  *Error         `json:"expectError,omitempty"`  // an error frame
	ExpectBinary *Hex           `json:"expectBinary,omitempty"` // a binary message
	ExpectPong   *Hex           `json:"expectPong,omitempty"`   // a pong of RFC 6455
	ExpectNone   bool           `json:"expectNone,omitzero"`    // nothing before the answer to a probe
	Close        *Closing       `json:"close,omitempty"`        // the server closes
}

// Hello is what a client of kanava.v1 says first.
type Hello struct {
	Token string `json:"token,omitempty"`
}

// Repeat is a long text: Head, Unit written Count times, Tail.
type Repeat struct {
	Head  string `json:"head,omitempty"`
	Unit  string `json:"unit"`
	Count int    `json:"count"`
	Tail  string `json:"tail,omitempty"`
}

// Text returns the whole text.
func (r *Repeat) Text() string { return r.Head + strings.Repeat(r.Unit, r.Count) + r.Tail }

// RepeatHex is many bytes: Head, Unit written Count times, Tail.
type RepeatHex struct {
	Head  Hex `json:"head,omitempty"`
	Unit  Hex `json:"unit"`
	Count int `json:"count"`
	Tail  Hex `json:"tail,omitempty"`
}

// Bytes returns them all.
func (r *RepeatHex) Bytes() []byte {
	return slices.Concat(r.Head, bytes.Repeat(r.Unit, r.Count), r.Tail)
}

// Ending is how a client closes.
type Ending struct {
	Code   int    `json:"code"`
	Reason string `json:"reason,omitempty"`
}

// Opened is what a client learns when its connection opens.
type Opened struct {
	Subprotocol string  `json:"subprotocol"`          // "" is none
	Extensions  *string `json:"extensions,omitempty"` // "" is none; nil does not matter
}

// Refused is how a client is turned away.
type Refused struct {
	Status   int      `json:"status"` // of HTTP
	Code     string   `json:"code"`
	Pointers []string `json:"pointers,omitempty"` // of the details, in any order
	Hides    string   `json:"hides,omitempty"`    // a text that must not be in the answer
}

// Error is an error frame. The texts of errors are not part of the protocol.
type Error struct {
	Code       string   `json:"code"`
	Re         *uint64  `json:"re,omitempty"`     // of kanava.v1: the id that the frame answers, 0 for none
	Key        string   `json:"key,omitempty"`    // name of the routing member; default "action"
	Action     string   `json:"action,omitempty"` // its value; "" says that the frame has none
	Pointers   []string `json:"pointers,omitempty"`
	RetryAfter int      `json:"retryAfter,omitempty"` // 0 says that the frame has none
	Hides      string   `json:"hides,omitempty"`      // a text that must not be in the frame
}

// Closing is how the server closes a connection.
type Closing struct {
	Code         int    `json:"code"`
	ReasonPrefix string `json:"reasonPrefix,omitempty"`
}

// Hex is bytes. In a file they stand in hexadecimal digits, with spaces where
// that helps to read them.
type Hex []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(strings.ReplaceAll(string(text), " ", ""))
	*h = b
	return err
}

// Load returns the cases of all files, in the order of their names and lines.
// The error names the file that is not well-formed.
func Load() ([]Case, error) {
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return nil, err
	}
	var all []Case
	for _, name := range names {
		data, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		cases, err := Parse(path.Base(name), data)
		if err != nil {
			return nil, err
		}
		all = append(all, cases...)
	}
	return all, nil
}

// Parse reads one file. Members that are not part of the format are an error,
// and so are steps that do nothing or two things.
func Parse(file string, data []byte) ([]Case, error) {
	var cases []Case
	if err := json.UnmarshalRead(bytes.NewReader(data), &cases, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for i := range cases {
		c := &cases[i]
		c.File = file
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("%s: case %q: %w", file, c.Name, err)
		}
	}
	return cases, nil
}

var named = regexp.MustCompile(`^([PDSV]\d+|§\d+|RFC(6455|7692) \d+(\.\d+)*) \S`)

// Rule returns the rule that the case shows, such as "P5".
func (c *Case) Rule() string {
	m := named.FindStringSubmatch(c.Name)
	if m == nil {
		return ""
	}
	return m[1]
}

// Opening returns what the client of this name asks for.
func (c *Case) Opening(client string) Open {
	if client == First {
		return c.Open
	}
	return c.Clients[client]
}

// Requires reports whether the case needs n.
func (c *Case) Requires(n Need) bool {
	return slices.Contains(c.Needs, n)
}

// check finds what the JSON library cannot, and fills in defaults.
func (c *Case) check() error {
	if c.Rule() == "" {
		return errors.New("the name does not begin with a rule")
	}
	if len(c.Steps) == 0 {
		return errors.New("there are no steps")
	}
	for _, n := range c.Needs {
		if n != RFC6455 && n != RFC7692 && n != MessageLimit && n != Process {
			return fmt.Errorf("unknown need %q", n)
		}
	}
	begun := make(map[string]bool)
	for i := range c.Steps {
		s := &c.Steps[i]
		if s.Client == "" {
			s.Client = First
		}
		if c.Opening(s.Client).Path == "" {
			return fmt.Errorf("step %d: client %q has no path", i+1, s.Client)
		}
		if n := s.actions(); n != 1 {
			return fmt.Errorf("step %d has %d actions", i+1, n)
		}
		if (s.Opened != nil || s.Refused != nil) && begun[s.Client] {
			return fmt.Errorf("step %d: client %q has opened its channel before", i+1, s.Client)
		}
		begun[s.Client] = true
		if (s.SendRaw != nil || s.SendRawRepeat != nil || s.ExpectPong != nil) && !c.Requires(RFC6455) {
			return fmt.Errorf("step %d needs %s", i+1, RFC6455)
		}
		if s.Opened != nil && s.Opened.Extensions != nil && !c.Requires(RFC7692) {
			return fmt.Errorf("step %d needs %s", i+1, RFC7692)
		}
		if e := s.ExpectError; e != nil {
			if envelope := c.Opening(s.Client).Envelope(); envelope != (e.Re != nil) {
				return fmt.Errorf("step %d: an error has re in kanava.v1, and only there", i+1)
			}
			e.Key = cmp.Or(e.Key, "action")
		}
		if s.Greet != nil && !c.Opening(s.Client).Envelope() {
			return fmt.Errorf("step %d: only clients of %s say hello", i+1, V1)
		}
	}
	for name := range c.Clients {
		if name == First || !begun[name] {
			return fmt.Errorf("client %q: no step is its own", name)
		}
	}
	return nil
}

// actions returns how many things the step does.
func (s *Step) actions() int {
	n := 0
	for _, set := range []bool{
		s.Send != nil, s.SendLike != nil, s.SendRepeat != nil, s.SendBinary != nil, s.SendRaw != nil, s.SendRawRepeat != nil, s.SendClose != nil, s.Leave,
		s.Opened != nil, s.Refused != nil, s.Expect != nil, s.ExpectJSON != nil, s.ExpectError != nil,
		s.Greet != nil, s.ExpectLike != nil, s.ExpectBinary != nil, s.ExpectPong != nil, s.ExpectNone, s.Close != nil,
	} {
		if set {
			n++
		}
	}
	return n
}
