package kanava

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/kanava-go/kanava/internal/form"
)

// keptConn is a connection as the Store keeps it.
type keptConn struct {
	At      string    `json:"at"` // the platform's id
	Channel string    `json:"channel"`
	V1      bool      `json:"v1,omitzero"`
	Phase   keptPhase `json:"phase,omitzero"`
	Seen    bool      `json:"seen,omitzero"` // the platform has accepted it for certain
	Opened  int64     `json:"opened"`        // ms since 1970, as is Saved
	Saved   int64     `json:"saved"`         // when it was kept last for as long as may be

	Opening jsontext.Value `json:"opening"`
	Session jsontext.Value `json:"session,omitzero"`
	Turn    int            `json:"turn,omitzero"` // rises when a user leaves
	Rev     int            `json:"rev,omitzero"`  // rises with each change of the session
	Mark    string         `json:"mark,omitzero"` // of the stay in the user's group

	Values  map[string]keptOwn  `json:"values,omitzero"`
	Subs    map[string]keptSub  `json:"subs,omitzero"`    // by topic
	Present map[string]keptStay `json:"present,omitzero"` // by topic
	Was     []string            `json:"was,omitzero"`

	Pending []keptFrame   `json:"pending,omitzero"` // waits for the platform to accept the connection
	Request *keptRequest  `json:"request,omitzero"` // until the client of kanava.v1 has said hello
	Refused *relayedError `json:"refused,omitzero"` // what it is told then
	Begun   bool          `json:"begun,omitzero"`   // OnConnect runs or has run: OnDisconnect follows
	Since   int64         `json:"since,omitzero"`   // when an event began to connect it
	Code    CloseCode     `json:"code,omitzero"`    // how the server has ended it, or is about to
	Reason  string        `json:"reason,omitzero"`
}

type keptPhase uint8

const (
	keptGreeting   keptPhase = iota // kanava.v1: the client has yet to say hello
	keptAccepted                    // OnConnect waits for Connected
	keptConnecting                  // an event is at it: others wait
	keptOpen                        // OnConnect is over
	keptClosing                     // the platform was told to close it
)

// memberMark makes different stays of a connection in one group different members.
func memberMark() string { return rand.Text()[:8] }

// member is a connection as a member of a group.
func member(id connID, mark string) string { return id.String() + mark }

// readMember undoes member.
func readMember(text string) (id connID, mark string, ok bool) {
	if len(text) < idLen {
		return id, "", false
	}
	id, ok = readConnID(text[:idLen])
	return id, text[idLen:], ok
}

// keptOwn is a value, and whether it was set while somebody was signed in.
type keptOwn struct {
	Data  jsontext.Value `json:"v"`
	Owned bool           `json:"owned,omitzero"`
}

type keptSub struct {
	Mark     string  `json:"mark"` // of this subscription, among others of the connection to the topic
	Owned    bool    `json:"owned,omitzero"`
	Free     bool    `json:"free,omitzero"`
	ByClient bool    `json:"byClient,omitzero"`
	User     string  `json:"user,omitzero"`
	Floor    *uint64 `json:"floor,omitzero"` // of a Private topic
}

type keptStay struct {
	Member string `json:"member"`
	Owned  bool   `json:"owned,omitzero"`
}

type keptFrame struct {
	Text   string `json:"text,omitzero"`
	Binary []byte `json:"b64,omitzero"`
}

// keptRequest is what Authenticate is given when the client says hello.
type keptRequest struct {
	URL          string      `json:"url"`
	Host         string      `json:"host,omitzero"`
	Header       http.Header `json:"header,omitzero"`
	RemoteAddr   string      `json:"remoteAddr,omitzero"`
	Subprotocols []string    `json:"subprotocols,omitzero"`
	Token        string      `json:"token,omitzero"`
}

func keptRequestOf(r *OpenRequest) *keptRequest {
	return &keptRequest{r.URL.String(), r.Host, r.Header, r.RemoteAddr, r.Subprotocols, r.Token}
}

func (k *keptRequest) open() (*OpenRequest, error) {
	u, err := url.Parse(k.URL)
	if err != nil {
		return nil, err
	}
	return &OpenRequest{URL: u, Host: k.Host, Header: k.Header, RemoteAddr: k.RemoteAddr, Subprotocols: k.Subprotocols, Token: k.Token}, nil
}

func keep(f Frame) keptFrame {
	if f.Binary {
		return keptFrame{Binary: f.Data}
	}
	return keptFrame{Text: string(f.Data)}
}

func (k keptFrame) frame() Frame {
	if k.Binary != nil {
		return Frame{Data: k.Binary, Binary: true}
	}
	return Frame{Data: []byte(k.Text)}
}

func (k *keptConn) encode() ([]byte, error) { return json.Marshal(k, json.Deterministic(true)) }

func (k *keptConn) decode(data []byte) error { return json.Unmarshal(data, k) }

// form is the wire form of the connection.
func (k *keptConn) form() form.Form {
	if k.V1 {
		return form.V1
	}
	return form.Plain
}

// isYoung reports whether the platform may not have accepted the connection yet: it
// is gone for it then, and yet about to be there.
func (k *keptConn) isYoung() bool {
	return !k.Seen && time.Since(time.UnixMilli(k.Opened)) < youngTime
}

// youngTime is how long a platform may take to accept a connection.
const youngTime = 30 * time.Second

// encodeSession returns a session as it is kept, if it can be read again.
func (rt *Stateless) encodeSession(ctx context.Context, value any) (jsontext.Value, error) {
	data, err := encoded(func(buf []byte) ([]byte, error) { return rt.session.Append(buf, value) })
	if err != nil {
		return nil, err
	}
	if _, err := rt.decodeSession(ctx, data); err != nil {
		return nil, fmt.Errorf("kanava: the session cannot be kept: %w", err)
	}
	return data, nil
}

func (rt *Stateless) decodeSession(ctx context.Context, data jsontext.Value) (*session, error) {
	into := reflect.New(rt.core.sessionType)
	if err := decodeStored(ctx, rt.session, data, into.Interface()); err != nil {
		return nil, err
	}
	value := into.Elem().Interface()
	return &session{value: value, id: rt.core.identify(value)}, nil
}
